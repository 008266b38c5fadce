WITH period AS (
    SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) AS first_day, today AS last_day
    FROM reporting.data_clock
)
SELECT day, step, percent
FROM (SELECT day, 1 AS line, 'cart' AS step, round(100 * abandonment_rate, 1) AS percent FROM reporting.cart_abandonment_by_day
      UNION ALL
      SELECT day, 2, 'checkout', round(100 * abandonment_rate, 1) FROM reporting.checkout_abandonment_by_day) AS a
WHERE day BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
  AND percent IS NOT NULL
ORDER BY day, line
