-- Buyers: the tables mart.buyer_days, mart.buyer_cells and mart.buyers, and what follows from
-- them.
--
-- A row of buyer_days names the days before and after on which its user bought. So the first day of
-- each buyer in a period is the row whose previous_day is before the period, and the distinct
-- buyers of a period are a sum over buyer_cells. Most buyers buy on one day only. Their rows are
-- also divided into bands of revenue, so that the quintiles of RFM read single rows of a few bands
-- only.

-- Bands for about 3 % of the revenue around 1000. Each step rounds correctly, so a larger revenue
-- never has a lower band.
CREATE OR REPLACE FUNCTION mart.spend_band(revenue numeric) RETURNS int
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT floor(32 * sqrt(sqrt(revenue::float8)))::int $$;

CREATE OR REPLACE FUNCTION mart.rebuild_buyers() RETURNS void LANGUAGE sql AS $$
    DELETE FROM mart.buyer_days;
    INSERT INTO mart.buyer_days
    SELECT user_id, event_date, coalesce(lag(event_date) OVER own, '-infinity'),
           coalesce(lead(event_date) OVER own, 'infinity'), orders,
           CASE WHEN count(*) OVER (PARTITION BY user_id) > 1 THEN -1
                ELSE mart.spend_band(revenue) END, revenue
    FROM (SELECT user_id, event_date, count(*) AS orders, sum(revenue) AS revenue
          FROM mart.session_days WHERE purchases > 0 GROUP BY user_id, event_date) AS d
    WINDOW own AS (PARTITION BY user_id ORDER BY event_date);
    DELETE FROM mart.buyer_cells;
    INSERT INTO mart.buyer_cells
    SELECT event_date, previous_day, next_day, orders, spend_band, count(*), sum(revenue)
    FROM mart.buyer_days GROUP BY 1, 2, 3, 4, 5;
    DELETE FROM mart.buyers;
    INSERT INTO mart.buyers
    SELECT user_id, min(event_date), max(event_date), sum(orders), mart.spend_band(sum(revenue)),
           sum(revenue)
    FROM mart.buyer_days GROUP BY user_id;
$$;

-- A purchase in a session that had one before, on the same day and by the same user, is not a new
-- order. OFFSET 0 forces a search by key for each user; otherwise the planner may read all of
-- mart.buyer_days.
CREATE OR REPLACE FUNCTION mart.merge_buyers() RETURNS void LANGUAGE sql AS $$
    WITH bought AS MATERIALIZED (
        SELECT n.user_id, n.event_date,
               count(*) FILTER (WHERE coalesce(p.purchases, 0) = 0) AS orders,
               sum(n.revenue) AS revenue
        FROM mart.new_sessions n
        LEFT JOIN mart.prior_sessions p USING (session_id, event_date, user_id)
        WHERE n.purchases > 0 GROUP BY n.user_id, n.event_date
    ), before AS MATERIALIZED (
        SELECT b.* FROM (SELECT DISTINCT user_id FROM bought) AS u,
                        LATERAL (SELECT * FROM mart.buyer_days d WHERE d.user_id = u.user_id
                                 OFFSET 0) AS b
    ), now AS MATERIALIZED (
        SELECT user_id, event_date, coalesce(lag(event_date) OVER own, '-infinity') AS previous_day,
               coalesce(lead(event_date) OVER own, 'infinity') AS next_day, orders,
               CASE WHEN count(*) OVER (PARTITION BY user_id) > 1 THEN -1
                    ELSE mart.spend_band(revenue) END AS spend_band, revenue
        FROM (SELECT user_id, event_date, sum(orders)::bigint AS orders, sum(revenue) AS revenue
              FROM (SELECT user_id, event_date, orders, revenue FROM bought
                    UNION ALL SELECT user_id, event_date, orders, revenue FROM before) AS part
              GROUP BY user_id, event_date) AS d
        WINDOW own AS (PARTITION BY user_id ORDER BY event_date)
    ), stored AS (
        INSERT INTO mart.buyer_days AS t SELECT * FROM now
        ON CONFLICT (user_id, event_date) DO UPDATE SET
            previous_day = excluded.previous_day, next_day = excluded.next_day,
            orders = excluded.orders, spend_band = excluded.spend_band, revenue = excluded.revenue
        WHERE (t.previous_day, t.next_day, t.orders, t.spend_band, t.revenue)
              <> (excluded.previous_day, excluded.next_day, excluded.orders, excluded.spend_band,
                  excluded.revenue)
    ), buyer AS (
        INSERT INTO mart.buyers AS t
        SELECT user_id, min(event_date), max(event_date), sum(orders),
               mart.spend_band(sum(revenue)), sum(revenue)
        FROM now GROUP BY user_id
        ON CONFLICT (user_id) DO UPDATE SET
            first_day = excluded.first_day, last_day = excluded.last_day,
            orders = excluded.orders, spend_band = excluded.spend_band, revenue = excluded.revenue
    ), period AS (
        SELECT DISTINCT sign, user_id, grain, date_trunc(grain, first_day::timestamp)::date
                   AS cohort_start,
               date_trunc(grain, event_date::timestamp)::date AS starts
        FROM (SELECT 1 AS sign, user_id, event_date, min(event_date) OVER own AS first_day
              FROM now WINDOW own AS (PARTITION BY user_id)
              UNION ALL
              SELECT -1, user_id, event_date, min(event_date) OVER own
              FROM before WINDOW own AS (PARTITION BY user_id)) AS day
        CROSS JOIN unnest(ARRAY['week', 'month']) AS grain
    ), cohort AS (
        INSERT INTO mart.cohorts AS t
        SELECT 'buying', grain, cohort_start, starts, sum(sign) FROM period
        GROUP BY grain, cohort_start, starts HAVING sum(sign) <> 0
        ON CONFLICT (kind, grain, cohort_start, period_start) DO UPDATE
        SET users = t.users + excluded.users
    )
    INSERT INTO mart.buyer_cells AS t
    SELECT event_date, previous_day, next_day, orders, spend_band, sum(sign), sum(sign * revenue)
    FROM (SELECT 1 AS sign, n.* FROM now n
          UNION ALL
          SELECT -1, b.* FROM before b) AS change
    GROUP BY 1, 2, 3, 4, 5 HAVING (sum(sign), sum(sign * revenue)) <> (0, 0)
    ON CONFLICT (event_date, previous_day, next_day, orders, spend_band) DO UPDATE SET
        buyers = t.buyers + excluded.buyers, revenue = t.revenue + excluded.revenue;
    DELETE FROM mart.buyer_cells WHERE buyers = 0;
    DELETE FROM mart.cohorts WHERE users = 0;
$$;

-- By how many orders the sum of mart.buyer_days is too high for users who bought in one session on
-- several days of a period.
CREATE OR REPLACE FUNCTION mart.repeated_orders(from_day date, to_day date)
RETURNS TABLE (user_id bigint, repeats bigint) LANGUAGE sql STABLE AS $$
    SELECT d.user_id, count(*) - count(DISTINCT d.session_id)
    FROM mart.long_orders l JOIN mart.session_days d USING (session_id, event_date)
    WHERE l.event_date BETWEEN from_day AND to_day AND d.purchases > 0
    GROUP BY d.user_id HAVING count(*) > count(DISTINCT d.session_id)
$$;

-- repeat_buyers: with two or more orders. A buyer with orders on two days has two, unless all are
-- of one session. new_buyers: no purchase before the period.
CREATE OR REPLACE FUNCTION mart.buyers_of(
    from_day date, to_day date,
    OUT buyers bigint, OUT repeat_buyers bigint, OUT new_buyers bigint)
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(c.buyers) FILTER (WHERE previous_day < from_day), 0),
           coalesce(sum(c.buyers) FILTER (WHERE previous_day < from_day
                                                AND (orders > 1 OR next_day <= to_day)), 0)
           - (SELECT count(*) FROM mart.repeated_orders(from_day, to_day) r
              WHERE (SELECT sum(b.orders) - r.repeats FROM mart.buyer_days b
                     WHERE b.user_id = r.user_id
                           AND b.event_date BETWEEN from_day AND to_day) = 1),
           coalesce(sum(c.buyers) FILTER (WHERE previous_day = '-infinity'), 0)
    FROM mart.buyer_cells c WHERE event_date BETWEEN from_day AND to_day
$$;
