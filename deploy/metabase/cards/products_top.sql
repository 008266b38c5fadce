WITH period AS (
    SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) AS first_day, today AS last_day
    FROM reporting.data_clock
)
SELECT product_id::text AS product, category, brand, views, carts, purchases, round(100 * purchases_per_view, 2) AS conversion_percent, revenue
FROM period
CROSS JOIN LATERAL reporting.funnel_by_product(first_day, last_day, coalesce([[{{category}}, ]] NULL::text), coalesce([[{{brand}}, ]] NULL::text))
ORDER BY rank
