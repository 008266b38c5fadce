-- Functions about products. Each takes the first and the last day of a period (UTC, both included).
-- Columns with `before` in their name describe the period of the same length just before. A rate is
-- null if its divisor is 0.

CREATE OR REPLACE FUNCTION reporting.top_categories(
    from_day date, to_day date, how_many int DEFAULT 15)
RETURNS TABLE (rank bigint, category text, revenue numeric, share numeric, purchases bigint,
               views bigint, revenue_before numeric, change numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH sums AS (
        SELECT c.category,
               coalesce(sum(c.revenue) FILTER (WHERE event_date >= from_day), 0) AS revenue,
               coalesce(sum(c.purchases) FILTER (WHERE event_date >= from_day), 0) AS purchases,
               coalesce(sum(c.views) FILTER (WHERE event_date >= from_day), 0) AS views,
               coalesce(sum(c.revenue) FILTER (WHERE event_date < from_day), 0) AS before
        FROM mart.category_days c
        WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day GROUP BY 1
    ), shared AS (SELECT *, round(revenue / nullif(sum(revenue) OVER (), 0), 4) AS share FROM sums)
    SELECT row_number() OVER (ORDER BY revenue DESC, purchases DESC, views DESC, category),
           category, revenue, share, purchases::bigint, views::bigint, before,
           reporting.change(revenue, before)
    FROM shared WHERE category <> 'unknown' AND purchases > 0 ORDER BY 1 LIMIT how_many
$$;
COMMENT ON FUNCTION reporting.top_categories(date, date, int) IS
    'Category codes by revenue (then purchases, views). share: of all revenue, including events '
    'without a category, which have no row here.';

CREATE OR REPLACE FUNCTION reporting.top_selling_brands(
    from_day date, to_day date, how_many int DEFAULT 15)
RETURNS TABLE (rank bigint, brand text, revenue numeric, share numeric, purchases bigint,
               views bigint, revenue_before numeric, change numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH sums AS (
        SELECT c.brand,
               coalesce(sum(c.revenue) FILTER (WHERE event_date >= from_day), 0) AS revenue,
               coalesce(sum(c.purchases) FILTER (WHERE event_date >= from_day), 0) AS purchases,
               coalesce(sum(c.views) FILTER (WHERE event_date >= from_day), 0) AS views,
               coalesce(sum(c.revenue) FILTER (WHERE event_date < from_day), 0) AS before
        FROM mart.brand_days c
        WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day GROUP BY 1
    ), shared AS (SELECT *, round(revenue / nullif(sum(revenue) OVER (), 0), 4) AS share FROM sums)
    SELECT row_number() OVER (ORDER BY revenue DESC, purchases DESC, views DESC, brand), brand,
           revenue, share, purchases::bigint, views::bigint, before,
           reporting.change(revenue, before)
    FROM shared WHERE brand <> 'unknown' AND purchases > 0 ORDER BY 1 LIMIT how_many
$$;
COMMENT ON FUNCTION reporting.top_selling_brands(date, date, int) IS
    'Brands by revenue (then purchases, views). share: of all revenue, including purchases without '
    'a brand, which have no row here.';

CREATE OR REPLACE FUNCTION reporting.top_products(
    from_day date, to_day date, how_many int DEFAULT 15)
RETURNS TABLE (rank bigint, product_id bigint, brand text, category text, revenue numeric,
               purchases bigint, revenue_before numeric, change numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '64MB'
    SET jit = off AS $$
    SELECT row_number() OVER (ORDER BY t.revenue DESC, t.purchases DESC, t.product_id),
           t.product_id, t.brand, t.category, round(t.revenue, 2), t.purchases::bigint,
           b.revenue, reporting.change(t.revenue, b.revenue)
    FROM mart.best_sellers(from_day, to_day, NULL, NULL, how_many) t,
         LATERAL (SELECT coalesce(sum(s.revenue), 0.00) AS revenue
                  FROM mart.product_sales s
                  WHERE s.product_id = t.product_id
                        AND event_date BETWEEN from_day - (to_day - from_day + 1)
                                           AND from_day - 1) AS b
    ORDER BY 1
$$;
COMMENT ON FUNCTION reporting.top_products(date, date, int) IS
    'Products by revenue (then purchases), with brand and category as of their latest event.';

CREATE OR REPLACE FUNCTION reporting.category_attention(
    from_day date, to_day date, how_many int DEFAULT 15)
RETURNS TABLE (rank bigint, category text, views bigint, purchases bigint,
               purchases_per_view numeric, overall_rate numeric, missed_purchases numeric,
               purchases_per_view_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH sums AS (
        SELECT c.category, coalesce(sum(c.views) FILTER (WHERE event_date >= from_day), 0) AS views,
               coalesce(sum(c.purchases) FILTER (WHERE event_date >= from_day), 0) AS purchases,
               sum(c.views) FILTER (WHERE event_date < from_day) AS views_before,
               sum(c.purchases) FILTER (WHERE event_date < from_day) AS purchases_before
        FROM mart.category_days c
        WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day GROUP BY 1
    ), overall AS (
        SELECT sum(purchases) / nullif(sum(views), 0) AS rate,
               percentile_cont(0.75) WITHIN GROUP (ORDER BY views) FILTER (WHERE views > 0) AS many
        FROM sums
    )
    SELECT row_number() OVER (ORDER BY views * rate - purchases DESC, category), category,
           views::bigint, purchases::bigint, round(purchases / views, 4), round(rate, 4),
           round(views * rate - purchases, 1), round(purchases_before / nullif(views_before, 0), 4)
    FROM sums, overall WHERE views > 0 AND views >= many AND purchases / views < rate
    ORDER BY 1 LIMIT how_many
$$;
COMMENT ON FUNCTION reporting.category_attention(date, date, int) IS
    'Many views, few purchases: categories in the top quarter by views that sell less per view '
    'than all categories together. missed_purchases: how many more purchases the overall rate '
    'would give. unknown is included.';

CREATE OR REPLACE FUNCTION reporting.price_bands(from_day date, to_day date)
RETURNS TABLE (band smallint, price_band text, views bigint, carts bigint, purchases bigint,
               revenue numeric, purchases_per_view numeric, revenue_before numeric, change numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT b.band, b.label, coalesce(sum(d.views) FILTER (WHERE event_date >= from_day), 0)::bigint,
           coalesce(sum(d.carts) FILTER (WHERE event_date >= from_day), 0)::bigint,
           coalesce(sum(d.purchases) FILTER (WHERE event_date >= from_day), 0)::bigint,
           coalesce(sum(d.revenue) FILTER (WHERE event_date >= from_day), 0),
           round(sum(d.purchases) FILTER (WHERE event_date >= from_day)
                 / nullif(sum(d.views) FILTER (WHERE event_date >= from_day), 0), 4),
           coalesce(sum(d.revenue) FILTER (WHERE event_date < from_day), 0),
           reporting.change(sum(d.revenue) FILTER (WHERE event_date >= from_day),
                            sum(d.revenue) FILTER (WHERE event_date < from_day))
    FROM mart.price_bands b
    LEFT JOIN mart.price_band_days d ON d.band = b.band
        AND event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day
    GROUP BY b.band, b.label ORDER BY b.band
$$;
COMMENT ON FUNCTION reporting.price_bands(date, date) IS
    'Events and revenue by the price that the event had. Lower limits belong to their band.';
