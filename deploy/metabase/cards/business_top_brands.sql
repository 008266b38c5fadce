WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
), sums AS ( -- by category only if a category is chosen, because these are many rows
    SELECT day, brand, purchases, revenue
    FROM reporting.brand_days WHERE coalesce([[{{category}}, ]] '') = ''
    UNION ALL
    SELECT day, brand, purchases, revenue
    FROM reporting.category_brand_days
    WHERE coalesce([[{{category}}, ]] '') <> ''
      [[AND (category = {{category}} OR starts_with(category, {{category}} || '.'))]]
)
SELECT brand, sum(revenue) AS revenue, sum(purchases)::bigint AS purchases
FROM sums
WHERE day BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
  AND purchases > 0 AND brand <> 'unknown'
  [[AND brand = {{brand}}]]
GROUP BY brand
ORDER BY purchases DESC, revenue DESC, brand
LIMIT 15
