-- What each touched session and day contributes to day totals and journeys.
CREATE OR REPLACE VIEW mart.touched_state AS
SELECT t.event_date, coalesce(s.path, 'view') AS path, coalesce(s.stage, 1::smallint) AS stage,
       d.views, d.carts, d.purchases, d.revenue,
       coalesce(s.abandoned_items, 0) AS abandoned_items,
       coalesce(s.abandoned_value, 0) AS abandoned_value
FROM mart.touched t
CROSS JOIN LATERAL (SELECT sum(views)::bigint AS views, sum(carts)::bigint AS carts,
                           sum(purchases)::bigint AS purchases, sum(revenue) AS revenue
                    FROM mart.session_days
                    WHERE session_key = t.session_key AND event_date = t.event_date
                    HAVING count(*) > 0) d
LEFT JOIN mart.session_steps s ON s.session_key = t.session_key AND s.event_date = t.event_date;
