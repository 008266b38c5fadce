-- Storing visits by hand.

CREATE OR REPLACE FUNCTION processed.store_visits(visits processed.session_funnels[])
RETURNS bigint LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH stored AS (
        INSERT INTO processed.visit_rows (
            session_id, visit_start, session_form, session_text, visit_end, user_id, views, carts,
            removes, checkouts, purchases, products, revenue, first_label, last_label,
            furthest_stage, drop_off_stage, view_to_cart_ms, view_to_purchase_ms, view_purchase,
            view_cart_purchase, final, revision, loaded_at)
        SELECT k.session_id, v.visit_start,
               (CASE WHEN v.user_session = k.session_id::text THEN 'u' ELSE 't' END)::"char",
               CASE WHEN v.user_session <> k.session_id::text THEN v.user_session ELSE '' END,
               v.visit_end, v.user_id, v.views, v.carts, v.removes, v.checkouts, v.purchases,
               v.products, v.revenue, v.first_id, v.last_id, v.furthest_stage, v.drop_off_stage,
               v.view_to_cart_ms, v.view_to_purchase_ms, v.view_purchase, v.view_cart_purchase,
               v.final, v.revision, coalesce(v.loaded_at, now())
        FROM (SELECT array_agg(first_category) AS firsts, array_agg(last_category) AS lasts
              FROM unnest(visits)) AS a
        CROSS JOIN LATERAL ROWS FROM (
            unnest(processed.forget_in_visits(visits)), raw.event_label_ids('{}', a.firsts, '{}'),
            raw.event_label_ids('{}', a.lasts, '{}')) AS v (
                user_session, visit_start, visit_end, user_id, views, carts, removes, checkouts,
                purchases, products, revenue, first_category, last_category, furthest_stage,
                drop_off_stage, duration_ms, view_to_cart_ms, view_to_purchase_ms, final, revision,
                loaded_at, view_purchase, view_cart_purchase, first_id, last_id)
        CROSS JOIN LATERAL (SELECT processed.session_id(v.user_session) AS session_id) AS k
        ON CONFLICT (visit_start, session_id, session_form, session_text) DO UPDATE
        SET visit_end = excluded.visit_end, user_id = excluded.user_id, views = excluded.views,
            carts = excluded.carts, removes = excluded.removes, checkouts = excluded.checkouts,
            purchases = excluded.purchases, products = excluded.products,
            revenue = excluded.revenue, first_label = excluded.first_label,
            last_label = excluded.last_label, furthest_stage = excluded.furthest_stage,
            drop_off_stage = excluded.drop_off_stage, view_to_cart_ms = excluded.view_to_cart_ms,
            view_to_purchase_ms = excluded.view_to_purchase_ms,
            view_purchase = excluded.view_purchase,
            view_cart_purchase = excluded.view_cart_purchase, final = excluded.final,
            revision = excluded.revision, loaded_at = excluded.loaded_at
        RETURNING 1
    )
    SELECT count(*) FROM stored
$$;
COMMENT ON FUNCTION processed.store_visits(processed.session_funnels[]) IS
    'Stores visits by hand. A visit with the same user_session and visit_start is replaced. '
    'duration_ms is not read: it follows from visit_end and visit_start. loaded_at null: now. '
    'Users that are forgotten get their pseudonym. Returns how many were stored.';
