WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
), sums AS ( -- by brand only if a brand is chosen, because these are many rows
    SELECT day, category, views, carts, removes, checkouts, purchases, revenue
    FROM reporting.category_days WHERE coalesce([[{{brand}}, ]] '') = ''
    UNION ALL
    SELECT day, category, views, carts, removes, checkouts, purchases, revenue
    FROM reporting.category_brand_days WHERE brand = coalesce([[{{brand}}, ]] '')
)
SELECT category, sum(revenue) AS revenue, sum(purchases)::bigint AS purchases, sum(views)::bigint AS views
FROM sums
WHERE day BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
  AND category <> 'unknown'
  [[AND (category = {{category}} OR starts_with(category, {{category}} || '.'))]]
GROUP BY category
HAVING sum(purchases) > 0
ORDER BY revenue DESC, purchases DESC, views DESC, category
LIMIT 15
