SELECT segment, run, to_char(month, 'YYYY-MM') AS month, events, views, carts, removes, checkouts, purchases, revenue, sessions, orders, users
FROM reporting.segment_months
ORDER BY month DESC, segment, run
LIMIT 100
