SELECT segment, run, day, events, views, carts, removes, checkouts, purchases, revenue, sessions, orders, users
FROM reporting.segment_days
WHERE day >= (SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')))
ORDER BY day DESC, segment, run
LIMIT 100
