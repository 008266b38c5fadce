SELECT DISTINCT brand
FROM reporting.dim_products
ORDER BY brand
