WITH period AS (
    SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) AS first_day, today AS last_day
    FROM reporting.data_clock
)
SELECT period_start AS week, users, new_users AS new, users - new_users AS returning, round(100.0 * (users - new_users) / nullif(users, 0), 1) AS returning_percent
FROM reporting.active_users
WHERE grain = 'week'
  AND period_start BETWEEN (SELECT first_day FROM period) - 6 AND (SELECT last_day FROM period)
ORDER BY week
