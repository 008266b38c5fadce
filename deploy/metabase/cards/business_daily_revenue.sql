WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'last 30 days')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
)
SELECT day, sum(revenue) AS revenue
FROM reporting.category_days
WHERE day BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
  [[AND (category = {{category}} OR starts_with(category, {{category}} || '.'))]]
GROUP BY day
ORDER BY day
