WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'last 30 days')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
)
SELECT day, type, sum(events)::bigint AS events
FROM reporting.category_days
CROSS JOIN LATERAL (VALUES (1, 'view', views), (2, 'cart', carts), (3, 'remove from cart', removes),
                           (4, 'checkout', checkouts), (5, 'purchase', purchases)) AS t (step, type, events)
WHERE day BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
  [[AND (category = {{category}} OR starts_with(category, {{category}} || '.'))]]
GROUP BY day, step, type
HAVING sum(events) > 0
ORDER BY day, step
