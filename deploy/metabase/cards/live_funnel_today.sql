-- Visits of today, by how far they have come, in order. A visit lies within one UTC day.
WITH visit AS (
    SELECT furthest_stage, visits
    FROM reporting.visit_stages
    WHERE day = (reporting.period_start('today') AT TIME ZONE 'UTC')::date
      [[AND entry_category = {{category}}]]
)
SELECT stage, visits
FROM (
    SELECT 1 AS step, 'viewed' AS stage, coalesce(sum(visits) FILTER (WHERE furthest_stage >= 1), 0)::bigint AS visits FROM visit
    UNION ALL SELECT 2, 'then put into the cart', coalesce(sum(visits) FILTER (WHERE furthest_stage >= 2), 0)::bigint FROM visit
    UNION ALL SELECT 3, 'then bought', coalesce(sum(visits) FILTER (WHERE furthest_stage >= 3), 0)::bigint FROM visit
) AS funnel
ORDER BY step
