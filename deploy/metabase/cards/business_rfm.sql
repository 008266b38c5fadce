WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
)
SELECT segment, users, orders, revenue, average_recency_days
FROM period
CROSS JOIN LATERAL reporting.rfm_segments(first_day, last_day)
ORDER BY users DESC, segment
