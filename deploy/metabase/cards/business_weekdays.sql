WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
)
SELECT kind AS days, days AS count, events_per_day AS events, purchases_per_day AS purchases, revenue_per_day AS revenue,
       round(100 * purchases_per_view, 2) AS per_100_views
FROM period
CROSS JOIN LATERAL reporting.weekday_weekend(first_day, last_day)
