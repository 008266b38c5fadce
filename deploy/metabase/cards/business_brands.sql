-- By revenue, then by views, so that the brands that matter come first.
SELECT brand
FROM reporting.brand_days
GROUP BY brand
ORDER BY sum(revenue) DESC, sum(views) DESC, brand
LIMIT 1000
