-- A minute without any event has no row.
SELECT minute, type, sum(events)::bigint AS events
FROM reporting.funnel_by_minute_category
CROSS JOIN LATERAL (VALUES (1, 'view', views), (2, 'cart', carts), (3, 'remove from cart', removes),
                           (4, 'checkout', checkouts), (5, 'purchase', purchases)) AS t (step, type, events)
WHERE minute >= (SELECT reporting.period_start(coalesce([[{{period}}, ]] 'last hour')))
  [[AND category_level1 = {{category}}]]
GROUP BY minute, step, type
HAVING sum(events) > 0
ORDER BY minute, step
