WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
)
SELECT value AS category, buying_sessions, leaving_sessions, round(100 * buying_share, 2) AS buying_percent,
       round(100 * leaving_share, 2) AS leaving_percent, lift
FROM period
CROSS JOIN LATERAL reporting.buyer_lift(first_day, last_day, 'category')
ORDER BY lift DESC NULLS LAST, buying_sessions DESC, category
LIMIT 15
