WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'last 30 days')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
)
SELECT category, sum(revenue) AS revenue, sum(purchases)::bigint AS purchases, sum(views)::bigint AS views
FROM reporting.category_days
WHERE day BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
  AND category <> 'unknown'
  [[AND (category = {{category}} OR starts_with(category, {{category}} || '.'))]]
GROUP BY category
HAVING sum(purchases) > 0
ORDER BY revenue DESC, purchases DESC, views DESC, category
LIMIT 15
