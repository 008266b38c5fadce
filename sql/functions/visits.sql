-- Functions about visits. Each takes the first and the last day of a period (UTC, both included).
-- Columns with `before` in their name describe the period of the same length just before. A rate is
-- null if its divisor is 0.

CREATE OR REPLACE FUNCTION reporting.session_duration(from_day date, to_day date)
RETURNS TABLE (band smallint, duration text, visits bigint, buying_visits bigint,
               buying_share numeric, revenue numeric, events_per_visit numeric,
               buying_share_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT b.band, b.label, coalesce(sum(v.visits) FILTER (WHERE now), 0)::bigint,
           coalesce(sum(v.buying_visits) FILTER (WHERE now), 0)::bigint,
           round(sum(v.buying_visits) FILTER (WHERE now)
                 / nullif(sum(v.visits) FILTER (WHERE now), 0), 4),
           coalesce(sum(v.revenue) FILTER (WHERE now), 0),
           round(sum(v.events) FILTER (WHERE now) / nullif(sum(v.visits) FILTER (WHERE now), 0), 2),
           round(sum(v.buying_visits) FILTER (WHERE NOT now)
                 / nullif(sum(v.visits) FILTER (WHERE NOT now), 0), 4)
    FROM mart.duration_bands b
    LEFT JOIN (SELECT *, visit_date >= from_day AS now FROM mart.visit_days
               WHERE visit_date BETWEEN from_day - (to_day - from_day + 1) AND to_day) v
         ON v.duration_band = b.band
    GROUP BY b.band, b.label ORDER BY b.band
$$;
COMMENT ON FUNCTION reporting.session_duration(date, date) IS
    'Length of visits against purchase: visits that began in the period by duration, and the '
    'share of them with a purchase.';

-- The value at a place in the order of all visits. If the place is not an integer, it is between
-- two values. percentile_cont computes the same from single rows.
CREATE OR REPLACE FUNCTION reporting.time_to_convert(from_day date, to_day date)
RETURNS TABLE (step text, visits bigint, median_s numeric, average_s numeric, p90_s numeric,
               visits_before bigint, median_s_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH wait AS (
        SELECT c.step, visit_date >= from_day AS is_now, ms, sum(c.visits)::bigint AS n
        FROM mart.conversion_days c
        WHERE visit_date BETWEEN from_day - (to_day - from_day + 1) AND to_day GROUP BY 1, 2, 3
    ), total AS (
        SELECT w.step, is_now, sum(n) AS visits, sum(n * ms) / sum(n) AS average
        FROM wait w GROUP BY 1, 2
    ), placed AS (
        SELECT w.step, is_now, ms,
               (sum(n) OVER (PARTITION BY w.step, is_now ORDER BY ms))::bigint AS upto
        FROM wait w
    ), place AS (
        SELECT t.step, is_now, share, share * (t.visits - 1)::float8 AS place
        FROM total t, unnest(ARRAY[0.5, 0.9]::float8[]) AS share
    ), value AS (
        SELECT a.step, a.is_now, share, min(ms) FILTER (WHERE upto > floor(place))::float8 AS low,
               min(ms) FILTER (WHERE upto > ceil(place))::float8 AS high,
               min(place - floor(place)) AS part
        FROM place a JOIN placed p ON p.step = a.step AND p.is_now = a.is_now GROUP BY 1, 2, 3
    ), second AS (
        SELECT v.step, is_now, share, round(((low + part * (high - low)) / 1000)::numeric, 1) AS s
        FROM value v
    )
    SELECT name.step, coalesce(min(t.visits) FILTER (WHERE is_now), 0)::bigint,
           min(s.s) FILTER (WHERE is_now AND share = 0.5),
           round(min(t.average) FILTER (WHERE is_now) / 1000, 1),
           min(s.s) FILTER (WHERE is_now AND share = 0.9),
           coalesce(min(t.visits) FILTER (WHERE NOT is_now), 0)::bigint,
           min(s.s) FILTER (WHERE NOT is_now AND share = 0.5)
    FROM total t JOIN second s USING (step, is_now)
    JOIN (VALUES (1, 'view to cart'), (2, 'view to purchase')) AS name(position, step)
         ON name.position = t.step
    GROUP BY name.position, name.step ORDER BY name.position
$$;
COMMENT ON FUNCTION reporting.time_to_convert(date, date) IS
    'Seconds from a visit''s first view to its first cart, and to its first purchase, at or after '
    'it: median, mean, ninetieth percentile, of the visits that have one.';
