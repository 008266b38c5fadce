WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
)
SELECT product_id::text AS product, brand, step, to_product_id::text AS to_product, to_brand, to_category, sessions
FROM period
CROSS JOIN LATERAL reporting.product_paths(first_day, last_day)
ORDER BY rank
