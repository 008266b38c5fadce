WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
)
SELECT day, sessions, users
FROM reporting.daily_activity
WHERE day BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
ORDER BY day
