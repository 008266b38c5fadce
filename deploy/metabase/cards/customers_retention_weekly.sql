WITH period AS (
    SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) AS first_day, today AS last_day
    FROM reporting.data_clock
)
SELECT cohort AS week, cohort_users AS users,
       round(max(100 * share) FILTER (WHERE period = 1), 1) AS "+1 %",
       round(max(100 * share) FILTER (WHERE period = 2), 1) AS "+2 %",
       round(max(100 * share) FILTER (WHERE period = 3), 1) AS "+3 %",
       round(max(100 * share) FILTER (WHERE period = 4), 1) AS "+4 %",
       round(max(100 * share) FILTER (WHERE period = 5), 1) AS "+5 %",
       round(max(100 * share) FILTER (WHERE period = 6), 1) AS "+6 %",
       round(max(100 * share) FILTER (WHERE period = 7), 1) AS "+7 %",
       round(max(100 * share) FILTER (WHERE period = 8), 1) AS "+8 %"
FROM period
CROSS JOIN LATERAL reporting.retention(first_day, last_day, 'week', 8)
GROUP BY cohort, cohort_users
ORDER BY week
