-- Visits that were active in the span, by how far they have come, in order. A visit lies within one UTC day.
WITH visit AS (
    SELECT furthest_stage
    FROM reporting.fct_session_funnel
    WHERE visit_end >= (SELECT reporting.period_start('last 5 minutes'))
      AND visit_start >= (SELECT date_trunc('day', reporting.period_start('last 5 minutes'), 'UTC'))
      [[AND split_part(entry_category, '.', 1) = {{category}}]]
)
SELECT stage, visits
FROM (
    SELECT 1 AS step, 'viewed' AS stage, count(*) FILTER (WHERE furthest_stage >= 1) AS visits FROM visit
    UNION ALL SELECT 2, 'then put into the cart', count(*) FILTER (WHERE furthest_stage >= 2) FROM visit
    UNION ALL SELECT 3, 'then bought', count(*) FILTER (WHERE furthest_stage >= 3) FROM visit
) AS funnel
ORDER BY step
