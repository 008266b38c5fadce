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

-- The days of a user of mart.dim_users.
CREATE OR REPLACE FUNCTION mart.days_of(days date[], first_seen timestamptz) RETURNS date[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT coalesce(days, ARRAY[(first_seen AT TIME ZONE 'UTC')::date]) $$;

-- earlier: what the same user did in the same session before a session day, in an earlier refresh
-- or on an earlier day of this one. Few sessions are mixed, and only these can have it. OFFSET 0
-- forces a search by key for each user; otherwise the planner may read all of mart.dim_users.
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
               count(*) FILTER (WHERE ordered IS NULL) AS sessions,
               count(*) FILTER (WHERE purchases > 0 AND ordered IS NOT TRUE) AS orders,
               max(last_purchase) AS last_purchase
        FROM (SELECT n.*, NULL AS ordered FROM mart.new_sessions n
              WHERE NOT EXISTS (SELECT FROM mart.mixed_sessions m
                                WHERE m.session_id = n.session_id)
              UNION ALL
              SELECT m.*, e.ordered
              FROM mixed m LEFT JOIN earlier e USING (session_id, event_date, user_id)) AS own
        GROUP BY user_id
    )
    SELECT a.*, u.place, u.segment, u.first_seen, u.last_seen, coalesce(u.carts, 0),
           coalesce(u.sessions, 0), coalesce(u.orders, 0), coalesce(u.spend, 0),
           u.days, NULL
    FROM added a
    LEFT JOIN LATERAL (SELECT ctid AS place, * FROM mart.dim_users d WHERE d.user_id = a.user_id
                       OFFSET 0) AS u ON true
$$;

-- If the new events are of at most two days, the first and the last day of a user are all.
CREATE OR REPLACE FUNCTION mart.find_days_between() RETURNS void LANGUAGE sql
SET enable_nestloop = off AS $$
    UPDATE mart.new_users t SET days = d.days
    FROM (SELECT user_id, array_agg(event_date ORDER BY event_date) AS days
          FROM (SELECT DISTINCT user_id, event_date FROM mart.new_sessions
                WHERE user_id IN (SELECT user_id FROM mart.new_users
                                  WHERE first_day + 1 < last_day)) AS own
          GROUP BY user_id) AS d
    WHERE t.user_id = d.user_id
$$;

-- The days of the new events of a user of mart.new_users.
CREATE OR REPLACE FUNCTION mart.days_added(days date[], first_day date, last_day date)
RETURNS date[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN days IS NOT NULL THEN days WHEN first_day = last_day THEN ARRAY[first_day]
               ELSE ARRAY[first_day, last_day] END $$;

CREATE OR REPLACE FUNCTION mart.merge_users() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM mart.find_new_users();
    PERFORM mart.find_days_between();
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
    WITH user_day AS (
        SELECT place IS NOT NULL AS known, first_seen, last_seen, days_before,
               least(first_seen, first_time) AS begins, first_day AS event_date,
               NULL::date AS previous_day, true AS only_day
        FROM mart.new_users WHERE first_day = last_day
        UNION ALL
        SELECT place IS NOT NULL, first_seen, last_seen, days_before, least(first_seen, first_time),
               added[n], added[n - 1], false
        FROM (SELECT *, mart.days_added(days, first_day, last_day) AS added FROM mart.new_users
              WHERE first_day < last_day) AS u, generate_subscripts(added, 1) AS n
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
        SELECT known, first_seen, last_seen, days_before, begins, grain, starts, from_time, to_time
        FROM user_day JOIN period USING (event_date)
        WHERE (known OR NOT only_day) AND coalesce(previous_day < starts, true)
    ), returning_user AS (
        SELECT grain, CASE WHEN begins >= from_time THEN starts
                           ELSE date_trunc(grain, begins AT TIME ZONE 'UTC') END AS cohort,
               starts, count(*) AS users
        FROM active a
        WHERE NOT known OR last_seen < from_time OR first_seen >= to_time
              OR (first_seen < from_time AND last_seen >= to_time
                  AND NOT EXISTS (SELECT FROM unnest(a.days_before) AS day
                                  WHERE day >= a.starts
                                        AND day < a.starts + ('1 ' || a.grain)::interval))
        GROUP BY 1, 2, 3
    ), moved_user AS MATERIALIZED (
        SELECT user_id, grain, date_trunc(grain, first_time AT TIME ZONE 'UTC') AS cohort,
               date_trunc(grain, first_seen AT TIME ZONE 'UTC') AS cohort_before,
               mart.days_of(days_before, first_seen) AS days
        FROM mart.new_users CROSS JOIN unnest(ARRAY['day', 'week', 'month']) AS grain
        WHERE first_time < first_seen
              AND date_trunc(grain, first_time AT TIME ZONE 'UTC')
                  < date_trunc(grain, first_seen AT TIME ZONE 'UTC')
    ), moved AS (
        SELECT DISTINCT m.user_id, m.grain, m.cohort, m.cohort_before,
               date_trunc(m.grain, day::timestamp) AS starts
        FROM moved_user m, unnest(m.days) AS day
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

-- The list of places and the setting make the UPDATE read only these rows. Days usually arrive in
-- order.
CREATE OR REPLACE FUNCTION mart.add_users() RETURNS void LANGUAGE sql
SET enable_nestloop = off AS $$
    UPDATE mart.dim_users t
    SET first_seen = least(t.first_seen, n.first_time),
        last_seen = greatest(t.last_seen, n.last_time),
        events = t.events + n.events, carts = t.carts + n.carts,
        purchases = t.purchases + n.purchases,
        spend = t.spend + n.spend, sessions = t.sessions + n.sessions,
        orders = t.orders + n.orders,
        last_purchase = greatest(t.last_purchase, n.last_purchase),
        days = CASE
            WHEN n.first_day > (t.last_seen AT TIME ZONE 'UTC')::date
                THEN mart.days_of(t.days, t.first_seen)
                     || mart.days_added(n.days, n.first_day, n.last_day)
            WHEN mart.days_added(n.days, n.first_day, n.last_day)
                 <@ mart.days_of(t.days, t.first_seen) THEN t.days
            ELSE ARRAY(SELECT DISTINCT day
                       FROM unnest(mart.days_of(t.days, t.first_seen)
                                   || mart.days_added(n.days, n.first_day, n.last_day)) AS day
                       ORDER BY day) END
    FROM mart.new_users n
    WHERE t.ctid = ANY (ARRAY(SELECT place FROM mart.new_users WHERE place IS NOT NULL))
          AND t.user_id = n.user_id;

    INSERT INTO mart.dim_users
        (user_id, user_key, first_seen, last_seen, events, carts, purchases, spend, sessions,
         orders, last_purchase, days)
    SELECT user_id,
           -- mart.pseudonym, in line for speed
           encode(substring(sha256(convert_to((SELECT salt FROM mart.secret) || 'user:' || user_id,
                                              'UTF8')) FOR 10), 'hex'),
           first_time, last_time, events, carts, purchases, spend, sessions, orders, last_purchase,
           CASE WHEN first_day < last_day THEN mart.days_added(days, first_day, last_day) END
    FROM mart.new_users WHERE place IS NULL ORDER BY user_id
$$;
