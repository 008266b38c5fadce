WITH period AS (
    SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) AS first_day, today AS last_day
    FROM reporting.data_clock
)
SELECT category, views, purchases, round(100 * purchases_per_view, 2) AS conversion_percent, round(100 * overall_rate, 2) AS overall_percent,
       missed_purchases
FROM period
CROSS JOIN LATERAL reporting.category_attention(first_day, last_day, 100000) AS a
WHERE true
  [[AND (category = {{category}} OR starts_with(category, {{category}} || '.'))]]
ORDER BY rank
LIMIT 15
