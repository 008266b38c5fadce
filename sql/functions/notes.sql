-- What a transaction of pg-loader has stored, for the next reporting.refresh(): events in
-- processed.load_batches, visits in processed.visit_deltas, late events in processed.late_deltas,
-- and where loading began in processed.bronze_loads. Triggers note all but events.

-- A text that is a UUID as PostgreSQL prints it is this UUID. Any other text is its md5.
CREATE OR REPLACE FUNCTION processed.session_id(session text) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- One regular expression for all of it would take five times as long.
    SELECT CASE WHEN session !~ '[^0-9a-f-]' AND length(replace(session, '-', '')) = 32
                     AND session LIKE '________-____-____-____-____________' THEN session::uuid
                ELSE md5(session)::uuid END
$$;
COMMENT ON FUNCTION processed.session_id(text) IS
    'The number by which the mart knows a session. session: user_session, or user:<user_id> for '
    'events without one.';

-- pg-loader sums up its events itself, if it has stored all of a batch. This function is for the
-- other cases: some events of the batch were stored before, or somebody stores events by hand
-- (processed.store_events).
CREATE OR REPLACE FUNCTION processed.note_events(stored raw.event_rows[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH event AS MATERIALIZED (
        SELECT e.*, l.category_code, l.brand, s.raw_partition,
               extract(hour FROM event_time AT TIME ZONE 'UTC')::smallint AS hour,
               coalesce(category_code, 'unknown') AS category,
               coalesce(brand, 'unknown') AS brand_name,
               (event_type = 'v')::int AS view, (event_type = 'c')::int AS cart,
               (event_type = 'r')::int AS remove, (event_type = 'k')::int AS checkout,
               (event_type = 'p')::int AS purchase,
               CASE WHEN event_type = 'p' THEN price ELSE 0 END AS revenue
        FROM unnest(stored) AS e LEFT JOIN raw.event_labels l ON l.label_id = e.label_id
        LEFT JOIN raw.event_sources s ON s.source_id = e.source_id
    ), run AS (
        SELECT loaded_at, event_date, raw_partition, min(raw_offset) AS first,
               count(*)::int AS events
        FROM (SELECT *, raw_offset - row_number() OVER (PARTITION BY loaded_at, event_date,
                                                        raw_partition ORDER BY raw_offset) AS run
              FROM event) AS placed
        GROUP BY loaded_at, event_date, raw_partition, run
    ), runs AS (
        SELECT loaded_at, event_date, sum(events) AS events, array_agg(raw_partition) AS partition,
               array_agg(first) AS first, array_agg(events) AS run_events
        FROM run GROUP BY loaded_at, event_date
    ), hour AS (
        SELECT loaded_at, event_date, hour, sum(view)::int AS views, sum(cart)::int AS carts,
               sum(remove)::int AS removes, sum(checkout)::int AS checkouts,
               sum(purchase)::int AS purchases, sum(revenue) AS revenue,
               count(*) FILTER (WHERE category_code IS NULL)::int AS without_category,
               count(*) FILTER (WHERE brand IS NULL)::int AS without_brand,
               count(*) FILTER (WHERE price IS NULL)::int AS without_price,
               count(*) FILTER (WHERE session_form = 'n')::int AS without_session,
               count(*) FILTER (WHERE price = 0)::int AS zero_price, max(event_time) AS newest
        FROM event GROUP BY loaded_at, event_date, hour
    ), hours AS (
        SELECT loaded_at, event_date, array_agg(hour) AS hour, array_agg(views) AS views,
               array_agg(carts) AS carts, array_agg(removes) AS removes,
               array_agg(checkouts) AS checkouts, array_agg(purchases) AS purchases,
               array_agg(revenue) AS revenue, array_agg(without_category) AS without_category,
               array_agg(without_brand) AS without_brand, array_agg(without_price) AS without_price,
               array_agg(without_session) AS without_session, array_agg(zero_price) AS zero_price,
               array_agg(newest) AS newest
        FROM hour GROUP BY loaded_at, event_date
    ), product AS (
        SELECT loaded_at, event_date, product_id, category, brand_name, price, hour,
               sum(view)::int AS views, sum(cart)::int AS carts, sum(remove)::int AS removes,
               sum(checkout)::int AS checkouts, sum(purchase)::int AS purchases,
               min(event_time) AS first, max(event_time) AS last
        FROM event GROUP BY loaded_at, event_date, product_id, category, brand_name, price, hour
    ), products AS (
        SELECT loaded_at, event_date, array_agg(product_id) AS id, array_agg(category) AS category,
               array_agg(brand_name) AS brand, array_agg(price::numeric) AS price,
               array_agg(views) AS views, array_agg(carts) AS carts, array_agg(removes) AS removes,
               array_agg(checkouts) AS checkouts, array_agg(purchases) AS purchases,
               array_agg(first) AS first, array_agg(last) AS last, array_agg(hour) AS hour
        FROM product GROUP BY loaded_at, event_date
    ), session AS (
        SELECT loaded_at, event_date, session_id, user_id, sum(view)::int AS views,
               sum(cart)::int AS carts, sum(remove)::int AS removes,
               sum(checkout)::int AS checkouts,
               sum(purchase)::int AS purchases, sum(revenue) AS revenue,
               min(event_time) AS first, max(event_time) AS last,
               min(event_time) FILTER (WHERE event_type = 'v') AS first_view,
               max(event_time) FILTER (WHERE event_type = 'v') AS last_view,
               max(event_time) FILTER (WHERE event_type = 'p') AS last_purchase
        FROM event GROUP BY loaded_at, event_date, session_id, user_id
    ), sessions AS (
        SELECT loaded_at, event_date, array_agg(session_id) AS id, array_agg(user_id) AS user_id,
               array_agg(views) AS views, array_agg(carts) AS carts, array_agg(removes) AS removes,
               array_agg(checkouts) AS checkouts, array_agg(purchases) AS purchases,
               array_agg(revenue) AS revenue, array_agg(first) AS first, array_agg(last) AS last,
               array_agg(first_view) AS first_view, array_agg(last_view) AS last_view,
               array_agg(last_purchase) AS last_purchase
        FROM session GROUP BY loaded_at, event_date
    ), steps AS (
        SELECT loaded_at, event_date, array_agg(session_id) AS session_id,
               array_agg(event_time) AS time, array_agg(event_id) AS event_id,
               array_agg(CASE event_type WHEN 'c' THEN 'cart' WHEN 'p' THEN 'purchase'
                                         WHEN 'r' THEN 'remove_from_cart'
                                         WHEN 'k' THEN 'checkout' END) AS type,
               array_agg(product_id) AS product_id, array_agg(price::numeric) AS price
        FROM event WHERE event_type <> 'v' GROUP BY loaded_at, event_date
    )
    INSERT INTO processed.load_batches
    SELECT loaded_at, event_date, r.events, r.partition, r.first, r.run_events,
           h.hour, h.views, h.carts, h.removes, h.checkouts, h.purchases, h.revenue,
           h.without_category, h.without_brand, h.without_price, h.without_session, h.zero_price,
           h.newest,
           p.id, p.category, p.brand, p.price, p.views, p.carts, p.removes, p.checkouts,
           p.purchases, p.first, p.last,
           s.id, s.user_id, s.views, s.carts, s.removes, s.checkouts, s.purchases, s.revenue,
           s.first, s.last, s.first_view, s.last_view, s.last_purchase,
           coalesce(t.session_id, '{}'), coalesce(t.time, '{}'), coalesce(t.event_id, '{}'),
           coalesce(t.type, '{}'), coalesce(t.product_id, '{}'), coalesce(t.price, '{}'), p.hour
    FROM runs r JOIN hours h USING (loaded_at, event_date)
    JOIN products p USING (loaded_at, event_date) JOIN sessions s USING (loaded_at, event_date)
    LEFT JOIN steps t USING (loaded_at, event_date)
$$;
COMMENT ON FUNCTION processed.note_events(raw.event_rows[]) IS
    'Stores the sums of events that this transaction has stored in raw.event_rows, so that the '
    'reports count them. Null: none.';

-- Categories are looked up after the visits of each label are summed up.
CREATE OR REPLACE FUNCTION processed.visit_sums(source text) RETURNS text
LANGUAGE sql IMMUTABLE AS
$$ SELECT replace($sql$
    SELECT visit_date, coalesce(nullif(split_part(l.category_code, '.', 1), ''), 'unknown'),
           furthest_stage, left_after, duration_band, sum(visits), sum(open_visits),
           sum(viewing_visits), sum(carting_visits), sum(buying_visits), sum(abandoned_visits),
           sum(events), sum(v.purchases), sum(v.revenue), sum(v.duration_ms), hour
    FROM (
        SELECT (visit_start AT TIME ZONE 'UTC')::date AS visit_date,
               extract(hour FROM visit_start AT TIME ZONE 'UTC')::smallint AS hour, first_label,
               furthest_stage,
               mart.left_after(drop_off_stage, furthest_stage, views, purchases, view_to_cart_ms,
                               view_to_purchase_ms, view_cart_purchase) AS left_after,
               mart.duration_band(duration_ms) AS duration_band,
               sum(sign)                                                AS visits,
               sum(sign * (NOT final)::int)                             AS open_visits,
               sum(sign * (views > 0)::int)                             AS viewing_visits,
               sum(sign * (carts > 0)::int)                             AS carting_visits,
               sum(sign * (purchases > 0)::int)                         AS buying_visits,
               sum(sign * (carts > 0 AND purchases = 0)::int)           AS abandoned_visits,
               sum(sign * (views::bigint + carts + removes + checkouts + purchases)) AS events,
               sum(sign * purchases)                                    AS purchases,
               sum(sign * revenue)                                      AS revenue,
               sum(sign * duration_ms)                                  AS duration_ms
        FROM (SELECT *, -- as in processed.session_funnels
                     (date_part('epoch', visit_end - visit_start) * 1000000)::bigint / 1000
                         AS duration_ms
              FROM (%source%) AS changed_visits) AS changed
        GROUP BY 1, 2, 3, 4, 5, 6
    ) AS v
    LEFT JOIN raw.event_labels l ON l.label_id = v.first_label
    GROUP BY 1, 2, 3, 4, 5, hour
$sql$, '%source%', source) $$;
COMMENT ON FUNCTION processed.visit_sums(text) IS
    'The statement that sums up visits into rows of processed.visit_deltas. source: a query that '
    'returns sign and the columns of processed.visit_rows.';

CREATE OR REPLACE FUNCTION processed.note_visits() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    EXECUTE 'INSERT INTO processed.visit_deltas ' || processed.visit_sums(CASE TG_OP
        WHEN 'INSERT' THEN 'SELECT 1 AS sign, n.* FROM new_visits n'
        WHEN 'DELETE' THEN 'SELECT -1 AS sign, o.* FROM old_visits o'
        ELSE 'SELECT 1 AS sign, n.* FROM new_visits n UNION ALL SELECT -1, o.* FROM old_visits o'
        END);
    RETURN NULL;
END
$body$;
COMMENT ON FUNCTION processed.note_visits() IS
    'Notes by how much a statement changed the sums of visits.';

CREATE OR REPLACE FUNCTION processed.late_sums(source text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT replace($sql$
    SELECT event_date, count(*) FILTER (WHERE for_rollup),
           coalesce(sum(price) FILTER (WHERE for_rollup AND event_type = 'purchase'), 0),
           count(*) FILTER (WHERE for_visit),
           coalesce(sum(price) FILTER (WHERE for_visit AND event_type = 'purchase'), 0)
    FROM (SELECT *, '1d:all' = ANY (late_for) AS for_rollup, 'visit' = ANY (late_for) AS for_visit
          FROM %source%) AS late
    GROUP BY event_date
$sql$, '%source%', source) $$;
COMMENT ON FUNCTION processed.late_sums(text) IS
    'The statement that sums up late events into rows of processed.late_deltas. source: a table '
    'with the columns of raw.late_events.';

CREATE OR REPLACE FUNCTION processed.note_late() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    EXECUTE 'INSERT INTO processed.late_deltas ' || processed.late_sums('new_late');
    RETURN NULL;
END
$body$;
COMMENT ON FUNCTION processed.note_late() IS 'Notes which late events a statement has stored.';

-- The first loader of a partition stores the offset where it begins. If the offsets were deleted, a
-- loader begins again; the row then changes only if the events were deleted too.
CREATE OR REPLACE FUNCTION processed.note_first_offset() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    INSERT INTO processed.bronze_loads (partition, first_offset)
    VALUES (NEW.partition, NEW.next_offset)
    ON CONFLICT (partition) DO UPDATE
    SET first_offset = excluded.first_offset, loaded_up_to = 0, doubles = 0, doubled_at = NULL
    WHERE NOT mart.has_events();
    RETURN NULL;
END
$body$;
COMMENT ON FUNCTION processed.note_first_offset() IS
    'Notes where the loading of a bronze partition began.';
