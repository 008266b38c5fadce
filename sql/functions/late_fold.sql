-- Late events in reports. A late event is in raw.events and in raw.late_events. It changes nothing
-- in processed.funnel_aggregates: that table holds what the stream counted. processed.fold_late()
-- recounts from raw.events the cells (rollup, window and group) that late events were left out of,
-- into processed.late_corrections. The view reporting.funnel_corrected shows the rows of the
-- stream, with the recounted ones in place of the incomplete ones.
--
-- A recount is stored only if it has exactly the events of the stream's row and the late ones. So a
-- cell is not folded while its window is open, while rows are not loaded yet, or if retention has
-- dropped its days. Call the function again after more late events; it skips cells that are folded
-- already.
--
-- Limits: visits are not folded. A window that the stream has counted only in part (the first and
-- the last of a rollup, after a change of ROLLUPS) has no correction. The counts of buyers
-- (buying_view_sessions and the two after it) do not depend on stages. They are null in a window in
-- which a row of the stream has null.

-- The functions below run for every event of the days concerned. They have no search_path of their
-- own, so that PostgreSQL can inline them.
CREATE OR REPLACE FUNCTION processed.rollup_parts(
    rollup text,
    OUT size_us bigint, OUT step_us bigint, OUT mark text, OUT grouped_by text)
LANGUAGE sql IMMUTABLE AS $$
    WITH unit(name, us) AS (
        VALUES ('ms', 1000::bigint), ('s', 1000000), ('m', 60000000), ('h', 3600000000),
               ('d', 86400000000)
    )
    SELECT size, coalesce(part[4]::bigint * step.us, size), coalesce(part[3], ''), part[6]
    FROM regexp_match(rollup, '^([0-9]+)(ms|s|m|h|d)(?:([/+])([0-9]+)(ms|s|m|h|d))?:([a-z0-9]+)$')
        AS part
    JOIN LATERAL (SELECT part[1]::bigint * us AS size FROM unit WHERE name = part[2]) AS whole
         ON true
    LEFT JOIN unit AS step ON step.name = part[5]
$$;
COMMENT ON FUNCTION processed.rollup_parts(text) IS
    'Size and step of the windows of a rollup; mark: empty for tumbling, / for hopping, + for '
    'cumulating windows; and what the rollup groups by.';

-- The windows of a rollup that contain a moment t. Hopping: those that start at a multiple of the
-- step in (t - size, t]. Cumulating: those that start with the full window and end after t.
CREATE OR REPLACE FUNCTION processed.windows_of(
    size_us bigint, step_us bigint, mark text, at timestamptz)
RETURNS TABLE (window_start timestamptz, window_end timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT 'epoch'::timestamptz + w.start_us * interval '1 microsecond',
           'epoch'::timestamptz + w.end_us * interval '1 microsecond'
    FROM (SELECT (extract(epoch FROM at) * 1000000)::bigint AS t) AS m,
         LATERAL (SELECT t - ((t % size_us) + size_us) % size_us AS big,
                         t - ((t % step_us) + step_us) % step_us AS small) AS f,
         LATERAL (SELECT s AS start_us, s + size_us AS end_us
                  FROM generate_series(small - size_us + step_us, small, step_us) AS s
                  WHERE mark <> '+'
                  UNION ALL SELECT big, e
                  FROM generate_series(big + ((t - big) / step_us + 1) * step_us, big + size_us,
                                       step_us) AS e
                  WHERE mark = '+') AS w
$$;
COMMENT ON FUNCTION processed.windows_of(bigint, bigint, text, timestamptz) IS
    'The windows of a rollup that contain a moment.';

CREATE OR REPLACE FUNCTION processed.group_of(
    grouped_by text, category_code text, brand text, product_id bigint)
RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE grouped_by
        WHEN 'all'       THEN 'all'
        WHEN 'category1' THEN coalesce(nullif(split_part(category_code, '.', 1), ''), 'unknown')
        WHEN 'category'  THEN coalesce(category_code, 'unknown')
        WHEN 'brand'     THEN coalesce(brand, 'unknown')
        WHEN 'product'   THEN product_id::text
    END
$$;
COMMENT ON FUNCTION processed.group_of(text, text, text, bigint) IS
    'The group of a rollup that an event counts in.';

CREATE OR REPLACE FUNCTION processed.stages_reached(
    stages text[], types text[], times timestamptz[])
RETURNS int
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS $body$
DECLARE
    reached_at timestamptz := '-infinity';
    reached    int := 0;
    stage      text;
BEGIN
    FOREACH stage IN ARRAY stages LOOP
        EXIT WHEN stage <> ALL (types); -- the usual end, and cheap
        SELECT min(u.at) INTO reached_at FROM unnest(types, times) AS u(type, at)
        WHERE u.type = stage AND u.at >= reached_at;
        EXIT WHEN reached_at IS NULL;
        reached := reached + 1;
    END LOOP;
    RETURN reached;
END
$body$;
COMMENT ON FUNCTION processed.stages_reached(text[], text[], timestamptz[]) IS
    'How many of the ordered stages a session has reached, each at or after the one before.';

CREATE OR REPLACE FUNCTION processed.is_stored(id uuid, day date) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan AS $body$
BEGIN
    RETURN EXISTS (SELECT FROM raw.event_rows e WHERE e.event_id = id AND e.event_date = day);
END
$body$;
COMMENT ON FUNCTION processed.is_stored(uuid, date) IS
    'Whether raw.events has the event. A plan for one day reads and locks only that day.';

CREATE OR REPLACE FUNCTION processed.fold_late(stages text[] DEFAULT NULL)
    RETURNS TABLE (rollup text, folded bigint, folded_before bigint, not_yet bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET jit = off
SET plan_cache_mode = force_custom_plan AS $body$
#variable_conflict use_column
DECLARE
    one record;
BEGIN
    stages := coalesce(stages, processed.stages());
    DROP TABLE IF EXISTS pg_temp.late_cell;
    CREATE TEMPORARY TABLE late_cell ON COMMIT DROP AS
    SELECT c.*, a.revision AS stream_revision,
           coalesce(a.views + a.carts + a.removes + a.checkouts + a.purchases, 0) AS stream_events,
           a.final IS NOT FALSE
               AND NOT coalesce(f.late_events = c.late_events AND f.stream_revision IS NOT DISTINCT
                                FROM a.revision, false) AS to_fold,
           coalesce(f.late_events = c.late_events AND f.stream_revision IS NOT DISTINCT
                    FROM a.revision, false) AS known
    FROM (SELECT t.rollup, w.window_start, w.window_end, p.grouped_by, p.size_us, p.step_us, p.mark,
                 processed.group_of(p.grouped_by, l.category_code, l.brand,
                                    l.product_id) AS group_value,
                 count(*) AS late_events
          FROM raw.late_events l, unnest(l.late_for) AS entry,
               LATERAL (SELECT split_part(entry, '<=', 1) AS rollup,
                               nullif(split_part(entry, '<=', 2), '')::timestamptz AS until) AS t,
               LATERAL processed.rollup_parts(t.rollup) AS p,
               LATERAL processed.windows_of(p.size_us, p.step_us, p.mark, l.event_time) AS w
          WHERE t.rollup <> 'visit' AND (t.until IS NULL OR w.window_end <= t.until)
                AND processed.is_stored(l.event_id, l.event_date)
          GROUP BY 1, 2, 3, 4, 5, 6, 7, 8) AS c
    LEFT JOIN processed.funnel_aggregates a USING (rollup, window_start, window_end, group_value)
    LEFT JOIN processed.late_corrections f USING (rollup, window_start, window_end, group_value);
    ANALYZE late_cell;

    FOR one IN
        SELECT rollup, grouped_by, size_us, step_us, mark,
               date_trunc('month', window_start) AS month, array_agg(DISTINCT day::date) AS days
        FROM late_cell,
             generate_series(window_start::date::timestamp,
                             (window_end - interval '1 microsecond')::date, interval '1 day') AS day
        WHERE to_fold GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 6
    LOOP
        INSERT INTO processed.late_corrections AS t
        -- Each event of the days concerned, once for each of its windows, so that a hash join with
        -- the cells is possible.
        WITH spread AS MATERIALIZED (
            SELECT w.window_start, w.window_end,
                   processed.group_of(one.grouped_by, e.category_code, e.brand,
                                      e.product_id) AS group_value,
                   e.event_type, e.event_time, e.price,
                   coalesce(e.user_session, 'user:' || e.user_id) AS session
            FROM raw.events e
            CROSS JOIN LATERAL processed.windows_of(one.size_us, one.step_us, one.mark,
                                                    e.event_time) AS w
            WHERE e.event_date = ANY (one.days)
        ), session AS (
            SELECT c.rollup, c.window_start, c.window_end, c.group_value, c.late_events,
                   c.stream_revision, c.stream_events,
                   count(*) FILTER (WHERE e.event_type = 'view') AS views,
                   count(*) FILTER (WHERE e.event_type = 'cart') AS carts,
                   count(*) FILTER (WHERE e.event_type = 'remove_from_cart') AS removes,
                   count(*) FILTER (WHERE e.event_type = 'checkout') AS checkouts,
                   count(*) FILTER (WHERE e.event_type = 'purchase') AS purchases,
                   coalesce(sum(e.price) FILTER (WHERE e.event_type = 'purchase'), 0) AS revenue,
                   processed.stages_reached(stages, array_agg(e.event_type),
                                            array_agg(e.event_time)) AS reached,
                   coalesce(max(e.event_time) FILTER (WHERE e.event_type = 'purchase')
                            >= min(e.event_time) FILTER (WHERE e.event_type = 'view'), false)
                       AS view_purchase,
                   array_agg(e.event_type) AS types, array_agg(e.event_time) AS times
            FROM spread e JOIN late_cell c USING (window_start, window_end, group_value)
            WHERE c.rollup = one.rollup AND c.to_fold
                  AND date_trunc('month', c.window_start) = one.month
            GROUP BY 1, 2, 3, 4, 5, 6, 7, e.session
        ), stage(cart, checkout, purchase) AS (
            SELECT array_position(stages, 'cart'), array_position(stages, 'checkout'),
                   array_position(stages, 'purchase')
        ), counting AS ( -- a window has buyers only if the stream has counted them
            SELECT window_start, window_end, NOT EXISTS (
                       SELECT FROM processed.funnel_aggregates a
                       WHERE a.rollup = one.rollup AND a.window_start = c.window_start
                             AND a.window_end = c.window_end
                             AND a.view_purchase_sessions IS NULL) AS counted
            FROM (SELECT DISTINCT window_start, window_end FROM late_cell
                  WHERE rollup = one.rollup AND to_fold) AS c
        )
        SELECT s.rollup, s.window_start, s.window_end, s.group_value, sum(views), sum(carts),
               sum(removes), sum(checkouts), sum(purchases), sum(revenue),
               count(*), count(*) FILTER (WHERE views > 0), count(*) FILTER (WHERE carts > 0),
               count(*) FILTER (WHERE purchases > 0),
               count(*) FILTER (WHERE g.cart > 1 AND reached >= g.cart),
               count(*) FILTER (WHERE g.checkout > 1 AND reached >= g.checkout),
               count(*) FILTER (WHERE g.purchase > 1 AND reached >= g.purchase), s.late_events,
               s.stream_revision, now(),
               CASE WHEN u.counted THEN count(*) FILTER (WHERE views > 0 AND purchases > 0) END,
               CASE WHEN u.counted THEN count(*) FILTER (WHERE view_purchase) END,
               CASE WHEN u.counted THEN count(*) FILTER (
                   WHERE CASE WHEN view_purchase
                              THEN processed.stages_reached('{view,cart,purchase}', types, times)
                         END = 3) END
        FROM session s JOIN counting u USING (window_start, window_end), stage g
        GROUP BY s.rollup, s.window_start, s.window_end, s.group_value, s.late_events,
            s.stream_revision, s.stream_events, u.counted
        HAVING sum(views + carts + removes + checkouts + purchases)
               = s.stream_events + s.late_events
        ON CONFLICT (rollup, window_start, window_end, group_value) DO UPDATE
        SET (views, carts, removes, checkouts, purchases, revenue, sessions, view_sessions,
             cart_sessions, purchase_sessions, funnel_cart_sessions,
             funnel_checkout_sessions, funnel_purchase_sessions, late_events, stream_revision,
             folded_at, buying_view_sessions, view_purchase_sessions,
             view_cart_purchase_sessions)
          = (excluded.views, excluded.carts, excluded.removes, excluded.checkouts,
             excluded.purchases, excluded.revenue, excluded.sessions, excluded.view_sessions,
             excluded.cart_sessions, excluded.purchase_sessions, excluded.funnel_cart_sessions,
             excluded.funnel_checkout_sessions, excluded.funnel_purchase_sessions,
             excluded.late_events, excluded.stream_revision, excluded.folded_at,
             excluded.buying_view_sessions, excluded.view_purchase_sessions,
             excluded.view_cart_purchase_sessions);
    END LOOP;

    RETURN QUERY
    SELECT c.rollup, count(*) FILTER (WHERE f.now_known AND NOT c.known),
           count(*) FILTER (WHERE c.known), count(*) FILTER (WHERE NOT f.now_known)
    FROM late_cell c,
         LATERAL (SELECT EXISTS (SELECT FROM processed.late_corrections f
                                 WHERE f.rollup = c.rollup
                                       AND f.window_start = c.window_start
                                       AND f.window_end = c.window_end
                                       AND f.group_value = c.group_value
                                       AND f.late_events = c.late_events
                                       AND f.stream_revision
                                           IS NOT DISTINCT FROM c.stream_revision)
                  AS now_known) AS f
    GROUP BY 1 ORDER BY 1;
END
$body$;
COMMENT ON FUNCTION processed.fold_late(text[]) IS
    'Recounts the cells that late events are missing from, into processed.late_corrections. '
    'Returns for each rollup the number of cells folded now, folded before, and not yet folded '
    '(window open, rows not loaded yet, or days dropped).';
