SELECT category_level1 AS category, sum(views)::bigint AS views, sum(purchases)::bigint AS purchases, sum(revenue) AS revenue
FROM reporting.funnel_by_minute_category
WHERE minute >= (SELECT reporting.period_start(coalesce([[{{period}}, ]] 'last hour')))
  [[AND category_level1 = {{category}}]]
GROUP BY category_level1
ORDER BY revenue DESC, views DESC, category
LIMIT 10
