WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
)
SELECT lpad(hour::text, 2, '0') || ':00' AS hour, purchases, events, revenue,
       round(100 * purchases_per_view, 2) AS purchases_per_100_views
FROM period
CROSS JOIN LATERAL reporting.hour_of_day(first_day, last_day)
ORDER BY 1
