-- Shares of rows that came are of the day of the data on which they came, as a refused row has no time.
SELECT day, measure, round(100 * value, 2) AS percent
FROM reporting.data_quality_days
JOIN (VALUES ('share_without_category', 'without category'), ('share_without_brand', 'without brand'),
             ('share_without_price', 'without price'), ('share_without_session', 'without session'),
             ('share_zero_price', 'price of 0'), ('reject_share', 'refused rows'),
             ('duplicate_share', 'duplicates'), ('late_share', 'late events')) AS m (check_name, measure) USING (check_name)
WHERE day >= (SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything'))) AND value IS NOT NULL
ORDER BY day, measure COLLATE "C"
