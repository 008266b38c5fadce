-- Refresh: users. These functions read mart.prior_sessions: a session or an order is new to a user
-- if no earlier session day of that user has it.

-- The same as the generated column mart.dim_users.segment.
CREATE OR REPLACE FUNCTION mart.user_segment(sessions bigint, carts bigint, orders bigint)
    RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN orders >= 3 THEN 'loyal buyer' WHEN orders = 2 THEN 'repeat buyer'
            WHEN orders = 1 THEN 'one-time buyer'
        WHEN carts > 0 THEN 'cart, no purchase' WHEN sessions > 1 THEN 'returning visitor'
            ELSE 'one-session visitor' END
$$;

CREATE OR REPLACE FUNCTION mart.merge_users() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    INSERT INTO mart.new_users
    WITH pair AS (
        SELECT user_id, session_id, min(first_time) AS first_time, max(last_time) AS last_time,
               sum(views + carts + removes + checkouts + purchases) AS events, sum(carts) AS carts,
               sum(purchases) AS purchases, sum(revenue) AS revenue,
               max(last_purchase) AS last_purchase
        FROM mart.new_sessions GROUP BY user_id, session_id
    ), prior AS (
        SELECT user_id, session_id, sum(purchases) > 0 AS ordered
        FROM mart.prior_sessions GROUP BY user_id, session_id
    ), added AS (
        SELECT user_id, min(first_time) AS first_time, max(last_time) AS last_time,
               sum(events) AS events, sum(carts) AS carts, sum(purchases) AS purchases,
               sum(revenue) AS spend,
               count(*) FILTER (WHERE prior.ordered IS NULL) AS sessions,
               count(*) FILTER (WHERE purchases > 0 AND prior.ordered IS NOT TRUE) AS orders,
               max(last_purchase) AS last_purchase
        FROM pair LEFT JOIN prior USING (user_id, session_id) GROUP BY user_id
    )
    SELECT a.*, u.user_id IS NOT NULL, u.segment, u.first_seen, u.last_seen, coalesce(u.carts, 0),
           coalesce(u.sessions, 0), coalesce(u.orders, 0), coalesce(u.spend, 0)
    FROM added a LEFT JOIN mart.dim_users u USING (user_id);
    ANALYZE mart.new_users;
    PERFORM mart.merge_active_users();
    PERFORM mart.add_users();
    INSERT INTO mart.segment_totals AS t
    SELECT segment, sum(users), sum(sessions), sum(orders), sum(spend)
    FROM (SELECT mart.user_segment(sessions_before + sessions, carts_before + carts,
                                   orders_before + orders) AS segment,
                 1 AS users, sessions_before + sessions AS sessions,
                 orders_before + orders AS orders, spend_before + spend AS spend
          FROM mart.new_users
          UNION ALL
          SELECT segment_before, -1, -sessions_before, -orders_before, -spend_before
          FROM mart.new_users WHERE known) AS change
    GROUP BY segment
    ON CONFLICT (segment) DO UPDATE SET
        users = t.users + excluded.users, sessions = t.sessions + excluded.sessions,
        orders = t.orders + excluded.orders, spend = t.spend + excluded.spend;
    DELETE FROM mart.segment_totals WHERE users = 0;
END
$body$;

-- A user is new to a period without an earlier event in it. The times of the user's first and last
-- event nearly always decide that; only a user with events before and after the period is searched.
CREATE OR REPLACE FUNCTION mart.merge_active_users() RETURNS void LANGUAGE sql AS $$
    WITH span AS (
        SELECT user_id, known, first_seen AT TIME ZONE 'UTC' AS first_seen,
               last_seen AT TIME ZONE 'UTC' AS last_seen, grain,
               date_trunc(grain, first_time AT TIME ZONE 'UTC') AS first_period,
               date_trunc(grain, last_time AT TIME ZONE 'UTC') AS last_period
        FROM mart.new_users CROSS JOIN unnest(ARRAY['day', 'week', 'month']) AS grain
    ), active AS (
        SELECT user_id, known, first_seen, last_seen, grain, first_period AS starts
        FROM span WHERE first_period = last_period
        UNION ALL
        SELECT DISTINCT user_id, known, first_seen, last_seen, grain,
               date_trunc(grain, event_date::timestamp)
        FROM span JOIN mart.new_sessions USING (user_id) WHERE first_period < last_period
    )
    INSERT INTO mart.active_users AS t
    SELECT grain, starts::date, count(*)
    FROM (SELECT *, starts + ('1 ' || grain)::interval AS ends FROM active) AS a
    WHERE NOT known OR last_seen < starts OR first_seen >= ends
          OR (first_seen < starts AND last_seen >= ends
              AND NOT EXISTS (SELECT FROM mart.session_days d
                              WHERE d.user_id = a.user_id AND d.event_date >= a.starts
                                    AND d.event_date < a.ends))
    GROUP BY grain, starts
    ON CONFLICT (grain, period_start) DO UPDATE SET users = t.users + excluded.users
$$;

CREATE OR REPLACE FUNCTION mart.add_users() RETURNS void LANGUAGE sql AS $$
    UPDATE mart.dim_users t
    SET first_seen = least(t.first_seen, n.first_time),
        last_seen = greatest(t.last_seen, n.last_time),
        events = t.events + n.events, carts = t.carts + n.carts,
        purchases = t.purchases + n.purchases,
        spend = t.spend + n.spend, sessions = t.sessions + n.sessions,
        orders = t.orders + n.orders,
        last_purchase = greatest(t.last_purchase, n.last_purchase)
    FROM mart.new_users n WHERE n.known AND t.user_id = n.user_id;

    INSERT INTO mart.dim_users
        (user_id, user_key, first_seen, last_seen, events, carts, purchases, spend, sessions,
         orders, last_purchase)
    SELECT user_id,
           -- mart.pseudonym, in line for speed
           left(encode(sha256(convert_to((SELECT salt FROM mart.secret) || 'user:' || user_id,
                                         'UTF8')), 'hex'), 20),
           first_time, last_time, events, carts, purchases, spend, sessions, orders, last_purchase
    FROM mart.new_users WHERE NOT known ORDER BY user_id
$$;
