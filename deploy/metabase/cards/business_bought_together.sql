WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
)
SELECT product_a::text AS product_a, brand_a, product_b::text AS product_b, brand_b, orders, round(100 * confidence_a_b, 1) AS a_with_b_percent,
       round(100 * confidence_b_a, 1) AS b_with_a_percent, lift
FROM period
CROSS JOIN LATERAL reporting.bought_together(first_day, last_day)
ORDER BY rank
