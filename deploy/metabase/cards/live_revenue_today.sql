SELECT coalesce(sum(revenue), 0) AS revenue
FROM reporting.funnel_by_minute_category
WHERE minute >= (SELECT reporting.period_start('today'))
  [[AND category_level1 = {{category}}]]
