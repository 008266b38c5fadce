-- Openings of alert rules. Open ones come first.
SELECT rule, CASE WHEN closed_at IS NULL THEN 'open' ELSE 'closed' END AS state, opened_at AS opened, closed_at AS closed,
       round(value, 4) AS value, round(limit_value, 4) AS "limit", closed_by AS "closed by"
FROM reporting.alerts
ORDER BY closed_at IS NOT NULL, opened_at DESC, rule
LIMIT 50
