-- The products of a period with the highest revenue.
--
-- No period has more revenue of a product than all days together (mart.product_totals), because no
-- price is negative. So the products that are best over all days are added up for the period first.
-- The last place among them is the least revenue that one of the best must have. Only the products
-- with at least that revenue over all days are added up then. In a month of 451,000 sold products
-- and days, these are a few dozen.
--
-- If too few of the first products were sold in the period, all products remain. If too many
-- remain, all sold products of the period are added up.

CREATE OR REPLACE FUNCTION mart.best_sellers_many() RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 5000 $$;
COMMENT ON FUNCTION mart.best_sellers_many() IS
    'With more products that can be among the best, all sold products of the period are added up '
    '(mart.best_sellers).';

CREATE OR REPLACE FUNCTION mart.best_sellers(
    from_day date, to_day date, of_category text, of_brand text, how_many int)
RETURNS TABLE (product_id bigint, category text, brand text, purchases numeric, revenue numeric)
LANGUAGE sql STABLE AS $$
    WITH wanted AS NOT MATERIALIZED (
        SELECT t.product_id, t.revenue FROM mart.product_totals t
        WHERE of_category IS NULL AND of_brand IS NULL
        UNION ALL
        SELECT t.product_id, t.revenue
        FROM mart.dim_products p JOIN mart.product_totals t USING (product_id)
        WHERE (of_category IS NOT NULL OR of_brand IS NOT NULL)
              AND (of_category IS NULL OR p.category = of_category
                   OR starts_with(p.category, of_category || '.'))
              AND (of_brand IS NULL OR p.brand = of_brand)
    ), lowest AS MATERIALIZED (
        SELECT s.revenue
        FROM (SELECT w.product_id FROM wanted w
              ORDER BY w.revenue DESC LIMIT 5::bigint * how_many + 50) AS first,
             LATERAL (SELECT sum(d.revenue) AS revenue FROM mart.product_sales d
                      WHERE d.product_id = first.product_id
                            AND d.event_date BETWEEN from_day AND to_day) AS s
        WHERE s.revenue IS NOT NULL AND how_many BETWEEN 1 AND mart.best_sellers_many()
        ORDER BY s.revenue DESC OFFSET how_many - 1 LIMIT 1
    ), few AS MATERIALIZED (
        SELECT w.product_id FROM wanted w
        WHERE w.revenue >= coalesce((SELECT l.revenue FROM lowest l), 0)
        LIMIT mart.best_sellers_many() + 1
    ), is_few AS MATERIALIZED (
        SELECT count(*) <= mart.best_sellers_many() AS yes FROM few
    ), sold AS (
        SELECT f.product_id, s.purchases, s.revenue
        FROM few f,
             LATERAL (SELECT sum(d.purchases) AS purchases, sum(d.revenue) AS revenue
                      FROM mart.product_sales d
                      WHERE d.product_id = f.product_id
                            AND d.event_date BETWEEN from_day AND to_day) AS s
        WHERE s.purchases IS NOT NULL AND (SELECT yes FROM is_few)
        UNION ALL
        SELECT d.product_id, sum(d.purchases),
               -- Times 0.01, because a division rounds to 16 digits.
               coalesce(sum(d.cents), 0) * 0.01
                   + coalesce(sum(d.revenue) FILTER (WHERE d.cents IS NULL), 0)
        FROM mart.product_sales d
        WHERE d.event_date BETWEEN from_day AND to_day AND NOT (SELECT yes FROM is_few)
              AND (of_category IS NULL AND of_brand IS NULL
                   OR d.product_id IN (SELECT w.product_id FROM wanted w))
        GROUP BY d.product_id
    )
    SELECT s.product_id, p.category, p.brand, s.purchases, s.revenue
    FROM (SELECT * FROM sold s
          ORDER BY s.revenue DESC, s.purchases DESC, s.product_id LIMIT how_many) AS s
    LEFT JOIN mart.dim_products p USING (product_id)
$$;
