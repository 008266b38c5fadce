-- reporting.top_products failed (bigint out of range) where a product's revenue of a day was no 64-bit number of cents.
CREATE OR REPLACE FUNCTION reporting.top_products(from_day date, to_day date, how_many int DEFAULT 15)
RETURNS TABLE (rank bigint, product_id bigint, brand text, category text, revenue numeric, purchases bigint, revenue_before numeric, change numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '64MB' SET jit = off AS $$
    -- In whole cents: sums of integers take half the time. A sum that is none in 64 bits, which only absurd prices make, stays a decimal.
    WITH cents AS (
        SELECT c.product_id, event_date >= from_day AS is_now, c.purchases, c.revenue, c.revenue < 90000000000000000 AS small
        FROM mart.product_days c WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day AND c.purchases > 0
    ), sums AS (
        SELECT c.product_id, coalesce(sum(c.purchases) FILTER (WHERE is_now), 0) AS purchases,
               coalesce(sum((c.revenue * 100)::bigint) FILTER (WHERE is_now AND small), 0) / 100 + coalesce(sum(c.revenue) FILTER (WHERE is_now AND NOT small), 0) AS revenue,
               coalesce(sum((c.revenue * 100)::bigint) FILTER (WHERE NOT is_now AND small), 0) / 100 + coalesce(sum(c.revenue) FILTER (WHERE NOT is_now AND NOT small), 0) AS before
        FROM cents c GROUP BY 1
    ), top AS (
        SELECT row_number() OVER (ORDER BY s.revenue DESC, s.purchases DESC, s.product_id) AS rank, s.* FROM sums s WHERE s.purchases > 0 ORDER BY 1 LIMIT how_many
    )
    SELECT t.rank, t.product_id, p.brand, p.category, round(t.revenue, 2), t.purchases::bigint, round(t.before, 2), reporting.change(t.revenue, t.before)
    FROM top t LEFT JOIN mart.dim_products p USING (product_id) ORDER BY 1
$$;
