-- Functions about sales. Each takes the first and the last day of a period (UTC, both included).
-- Columns with `before` in their name describe the period of the same length just before. A rate is
-- null if its divisor is 0.

CREATE OR REPLACE FUNCTION mart.sold(
    from_day date, to_day date,
    OUT revenue numeric, OUT purchases bigint)
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(h.revenue), 0), coalesce(sum(h.purchases), 0)::bigint
    FROM mart.hour_totals h WHERE event_date BETWEEN from_day AND to_day
$$;

-- Distinct sessions with a purchase in the period: the sum of the days, minus repeated sessions.
CREATE OR REPLACE FUNCTION mart.orders(from_day date, to_day date) RETURNS bigint
    LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT sum(orders) FROM mart.day_totals
                     WHERE event_date BETWEEN from_day AND to_day), 0)::bigint
         - (SELECT count(*) - count(DISTINCT session_id) FROM mart.long_orders
            WHERE event_date BETWEEN from_day AND to_day)
$$;

CREATE OR REPLACE FUNCTION reporting.sales_summary(from_day date, to_day date)
RETURNS TABLE (line int, measure text, value numeric, before numeric, change numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '64MB'
    SET jit = off AS $$
    WITH span AS (SELECT from_day - (to_day - from_day + 1) AS before_day)
    SELECT m.line, m.measure, m.value, m.before, reporting.change(m.value, m.before)
    FROM span, mart.sold(from_day, to_day) AS n, mart.sold(before_day, from_day - 1) AS b,
         mart.orders(from_day, to_day) AS orders,
         mart.orders(before_day, from_day - 1) AS orders_before,
         mart.buyers_of(from_day, to_day) AS u,
         mart.buyers_of(before_day, from_day - 1) AS ub, LATERAL (VALUES
        (1, 'revenue', n.revenue, b.revenue), (2, 'purchases', n.purchases, b.purchases),
        (3, 'orders', orders, orders_before),
        (4, 'average_order_value', round(n.revenue / nullif(orders, 0), 2),
         round(b.revenue / nullif(orders_before, 0), 2)),
        (5, 'buyers', u.buyers, ub.buyers),
        (6, 'repeat_buyers', u.repeat_buyers, ub.repeat_buyers),
        (7, 'new_buyers', u.new_buyers, ub.new_buyers),
        (8, 'repeat_share', round(u.repeat_buyers::numeric / nullif(u.buyers, 0), 4),
         round(ub.repeat_buyers::numeric / nullif(ub.buyers, 0), 4)))
        AS m(line, measure, value, before)
    ORDER BY 1
$$;
COMMENT ON FUNCTION reporting.sales_summary(date, date) IS
    'revenue; purchases (events); orders (distinct sessions with a purchase in the period); '
    'average_order_value (revenue per order); buyers (users who bought); repeat_buyers (with two '
    'orders and more in the period), repeat_share of buyers; new_buyers (no purchase before the '
    'period).';

CREATE OR REPLACE FUNCTION reporting.cart_abandonment(from_day date, to_day date)
RETURNS TABLE (cart_sessions bigint, abandoned_sessions bigint, abandonment_rate numeric,
               abandoned_items bigint, abandoned_value numeric, abandonment_rate_before numeric,
               abandoned_value_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(d.cart_sessions) FILTER (WHERE now), 0)::bigint,
           coalesce(sum(d.abandoned_sessions) FILTER (WHERE now), 0)::bigint,
           round(sum(d.abandoned_sessions) FILTER (WHERE now)
                 / nullif(sum(d.cart_sessions) FILTER (WHERE now), 0), 4),
           coalesce(sum(d.abandoned_items) FILTER (WHERE now), 0)::bigint,
           coalesce(sum(d.abandoned_value) FILTER (WHERE now), 0),
           round(sum(d.abandoned_sessions) FILTER (WHERE NOT now)
                 / nullif(sum(d.cart_sessions) FILTER (WHERE NOT now), 0), 4),
           coalesce(sum(d.abandoned_value) FILTER (WHERE NOT now), 0)
    FROM mart.day_totals d, LATERAL (SELECT event_date >= from_day AS now) AS w
    WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day
$$;
COMMENT ON FUNCTION reporting.cart_abandonment(date, date) IS
    'Sessions with a cart event, and those that left a product in the cart; see '
    'cart_abandonment_by_day. Per UTC day: a cart of yesterday bought today counts as abandoned '
    'yesterday.';

CREATE OR REPLACE FUNCTION reporting.checkout_abandonment(from_day date, to_day date)
RETURNS TABLE (checkout_sessions bigint, abandoned_sessions bigint, abandonment_rate numeric,
               abandoned_items bigint, abandoned_value numeric, abandonment_rate_before numeric,
               abandoned_value_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(d.checkout_sessions) FILTER (WHERE now), 0)::bigint,
           coalesce(sum(d.abandoned_checkouts) FILTER (WHERE now), 0)::bigint,
           round(sum(d.abandoned_checkouts) FILTER (WHERE now)
                 / nullif(sum(d.checkout_sessions) FILTER (WHERE now), 0), 4),
           coalesce(sum(d.checkout_items) FILTER (WHERE now), 0)::bigint,
           coalesce(sum(d.checkout_value) FILTER (WHERE now), 0),
           round(sum(d.abandoned_checkouts) FILTER (WHERE NOT now)
                 / nullif(sum(d.checkout_sessions) FILTER (WHERE NOT now), 0), 4),
           coalesce(sum(d.checkout_value) FILTER (WHERE NOT now), 0)
    FROM mart.day_totals d, LATERAL (SELECT event_date >= from_day AS now) AS w
    WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day
$$;
COMMENT ON FUNCTION reporting.checkout_abandonment(date, date) IS
    'Sessions with a checkout, and those without a purchase at or after their last checkout; with '
    'the products of checkouts after the last purchase, and their prices then. Per UTC day.';
