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
), total AS (
    SELECT day, sum(views) AS views, sum(carts) AS carts, sum(removes) AS removes, sum(checkouts) AS checkouts, sum(purchases) AS purchases
    FROM sums
    WHERE day BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
      [[AND (category = {{category}} OR starts_with(category, {{category}} || '.'))]]
    GROUP BY day
)
SELECT day, type, events::bigint
FROM total
CROSS JOIN LATERAL (VALUES (1, 'view', views), (2, 'cart', carts), (3, 'remove from cart', removes),
                           (4, 'checkout', checkouts), (5, 'purchase', purchases)) AS t (step, type, events)
WHERE events > 0
ORDER BY day, step
