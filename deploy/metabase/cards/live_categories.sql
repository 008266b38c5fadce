SELECT DISTINCT level1 AS category
FROM reporting.dim_categories
ORDER BY category
