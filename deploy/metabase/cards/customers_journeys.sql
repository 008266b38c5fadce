WITH period AS (
    SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) AS first_day, today AS last_day
    FROM reporting.data_clock
)
SELECT replace(path, '_', ' ') AS path, sessions, round(100 * share, 2) AS share_percent, orders, revenue
FROM period
CROSS JOIN LATERAL reporting.journeys(first_day, last_day, 15)
ORDER BY rank
