WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'last 30 days')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
)
SELECT brand, sum(revenue) AS revenue, sum(purchases)::bigint AS purchases
FROM reporting.product_days
WHERE day BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
  AND purchases > 0 AND brand <> 'unknown'
  [[AND (category = {{category}} OR starts_with(category, {{category}} || '.'))]]
GROUP BY brand
ORDER BY purchases DESC, revenue DESC, brand
LIMIT 15
