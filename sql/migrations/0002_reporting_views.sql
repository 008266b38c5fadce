-- A first useful set of views. Rates are null, not an error, where there is nothing to divide by. Sessions are
-- exact distinct counts of one window and group: no view here adds them up over windows or groups.

CREATE VIEW reporting.funnel_by_day AS
SELECT (window_start AT TIME ZONE 'UTC')::date                           AS day,
       views, carts, removes, checkouts, purchases, revenue,
       sessions, view_sessions, cart_sessions,
       purchase_sessions                                                 AS orders,
       funnel_cart_sessions, funnel_checkout_sessions, funnel_purchase_sessions,
       round(funnel_cart_sessions::numeric / nullif(view_sessions, 0), 4)            AS view_to_cart_rate,
       round(funnel_purchase_sessions::numeric / nullif(funnel_cart_sessions, 0), 4) AS cart_to_purchase_rate,
       round(funnel_purchase_sessions::numeric / nullif(view_sessions, 0), 4)        AS view_to_purchase_rate,
       round(revenue / nullif(purchase_sessions, 0), 2)                  AS average_order_value,
       final
FROM processed.funnel_aggregates
WHERE rollup = '1d:all';
COMMENT ON VIEW reporting.funnel_by_day IS 'The funnel of each UTC day. The rates are ordered: a cart at or after the first view, a purchase at or after such a cart, all within the day.';
COMMENT ON COLUMN reporting.funnel_by_day.orders IS 'Sessions with a purchase: several purchase events of one session are one order.';
COMMENT ON COLUMN reporting.funnel_by_day.final IS 'The day is closed; before, the numbers still grow.';

CREATE VIEW reporting.funnel_by_minute AS
SELECT window_start AS minute, views, carts, removes, checkouts, purchases, revenue, sessions, view_sessions,
       purchase_sessions AS orders, funnel_cart_sessions, funnel_purchase_sessions, final
FROM processed.funnel_aggregates
WHERE rollup = '1m:all';
COMMENT ON VIEW reporting.funnel_by_minute IS 'The live funnel. No rates: within one minute few sessions get from a view to a purchase.';

CREATE VIEW reporting.funnel_by_hour_category AS
SELECT window_start                                                      AS hour,
       group_value                                                       AS category,
       split_part(group_value, '.', 1)                                   AS category_level1,
       views, carts, removes, checkouts, purchases, revenue,
       sessions, view_sessions, cart_sessions,
       purchase_sessions                                                 AS orders,
       funnel_cart_sessions, funnel_checkout_sessions, funnel_purchase_sessions,
       round(funnel_cart_sessions::numeric / nullif(view_sessions, 0), 4)            AS view_to_cart_rate,
       round(funnel_purchase_sessions::numeric / nullif(funnel_cart_sessions, 0), 4) AS cart_to_purchase_rate,
       round(funnel_purchase_sessions::numeric / nullif(view_sessions, 0), 4)        AS view_to_purchase_rate,
       final
FROM processed.funnel_aggregates
WHERE rollup = '1h:category';
COMMENT ON VIEW reporting.funnel_by_hour_category IS 'The funnel of each hour and category code (unknown where the event has none), stages counted within that hour and category.';

CREATE VIEW reporting.revenue_by_category AS
SELECT event_date                                   AS day,
       coalesce(category_code, 'unknown')           AS category,
       split_part(coalesce(category_code, 'unknown'), '.', 1) AS category_level1,
       count(*)                                     AS purchases,
       count(DISTINCT coalesce(user_session, 'user:' || user_id)) AS orders,
       sum(price)                                   AS revenue,
       round(avg(price), 2)                         AS average_price
FROM raw.events
WHERE event_type = 'purchase'
GROUP BY event_date, coalesce(category_code, 'unknown');
COMMENT ON VIEW reporting.revenue_by_category IS 'Purchases and revenue of each day and category, recounted from the events (late ones included). Revenue adds up over rows, orders do not: one order may hold several categories.';

CREATE VIEW reporting.top_brands AS
SELECT (window_start AT TIME ZONE 'UTC')::date                           AS day,
       rank() OVER (PARTITION BY window_start ORDER BY revenue DESC, purchases DESC, views DESC) AS rank,
       group_value                                                       AS brand,
       views, carts, purchases, revenue, sessions, view_sessions,
       purchase_sessions                                                 AS orders,
       round(funnel_purchase_sessions::numeric / nullif(view_sessions, 0), 4) AS view_to_purchase_rate,
       final
FROM processed.funnel_aggregates
WHERE rollup = '1d:brand' AND group_value <> 'unknown';
COMMENT ON VIEW reporting.top_brands IS 'Brands of each UTC day, ranked by revenue, then purchases, then views. Events without a brand are left out.';

CREATE VIEW reporting.drop_off AS
SELECT (visit_start AT TIME ZONE 'UTC')::date       AS day,
       furthest_stage,
       coalesce(drop_off_stage, 'completed')        AS left_after,
       count(*)                                     AS visits,
       round(count(*)::numeric / sum(count(*)) OVER (PARTITION BY (visit_start AT TIME ZONE 'UTC')::date), 4) AS share_of_visits,
       sum(revenue)                                 AS revenue,
       round(avg(duration_ms) / 1000.0, 1)          AS average_duration_s,
       count(*) FILTER (WHERE NOT final)            AS open_visits
FROM processed.session_funnels
GROUP BY (visit_start AT TIME ZONE 'UTC')::date, furthest_stage, coalesce(drop_off_stage, 'completed');
COMMENT ON VIEW reporting.drop_off IS 'Where visits of each UTC day ended: by the furthest stage reached in order. Revenue stands beside each stage because a purchase without a cart before it (a direct purchase) counts as stage view.';

CREATE VIEW reporting.count_proof AS
SELECT topic, partition, records_in, records_out, duplicates, dead,
       records_in = records_out + duplicates + dead AS balanced,
       dead_by_reason, revision, updated_at
FROM processed.counts
WHERE service = 'bronze-sink';
COMMENT ON VIEW reporting.count_proof IS 'Proof that nothing was dropped silently: every row read was passed on, was a duplicate, or is a dead letter. Per partition of the raw topic, cumulative.';
COMMENT ON COLUMN reporting.count_proof.balanced IS 'records_in = records_out + duplicates + dead. False is a defect.';

-- Bounded work whatever the size of raw.events: the newest minute comes from the key of the rollup, and only the
-- day before it and what follows is looked at.
CREATE VIEW reporting.freshness AS
WITH newest AS (
    SELECT window_start, loaded_at FROM processed.funnel_aggregates
    WHERE rollup = '1m:all' ORDER BY window_start DESC LIMIT 1
), layer AS (
    SELECT 'events'::text AS layer, max(e.event_time) AS newest_data, max(e.loaded_at) AS last_change
    FROM raw.events e
    WHERE e.event_date >= (SELECT (window_start AT TIME ZONE 'UTC')::date - 1 FROM newest)
    UNION ALL
    SELECT 'rollups', max(window_start), max(loaded_at) FROM newest
    UNION ALL
    SELECT 'visits', max(s.visit_end), max(s.loaded_at) FROM processed.session_funnels s
    WHERE s.visit_start >= (SELECT date_trunc('day', window_start, 'UTC') - interval '1 day' FROM newest)
    UNION ALL
    SELECT 'counts', NULL, max(updated_at) FROM processed.counts
)
SELECT layer, newest_data, last_change,
       round(extract(epoch FROM now() - last_change), 1) AS seconds_since_change,
       round(extract(epoch FROM last_change - newest_data), 1) AS seconds_behind_events
FROM layer;
COMMENT ON VIEW reporting.freshness IS 'How fresh each layer is. Null for a layer that has nothing within a day of the newest minute.';
COMMENT ON COLUMN reporting.freshness.newest_data IS 'Event time of the newest row: last event, start of the last minute with events, end of the latest visit.';
COMMENT ON COLUMN reporting.freshness.last_change IS 'When the layer was last written (for rollups: its newest minute).';
COMMENT ON COLUMN reporting.freshness.seconds_behind_events IS 'last_change minus newest_data: the delay in live traffic; the age of the data in a replay.';
