WITH period AS (
    SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) AS first_day, today AS last_day
    FROM reporting.data_clock
)
SELECT step, sessions, abandoned_sessions AS abandoned, round(100 * abandonment_rate, 1) AS abandoned_percent, abandoned_items AS items, abandoned_value AS value
FROM period
CROSS JOIN LATERAL (
    SELECT 1 AS line, 'cart' AS step, cart_sessions AS sessions, abandoned_sessions, abandonment_rate, abandoned_items, abandoned_value
    FROM reporting.cart_abandonment(first_day, last_day)
    UNION ALL
    SELECT 2, 'checkout', checkout_sessions, abandoned_sessions, abandonment_rate, abandoned_items, abandoned_value
    FROM reporting.checkout_abandonment(first_day, last_day)) AS a
ORDER BY line
