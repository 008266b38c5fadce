SELECT count(*) AS visits
FROM reporting.fct_session_funnel
WHERE visit_end >= (SELECT reporting.period_start('last 5 minutes'))
  AND visit_start >= (SELECT reporting.period_start('last 5 minutes')) - interval '1 day'
  [[AND split_part(entry_category, '.', 1) = {{category}}]]
