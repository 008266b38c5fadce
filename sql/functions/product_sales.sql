-- Products: what they sold on each day and over all days, and their prices. One function is for the
-- refresh and reads mart.new_products. The other is for the rebuild.

CREATE OR REPLACE FUNCTION mart.merge_product_sales() RETURNS void LANGUAGE sql AS $$
    WITH sold AS MATERIALIZED (
        SELECT product_id, event_date, sum(purchases) AS purchases, mart.total(revenue) AS revenue
        FROM mart.new_products WHERE purchases > 0 GROUP BY 1, 2
    ), total AS (
        INSERT INTO mart.product_totals AS t
        SELECT product_id, sum(revenue) FROM sold GROUP BY product_id
        ON CONFLICT (product_id) DO UPDATE SET revenue = t.revenue + excluded.revenue
    )
    INSERT INTO mart.product_sales AS t (product_id, event_date, purchases, revenue)
    SELECT product_id, event_date, purchases, revenue FROM sold
    ON CONFLICT (product_id, event_date) DO UPDATE SET
        purchases = t.purchases + excluded.purchases, revenue = t.revenue + excluded.revenue;
    WITH new_price AS (
        INSERT INTO mart.product_prices
        SELECT DISTINCT product_id, price FROM mart.new_products n
        WHERE price IS NOT NULL
              AND NOT EXISTS (SELECT FROM mart.product_prices p
                              WHERE p.product_id = n.product_id AND p.price = n.price)
        ORDER BY product_id, price
        RETURNING product_id, price
    )
    INSERT INTO mart.product_price_ranges AS t
    SELECT product_id, count(*), min(price), max(price) FROM new_price GROUP BY product_id
    ON CONFLICT (product_id) DO UPDATE SET
        prices = t.prices + excluded.prices, lowest = least(t.lowest, excluded.lowest),
        highest = greatest(t.highest, excluded.highest)
$$;

CREATE OR REPLACE FUNCTION mart.rebuild_product_sales() RETURNS void LANGUAGE sql AS $$
    DELETE FROM mart.product_sales;
    INSERT INTO mart.product_sales (product_id, event_date, purchases, revenue)
    SELECT product_id, event_date, sum(purchases), sum(revenue)
    FROM mart.product_days WHERE purchases > 0 GROUP BY 1, 2;
    DELETE FROM mart.product_totals;
    INSERT INTO mart.product_totals
    SELECT product_id, sum(revenue) FROM mart.product_days WHERE purchases > 0 GROUP BY 1;
    DELETE FROM mart.product_prices;
    INSERT INTO mart.product_prices
    SELECT DISTINCT product_id, price FROM mart.product_days WHERE price IS NOT NULL;
    DELETE FROM mart.product_price_ranges;
    INSERT INTO mart.product_price_ranges
    SELECT product_id, count(*), min(price), max(price) FROM mart.product_prices
    GROUP BY product_id;
$$;
