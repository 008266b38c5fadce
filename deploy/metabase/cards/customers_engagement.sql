WITH period AS (
    SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) AS first_day, today AS last_day
    FROM reporting.data_clock
)
SELECT replace(e.measure, '_', ' ') AS measure, value, before, round(100 * change, 1) AS change_percent
FROM period
CROSS JOIN LATERAL reporting.engagement(first_day, last_day) AS e
ORDER BY line
