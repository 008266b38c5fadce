SELECT check_name AS comparison, subject, expected, actual, difference, state, explanation
FROM reporting.reconciliation
WHERE state NOT IN ('ok', 'not applicable')
ORDER BY state, check_name, subject
LIMIT 50
