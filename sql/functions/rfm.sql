-- Functions about buyers by recency, frequency and value. Each takes the first and the last day of
-- a period (UTC, both included). Columns with `before` in their name describe the period of the
-- same length just before. A rate is null if its divisor is 0.

-- The quintile of a buyer comes from the share of the other buyers that have less (for recency:
-- more). Buyers with equal values have the same quintile.
CREATE OR REPLACE FUNCTION mart.quintile(worse bigint, buyers bigint) RETURNS int
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT (1 + least(4, 5 * worse / greatest(buyers - 1, 1)))::int $$;

-- The buyers of a period who bought outside of it too, by their days in it. All purchases of the
-- other buyers are in the period, so that mart.buyers has their sums.
CREATE OR REPLACE FUNCTION mart.partly_buyers(from_day date, to_day date)
RETURNS TABLE (user_id bigint, last_day date, orders bigint, revenue numeric)
LANGUAGE sql STABLE AS $$
    WITH partly AS MATERIALIZED (
        SELECT u.user_id FROM mart.buyers u
        WHERE u.first_day < u.last_day AND (u.first_day < from_day OR u.last_day > to_day)
              AND u.first_day <= to_day AND u.last_day >= from_day
    )
    SELECT b.user_id, max(b.event_date), sum(b.orders::int), mart.total(b.revenue)
    FROM mart.buyer_days b JOIN partly USING (user_id)
    WHERE b.spend_band = -1 AND b.event_date BETWEEN from_day AND to_day
    GROUP BY b.user_id
$$;

-- Where the greatest values of the first four quintiles are, as arguments of percentile_disc(). A
-- value that is above n of these four is in quintile n + 1, as by mart.quintile(). This takes less
-- time than rank() over all buyers. percentile_disc() rounds up, so half a place is subtracted.
CREATE OR REPLACE FUNCTION mart.quintile_shares(buyers bigint) RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg((ceil(n * greatest(buyers - 1, 1) / 5.0) - 0.5) / greatest(buyers, 1))
    FROM generate_series(1, 4) AS n
$$;

CREATE OR REPLACE FUNCTION mart.quintile_above(value anyelement, limits anyarray) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT 1 + (value > limits[1])::int + (value > limits[2])::int + (value > limits[3])::int
           + (value > limits[4])::int
$$;

CREATE OR REPLACE FUNCTION mart.rfm(from_day date, to_day date)
RETURNS TABLE (user_id bigint, recency int, frequency bigint, monetary numeric, r int, f int, m int)
LANGUAGE sql STABLE AS $$
    WITH buyer AS MATERIALIZED (
        SELECT s.user_id, s.last_day, s.orders - coalesce(t.repeats, 0) AS orders, s.revenue
        FROM (SELECT b.user_id, b.last_day, b.orders, b.revenue
              FROM mart.buyers b WHERE b.first_day >= from_day AND b.last_day <= to_day
              UNION ALL
              SELECT p.user_id, p.last_day, p.orders, p.revenue
              FROM mart.partly_buyers(from_day, to_day) p) AS s
        LEFT JOIN mart.repeated_orders(from_day, to_day) t USING (user_id)
    ), share AS MATERIALIZED (
        SELECT mart.quintile_shares(count(*)) AS shares FROM buyer
    ), limits AS MATERIALIZED (
        SELECT percentile_disc((SELECT shares FROM share)) WITHIN GROUP (ORDER BY last_day) AS days,
               percentile_disc((SELECT shares FROM share)) WITHIN GROUP (ORDER BY orders) AS orders,
               percentile_disc((SELECT shares FROM share)) WITHIN GROUP (ORDER BY revenue)
                   AS revenues
        FROM buyer
    )
    SELECT b.user_id, to_day - b.last_day, b.orders, b.revenue,
           mart.quintile_above(b.last_day, l.days), mart.quintile_above(b.orders, l.orders),
           mart.quintile_above(b.revenue, l.revenues)
    FROM buyer b, limits l
$$;

-- The same, but buyers with equal days, orders and quintile of spend together. Users who bought on
-- one day only come from the cells, by bands of revenue. A band has several quintiles only if the
-- limit between two quintiles lies in it. Its buyers are then ranked one by one.
CREATE OR REPLACE FUNCTION mart.rfm_cells(from_day date, to_day date)
RETURNS TABLE (last_day date, frequency bigint, m int, buyers bigint, revenue numeric)
LANGUAGE sql STABLE AS $$
    WITH often AS MATERIALIZED (
        SELECT s.last_day, s.orders - coalesce(t.repeats, 0) AS frequency, s.band, s.revenue
        FROM (SELECT b.user_id, b.last_day, b.orders, b.spend_band AS band, b.revenue
              FROM mart.buyers b
              WHERE b.first_day >= from_day AND b.last_day <= to_day AND b.first_day < b.last_day
              UNION ALL
              SELECT p.user_id, p.last_day, p.orders, mart.spend_band(p.revenue), p.revenue
              FROM mart.partly_buyers(from_day, to_day) p) AS s
        LEFT JOIN mart.repeated_orders(from_day, to_day) t USING (user_id)
    ), cell AS MATERIALIZED (
        SELECT event_date AS last_day, orders AS frequency, spend_band AS band, c.buyers, c.revenue
        FROM mart.buyer_cells c
        WHERE spend_band >= 0 AND event_date BETWEEN from_day AND to_day
        UNION ALL
        SELECT o.last_day, o.frequency, band, count(*), sum(o.revenue) FROM often o GROUP BY 1, 2, 3
    ), total AS (
        SELECT sum(c.buyers)::bigint AS buyers FROM cell c
    ), scored AS MATERIALIZED (
        SELECT band, worse, mart.quintile(worse, t.buyers) AS m,
               mart.quintile(worse + n - 1, t.buyers) AS highest
        FROM total t,
             (SELECT band, sum(c.buyers)::bigint AS n,
                     (sum(sum(c.buyers)) OVER (ORDER BY band) - sum(c.buyers))::bigint AS worse
              FROM cell c GROUP BY band) AS b
    ), one AS (
        SELECT event_date AS last_day, orders AS frequency, spend_band AS band, b.revenue
        FROM mart.buyer_days b
        WHERE spend_band = ANY (ARRAY(SELECT band FROM scored s WHERE s.m < highest))
              AND spend_band >= 0 AND event_date BETWEEN from_day AND to_day
        UNION ALL
        SELECT o.last_day, o.frequency, band, o.revenue
        FROM often o JOIN scored s USING (band) WHERE s.m < highest
    ), ranked AS (
        SELECT o.last_day, o.frequency, o.revenue,
               worse + rank() OVER (PARTITION BY band ORDER BY o.revenue) - 1 AS worse
        FROM one o JOIN scored USING (band)
    )
    SELECT p.last_day, p.frequency, p.m, sum(p.buyers)::bigint, sum(p.revenue)
    FROM (SELECT c.last_day, c.frequency, s.m, c.buyers, c.revenue
          FROM cell c JOIN scored s USING (band) WHERE s.m = highest
          UNION ALL
          SELECT k.last_day, k.frequency, mart.quintile(k.worse, t.buyers), 1, k.revenue
          FROM ranked k, total t) AS p
    GROUP BY 1, 2, 3
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
    SELECT CASE WHEN (SELECT mart.shows_true_ids()) THEN s.user_id::text ELSE u.user_key END,
           s.recency, s.frequency, s.monetary, s.r, s.f, s.m, mart.rfm_segment(s.r, s.f, s.m)
    FROM mart.rfm(from_day, to_day) s
    LEFT JOIN (SELECT d.user_id, d.user_key FROM mart.dim_users d WHERE d.purchases > 0
               OFFSET 0) AS u USING (user_id)
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
    WITH cell AS MATERIALIZED (
        SELECT * FROM mart.rfm_cells(from_day, to_day)
    ), total AS (
        SELECT sum(buyers)::bigint AS buyers FROM cell
    ), recency AS (
        SELECT last_day, (sum(sum(buyers)) OVER (ORDER BY last_day) - sum(buyers))::bigint AS worse
        FROM cell GROUP BY last_day
    ), frequency AS (
        SELECT frequency,
               (sum(sum(buyers)) OVER (ORDER BY frequency) - sum(buyers))::bigint AS worse
        FROM cell GROUP BY frequency
    )
    SELECT mart.rfm_segment(mart.quintile(rr.worse, t.buyers), mart.quintile(ff.worse, t.buyers),
                            m),
           sum(c.buyers)::bigint, round(sum(c.buyers) / min(t.buyers), 4),
           sum(c.frequency * c.buyers)::bigint, sum(c.revenue),
           round(sum((to_day - c.last_day) * c.buyers) / sum(c.buyers), 1)
    FROM cell c JOIN recency rr USING (last_day) JOIN frequency ff USING (frequency), total t
    GROUP BY 1 ORDER BY 5 DESC
$$;
COMMENT ON FUNCTION reporting.rfm_segments(date, date) IS
    'reporting.rfm by segment. orders adds up the users'' orders.';
