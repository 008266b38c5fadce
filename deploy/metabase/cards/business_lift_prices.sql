WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
)
SELECT value AS price_band, buying_sessions, leaving_sessions, lift
FROM period
CROSS JOIN LATERAL reporting.buyer_lift(first_day, last_day, 'price band', 1)
WHERE lift IS NOT NULL
ORDER BY lift DESC, buying_sessions DESC, price_band
