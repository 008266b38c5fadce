-- Products and categories by hour: for the newest hour that has a counted event, and the eight days
-- before it. Older hours are deleted. An event that arrives when its hour is older is not counted
-- here. So the result does not depend on the order of events.

CREATE OR REPLACE FUNCTION mart.product_hours_from() RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT (event_date::timestamp + make_interval(hours => hour, days => -8)) AT TIME ZONE 'UTC'
    FROM mart.hour_totals ORDER BY event_date DESC, hour DESC LIMIT 1
$$;

-- Refresh: after mart.count_hours(), which knows the newest hour.
CREATE OR REPLACE FUNCTION mart.count_product_hours() RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    keep_from timestamptz := mart.product_hours_from();
BEGIN
    WITH sums AS MATERIALIZED (
        SELECT hour, product_id, category, sum(views) AS views, sum(purchases) AS purchases
        FROM (SELECT (event_date::timestamp + make_interval(hours => s.hour)) AT TIME ZONE 'UTC'
                         AS hour,
                     s.product_id, s.category, s.views, s.purchases
              FROM mart.batch_sums b,
                   unnest(b.product_hour, b.product_id, b.product_category, b.product_views,
                          b.product_purchases) AS s(hour, product_id, category, views, purchases)
              WHERE b.product_hour IS NOT NULL
                    AND event_date >= (keep_from AT TIME ZONE 'UTC')::date
                    AND s.views + s.purchases > 0) AS batch
        WHERE hour >= keep_from GROUP BY hour, product_id, category
    ), products AS (
        INSERT INTO mart.product_hours AS t
        SELECT hour, product_id, sum(views), sum(purchases) FROM sums GROUP BY hour, product_id
        ON CONFLICT (hour, product_id) DO UPDATE SET
            views = t.views + excluded.views, purchases = t.purchases + excluded.purchases
    )
    INSERT INTO mart.category_hours AS t
    SELECT hour, category, sum(views), sum(purchases) FROM sums GROUP BY hour, category
    ON CONFLICT (hour, category) DO UPDATE SET
        views = t.views + excluded.views, purchases = t.purchases + excluded.purchases;
    DELETE FROM mart.product_hours WHERE hour < keep_from;
    DELETE FROM mart.category_hours WHERE hour < keep_from;
END
$body$;

-- Hours of days that retention has dropped stay.
CREATE OR REPLACE FUNCTION mart.rebuild_product_hours() RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    keep_from timestamptz := mart.product_hours_from();
    raw_from  date := (SELECT s.raw_from FROM mart.state s);
BEGIN
    DELETE FROM mart.product_hours
    WHERE hour < keep_from OR hour >= raw_from::timestamp AT TIME ZONE 'UTC' OR keep_from IS NULL;
    DELETE FROM mart.category_hours
    WHERE hour < keep_from OR hour >= raw_from::timestamp AT TIME ZONE 'UTC' OR keep_from IS NULL;
    WITH sums AS MATERIALIZED (
        SELECT (event_date::timestamp + make_interval(hours => e.hour)) AT TIME ZONE 'UTC' AS hour,
               product_id, category, count(*) FILTER (WHERE event_type = 'view') AS views,
               count(*) FILTER (WHERE event_type = 'purchase') AS purchases
        FROM mart.new_events e
        WHERE event_type IN ('view', 'purchase')
              AND event_date >= (keep_from AT TIME ZONE 'UTC')::date
        GROUP BY 1, 2, 3
    ), products AS (
        INSERT INTO mart.product_hours
        SELECT hour, product_id, sum(views), sum(purchases) FROM sums WHERE hour >= keep_from
        GROUP BY hour, product_id
    )
    INSERT INTO mart.category_hours
    SELECT hour, category, sum(views), sum(purchases) FROM sums WHERE hour >= keep_from
    GROUP BY hour, category;
END
$body$;
