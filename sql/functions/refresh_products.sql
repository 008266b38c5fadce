-- Refresh: products, categories, brands and price bands.

-- The new rows are in the order of the keys, so that their places in the indexes are near to each
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
    ORDER BY product_id, event_date, category, brand, price;

    INSERT INTO mart.product_days AS t SELECT * FROM mart.new_products
    ON CONFLICT (product_id, event_date, category, brand, price) DO UPDATE SET
        views = t.views + excluded.views, carts = t.carts + excluded.carts,
        removes = t.removes + excluded.removes,
        checkouts = t.checkouts + excluded.checkouts, purchases = t.purchases + excluded.purchases,
        revenue = t.revenue + excluded.revenue,
        first_time = least(t.first_time, excluded.first_time),
        last_time = greatest(t.last_time, excluded.last_time);

    INSERT INTO mart.category_days AS t
    SELECT event_date, category, sum(views), sum(carts), sum(removes), sum(checkouts),
           sum(purchases), sum(revenue)
    FROM mart.new_products GROUP BY event_date, category
    ON CONFLICT (event_date, category) DO UPDATE SET
        views = t.views + excluded.views, carts = t.carts + excluded.carts,
        removes = t.removes + excluded.removes,
        checkouts = t.checkouts + excluded.checkouts, purchases = t.purchases + excluded.purchases,
        revenue = t.revenue + excluded.revenue;

    INSERT INTO reporting.clickstream_metrics AS t
        (event_date, category, total_events, total_revenue)
    SELECT event_date, category, sum(views + carts + removes + checkouts + purchases), sum(revenue)
    FROM mart.new_products GROUP BY event_date, category
    ON CONFLICT (category, event_date) DO UPDATE SET
        total_events = t.total_events + excluded.total_events,
        total_revenue = t.total_revenue + excluded.total_revenue;

    INSERT INTO mart.brand_days AS t
    SELECT event_date, brand, sum(views), sum(carts), sum(removes), sum(checkouts), sum(purchases),
           sum(revenue)
    FROM mart.new_products GROUP BY event_date, brand
    ON CONFLICT (event_date, brand) DO UPDATE SET
        views = t.views + excluded.views, carts = t.carts + excluded.carts,
        removes = t.removes + excluded.removes,
        checkouts = t.checkouts + excluded.checkouts, purchases = t.purchases + excluded.purchases,
        revenue = t.revenue + excluded.revenue;

    INSERT INTO mart.category_brand_days AS t
    SELECT event_date, category, brand, sum(views), sum(carts), sum(removes), sum(checkouts),
           sum(purchases), sum(revenue)
    FROM mart.new_products GROUP BY event_date, category, brand
    ON CONFLICT (event_date, category, brand) DO UPDATE SET
        views = t.views + excluded.views, carts = t.carts + excluded.carts,
        removes = t.removes + excluded.removes,
        checkouts = t.checkouts + excluded.checkouts, purchases = t.purchases + excluded.purchases,
        revenue = t.revenue + excluded.revenue;

    INSERT INTO mart.price_band_days AS t
    SELECT event_date, mart.price_band(price), sum(views), sum(carts), sum(removes), sum(checkouts),
           sum(purchases), sum(revenue)
    FROM mart.new_products GROUP BY event_date, mart.price_band(price)
    ON CONFLICT (event_date, band) DO UPDATE SET
        views = t.views + excluded.views, carts = t.carts + excluded.carts,
        removes = t.removes + excluded.removes,
        checkouts = t.checkouts + excluded.checkouts, purchases = t.purchases + excluded.purchases,
        revenue = t.revenue + excluded.revenue;

    PERFORM mart.merge_products();
    PERFORM mart.merge_categories();
    PERFORM mart.merge_product_sales();
    TRUNCATE mart.new_products;
END
$body$;

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
CREATE OR REPLACE FUNCTION mart.merge_products() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.dim_products AS t
    SELECT DISTINCT ON (product_id) product_id, category, brand, price,
           min(first_time) OVER (PARTITION BY product_id), last_time
    FROM mart.new_products
    ORDER BY product_id, last_time DESC, category COLLATE "C" DESC, brand COLLATE "C" DESC,
        coalesce(price, -1) DESC
    ON CONFLICT (product_id) DO UPDATE SET
        first_seen = least(t.first_seen, excluded.first_seen),
        last_seen = greatest(t.last_seen, excluded.last_seen),
        category = CASE WHEN mart.is_later(excluded.last_seen, excluded.category, excluded.brand,
                                           excluded.price, t.last_seen, t.category, t.brand,
                                           t.price)
                        THEN excluded.category ELSE t.category END,
        brand = CASE WHEN mart.is_later(excluded.last_seen, excluded.category, excluded.brand,
                                        excluded.price, t.last_seen, t.category, t.brand, t.price)
                     THEN excluded.brand ELSE t.brand END,
        price = CASE WHEN mart.is_later(excluded.last_seen, excluded.category, excluded.brand,
                                        excluded.price, t.last_seen, t.category, t.brand, t.price)
                     THEN excluded.price ELSE t.price END
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
