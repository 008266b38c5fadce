-- What is viewed more than usual now.
--
-- now: the hour that has the newest counted event, as far as it has passed, and the hour before it.
-- So it is between one and two hours long. Usual: the mean of the same two hours of each of the
-- seven days before, of which the later one counts in proportion to the minutes that have passed.
-- Days without any event in these hours are left out of the mean.

CREATE OR REPLACE VIEW mart.trend_hours AS
WITH clock AS (
    SELECT mart.counted_to() AS now,
           date_trunc('hour', mart.counted_to() - interval '1 minute', 'UTC') AS hour
), compared AS (
    SELECT n, c.hour - n * interval '24 hours' + (k - 1) * interval '1 hour' AS hour,
           CASE WHEN k = 1 THEN extract(epoch FROM c.now - c.hour)::int / 60 ELSE 60 END AS minutes
    FROM clock c, generate_series(0, 7) AS n, generate_series(0, 1) AS k
), known AS (
    SELECT DISTINCT n
    FROM compared c JOIN mart.hour_totals h
         ON h.event_date = (c.hour AT TIME ZONE 'UTC')::date
            AND h.hour = extract(hour FROM c.hour AT TIME ZONE 'UTC')
)
SELECT n, hour, minutes, (SELECT count(*) FROM known WHERE n > 0) AS days
FROM compared WHERE n = 0 OR n IN (SELECT k.n FROM known k);
COMMENT ON VIEW mart.trend_hours IS
    'The hours that are compared: n days ago (0: now), how many minutes of the hour count, and how '
    'many earlier days are known.';

CREATE OR REPLACE VIEW mart.product_hour_totals AS
SELECT hour, product_id, sum(views) AS views, sum(purchases) AS purchases
FROM (SELECT hour, unnest(product_id) AS product_id, unnest(views) AS views,
             unnest(purchases) AS purchases
      FROM mart.product_hours) AS entry
GROUP BY hour, product_id;
COMMENT ON VIEW mart.product_hour_totals IS
    'mart.product_hours, added up: one row per UTC hour and product.';

CREATE OR REPLACE VIEW reporting.trending_products AS
WITH hour AS MATERIALIZED (
    SELECT * FROM mart.trend_hours
), now AS MATERIALIZED (
    SELECT product_id, sum(views) AS views, sum(purchases) AS purchases
    FROM (SELECT unnest(p.product_id) AS product_id, unnest(p.views) AS views,
                 unnest(p.purchases) AS purchases
          FROM hour h JOIN mart.product_hours p USING (hour) WHERE h.n = 0) AS entry
    GROUP BY product_id HAVING sum(views) >= 10
), earlier AS (
    SELECT product_id, sum(views * minutes) AS views, sum(purchases * minutes) AS purchases
    FROM (SELECT h.minutes, unnest(p.product_id) AS product_id, unnest(p.views) AS views,
                 unnest(p.purchases) AS purchases
          FROM hour h JOIN mart.product_hours p USING (hour) WHERE h.n > 0) AS entry
    WHERE product_id IN (SELECT now.product_id FROM now)
    GROUP BY product_id
), level AS (
    SELECT product_id, n.views, n.purchases, coalesce(e.views, 0) / d.minutes AS usual_views,
           coalesce(e.purchases, 0) / d.minutes AS usual_purchases
    FROM (SELECT 60 * nullif(min(days), 0) AS minutes FROM hour) AS d, now n
    LEFT JOIN earlier e USING (product_id)
)
SELECT row_number() OVER (ORDER BY (l.views + 5) / (l.usual_views + 5) DESC NULLS LAST,
                                   l.views DESC, l.product_id) AS rank,
       l.product_id, d.category, d.brand, l.views::bigint AS views,
       round(l.usual_views, 1) AS usual_views,
       round((l.views + 5) / (l.usual_views + 5), 2) AS times_usual,
       l.purchases::bigint AS purchases, round(l.usual_purchases, 1) AS usual_purchases
FROM level l
LEFT JOIN LATERAL (SELECT * FROM mart.dim_products k WHERE k.product_id = l.product_id
                   OFFSET 0) AS d ON true; -- OFFSET 0 forces a search by key: few rows are left
COMMENT ON VIEW reporting.trending_products IS
    'Products with 10 or more views now, by how many times their usual views that is. now: the '
    'hour of the newest counted event so far, and the hour before it.';
COMMENT ON COLUMN reporting.trending_products.category IS
    'Category of the latest event of the product; brand: its brand.';
COMMENT ON COLUMN reporting.trending_products.views IS 'View events now; purchases: the same.';
COMMENT ON COLUMN reporting.trending_products.usual_views IS
    'Mean of the same two hours of the seven days before, the later hour in proportion to its '
    'minutes so far. Days without any event in these hours are left out. Null: there is no other '
    'day. usual_purchases: the same for purchases.';
COMMENT ON COLUMN reporting.trending_products.times_usual IS
    '(views + 5) / (usual_views + 5): few views do not make a trend.';

CREATE OR REPLACE VIEW reporting.trending_categories AS
WITH hour AS MATERIALIZED (
    SELECT * FROM mart.trend_hours
), level AS (
    SELECT category, sum(c.views) FILTER (WHERE n = 0) AS views,
           sum(c.purchases) FILTER (WHERE n = 0) AS purchases,
           coalesce(sum(c.views * h.minutes) FILTER (WHERE n > 0), 0)
               / nullif(60 * min(h.days), 0) AS usual_views,
           coalesce(sum(c.purchases * h.minutes) FILTER (WHERE n > 0), 0)
               / nullif(60 * min(h.days), 0) AS usual_purchases
    FROM hour h JOIN mart.category_hours c USING (hour)
    GROUP BY category HAVING sum(c.views) FILTER (WHERE n = 0) >= 10
)
SELECT row_number() OVER (ORDER BY (l.views + 5) / (l.usual_views + 5) DESC NULLS LAST,
                                   l.views DESC, l.category) AS rank,
       l.category, l.views::bigint AS views, round(l.usual_views, 1) AS usual_views,
       round((l.views + 5) / (l.usual_views + 5), 2) AS times_usual,
       l.purchases::bigint AS purchases, round(l.usual_purchases, 1) AS usual_purchases
FROM level l;
COMMENT ON VIEW reporting.trending_categories IS
    'Category codes (unknown where the event has none) with 10 or more views now, with the columns '
    'of trending_products.';
