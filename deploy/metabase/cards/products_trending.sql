SELECT product_id::text AS product, category, brand, views, usual_views, times_usual, purchases
FROM reporting.trending_products
WHERE true
  [[AND (category = {{category}} OR starts_with(category, {{category}} || '.'))]]
  [[AND brand = {{brand}}]]
ORDER BY rank
LIMIT 15
