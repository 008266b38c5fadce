SELECT category, views, usual_views, times_usual, purchases
FROM reporting.trending_categories
WHERE true
  [[AND (category = {{category}} OR starts_with(category, {{category}} || '.'))]]
ORDER BY rank
LIMIT 15
