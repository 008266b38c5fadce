-- Refresh: sessions, days and journeys.

CREATE OR REPLACE FUNCTION mart.count_sessions() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    TRUNCATE mart.new_sessions, mart.touched, mart.state_before, mart.state_change;
    INSERT INTO mart.new_sessions
    SELECT session_key, event_date, user_id,
           count(*) FILTER (WHERE event_type = 'view'), count(*) FILTER (WHERE event_type = 'cart'),
           count(*) FILTER (WHERE event_type = 'remove_from_cart'),
           count(*) FILTER (WHERE event_type = 'checkout'),
           count(*) FILTER (WHERE event_type = 'purchase'),
           coalesce(sum(price) FILTER (WHERE event_type = 'purchase'), 0),
           min(event_time), max(event_time), min(event_time) FILTER (WHERE event_type = 'view'),
           max(event_time) FILTER (WHERE event_type = 'view'),
           max(event_time) FILTER (WHERE event_type = 'purchase')
    FROM mart.new_events GROUP BY session_key, event_date, user_id;
    INSERT INTO mart.touched SELECT DISTINCT session_key, event_date FROM mart.new_sessions;
    ANALYZE mart.new_sessions;
    ANALYZE mart.touched;
    INSERT INTO mart.state_before SELECT * FROM mart.touched_state;

    PERFORM mart.merge_active_users();
    PERFORM mart.merge_users();

    INSERT INTO mart.session_days AS t SELECT * FROM mart.new_sessions
    ON CONFLICT (session_key, event_date, user_id) DO UPDATE SET
        views = t.views + excluded.views, carts = t.carts + excluded.carts,
        removes = t.removes + excluded.removes,
        checkouts = t.checkouts + excluded.checkouts, purchases = t.purchases + excluded.purchases,
        revenue = t.revenue + excluded.revenue,
        first_time = least(t.first_time, excluded.first_time),
        last_time = greatest(t.last_time, excluded.last_time),
        first_view = least(t.first_view, excluded.first_view),
        last_view = greatest(t.last_view, excluded.last_view),
        last_purchase = greatest(t.last_purchase, excluded.last_purchase);

    -- New steps, and the existing steps of sessions whose views have changed.
    WITH steps AS (
        SELECT session_key, event_date,
               array_agg(mart.step(event_time, event_id, event_type, product_id, price)) AS steps
        FROM mart.new_events WHERE event_type <> 'view' GROUP BY session_key, event_date
    ), merged AS (
        SELECT session_key, event_date, mart.merge_steps(o.steps, n.steps) AS steps
        FROM mart.touched LEFT JOIN mart.session_steps o USING (session_key, event_date)
        LEFT JOIN steps n USING (session_key, event_date)
        WHERE o.steps IS NOT NULL OR n.steps IS NOT NULL
    )
    INSERT INTO mart.session_steps AS t
    SELECT m.session_key, m.event_date, m.steps, r.*
    FROM merged m
    CROSS JOIN LATERAL (SELECT min(first_view) AS first_view, max(last_view) AS last_view
                        FROM mart.session_days d
                        WHERE d.session_key = m.session_key AND d.event_date = m.event_date) AS v
    CROSS JOIN LATERAL mart.session_outcome(m.steps, v.first_view, v.last_view) AS r
    ON CONFLICT (session_key, event_date) DO UPDATE SET
        steps = excluded.steps, path = excluded.path, stage = excluded.stage,
        abandoned_items = excluded.abandoned_items, abandoned_value = excluded.abandoned_value;

    PERFORM mart.merge_days();
END
$body$;

-- Adds the touched sessions and days as they are now, and subtracts them as they were before.
CREATE OR REPLACE FUNCTION mart.merge_days() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    INSERT INTO mart.state_change
    SELECT 1, * FROM mart.touched_state UNION ALL SELECT -1, * FROM mart.state_before;
    INSERT INTO mart.day_totals AS t
    SELECT event_date, sum(sign), sum(sign * (views > 0)::int), sum(sign * (carts > 0)::int),
           sum(sign * (purchases > 0)::int),
           sum(sign * (stage >= 2)::int), sum(sign * (stage >= 3)::int),
           sum(sign * (abandoned_items > 0)::int),
           sum(sign * abandoned_items), sum(sign * abandoned_value)
    FROM mart.state_change
    GROUP BY event_date
    ON CONFLICT (event_date) DO UPDATE SET
        sessions = t.sessions + excluded.sessions,
        view_sessions = t.view_sessions + excluded.view_sessions,
        cart_sessions = t.cart_sessions + excluded.cart_sessions,
        orders = t.orders + excluded.orders,
        funnel_cart_sessions = t.funnel_cart_sessions + excluded.funnel_cart_sessions,
        funnel_purchase_sessions = t.funnel_purchase_sessions + excluded.funnel_purchase_sessions,
        abandoned_sessions = t.abandoned_sessions + excluded.abandoned_sessions,
        abandoned_items = t.abandoned_items + excluded.abandoned_items,
        abandoned_value = t.abandoned_value + excluded.abandoned_value;

    INSERT INTO mart.journey_days AS t
    SELECT event_date, path, sum(sign), sum(sign * (purchases > 0)::int), sum(sign * revenue)
    FROM mart.state_change
    GROUP BY event_date, path
    ON CONFLICT (event_date, path) DO UPDATE SET
        sessions = t.sessions + excluded.sessions, orders = t.orders + excluded.orders,
        revenue = t.revenue + excluded.revenue;
    DELETE FROM mart.journey_days j
    USING (SELECT DISTINCT event_date, path FROM mart.state_before) AS b
    WHERE j.event_date = b.event_date AND j.path = b.path AND j.sessions = 0;
    PERFORM mart.merge_long_orders();
END
$body$;

-- Runs after session_days is merged. Adds the touched sessions with a purchase that also have one
-- on another day.
CREATE OR REPLACE FUNCTION mart.merge_long_orders() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.long_orders
    SELECT DISTINCT d.session_key, d.event_date
    FROM mart.new_sessions n JOIN mart.session_days d USING (session_key)
    WHERE n.purchases > 0 AND d.purchases > 0
      AND EXISTS (SELECT FROM mart.session_days o
                  WHERE o.session_key = n.session_key AND o.purchases > 0
                        AND o.event_date <> n.event_date)
    ON CONFLICT DO NOTHING
$$;
