-- Measures beyond their threshold come first.
SELECT CASE WHEN breached THEN 'beyond' ELSE 'ok' END AS state, layer, check_name AS measure, subject, value, minimum, maximum, meaning
FROM reporting.data_quality
WHERE breached OR maximum IS NOT NULL OR minimum IS NOT NULL
ORDER BY breached DESC, layer, check_name, subject
LIMIT 100
