-- A day without events has no row.
SELECT day, events
FROM reporting.daily_activity
WHERE day >= (SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')))
ORDER BY day
