-- Products, categories and brands per day.

CREATE OR REPLACE VIEW reporting.category_days AS
SELECT event_date AS day, category, split_part(category, '.', 1) AS category_level1, views, carts,
       removes, checkouts, purchases, revenue
FROM mart.category_days;
COMMENT ON VIEW reporting.category_days IS
    'Events by type and revenue of each UTC day and category code. Adds up.';

CREATE OR REPLACE VIEW reporting.brand_days AS
SELECT event_date AS day, brand, views, carts, removes, checkouts, purchases, revenue
FROM mart.brand_days;
COMMENT ON VIEW reporting.brand_days IS
    'Events by type and revenue of each UTC day and brand. Adds up.';

CREATE OR REPLACE VIEW reporting.category_brand_days AS
SELECT event_date AS day, category, split_part(category, '.', 1) AS category_level1, brand, views,
       carts, removes, checkouts, purchases, revenue
FROM mart.category_brand_days;
COMMENT ON VIEW reporting.category_brand_days IS
    'Events by type and revenue of each UTC day, category code and brand. Adds up.';

-- The index of mart.product_days begins with the day. The list of days lets a query for one product
-- use it.
CREATE OR REPLACE VIEW reporting.product_days AS
SELECT event_date AS day, product_id, category, split_part(category, '.', 1) AS category_level1,
       brand, price, views, carts, removes, checkouts, purchases, revenue
FROM mart.day_totals JOIN mart.product_days USING (event_date);
COMMENT ON VIEW reporting.product_days IS
    'Events by type and revenue of each UTC day, product, category, brand and price. Adds up.';

CREATE OR REPLACE VIEW reporting.top_brands AS
SELECT (window_start AT TIME ZONE 'UTC')::date                           AS day,
       rank() OVER (PARTITION BY window_start
                    ORDER BY revenue DESC, purchases DESC, views DESC) AS rank,
       group_value                                                       AS brand,
       views, carts, purchases, revenue, sessions, view_sessions,
       purchase_sessions                                                 AS orders,
       mart.stage_rate(p.view_to_purchase, funnel_purchase_sessions, view_sessions)
           AS view_to_purchase_rate,
       final
FROM processed.funnel_aggregates, mart.stage_rates p
WHERE rollup = '1d:brand' AND group_value <> 'unknown';
COMMENT ON VIEW reporting.top_brands IS
    'Brands of each UTC day, ranked by revenue, then purchases, then views. Events without a '
    'brand are left out.';
