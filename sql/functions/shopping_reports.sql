-- Reports about buyers and leavers, product paths, baskets, and what users do next. Each takes the
-- first and the last day of a period (UTC, both included). sql/README.md, "Buyers, paths and
-- baskets", has the definitions. mart.refresh_shopping() counts the days.

CREATE OR REPLACE FUNCTION reporting.buyer_lift(
    from_day date, to_day date, dimension text, minimum_sessions bigint DEFAULT 100)
RETURNS TABLE (value text, buying_sessions bigint, leaving_sessions bigint, buying_share numeric,
               leaving_share numeric, lift numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $body$
#variable_conflict use_column
DECLARE
    wanted constant text := dimension;
BEGIN
    IF wanted IS NULL OR wanted NOT IN ('category', 'category1', 'brand', 'price band', 'hour') THEN
        PERFORM mart.refuse_funnel(wanted, 'dimension',
                                   'category, category1, brand, price band or hour');
    ELSIF minimum_sessions IS NULL OR minimum_sessions < 1 THEN
        PERFORM mart.refuse_funnel(minimum_sessions::text, 'minimum_sessions', 'at least 1');
    END IF;
    RETURN QUERY
    WITH sums AS (
        SELECT d.dimension, d.value, sum(d.buying_sessions) AS buying,
               sum(d.leaving_sessions) AS leaving
        FROM mart.lift_days d
        WHERE d.dimension IN ('all', wanted) AND d.event_date BETWEEN from_day AND to_day
        GROUP BY 1, 2
    ), shares AS (
        SELECT s.dimension, s.value, s.buying, s.leaving,
               round(s.buying / nullif(a.buying, 0), 4) AS of_buying,
               round(s.leaving / nullif(a.leaving, 0), 4) AS of_leaving,
               round(s.buying * a.leaving / nullif(s.leaving * a.buying, 0), 2) AS lift
        FROM sums s, (SELECT buying, leaving FROM sums WHERE dimension = 'all') AS a
    )
    SELECT value, buying::bigint, leaving::bigint, of_buying, of_leaving, lift
    FROM shares WHERE dimension = wanted AND buying + leaving >= minimum_sessions
    ORDER BY lift DESC NULLS LAST, buying DESC, value COLLATE "C";
END
$body$;
COMMENT ON FUNCTION reporting.buyer_lift(date, date, text, bigint) IS
    'What separates buyers from leavers: of the sessions that viewed, the share of buying sessions '
    'that viewed the value, divided by the share of leaving sessions that did. dimension: '
    'category, category1 (first level), brand, price band, hour (of the first view, UTC). Values '
    'with fewer sessions than minimum_sessions are left out. lift null: no leaving session viewed '
    'it.';

CREATE OR REPLACE FUNCTION reporting.product_paths(
    from_day date, to_day date, from_product bigint DEFAULT NULL, how_many int DEFAULT 15)
RETURNS TABLE (rank bigint, product_id bigint, brand text, step text, to_product_id bigint,
               to_brand text, to_category text, sessions bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH sums AS (
        SELECT d.from_product AS a, d.step, d.to_product AS b, sum(d.sessions) AS sessions
        FROM mart.product_path_days d
        WHERE event_date BETWEEN from_day AND to_day
              AND (product_paths.from_product IS NULL
                   OR d.from_product = product_paths.from_product)
        GROUP BY 1, 2, 3
    ), top AS (
        SELECT row_number() OVER (ORDER BY sessions DESC, a, step, b) AS rank, s.*
        FROM sums s ORDER BY 1 LIMIT how_many
    )
    SELECT t.rank, t.a, p.brand, t.step, t.b, q.brand, q.category, t.sessions::bigint
    FROM top t LEFT JOIN mart.dim_products p ON p.product_id = t.a
    LEFT JOIN mart.dim_products q ON q.product_id = t.b ORDER BY 1
$$;
COMMENT ON FUNCTION reporting.product_paths(date, date, bigint, int) IS
    'What sessions did after viewing a product: the product viewed next (viewed next), and other '
    'products bought in the session at or after the first view (bought). Sums of the pairs that '
    'are kept of each day: the 1000 most frequent of each step, of those with at least two '
    'sessions that day.';

CREATE OR REPLACE FUNCTION reporting.bought_together(
    from_day date, to_day date, how_many int DEFAULT 15, minimum_orders bigint DEFAULT 2)
RETURNS TABLE (rank bigint, product_a bigint, brand_a text, product_b bigint, brand_b text,
               orders bigint, orders_a bigint, orders_b bigint, support numeric,
               confidence_a_b numeric, confidence_b_a numeric, lift numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH top AS (
        SELECT row_number() OVER (ORDER BY sum(orders) DESC, d.product_a, d.product_b) AS rank,
               d.product_a AS a, d.product_b AS b, sum(orders) AS orders
        FROM mart.basket_days d WHERE event_date BETWEEN from_day AND to_day
        GROUP BY d.product_a, d.product_b HAVING sum(orders) >= minimum_orders
        ORDER BY 1 LIMIT how_many
    ), total AS (
        SELECT sum(orders) AS orders FROM mart.day_totals
        WHERE event_date BETWEEN from_day AND to_day
    )
    SELECT t.rank, t.a, p.brand, t.b, q.brand, t.orders::bigint, x.orders::bigint, y.orders::bigint,
           round(t.orders / n.orders, 6), round(t.orders / x.orders, 4),
           round(t.orders / y.orders, 4), round(t.orders * n.orders / (x.orders * y.orders), 2)
    FROM top t CROSS JOIN total n
    LEFT JOIN mart.dim_products p ON p.product_id = t.a
    LEFT JOIN mart.dim_products q ON q.product_id = t.b
    CROSS JOIN LATERAL (SELECT sum(d.orders) AS orders FROM mart.basket_product_days d
                        WHERE product_id = t.a AND event_date BETWEEN from_day AND to_day) AS x
    CROSS JOIN LATERAL (SELECT sum(d.orders) AS orders FROM mart.basket_product_days d
                        WHERE product_id = t.b AND event_date BETWEEN from_day AND to_day) AS y
    ORDER BY 1
$$;
COMMENT ON FUNCTION reporting.bought_together(date, date, int, bigint) IS
    'Pairs of products in one order: a session with a purchase within a UTC day. support: share of '
    'all orders. confidence_a_b: share of the orders of a that have b. lift: support divided by '
    'the product of the shares of a and b; above 1, more often than by chance.';

-- The newest day that is over and counted to its end. The newest counted day may still wait for
-- some of its events.
CREATE OR REPLACE FUNCTION mart.newest_outcome_day() RETURNS date LANGUAGE sql STABLE AS $$
    SELECT least((mart.counted_to() AT TIME ZONE 'UTC')::date - 1,
                 d.newest - EXISTS (SELECT FROM mart.stale_shopping_days
                                    WHERE event_date = d.newest)::int)
    FROM (SELECT max(event_date) AS newest FROM mart.user_outcome_days) AS d
$$;

CREATE OR REPLACE FUNCTION reporting.after_leaving(
    from_day date, to_day date, within_days int DEFAULT 7)
RETURNS TABLE (outcome text, users bigint, returned bigint, returned_share numeric,
               then_viewed bigint, then_cart bigint, then_bought bigint, bought_share numeric,
               average_days numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
#variable_conflict use_column
DECLARE
    last constant date := least(to_day, mart.newest_outcome_day() - within_days);
BEGIN
    IF within_days IS NULL OR within_days NOT BETWEEN 1 AND 30 THEN
        PERFORM mart.refuse_funnel(within_days::text, 'within_days', 'a number from 1 to 30');
    END IF;
    RETURN QUERY
    WITH left_after AS (
        SELECT d.outcome, sum(d.users) AS users FROM mart.user_outcome_days d
        WHERE d.event_date BETWEEN from_day AND last GROUP BY 1
    ), back AS (
        SELECT r.outcome, sum(r.users) AS users,
               coalesce(sum(r.users) FILTER (WHERE next_outcome = 'viewed'), 0) AS viewed,
               coalesce(sum(r.users) FILTER (WHERE next_outcome = 'cart'), 0) AS cart,
               coalesce(sum(r.users) FILTER (WHERE next_outcome = 'bought'), 0) AS bought,
               sum(r.users * (r.event_date - previous_day)) AS days
        FROM mart.return_days r
        WHERE previous_day BETWEEN from_day AND last AND r.event_date <= previous_day + within_days
        GROUP BY 1
    )
    SELECT l.outcome, l.users::bigint, coalesce(b.users, 0)::bigint,
           round(coalesce(b.users, 0) / l.users, 4), coalesce(b.viewed, 0)::bigint,
           coalesce(b.cart, 0)::bigint, coalesce(b.bought, 0)::bigint,
           round(coalesce(b.bought, 0) / l.users, 4), round(b.days / b.users, 1)
    FROM left_after l LEFT JOIN back b USING (outcome)
    ORDER BY array_position(ARRAY['viewed', 'cart', 'bought'], l.outcome);
END
$body$;
COMMENT ON FUNCTION reporting.after_leaving(date, date, int) IS
    'What users do next. users: users and UTC days with an event, by what they did on it: bought; '
    'cart (a cart or checkout, no purchase); viewed (neither). returned: those whose next day with '
    'an event came within within_days, and what they did on that day. A day counts when the '
    'last of its within_days is over.';
