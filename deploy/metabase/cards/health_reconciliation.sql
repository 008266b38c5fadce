SELECT check_name AS comparison, count(*) AS rows, count(*) FILTER (WHERE state = 'ok') AS equal,
       count(*) FILTER (WHERE state = 'moving') AS moving,
       count(*) FILTER (WHERE state IN ('differs', 'overdue')) AS differ,
       count(*) FILTER (WHERE state = 'not applicable') AS not_applicable
FROM reporting.reconciliation
GROUP BY check_name
ORDER BY check_name
