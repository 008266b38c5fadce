WITH period AS (
    SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) AS first_day, today AS last_day
    FROM reporting.data_clock
)
SELECT period_start AS day, kind, n AS users
FROM reporting.active_users
CROSS JOIN LATERAL (VALUES (1, 'new', new_users), (2, 'returning', users - new_users)) AS t (line, kind, n)
WHERE grain = 'day'
  AND period_start BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
ORDER BY day, line
