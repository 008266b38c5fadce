WITH period AS (
    SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) AS first_day, today AS last_day
    FROM reporting.data_clock
)
SELECT step, visits, median_s, average_s, p90_s, median_s_before
FROM period
CROSS JOIN LATERAL reporting.time_to_convert(first_day, last_day)
ORDER BY step
