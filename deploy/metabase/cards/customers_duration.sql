WITH period AS (
    SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) AS first_day, today AS last_day
    FROM reporting.data_clock
)
SELECT duration, sum(visits)::bigint AS visits, sum(buying_visits)::bigint AS buying_visits,
       round(100 * sum(buying_visits) / nullif(sum(visits), 0), 1) AS buying_percent, round(sum(events) / nullif(sum(visits), 0), 1) AS events_per_visit
FROM reporting.visit_days
WHERE day BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
  [[AND entry_category = split_part({{category}}, '.', 1)]]
GROUP BY duration, duration_band
ORDER BY duration_band
