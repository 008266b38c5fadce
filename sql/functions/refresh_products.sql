-- Refresh: products, categories, brands and price bands.

-- The new rows are in the order of product_id, so that their places in the indexes are near to each
-- other.
CREATE OR REPLACE FUNCTION mart.count_products() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    INSERT INTO mart.new_products
    SELECT event_date, product_id, category, brand, price, sum(views), sum(carts), sum(removes),
           sum(checkouts), sum(purchases), coalesce(sum(purchases) * price, 0), min(first),
           max(last)
    FROM (SELECT event_date, unnest(b.product_id) AS product_id,
                 unnest(product_category) AS category, unnest(product_brand) AS brand,
                 unnest(product_price) AS price, unnest(product_views) AS views,
                 unnest(product_carts) AS carts, unnest(product_removes) AS removes,
                 unnest(product_checkouts) AS checkouts, unnest(product_purchases) AS purchases,
                 unnest(product_first) AS first, unnest(product_last) AS last
          FROM mart.batch_sums b) AS sums
    GROUP BY event_date, product_id, category, brand, price
    ORDER BY product_id, event_date;

    PERFORM mart.merge_product_days();
    PERFORM mart.merge_category_brands();
    PERFORM mart.merge_price_bands();
    PERFORM mart.merge_products();
    PERFORM mart.merge_categories();
    PERFORM mart.merge_product_sales();
    TRUNCATE mart.new_products;
END
$body$;

-- The setting forces a search by day and product; otherwise the planner may read all of
-- mart.product_days.
CREATE OR REPLACE FUNCTION mart.merge_product_days() RETURNS void LANGUAGE sql
SET enable_hashjoin = off AS $$
    MERGE INTO mart.product_days t USING mart.new_products n
    ON t.event_date = n.event_date AND t.product_id = n.product_id AND t.category = n.category
       AND t.brand = n.brand AND t.price IS NOT DISTINCT FROM n.price
    WHEN MATCHED THEN UPDATE SET
        views = t.views + n.views, carts = t.carts + n.carts, removes = t.removes + n.removes,
        checkouts = t.checkouts + n.checkouts, purchases = t.purchases + n.purchases,
        revenue = t.revenue + n.revenue, first_time = least(t.first_time, n.first_time),
        last_time = greatest(t.last_time, n.last_time)
    WHEN NOT MATCHED THEN INSERT VALUES (
        n.event_date, n.product_id, n.category, n.brand, n.price, n.views, n.carts, n.removes,
        n.checkouts, n.purchases, n.revenue, n.first_time, n.last_time)
$$;

-- The sums by category and by brand are made from those by both. The list of days makes the MERGE
-- read only these days of mart.category_brand_days.
CREATE OR REPLACE FUNCTION mart.merge_category_brands() RETURNS void LANGUAGE sql AS $$
    WITH added AS MATERIALIZED (
        SELECT event_date, category, brand, sum(views) AS views, sum(carts) AS carts,
               sum(removes) AS removes, sum(checkouts) AS checkouts, sum(purchases) AS purchases,
               mart.total(revenue) AS revenue
        FROM mart.new_products GROUP BY event_date, category, brand
    ), category AS MATERIALIZED (
        SELECT event_date, category, sum(views) AS views, sum(carts) AS carts,
               sum(removes) AS removes, sum(checkouts) AS checkouts, sum(purchases) AS purchases,
               sum(revenue) AS revenue
        FROM added GROUP BY event_date, category
    ), category_days AS (
        INSERT INTO mart.category_days AS t SELECT * FROM category
        ON CONFLICT (event_date, category) DO UPDATE SET
            views = t.views + excluded.views, carts = t.carts + excluded.carts,
            removes = t.removes + excluded.removes, checkouts = t.checkouts + excluded.checkouts,
            purchases = t.purchases + excluded.purchases, revenue = t.revenue + excluded.revenue
    ), clickstream_metrics AS (
        INSERT INTO reporting.clickstream_metrics AS t
            (event_date, category, total_events, total_revenue)
        SELECT event_date, category, views + carts + removes + checkouts + purchases, revenue
        FROM category
        ON CONFLICT (category, event_date) DO UPDATE SET
            total_events = t.total_events + excluded.total_events,
            total_revenue = t.total_revenue + excluded.total_revenue
    ), brand_days AS (
        INSERT INTO mart.brand_days AS t
        SELECT event_date, brand, sum(views), sum(carts), sum(removes), sum(checkouts),
               sum(purchases), sum(revenue)
        FROM added GROUP BY event_date, brand
        ON CONFLICT (event_date, brand) DO UPDATE SET
            views = t.views + excluded.views, carts = t.carts + excluded.carts,
            removes = t.removes + excluded.removes, checkouts = t.checkouts + excluded.checkouts,
            purchases = t.purchases + excluded.purchases, revenue = t.revenue + excluded.revenue
    )
    MERGE INTO mart.category_brand_days t USING added n
    ON t.event_date = ANY (ARRAY(SELECT DISTINCT event_date FROM mart.new_batches))
       AND t.event_date = n.event_date AND t.category = n.category AND t.brand = n.brand
    WHEN MATCHED THEN UPDATE SET
        views = t.views + n.views, carts = t.carts + n.carts, removes = t.removes + n.removes,
        checkouts = t.checkouts + n.checkouts, purchases = t.purchases + n.purchases,
        revenue = t.revenue + n.revenue
    WHEN NOT MATCHED THEN INSERT VALUES (
        n.event_date, n.category, n.brand, n.views, n.carts, n.removes, n.checkouts, n.purchases,
        n.revenue)
$$;

CREATE OR REPLACE FUNCTION mart.merge_price_bands() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.price_band_days AS t
    SELECT event_date, mart.price_band(price), sum(views), sum(carts), sum(removes), sum(checkouts),
           sum(purchases), sum(revenue)
    FROM mart.new_products GROUP BY event_date, mart.price_band(price)
    ON CONFLICT (event_date, band) DO UPDATE SET
        views = t.views + excluded.views, carts = t.carts + excluded.carts,
        removes = t.removes + excluded.removes,
        checkouts = t.checkouts + excluded.checkouts, purchases = t.purchases + excluded.purchases,
        revenue = t.revenue + excluded.revenue
$$;

-- Whether one event of a product is later than another, by a total order.
CREATE OR REPLACE FUNCTION mart.is_later(
    seen timestamptz, category text, brand text, price numeric,
    than_seen timestamptz, than_category text, than_brand text, than_price numeric)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (seen, category COLLATE "C", brand COLLATE "C", coalesce(price, -1))
           > (than_seen, than_category COLLATE "C", than_brand COLLATE "C",
              coalesce(than_price, -1))
$$;

-- Reads mart.new_products, which a rebuild fills from the complete cube. The latest row is the
-- greatest by the order of mart.is_later.
CREATE OR REPLACE FUNCTION mart.merge_products() RETURNS void LANGUAGE sql
SET enable_hashjoin = off AS $$
    MERGE INTO mart.dim_products t USING (
        SELECT DISTINCT ON (product_id) product_id, category, brand, price,
               min(first_time) OVER (PARTITION BY product_id) AS first_time, last_time
        FROM mart.new_products
        ORDER BY product_id, last_time DESC, category COLLATE "C" DESC, brand COLLATE "C" DESC,
            coalesce(price, -1) DESC) AS n
    ON t.product_id = n.product_id
    WHEN MATCHED AND mart.is_later(n.last_time, n.category, n.brand, n.price, t.last_seen,
                                   t.category, t.brand, t.price)
        THEN UPDATE SET
            first_seen = least(t.first_seen, n.first_time), last_seen = n.last_time,
            category = n.category, brand = n.brand, price = n.price
    WHEN MATCHED AND n.first_time < t.first_seen
        THEN UPDATE SET first_seen = n.first_time
    WHEN NOT MATCHED THEN INSERT VALUES (
        n.product_id, n.category, n.brand, n.price, n.first_time, n.last_time)
$$;

CREATE OR REPLACE FUNCTION mart.merge_categories() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.dim_categories
    SELECT category, split_part(category, '.', 1),
           nullif(split_part(category, '.', 2), ''), nullif(split_part(category, '.', 3), ''),
           nullif(substr(category,
                         length(split_part(category, '.', 1) || split_part(category, '.', 2)
                                || split_part(category, '.', 3)) + 4), '')
    FROM (SELECT DISTINCT category FROM mart.new_products) AS c
    ON CONFLICT DO NOTHING
$$;
