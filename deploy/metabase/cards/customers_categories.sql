-- Visits are known by the first level of the category they began with.
SELECT DISTINCT level1 AS category
FROM reporting.dim_categories
ORDER BY category
