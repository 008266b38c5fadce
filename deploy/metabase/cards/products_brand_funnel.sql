WITH period AS (
    SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) AS first_day, today AS last_day
    FROM reporting.data_clock
)
SELECT brand, sum(views)::bigint AS views, sum(carts)::bigint AS carts, sum(purchases)::bigint AS purchases,
       round(100 * sum(purchases) / nullif(sum(views), 0), 2) AS conversion_percent, sum(revenue) AS revenue
FROM reporting.brand_days
WHERE day BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
  AND brand <> 'unknown'
  [[AND brand = {{brand}}]]
GROUP BY brand
ORDER BY revenue DESC, purchases DESC, views DESC, brand
LIMIT 15
