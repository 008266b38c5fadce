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

-- earlier: what the same user did in the same session before a session day, in an earlier refresh
-- or on an earlier day of this one. OFFSET 0 forces a search by key for each user; otherwise the
-- planner may read all of mart.dim_users.
CREATE OR REPLACE FUNCTION mart.find_new_users() RETURNS void LANGUAGE sql
SET enable_nestloop = off AS $$
    INSERT INTO mart.new_users
    WITH mixed AS MATERIALIZED (
        SELECT * FROM mart.new_sessions JOIN mart.mixed_sessions USING (session_id)
    ), earlier AS MATERIALIZED (
        SELECT n.session_id, n.event_date, n.user_id, bool_or(e.purchases > 0) AS ordered
        FROM mixed n
        JOIN (SELECT session_id, user_id, purchases, date '-infinity' AS event_date
              FROM mart.prior_sessions
              UNION ALL
              SELECT session_id, user_id, purchases, event_date FROM mixed) AS e
             ON e.session_id = n.session_id AND e.user_id = n.user_id
                AND e.event_date < n.event_date
        GROUP BY n.session_id, n.event_date, n.user_id
    ), added AS (
        SELECT user_id, min(first_time) AS first_time, max(last_time) AS last_time,
               min(event_date) AS first_day, max(event_date) AS last_day,
               sum(views + carts + removes + checkouts + purchases) AS events,
               sum(carts) AS carts, sum(purchases) AS purchases, mart.total(revenue) AS spend,
               count(*) FILTER (WHERE e.ordered IS NULL) AS sessions,
               count(*) FILTER (WHERE purchases > 0 AND e.ordered IS NOT TRUE) AS orders,
               max(last_purchase) AS last_purchase
        FROM mart.new_sessions LEFT JOIN earlier e USING (session_id, event_date, user_id)
        GROUP BY user_id
    )
    SELECT a.*, u.place, u.segment, u.first_seen, u.last_seen, coalesce(u.carts, 0),
           coalesce(u.sessions, 0), coalesce(u.orders, 0), coalesce(u.spend, 0)
    FROM added a
    LEFT JOIN LATERAL (SELECT ctid AS place, * FROM mart.dim_users d WHERE d.user_id = a.user_id
                       OFFSET 0) AS u ON true
$$;

CREATE OR REPLACE FUNCTION mart.merge_users() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM mart.find_new_users();
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
          FROM mart.new_users WHERE place IS NOT NULL) AS change
    GROUP BY segment
    ON CONFLICT (segment) DO UPDATE SET
        users = t.users + excluded.users, sessions = t.sessions + excluded.sessions,
        orders = t.orders + excluded.orders, spend = t.spend + excluded.spend;
    DELETE FROM mart.segment_totals WHERE users = 0;
END
$body$;

-- A user is new to a period without an earlier event in it. The times of the user's first and last
-- event nearly always decide that; only a user with events before and after the period is searched.
-- cohort: the period of the user's first event. A user with a new first event in an earlier period
-- leaves the old cohort, with all earlier periods.
CREATE OR REPLACE FUNCTION mart.merge_active_users() RETURNS void LANGUAGE sql AS $$
    WITH several AS (
        SELECT user_id, event_date,
               lag(event_date) OVER (PARTITION BY user_id ORDER BY event_date) AS previous_day
        FROM (SELECT DISTINCT user_id, event_date
              FROM mart.new_users JOIN mart.new_sessions USING (user_id)
              WHERE first_day < last_day) AS d
    ), user_day AS (
        SELECT user_id, place IS NOT NULL AS known, first_seen, last_seen,
               least(first_seen, first_time) AS begins, first_day AS event_date,
               NULL::date AS previous_day, true AS only_day
        FROM mart.new_users WHERE first_day = last_day
        UNION ALL
        SELECT user_id, place IS NOT NULL, first_seen, last_seen, least(first_seen, first_time),
               event_date, previous_day, false
        FROM several JOIN mart.new_users USING (user_id)
    ), first_visit AS (
        SELECT grain, date_trunc(grain, event_date::timestamp) AS starts, users
        FROM (SELECT event_date, count(*) AS users FROM user_day WHERE NOT known AND only_day
              GROUP BY event_date) AS d
        CROSS JOIN unnest(ARRAY['day', 'week', 'month']) AS grain
    ), period AS MATERIALIZED (
        SELECT event_date, grain, starts, starts AT TIME ZONE 'UTC' AS from_time,
               (starts + ('1 ' || grain)::interval) AT TIME ZONE 'UTC' AS to_time
        FROM (SELECT event_date, grain, date_trunc(grain, event_date::timestamp) AS starts
              FROM (SELECT DISTINCT event_date FROM mart.new_batches) AS d
              CROSS JOIN unnest(ARRAY['day', 'week', 'month']) AS grain) AS p
    ), active AS (
        SELECT user_id, known, first_seen, last_seen, begins, grain, starts, from_time, to_time
        FROM user_day JOIN period USING (event_date)
        WHERE (known OR NOT only_day) AND coalesce(previous_day < starts, true)
    ), returning_user AS (
        SELECT grain, CASE WHEN begins >= from_time THEN starts
                           ELSE date_trunc(grain, begins AT TIME ZONE 'UTC') END AS cohort,
               starts, count(*) AS users
        FROM active a
        WHERE NOT known OR last_seen < from_time OR first_seen >= to_time
              OR (first_seen < from_time AND last_seen >= to_time
                  AND NOT EXISTS (SELECT FROM mart.session_days d
                                  WHERE d.user_id = a.user_id AND d.event_date >= a.starts
                                        AND d.event_date < a.starts
                                                           + ('1 ' || a.grain)::interval))
        GROUP BY 1, 2, 3
    ), moved_user AS MATERIALIZED (
        SELECT user_id, grain, date_trunc(grain, first_time AT TIME ZONE 'UTC') AS cohort,
               date_trunc(grain, first_seen AT TIME ZONE 'UTC') AS cohort_before
        FROM mart.new_users CROSS JOIN unnest(ARRAY['day', 'week', 'month']) AS grain
        WHERE first_time < first_seen
              AND date_trunc(grain, first_time AT TIME ZONE 'UTC')
                  < date_trunc(grain, first_seen AT TIME ZONE 'UTC')
    ), moved AS (
        SELECT DISTINCT m.user_id, m.grain, m.cohort, m.cohort_before,
               date_trunc(m.grain, d.event_date::timestamp) AS starts
        FROM moved_user m, LATERAL (SELECT s.event_date FROM mart.session_days s
                                    WHERE s.user_id = m.user_id OFFSET 0) AS d
    ), change AS (
        SELECT grain, cohort, starts, sum(users) AS users
        FROM (SELECT grain, starts AS cohort, starts, users FROM first_visit
              UNION ALL SELECT grain, cohort, starts, users FROM returning_user
              UNION ALL SELECT grain, cohort, starts, 1 FROM moved
              UNION ALL SELECT grain, cohort_before, starts, -1 FROM moved) AS found
        GROUP BY grain, cohort, starts HAVING sum(users) <> 0
    ), cohort AS (
        INSERT INTO mart.cohorts AS t
        SELECT 'active', grain, cohort::date, starts::date, users FROM change WHERE grain <> 'day'
        ON CONFLICT (kind, grain, cohort_start, period_start) DO UPDATE
        SET users = t.users + excluded.users
    )
    INSERT INTO mart.active_users AS t
    SELECT grain, starts::date, sum(users),
           coalesce(sum(users) FILTER (WHERE cohort = starts), 0)
    FROM change GROUP BY grain, starts
    ON CONFLICT (grain, period_start) DO UPDATE
    SET users = t.users + excluded.users, new_users = t.new_users + excluded.new_users;
    DELETE FROM mart.cohorts WHERE users = 0
$$;

-- The list of places and the setting make the UPDATE read only these rows.
CREATE OR REPLACE FUNCTION mart.add_users() RETURNS void LANGUAGE sql
SET enable_nestloop = off AS $$
    UPDATE mart.dim_users t
    SET first_seen = least(t.first_seen, n.first_time),
        last_seen = greatest(t.last_seen, n.last_time),
        events = t.events + n.events, carts = t.carts + n.carts,
        purchases = t.purchases + n.purchases,
        spend = t.spend + n.spend, sessions = t.sessions + n.sessions,
        orders = t.orders + n.orders,
        last_purchase = greatest(t.last_purchase, n.last_purchase)
    FROM mart.new_users n
    WHERE t.ctid = ANY (ARRAY(SELECT place FROM mart.new_users WHERE place IS NOT NULL))
          AND t.user_id = n.user_id;

    INSERT INTO mart.dim_users
        (user_id, user_key, first_seen, last_seen, events, carts, purchases, spend, sessions,
         orders, last_purchase)
    SELECT user_id,
           -- mart.pseudonym, in line for speed
           encode(substring(sha256(convert_to((SELECT salt FROM mart.secret) || 'user:' || user_id,
                                              'UTF8')) FOR 10), 'hex'),
           first_time, last_time, events, carts, purchases, spend, sessions, orders, last_purchase
    FROM mart.new_users WHERE place IS NULL ORDER BY user_id
$$;
