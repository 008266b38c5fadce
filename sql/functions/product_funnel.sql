-- Products with their views and conversion. The products that sold most come from
-- mart.product_sales, which is small; only their views are read from mart.product_days, by day and
-- product.

CREATE OR REPLACE FUNCTION reporting.funnel_by_product(
    from_day date, to_day date, of_category text DEFAULT NULL, of_brand text DEFAULT NULL,
    how_many int DEFAULT 15)
RETURNS TABLE (rank bigint, product_id bigint, category text, brand text, views bigint,
               carts bigint, purchases bigint, revenue numeric, carts_per_view numeric,
               purchases_per_cart numeric, purchases_per_view numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '64MB'
    SET jit = off AS $$
    WITH wanted AS (
        SELECT p.product_id, p.category, p.brand FROM mart.dim_products p
        WHERE (of_category IS NULL OR p.category = of_category
               OR starts_with(p.category, of_category || '.'))
              AND (of_brand IS NULL OR p.brand = of_brand)
    ), sold AS (
        SELECT s.product_id, sum(s.purchases) AS purchases,
               -- Times 0.01, because a division rounds to 16 digits.
               coalesce(sum(cents), 0) * 0.01
                   + coalesce(sum(s.revenue) FILTER (WHERE cents IS NULL), 0) AS revenue
        FROM mart.product_sales s
        WHERE event_date BETWEEN from_day AND to_day
              AND (of_category IS NULL AND of_brand IS NULL
                   OR s.product_id IN (SELECT w.product_id FROM wanted w))
        GROUP BY 1
    ), top AS (
        SELECT * FROM sold s
        ORDER BY s.revenue DESC, s.purchases DESC, s.product_id LIMIT how_many
    )
    SELECT row_number() OVER (ORDER BY t.revenue DESC, t.purchases DESC, t.product_id),
           t.product_id, p.category, p.brand, d.views::bigint, d.carts::bigint,
           t.purchases::bigint, round(t.revenue, 2), round(d.carts / nullif(d.views, 0), 4),
           round(t.purchases / nullif(d.carts, 0), 4), round(t.purchases / nullif(d.views, 0), 4)
    FROM top t LEFT JOIN mart.dim_products p USING (product_id),
         LATERAL (SELECT coalesce(sum(n.views), 0) AS views, coalesce(sum(n.carts), 0) AS carts
                  FROM mart.day_totals y JOIN mart.product_days n USING (event_date)
                  WHERE n.product_id = t.product_id
                        AND y.event_date BETWEEN from_day AND to_day) AS d
    ORDER BY 1
$$;
COMMENT ON FUNCTION reporting.funnel_by_product(date, date, text, text, int) IS
    'Products that were bought in the period, by revenue (then purchases): events of each type, '
    'and rates between them. of_category (a code, or a level and all below it) and of_brand: only '
    'products whose latest event has it.';
