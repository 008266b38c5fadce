-- The revenue of each product over all days. reporting.top_products and funnel_by_product look at
-- the products that can be among the best only, and do not add up all products sold in the period.
CREATE TABLE mart.product_totals (
    product_id bigint        NOT NULL PRIMARY KEY,
    revenue    numeric(38,2) NOT NULL
) WITH (fillfactor = 85);
COMMENT ON TABLE mart.product_totals IS
    'mart.product_sales by product. No period has more revenue of a product than all days have.';
INSERT INTO mart.product_totals
SELECT product_id, sum(revenue) FROM mart.product_sales GROUP BY product_id;
