WITH period AS (
    SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) AS first_day, today AS last_day
    FROM reporting.data_clock
)
SELECT price_band, views, carts, purchases, round(100 * purchases_per_view, 2) AS conversion_percent, revenue
FROM period
CROSS JOIN LATERAL reporting.price_bands(first_day, last_day) AS b
ORDER BY band
