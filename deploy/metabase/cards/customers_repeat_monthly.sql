SELECT cohort AS month, cohort_users AS users,
       round(max(100 * share) FILTER (WHERE period = 1), 1) AS "+1 %",
       round(max(100 * share) FILTER (WHERE period = 2), 1) AS "+2 %",
       round(max(100 * share) FILTER (WHERE period = 3), 1) AS "+3 %",
       round(max(100 * share) FILTER (WHERE period = 4), 1) AS "+4 %",
       round(max(100 * share) FILTER (WHERE period = 5), 1) AS "+5 %",
       round(max(100 * share) FILTER (WHERE period = 6), 1) AS "+6 %"
FROM reporting.data_clock
CROSS JOIN LATERAL reporting.repeat_purchases(reporting.period_first_day('everything'), today, 'month', 6)
GROUP BY cohort, cohort_users
ORDER BY month
