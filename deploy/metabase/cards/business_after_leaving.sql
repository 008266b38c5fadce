WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
)
SELECT outcome AS day, users, returned, round(100 * returned_share, 1) AS returned_percent, then_viewed, then_cart, then_bought,
       average_days
FROM period
CROSS JOIN LATERAL reporting.after_leaving(first_day, last_day)
ORDER BY array_position(ARRAY['viewed', 'cart', 'bought'], outcome)
