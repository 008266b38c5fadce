WITH period AS (
    SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) AS first_day, today AS last_day
    FROM reporting.data_clock
)
SELECT replace(f.stage, '_', ' ') AS stage, users, round(100 * of_first, 2) AS users_percent, sessions, round(100 * sessions_of_first, 2) AS sessions_percent
FROM period
CROSS JOIN LATERAL reporting.funnel_by_user(first_day, last_day) AS f
ORDER BY step
