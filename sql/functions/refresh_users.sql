-- Refresh: users. These functions run before mart.session_days is merged: a session or an order is
-- new to a user if no session day of that user has it.

-- A user is new to a period if no session day of that user is in it.
CREATE OR REPLACE FUNCTION mart.merge_active_users() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.active_users AS t
    SELECT grain, period_start, count(*)
    FROM (SELECT DISTINCT grain, user_id,
                 date_trunc(grain, event_date::timestamp)::date AS period_start,
                 (date_trunc(grain, event_date::timestamp) + ('1 ' || grain)::interval)::date
                     AS period_end
          FROM mart.new_sessions CROSS JOIN unnest(ARRAY['day', 'week', 'month']) AS grain) AS n
    WHERE NOT EXISTS (SELECT FROM mart.session_days d
                      WHERE d.user_id = n.user_id AND d.event_date >= n.period_start
                            AND d.event_date < n.period_end)
    GROUP BY grain, period_start
    ON CONFLICT (grain, period_start) DO UPDATE SET users = t.users + excluded.users
$$;

CREATE OR REPLACE FUNCTION mart.merge_users() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    TRUNCATE mart.users_before;
    INSERT INTO mart.users_before
    SELECT u.segment, u.sessions, u.orders, u.spend FROM mart.dim_users u
    JOIN (SELECT DISTINCT user_id FROM mart.new_sessions) n USING (user_id);
    PERFORM mart.add_users();
    INSERT INTO mart.segment_totals AS t
    SELECT segment, sum(sign), sum(sign * sessions), sum(sign * orders), sum(sign * spend)
    FROM (SELECT 1 AS sign, u.segment, u.sessions, u.orders, u.spend FROM mart.dim_users u
          JOIN (SELECT DISTINCT user_id FROM mart.new_sessions) n USING (user_id)
          UNION ALL SELECT -1, b.* FROM mart.users_before b) AS change
    GROUP BY segment
    ON CONFLICT (segment) DO UPDATE SET
        users = t.users + excluded.users, sessions = t.sessions + excluded.sessions,
        orders = t.orders + excluded.orders, spend = t.spend + excluded.spend;
    DELETE FROM mart.segment_totals WHERE users = 0;
END
$body$;

CREATE OR REPLACE FUNCTION mart.add_users() RETURNS void LANGUAGE sql AS $$
    WITH pair AS (
        SELECT user_id, session_key, min(first_time) AS first_time, max(last_time) AS last_time,
               sum(views + carts + removes + checkouts + purchases) AS events, sum(carts) AS carts,
               sum(purchases) AS purchases, sum(revenue) AS revenue,
               max(last_purchase) AS last_purchase
        FROM mart.new_sessions GROUP BY user_id, session_key
    ), known AS (
        SELECT p.*, o.sessions AS known_sessions, o.orders AS known_orders
        FROM pair p CROSS JOIN LATERAL (
            SELECT (count(*) > 0)::int AS sessions, (coalesce(sum(purchases), 0) > 0)::int AS orders
            FROM mart.session_days d
            WHERE d.session_key = p.session_key AND d.user_id = p.user_id) AS o
    )
    INSERT INTO mart.dim_users AS t
        (user_id, user_key, first_seen, last_seen, events, carts, purchases, spend, sessions,
         orders, last_purchase)
    SELECT user_id,
           -- mart.pseudonym, in line for speed
           left(encode(sha256(convert_to((SELECT salt FROM mart.secret) || 'user:' || user_id,
                                         'UTF8')), 'hex'), 20),
           min(first_time), max(last_time), sum(events), sum(carts), sum(purchases), sum(revenue),
           sum(1 - known_sessions), sum(greatest((purchases > 0)::int - known_orders, 0)),
           max(last_purchase)
    FROM known GROUP BY user_id
    ON CONFLICT (user_id) DO UPDATE SET
        first_seen = least(t.first_seen, excluded.first_seen),
        last_seen = greatest(t.last_seen, excluded.last_seen),
        events = t.events + excluded.events, carts = t.carts + excluded.carts,
        purchases = t.purchases + excluded.purchases,
        spend = t.spend + excluded.spend, sessions = t.sessions + excluded.sessions,
        orders = t.orders + excluded.orders,
        last_purchase = greatest(t.last_purchase, excluded.last_purchase)
$$;
