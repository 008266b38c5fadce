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

CREATE OR REPLACE FUNCTION reporting.time_to_convert(from_day date, to_day date)
RETURNS TABLE (step text, visits bigint, median_s numeric, average_s numeric, p90_s numeric,
               visits_before bigint, median_s_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH wait AS (
        SELECT visit_start >= from_day::timestamp AT TIME ZONE 'UTC' AS now,
               w.position, w.step, w.ms
        FROM processed.session_funnels v,
             LATERAL (VALUES (1, 'view to cart', view_to_cart_ms),
                             (2, 'view to purchase', view_to_purchase_ms)) AS w(position, step, ms)
        WHERE (view_to_cart_ms IS NOT NULL OR view_to_purchase_ms IS NOT NULL) AND w.ms IS NOT NULL
          AND visit_start >= (from_day - (to_day - from_day + 1))::timestamp AT TIME ZONE 'UTC'
          AND visit_start < (to_day + 1)::timestamp AT TIME ZONE 'UTC'
    )
    SELECT step, count(*) FILTER (WHERE now),
           round((percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE now)
                  / 1000)::numeric, 1),
           round(avg(ms) FILTER (WHERE now) / 1000, 1),
           round((percentile_cont(0.9) WITHIN GROUP (ORDER BY ms) FILTER (WHERE now)
                  / 1000)::numeric, 1),
           count(*) FILTER (WHERE NOT now),
           round((percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE NOT now)
                  / 1000)::numeric, 1)
    FROM wait GROUP BY position, step ORDER BY position
$$;
COMMENT ON FUNCTION reporting.time_to_convert(date, date) IS
    'Seconds from a visit''s first view to its first cart, and to its first purchase, at or after '
    'it: median, mean, ninetieth percentile, of the visits that have one.';
