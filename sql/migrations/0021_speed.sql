-- What was too slow on 20 million events (317,000 purchases, 2.8 million users), made fast or faster:
--
--   user_segments   counted all users at each look: now sums per segment are kept, by what touched users were before and are after
--   sales_summary   looked for each buyer's earlier purchases: now one pass over the buying sessions tells all. Orders are the
--                   days' sums, less what sessions with purchases on several days were counted too often; those are kept apart
--   rfm             ranked every buyer three times: now ranks values, of which there are few
--   top_products    summed decimals: now whole cents
--   freshness       read two days of events: now only what follows the newest minute

-- A refresh that runs by the old functions is waited for, and none begins before the new ones are in force: what is counted below
-- would otherwise miss what that one has changed. It may take longer than a loader waits for locks.
SET LOCAL lock_timeout = 0;
DO $do$ BEGIN PERFORM pg_advisory_xact_lock(mart.lock_reporting()); END $do$;

CREATE TABLE mart.segment_totals (
    segment  text          NOT NULL PRIMARY KEY,
    users    bigint        NOT NULL,
    sessions bigint        NOT NULL,
    orders   bigint        NOT NULL,
    spend    numeric(20,2) NOT NULL
);
COMMENT ON TABLE mart.segment_totals IS 'mart.dim_users by segment.';
CREATE UNLOGGED TABLE mart.users_before (segment text, sessions bigint, orders bigint, spend numeric);

CREATE TABLE mart.long_orders (
    session_key text NOT NULL,
    event_date  date NOT NULL,
    PRIMARY KEY (session_key, event_date)
);
CREATE INDEX long_orders_date ON mart.long_orders (event_date);
COMMENT ON TABLE mart.long_orders IS 'Sessions with purchases on several UTC days, each of these days.';

-- ---------------------------------------------------------------- keeping them
CREATE FUNCTION mart.add_users() RETURNS void LANGUAGE sql AS $$
    WITH pair AS (
        SELECT user_id, session_key, min(first_time) AS first_time, max(last_time) AS last_time,
               sum(views + carts + removes + checkouts + purchases) AS events, sum(carts) AS carts, sum(purchases) AS purchases, sum(revenue) AS revenue,
               max(last_purchase) AS last_purchase
        FROM mart.new_sessions GROUP BY user_id, session_key
    ), known AS (
        SELECT p.*, o.sessions AS known_sessions, o.orders AS known_orders
        FROM pair p CROSS JOIN LATERAL (
            SELECT (count(*) > 0)::int AS sessions, (coalesce(sum(purchases), 0) > 0)::int AS orders
            FROM mart.session_days d WHERE d.session_key = p.session_key AND d.user_id = p.user_id) AS o
    )
    INSERT INTO mart.dim_users AS t (user_id, user_key, first_seen, last_seen, events, carts, purchases, spend, sessions, orders, last_purchase)
    SELECT user_id, left(encode(sha256(convert_to((SELECT salt FROM mart.secret) || 'user:' || user_id, 'UTF8')), 'hex'), 20), -- mart.pseudonym, in line for speed
           min(first_time), max(last_time), sum(events), sum(carts), sum(purchases), sum(revenue),
           sum(1 - known_sessions), sum(greatest((purchases > 0)::int - known_orders, 0)), max(last_purchase)
    FROM known GROUP BY user_id
    ON CONFLICT (user_id) DO UPDATE SET
        first_seen = least(t.first_seen, excluded.first_seen), last_seen = greatest(t.last_seen, excluded.last_seen),
        events = t.events + excluded.events, carts = t.carts + excluded.carts, purchases = t.purchases + excluded.purchases,
        spend = t.spend + excluded.spend, sessions = t.sessions + excluded.sessions, orders = t.orders + excluded.orders,
        last_purchase = greatest(t.last_purchase, excluded.last_purchase)
$$;
CREATE OR REPLACE FUNCTION mart.merge_users() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    TRUNCATE mart.users_before;
    INSERT INTO mart.users_before
    SELECT u.segment, u.sessions, u.orders, u.spend FROM mart.dim_users u JOIN (SELECT DISTINCT user_id FROM mart.new_sessions) n USING (user_id);
    PERFORM mart.add_users();
    INSERT INTO mart.segment_totals AS t
    SELECT segment, sum(sign), sum(sign * sessions), sum(sign * orders), sum(sign * spend)
    FROM (SELECT 1 AS sign, u.segment, u.sessions, u.orders, u.spend FROM mart.dim_users u JOIN (SELECT DISTINCT user_id FROM mart.new_sessions) n USING (user_id)
          UNION ALL SELECT -1, b.* FROM mart.users_before b) AS change
    GROUP BY segment
    ON CONFLICT (segment) DO UPDATE SET
        users = t.users + excluded.users, sessions = t.sessions + excluded.sessions, orders = t.orders + excluded.orders, spend = t.spend + excluded.spend;
    DELETE FROM mart.segment_totals WHERE users = 0;
END
$body$;

-- After session_days is merged: of the touched sessions with a purchase, those that have one on another day too.
CREATE FUNCTION mart.merge_long_orders() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.long_orders
    SELECT DISTINCT d.session_key, d.event_date
    FROM mart.new_sessions n JOIN mart.session_days d USING (session_key)
    WHERE n.purchases > 0 AND d.purchases > 0
      AND EXISTS (SELECT FROM mart.session_days o WHERE o.session_key = n.session_key AND o.purchases > 0 AND o.event_date <> n.event_date)
    ON CONFLICT DO NOTHING
$$;
ALTER FUNCTION mart.merge_days() RENAME TO merge_day_totals;
CREATE FUNCTION mart.merge_days() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM mart.merge_day_totals();
    PERFORM mart.merge_long_orders();
END
$body$;

CREATE FUNCTION mart.rebuild_sums() RETURNS void LANGUAGE sql AS $$
    DELETE FROM mart.segment_totals;
    INSERT INTO mart.segment_totals SELECT segment, count(*), sum(sessions), sum(orders), sum(spend) FROM mart.dim_users GROUP BY segment;
    DELETE FROM mart.long_orders;
    INSERT INTO mart.long_orders
    SELECT DISTINCT session_key, event_date FROM mart.session_days
    WHERE purchases > 0 AND session_key IN (SELECT session_key FROM mart.session_days WHERE purchases > 0 GROUP BY session_key HAVING count(DISTINCT event_date) > 1);
$$;
ALTER FUNCTION mart.rebuild_visits() RENAME TO rebuild_visit_days;
CREATE FUNCTION mart.rebuild_visits() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM mart.rebuild_visit_days();
    PERFORM mart.rebuild_sums(); -- what the migration 0021 added
END
$body$;
DO $do$ BEGIN PERFORM mart.rebuild_sums(); END $do$;

-- ---------------------------------------------------------------- asking them
CREATE OR REPLACE VIEW reporting.user_segments AS
SELECT segment, users, round(users / nullif(sum(users) OVER (), 0), 4) AS share, sessions, orders, spend::numeric AS spend FROM mart.segment_totals;

-- Distinct sessions with a purchase in the period: the days' numbers, less the repeats.
CREATE FUNCTION mart.orders(from_day date, to_day date) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT sum(orders) FROM mart.day_totals WHERE event_date BETWEEN from_day AND to_day), 0)::bigint
         - (SELECT count(*) - count(DISTINCT session_key) FROM mart.long_orders WHERE event_date BETWEEN from_day AND to_day)
$$;

-- One pass over all buying sessions up to the last day. A user with one of them needs no look at which session it was.
CREATE FUNCTION mart.buyers(before_day date, from_day date, to_day date,
                            OUT buyers bigint, OUT repeat_buyers bigint, OUT new_buyers bigint, OUT buyers_before bigint, OUT repeat_buyers_before bigint, OUT new_buyers_before bigint)
LANGUAGE sql STABLE AS $$
    WITH by_user AS (
        SELECT user_id, min(event_date) AS first, count(*) FILTER (WHERE event_date >= from_day) AS n, count(*) FILTER (WHERE event_date >= before_day AND event_date < from_day) AS b
        FROM mart.session_days WHERE purchases > 0 AND event_date <= to_day GROUP BY user_id
    ), often AS (
        SELECT count(DISTINCT d.session_key) FILTER (WHERE d.event_date >= from_day) AS n,
               count(DISTINCT d.session_key) FILTER (WHERE d.event_date < from_day) AS b
        FROM by_user u JOIN mart.session_days d USING (user_id)
        WHERE (u.n > 1 OR u.b > 1) AND d.purchases > 0 AND d.event_date BETWEEN before_day AND to_day GROUP BY user_id
    )
    SELECT count(*) FILTER (WHERE n > 0), (SELECT count(*) FROM often WHERE often.n > 1), count(*) FILTER (WHERE first >= from_day),
           count(*) FILTER (WHERE b > 0), (SELECT count(*) FROM often WHERE often.b > 1), count(*) FILTER (WHERE first >= before_day AND first < from_day)
    FROM by_user
$$;
CREATE FUNCTION mart.sold(from_day date, to_day date, OUT revenue numeric, OUT purchases bigint) LANGUAGE sql STABLE AS
$$ SELECT coalesce(sum(h.revenue), 0), coalesce(sum(h.purchases), 0)::bigint FROM mart.hour_totals h WHERE event_date BETWEEN from_day AND to_day $$;

CREATE OR REPLACE FUNCTION reporting.sales_summary(from_day date, to_day date)
RETURNS TABLE (line int, measure text, value numeric, before numeric, change numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '64MB' SET jit = off AS $$
    WITH span AS (SELECT from_day - (to_day - from_day + 1) AS before_day)
    SELECT m.line, m.measure, m.value, m.before, reporting.change(m.value, m.before)
    FROM span, mart.sold(from_day, to_day) AS n, mart.sold(before_day, from_day - 1) AS b, mart.orders(from_day, to_day) AS orders, mart.orders(before_day, from_day - 1) AS orders_before,
         mart.buyers(before_day, from_day, to_day) AS u, LATERAL (VALUES
        (1, 'revenue', n.revenue, b.revenue), (2, 'purchases', n.purchases, b.purchases), (3, 'orders', orders, orders_before),
        (4, 'average_order_value', round(n.revenue / nullif(orders, 0), 2), round(b.revenue / nullif(orders_before, 0), 2)),
        (5, 'buyers', u.buyers, u.buyers_before), (6, 'repeat_buyers', u.repeat_buyers, u.repeat_buyers_before), (7, 'new_buyers', u.new_buyers, u.new_buyers_before),
        (8, 'repeat_share', round(u.repeat_buyers::numeric / nullif(u.buyers, 0), 4), round(u.repeat_buyers_before::numeric / nullif(u.buyers_before, 0), 4))) AS m(line, measure, value, before)
    ORDER BY 1
$$;
DROP FUNCTION mart.sales(date, date);

-- The quintile of a value: how many have less (for recency: more), of all others. Ranked by distinct value.
CREATE FUNCTION mart.rfm(from_day date, to_day date)
RETURNS TABLE (user_id bigint, recency int, frequency bigint, monetary numeric, r int, f int, m int)
LANGUAGE sql STABLE AS $$
    WITH rows AS MATERIALIZED (
        SELECT d.user_id, max(event_date) AS last_day, count(*) AS n, sum(d.revenue) AS monetary
        FROM mart.session_days d WHERE purchases > 0 AND event_date BETWEEN from_day AND to_day GROUP BY d.user_id
    ), often AS (
        SELECT d.user_id, count(DISTINCT session_key) AS sessions
        FROM rows JOIN mart.session_days d USING (user_id) WHERE n > 1 AND purchases > 0 AND event_date BETWEEN from_day AND to_day GROUP BY d.user_id
    ), buyer AS MATERIALIZED (
        SELECT b.user_id, to_day - last_day AS recency, coalesce(o.sessions, 1) AS frequency, b.monetary FROM rows b LEFT JOIN often o USING (user_id)
    ), everybody AS (SELECT greatest(count(*) - 1, 1)::numeric AS others FROM buyer
    ), recencies AS (SELECT recency, sum(count(*)) OVER (ORDER BY recency DESC) - count(*) AS worse FROM buyer GROUP BY recency
    ), frequencies AS (SELECT frequency, sum(count(*)) OVER (ORDER BY frequency) - count(*) AS worse FROM buyer GROUP BY frequency
    ), sums AS (SELECT monetary, sum(count(*)) OVER (ORDER BY monetary) - count(*) AS worse FROM buyer GROUP BY monetary)
    SELECT b.user_id, b.recency, b.frequency, b.monetary,
           1 + least(4, floor(5 * rr.worse / others))::int, 1 + least(4, floor(5 * ff.worse / others))::int, 1 + least(4, floor(5 * mm.worse / others))::int
    FROM buyer b, everybody, recencies rr, frequencies ff, sums mm WHERE rr.recency = b.recency AND ff.frequency = b.frequency AND mm.monetary = b.monetary
$$;
CREATE OR REPLACE FUNCTION reporting.rfm(from_day date, to_day date)
RETURNS TABLE (user_key text, recency_days int, frequency bigint, monetary numeric, r int, f int, m int, segment text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '64MB' SET jit = off AS $$
    SELECT u.user_key, s.recency, s.frequency, s.monetary, s.r, s.f, s.m, mart.rfm_segment(s.r, s.f, s.m)
    FROM mart.rfm(from_day, to_day) s LEFT JOIN mart.dim_users u USING (user_id)
$$;
CREATE OR REPLACE FUNCTION reporting.rfm_segments(from_day date, to_day date)
RETURNS TABLE (segment text, users bigint, share numeric, orders bigint, revenue numeric, average_recency_days numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '64MB' SET jit = off AS $$
    SELECT mart.rfm_segment(r, f, m), sum(n)::bigint, round(sum(n) / sum(sum(n)) OVER (), 4), sum(orders)::bigint, sum(revenue), round(sum(days) / sum(n), 1)
    FROM (SELECT r, f, m, count(*) AS n, sum(frequency) AS orders, sum(monetary) AS revenue, sum(recency) AS days FROM mart.rfm(from_day, to_day) GROUP BY r, f, m) AS cell
    GROUP BY 1 ORDER BY 5 DESC
$$;

CREATE OR REPLACE FUNCTION reporting.top_products(from_day date, to_day date, how_many int DEFAULT 15)
RETURNS TABLE (rank bigint, product_id bigint, brand text, category text, revenue numeric, purchases bigint, revenue_before numeric, change numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '64MB' SET jit = off AS $$
    WITH sums AS ( -- in whole cents: sums of integers take half the time
        SELECT c.product_id, coalesce(sum((c.revenue * 100)::bigint) FILTER (WHERE event_date >= from_day), 0) / 100 AS revenue,
               coalesce(sum(c.purchases) FILTER (WHERE event_date >= from_day), 0) AS purchases, coalesce(sum((c.revenue * 100)::bigint) FILTER (WHERE event_date < from_day), 0) / 100 AS before
        FROM mart.product_days c WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day AND c.purchases > 0 GROUP BY 1
    ), top AS (
        SELECT row_number() OVER (ORDER BY s.revenue DESC, s.purchases DESC, s.product_id) AS rank, s.* FROM sums s WHERE s.purchases > 0 ORDER BY 1 LIMIT how_many
    )
    SELECT t.rank, t.product_id, p.brand, p.category, round(t.revenue, 2), t.purchases::bigint, round(t.before, 2), reporting.change(t.revenue, t.before)
    FROM top t LEFT JOIN mart.dim_products p USING (product_id) ORDER BY 1
$$;

-- The newest event is at or after the newest minute with events; the BRIN index on event_time leads there. Of visits, those are looked
-- at that began in the last three hours of data; only if none of them reaches the newest minute, those of the whole day: a visit
-- ends within it. A function, so that the times are known when it is planned, and to keep JIT away.
CREATE FUNCTION reporting.freshness_of_layers() RETURNS TABLE (layer text, newest_data timestamptz, last_change timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $body$
DECLARE
    newest record;
    since  timestamptz;
BEGIN
    SELECT a.window_start, a.loaded_at INTO newest FROM processed.funnel_aggregates a WHERE rollup = '1m:all' ORDER BY a.window_start DESC LIMIT 1;
    layer := 'events';
    EXECUTE format('SELECT max(event_time), max(loaded_at) FROM raw.events WHERE event_date >= %L AND event_time >= %L', (newest.window_start AT TIME ZONE 'UTC')::date, newest.window_start)
    INTO newest_data, last_change;
    last_change := greatest(last_change, (SELECT newest_load FROM mart.state), (SELECT max(b.loaded_at) FROM processed.load_batches b));
    RETURN NEXT;
    layer := 'rollups';
    newest_data := newest.window_start;
    last_change := newest.loaded_at;
    RETURN NEXT;
    layer := 'visits';
    FOREACH since IN ARRAY ARRAY[newest.window_start - interval '3 hours', date_trunc('day', newest.window_start, 'UTC') - interval '1 day'] LOOP
        EXECUTE format('SELECT max(visit_end), max(loaded_at) FROM processed.session_funnels WHERE visit_start >= %L', since) INTO newest_data, last_change;
        EXIT WHEN newest_data >= newest.window_start;
    END LOOP;
    RETURN NEXT;
    layer := 'counts';
    newest_data := NULL;
    last_change := (SELECT max(updated_at) FROM processed.counts);
    RETURN NEXT;
END
$body$;
COMMENT ON FUNCTION reporting.freshness_of_layers() IS 'What reporting.freshness is made of.';
CREATE OR REPLACE VIEW reporting.freshness AS
SELECT layer, newest_data, last_change,
       round(extract(epoch FROM now() - last_change), 1) AS seconds_since_change,
       round(extract(epoch FROM last_change - newest_data), 1) AS seconds_behind_events
FROM reporting.freshness_of_layers();

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mart FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION reporting.freshness_of_layers() FROM PUBLIC;
DO $body$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT rolname FROM pg_roles WHERE rolname IN ('funnel_analyst', 'funnel_metabase', 'funnel_unmasked') LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION reporting.freshness_of_layers() TO %I', name);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'funnel_unmasked') THEN
        GRANT SELECT ON mart.segment_totals, mart.long_orders, mart.users_before TO funnel_unmasked;
    END IF;
END
$body$;
