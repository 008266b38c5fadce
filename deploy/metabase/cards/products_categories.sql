-- First levels and whole codes; a filter value takes in all below it.
SELECT category
FROM (SELECT category FROM reporting.dim_categories UNION SELECT level1 FROM reporting.dim_categories) AS known
ORDER BY category
