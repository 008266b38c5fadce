-- Functions about buyers by recency, frequency and value. Each takes the first and the last day of
-- a period (UTC, both included). Columns with `before` in their name describe the period of the
-- same length just before. A rate is null if its divisor is 0.

-- The quintile of a buyer comes from the share of the other buyers that have less (for recency:
-- more). Buyers with equal values have the same quintile.
CREATE OR REPLACE FUNCTION mart.rfm(from_day date, to_day date)
RETURNS TABLE (user_id bigint, recency int, frequency bigint, monetary numeric, r int, f int, m int)
LANGUAGE sql STABLE AS $$
    WITH rows AS MATERIALIZED (
        SELECT d.user_id, max(event_date) AS last_day, count(*) AS n, sum(d.revenue) AS monetary
        FROM mart.session_days d WHERE purchases > 0 AND event_date BETWEEN from_day AND to_day
        GROUP BY d.user_id
    ), often AS (
        SELECT d.user_id, count(DISTINCT session_id) AS sessions
        FROM rows JOIN mart.session_days d USING (user_id)
        WHERE n > 1 AND purchases > 0 AND event_date BETWEEN from_day AND to_day GROUP BY d.user_id
    ), buyer AS MATERIALIZED (
        SELECT b.user_id, to_day - last_day AS recency, coalesce(o.sessions, 1) AS frequency,
               b.monetary
        FROM rows b LEFT JOIN often o USING (user_id)
    ), everybody AS (
        SELECT greatest(count(*) - 1, 1)::numeric AS others FROM buyer
    ), recencies AS (
        SELECT recency, sum(count(*)) OVER (ORDER BY recency DESC) - count(*) AS worse
        FROM buyer GROUP BY recency
    ), frequencies AS (
        SELECT frequency, sum(count(*)) OVER (ORDER BY frequency) - count(*) AS worse
        FROM buyer GROUP BY frequency
    ), sums AS (
        SELECT monetary, sum(count(*)) OVER (ORDER BY monetary) - count(*) AS worse
        FROM buyer GROUP BY monetary
    )
    SELECT b.user_id, b.recency, b.frequency, b.monetary,
           1 + least(4, floor(5 * rr.worse / others))::int,
           1 + least(4, floor(5 * ff.worse / others))::int,
           1 + least(4, floor(5 * mm.worse / others))::int
    FROM buyer b, everybody, recencies rr, frequencies ff, sums mm
    WHERE rr.recency = b.recency AND ff.frequency = b.frequency AND mm.monetary = b.monetary
$$;

CREATE OR REPLACE FUNCTION mart.rfm_segment(r int, f int, m int) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN r >= 4 AND f >= 4 AND m >= 4 THEN 'champion'
                WHEN r >= 3 AND f >= 4 THEN 'loyal'
                WHEN r >= 4 AND m >= 4 THEN 'big spender'
                WHEN r >= 4 THEN 'recent'
                WHEN r <= 2 AND (f >= 4 OR m >= 4) THEN 'at risk'
                WHEN r <= 2 THEN 'dormant'
                ELSE 'promising' END
$$;

CREATE OR REPLACE FUNCTION reporting.rfm(from_day date, to_day date)
RETURNS TABLE (user_key text, recency_days int, frequency bigint, monetary numeric, r int, f int,
               m int, segment text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '64MB'
    SET jit = off AS $$
    SELECT u.user_key, s.recency, s.frequency, s.monetary, s.r, s.f, s.m,
           mart.rfm_segment(s.r, s.f, s.m)
    FROM mart.rfm(from_day, to_day) s LEFT JOIN mart.dim_users u USING (user_id)
$$;
COMMENT ON FUNCTION reporting.rfm(date, date) IS
    'Buyers of the period: days from their last purchase to the last day, orders, spend, and the '
    'quintile of each among all of them (5 is best; equal values have the same). Segments: '
    'champion (all three 4 and more), loyal, big spender, recent, promising, at risk (once good, '
    'long ago), dormant.';

CREATE OR REPLACE FUNCTION reporting.rfm_segments(from_day date, to_day date)
RETURNS TABLE (segment text, users bigint, share numeric, orders bigint, revenue numeric,
               average_recency_days numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '64MB'
    SET jit = off AS $$
    SELECT mart.rfm_segment(r, f, m), sum(n)::bigint, round(sum(n) / sum(sum(n)) OVER (), 4),
           sum(orders)::bigint, sum(revenue), round(sum(days) / sum(n), 1)
    FROM (SELECT r, f, m, count(*) AS n, sum(frequency) AS orders, sum(monetary) AS revenue,
                 sum(recency) AS days
          FROM mart.rfm(from_day, to_day) GROUP BY r, f, m) AS cell
    GROUP BY 1 ORDER BY 5 DESC
$$;
COMMENT ON FUNCTION reporting.rfm_segments(date, date) IS
    'reporting.rfm by segment. orders adds up the users'' orders.';
