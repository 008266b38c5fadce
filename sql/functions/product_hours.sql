-- Products and categories by hour: for the newest hour that has a counted event, and the eight days
-- before it. Older hours are deleted. An event that arrives when its hour is older is not counted
-- here. So the result does not depend on the order of events.

CREATE OR REPLACE FUNCTION mart.hour_of(day date, hour int) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (day::timestamp + make_interval(hours => hour)) AT TIME ZONE 'UTC'
$$;
COMMENT ON FUNCTION mart.hour_of(date, int) IS 'When this hour of a UTC day begins.';

CREATE OR REPLACE FUNCTION mart.product_hours_from() RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT mart.hour_of(event_date - 8, hour)
    FROM mart.hour_totals ORDER BY event_date DESC, hour DESC LIMIT 1
$$;

-- Refresh: after mart.count_hours(), which knows the newest hour. The sums of loaders are stored as
-- they are. One load rarely has two sums of the same hour and product. Readers add up the sums.
CREATE OR REPLACE FUNCTION mart.count_product_hours() RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    keep_from timestamptz := mart.product_hours_from();
BEGIN
    INSERT INTO mart.product_hours
    SELECT mart.hour_of(event_date, hour), array_agg(product_id), array_agg(views),
           array_agg(purchases)
    FROM (SELECT event_date, unnest(product_hour) AS hour, unnest(product_id) AS product_id,
                 unnest(product_views)::bigint AS views,
                 unnest(product_purchases)::bigint AS purchases
          FROM mart.batch_sums WHERE product_hour IS NOT NULL) AS batch
    WHERE views + purchases > 0
    GROUP BY event_date, hour HAVING mart.hour_of(event_date, hour) >= keep_from;

    INSERT INTO mart.category_hours AS t
    SELECT mart.hour_of(event_date, hour), category, views, purchases
    FROM (SELECT event_date, hour, category, sum(views) AS views, sum(purchases) AS purchases
          FROM (SELECT event_date, unnest(product_hour) AS hour,
                       unnest(product_category) AS category, unnest(product_views) AS views,
                       unnest(product_purchases) AS purchases
                FROM mart.batch_sums WHERE product_hour IS NOT NULL) AS batch
          GROUP BY event_date, hour, category) AS sums
    WHERE views + purchases > 0 AND mart.hour_of(event_date, hour) >= keep_from
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
        SELECT mart.hour_of(event_date, e.hour) AS hour, product_id, category,
               count(*) FILTER (WHERE event_type = 'view') AS views,
               count(*) FILTER (WHERE event_type = 'purchase') AS purchases
        FROM mart.new_events e
        WHERE event_type IN ('view', 'purchase')
              AND event_date >= (keep_from AT TIME ZONE 'UTC')::date
        GROUP BY 1, 2, 3
    ), products AS (
        INSERT INTO mart.product_hours
        SELECT hour, array_agg(product_id), array_agg(views), array_agg(purchases)
        FROM (SELECT hour, product_id, sum(views)::bigint AS views,
                     sum(purchases)::bigint AS purchases
              FROM sums WHERE hour >= keep_from GROUP BY hour, product_id) AS product
        GROUP BY hour
    )
    INSERT INTO mart.category_hours
    SELECT hour, category, sum(views), sum(purchases) FROM sums WHERE hour >= keep_from
    GROUP BY hour, category;
END
$body$;
