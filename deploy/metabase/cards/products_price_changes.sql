SELECT product_id::text AS product, category, brand, prices, lowest, highest, round(100 * (highest - lowest) / nullif(lowest, 0), 1) AS spread_percent
FROM reporting.product_prices
JOIN reporting.dim_products USING (product_id)
WHERE prices > 1
  [[AND (category = {{category}} OR starts_with(category, {{category}} || '.'))]]
  [[AND brand = {{brand}}]]
ORDER BY prices DESC, spread_percent DESC NULLS LAST, product_id
LIMIT 15
