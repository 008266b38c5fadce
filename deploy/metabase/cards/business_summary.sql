WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
)
SELECT replace(s.measure, '_', ' ') AS measure, value, before, round(100 * change, 1) AS change_percent
FROM period
CROSS JOIN LATERAL reporting.sales_summary(first_day, last_day) AS s
ORDER BY array_position(ARRAY['revenue', 'purchases', 'orders', 'average_order_value', 'buyers', 'repeat_buyers', 'new_buyers', 'repeat_share'], s.measure)
