-- What each session and day contributes to day totals and journeys. One without steps has only
-- views.
CREATE OR REPLACE VIEW mart.session_states AS
SELECT d.event_date, coalesce(s.path, 'view') AS path, coalesce(s.stage, 1::smallint) AS stage,
       d.views, d.carts, d.purchases, d.revenue,
       coalesce(s.abandoned_items, 0) AS abandoned_items,
       coalesce(s.abandoned_value, 0) AS abandoned_value,
       coalesce(d.last_purchase >= d.first_view, false) AS view_purchase,
       coalesce(s.reached, s.stage) AS reached, s.checkout_items, s.checkout_value
FROM (SELECT session_id, event_date, sum(views) AS views, sum(carts) AS carts,
             sum(purchases) AS purchases, sum(revenue) AS revenue, min(first_view) AS first_view,
             max(last_purchase) AS last_purchase
      FROM mart.session_days GROUP BY session_id, event_date) AS d
LEFT JOIN mart.session_steps s USING (session_id, event_date);
