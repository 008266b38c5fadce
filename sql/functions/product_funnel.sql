-- Products with their views and conversion. Only the views of the best sellers are read from
-- mart.product_days, by day and product.

CREATE OR REPLACE FUNCTION reporting.funnel_by_product(
    from_day date, to_day date, of_category text DEFAULT NULL, of_brand text DEFAULT NULL,
    how_many int DEFAULT 15)
RETURNS TABLE (rank bigint, product_id bigint, category text, brand text, views bigint,
               carts bigint, purchases bigint, revenue numeric, carts_per_view numeric,
               purchases_per_cart numeric, purchases_per_view numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '64MB'
    SET jit = off AS $$
    SELECT row_number() OVER (ORDER BY t.revenue DESC, t.purchases DESC, t.product_id),
           t.product_id, t.category, t.brand, d.views::bigint, d.carts::bigint,
           t.purchases::bigint, round(t.revenue, 2), round(d.carts / nullif(d.views, 0), 4),
           round(t.purchases / nullif(d.carts, 0), 4), round(t.purchases / nullif(d.views, 0), 4)
    FROM mart.best_sellers(from_day, to_day, of_category, of_brand, how_many) t,
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
