-- Each row is 0 in good health.
SELECT problem, found
FROM (
    SELECT 1 AS place, 'measures beyond their threshold' AS problem, count(*) AS found FROM reporting.data_quality_breaches
    UNION ALL SELECT 2, 'comparisons of layers that differ or are overdue', count(*) FROM reporting.reconciliation WHERE state IN ('differs', 'overdue')
    UNION ALL SELECT 3, 'partitions whose counts do not balance', count(*) FROM reporting.count_proof WHERE NOT balanced
    UNION ALL SELECT 4, 'segments that are not complete', count(*) FROM reporting.segments WHERE NOT complete
    UNION ALL SELECT 5, 'events that are stored and not yet in the reports', events FROM reporting.waiting()
    UNION ALL SELECT 6, 'alerts that are open', count(*) FROM reporting.alerts WHERE closed_at IS NULL
) AS p
ORDER BY place
