SELECT count(*) AS visits
FROM reporting.fct_session_funnel
WHERE visit_end >= (SELECT reporting.period_start('last 5 minutes'))
  AND visit_start >= (SELECT date_trunc('day', reporting.period_start('last 5 minutes'), 'UTC'))
  [[AND split_part(entry_category, '.', 1) = {{category}}]]
