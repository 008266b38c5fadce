WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'last 30 days')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
), visit AS (
    SELECT furthest_stage, visits
    FROM reporting.visit_days
    WHERE day BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
      [[AND entry_category = split_part({{category}}, '.', 1)]]
)
SELECT stage, visits
FROM (
    SELECT 1 AS step, 'viewed' AS stage, coalesce(sum(visits) FILTER (WHERE furthest_stage >= 1), 0)::bigint AS visits FROM visit
    UNION ALL SELECT 2, 'then put into the cart', coalesce(sum(visits) FILTER (WHERE furthest_stage >= 2), 0)::bigint FROM visit
    UNION ALL SELECT 3, 'then bought', coalesce(sum(visits) FILTER (WHERE furthest_stage >= 3), 0)::bigint FROM visit
) AS funnel
ORDER BY step
