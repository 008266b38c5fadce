-- Sales per day, counted from events as stored, late ones included.

CREATE OR REPLACE VIEW reporting.revenue_by_category AS
SELECT d.event_date AS day, r.category, r.category_level1, r.purchases, r.orders, r.revenue,
       r.average_price
FROM mart.event_days d CROSS JOIN LATERAL mart.revenue_of_day(d.event_date) AS r;
COMMENT ON VIEW reporting.revenue_by_category IS
    'Purchases and revenue of each day and category, recounted from the events (late ones '
    'included). Revenue adds up over rows, orders do not: one order may hold several categories.';

CREATE OR REPLACE VIEW reporting.daily_revenue AS
WITH day AS (
    SELECT h.event_date, sum(h.revenue) AS revenue, sum(h.purchases)::bigint AS purchases,
           min(d.orders) AS orders
    FROM mart.hour_totals h JOIN mart.day_totals d USING (event_date) GROUP BY h.event_date
)
SELECT t.event_date AS day, t.revenue, t.purchases, t.orders,
       round(t.revenue / nullif(t.orders, 0), 2) AS average_order_value,
       y.revenue AS revenue_day_before, w.revenue AS revenue_week_before,
       reporting.change(t.revenue, w.revenue) AS change_on_week_before
FROM day t
LEFT JOIN day y ON y.event_date = t.event_date - 1
LEFT JOIN day w ON w.event_date = t.event_date - 7;
COMMENT ON VIEW reporting.daily_revenue IS
    'Revenue, purchase events and orders (sessions with a purchase) of each UTC day, with the '
    'revenue of the day before and of the same weekday a week before.';

CREATE OR REPLACE VIEW reporting.cart_abandonment_by_day AS
SELECT event_date AS day, cart_sessions, abandoned_sessions,
       round(abandoned_sessions::numeric / nullif(cart_sessions, 0), 4) AS abandonment_rate,
       abandoned_items, abandoned_value
FROM mart.day_totals;
COMMENT ON VIEW reporting.cart_abandonment_by_day IS
    'Abandoned: a product whose last step in the session and UTC day (cart, remove_from_cart, '
    'purchase) was cart. Its value is the price of that event, one piece.';

CREATE OR REPLACE VIEW reporting.checkout_abandonment_by_day AS
SELECT event_date AS day, checkout_sessions, abandoned_checkouts AS abandoned_sessions,
       round(abandoned_checkouts::numeric / nullif(checkout_sessions, 0), 4) AS abandonment_rate,
       checkout_items AS abandoned_items, checkout_value AS abandoned_value
FROM mart.day_totals;
COMMENT ON VIEW reporting.checkout_abandonment_by_day IS
    'Abandoned: a session without a purchase at or after its last checkout in the UTC day. Items: '
    'products of checkouts after the last purchase; their value is the price of that event, one '
    'piece.';
