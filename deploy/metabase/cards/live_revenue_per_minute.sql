SELECT minute, sum(revenue) AS revenue
FROM reporting.funnel_by_minute_category
WHERE minute >= (SELECT reporting.period_start(coalesce([[{{period}}, ]] 'last hour')))
  [[AND category_level1 = {{category}}]]
GROUP BY minute
ORDER BY minute
