-- Functions about journeys. Each takes the first and the last day of a period (UTC, both included).
-- Columns with `before` in their name describe the period of the same length just before. A rate is
-- null if its divisor is 0.

CREATE OR REPLACE FUNCTION reporting.journeys(from_day date, to_day date, how_many int DEFAULT 20)
RETURNS TABLE (rank bigint, path text, sessions bigint, share numeric, orders bigint,
               revenue numeric, sessions_before bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH sums AS (
        SELECT j.path,
               coalesce(sum(j.sessions) FILTER (WHERE event_date >= from_day), 0) AS sessions,
               coalesce(sum(j.orders) FILTER (WHERE event_date >= from_day), 0) AS orders,
               coalesce(sum(j.revenue) FILTER (WHERE event_date >= from_day), 0) AS revenue,
               coalesce(sum(j.sessions) FILTER (WHERE event_date < from_day), 0) AS before
        FROM mart.journey_days j
        WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day GROUP BY 1
    )
    SELECT row_number() OVER (ORDER BY sessions DESC, path), path, sessions::bigint,
           round(sessions / nullif(sum(sessions) OVER (), 0), 4), orders::bigint, revenue,
           before::bigint
    FROM sums WHERE sessions > 0 ORDER BY 1 LIMIT how_many
$$;
COMMENT ON FUNCTION reporting.journeys(date, date, int) IS
    'The most frequent paths of sessions within a UTC day: steps in order, at most eight, repeats '
    'in a row counted as one. A path begins with view if the session viewed before its first step, '
    'and ends with view if it viewed after its last. Views between steps are not shown.';
