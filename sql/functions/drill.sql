-- From a bar of a funnel to its visits, and from a visit to the events of its session. Users and
-- sessions are pseudonyms; members of funnel_unmasked see and pass true ids. A pseudonym cannot be
-- searched: the key of the visits begins with visit_start, so the start of a visit and the
-- pseudonym find the session at once.

-- The bars of the funnel of visits, as the dashboards name them.
CREATE OR REPLACE FUNCTION mart.visit_branch(
    left_after text, views bigint, purchases bigint, last_stage text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN left_after = 'bought without view' THEN 'bought without a view'
               WHEN left_after = 'bought before view' THEN 'bought before their first view'
               WHEN left_after LIKE 'bought %' THEN left_after
               WHEN left_after = 'completed' AND purchases > 0 THEN 'bought via cart'
               WHEN views = 0 THEN 'neither viewed nor bought'
               WHEN left_after = 'none' THEN 'left before the first stage'
               WHEN left_after = 'completed' THEN 'left after ' || replace(last_stage, '_', ' ')
               ELSE 'left after ' || replace(left_after, '_', ' ') END $$;
COMMENT ON FUNCTION mart.visit_branch(text, bigint, bigint, text) IS
    'What became of a visit, as the bars of the funnel of visits are called.';

CREATE OR REPLACE FUNCTION mart.visit_branches() RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY['viewed', 'bought via cart', 'bought without cart',
                 'bought before their first view', 'bought without a view',
                 'left before the first stage']
           || array_agg('left after ' || replace(stage, '_', ' ') ORDER BY step)
           || ARRAY['neither viewed nor bought']
    FROM reporting.stages
$$;
COMMENT ON FUNCTION mart.visit_branches() IS 'The values of branch of reporting.visits_of().';

CREATE OR REPLACE FUNCTION mart.check_visits(branch text, category text, how_many int)
RETURNS void LANGUAGE plpgsql STABLE AS $body$
BEGIN
    IF branch <> ALL (mart.visit_branches()) THEN
        PERFORM mart.refuse_funnel(branch, 'branch',
                                   array_to_string(mart.visit_branches(), ', ') || ', or null');
    ELSIF category = '' THEN
        PERFORM mart.refuse_funnel(category, 'category', 'a category code, or null');
    ELSIF how_many IS NULL OR how_many NOT BETWEEN 1 AND 10000 THEN
        PERFORM mart.refuse_funnel(how_many::text, 'how_many', 'a number from 1 to 10000');
    END IF;
END
$body$;

-- Reads day after day, the newest first, and only days that have such visits.
CREATE OR REPLACE FUNCTION reporting.visits_of(
    first_day date, last_day date, branch text DEFAULT NULL, category text DEFAULT NULL,
    how_many int DEFAULT 100)
RETURNS TABLE (session_key text, visit_start timestamptz, visit_end timestamptz, user_key text,
               outcome text, entry_category text, exit_category text, views bigint, carts bigint,
               removes bigint, checkouts bigint, purchases bigint, products bigint,
               revenue numeric, duration_s numeric, is_open boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $body$
#variable_conflict use_column
DECLARE
    wanted     constant text := branch;
    -- Decides most visits, and costs nothing.
    buys       constant boolean := CASE WHEN branch LIKE 'bought %' THEN true
                                        WHEN branch <> 'viewed' THEN false END;
    level1     constant text := split_part(category, '.', 1);
    last_stage constant text := (SELECT stage FROM reporting.stages WHERE is_last);
    is_true    constant boolean := mart.shows_true_ids();
    missing    bigint := how_many;
    one        date;
    found      bigint;
BEGIN
    PERFORM mart.check_visits(branch, category, how_many);
    FOR one IN
        SELECT DISTINCT s.day FROM reporting.visit_stages s
        WHERE s.day BETWEEN first_day AND last_day
              AND (level1 IS NULL OR s.entry_category = level1)
              AND (wanted IS NULL OR wanted = 'viewed'
                   OR wanted IN (mart.visit_branch(s.left_after, 1, 0, last_stage),
                                 mart.visit_branch(s.left_after, 1, 1, last_stage),
                                 mart.visit_branch(s.left_after, 0, 0, last_stage)))
        ORDER BY 1 DESC
    LOOP
        RETURN QUERY
        SELECT mart.key_of('session', v.user_session, is_true), v.visit_start, v.visit_end,
               mart.key_of('user', v.user_id::text, is_true), v.branch,
               coalesce(v.first_category, 'unknown'), coalesce(v.last_category, 'unknown'),
               v.views, v.carts, v.removes, v.checkouts, v.purchases, v.products, v.revenue,
               round(v.duration_ms / 1000.0, 1), NOT v.final
        FROM (SELECT f.*, b.branch
              FROM processed.session_funnels f, LATERAL (SELECT mart.visit_branch(mart.left_after(
                       f.drop_off_stage, f.furthest_stage, f.views, f.purchases, f.view_to_cart_ms,
                       f.view_to_purchase_ms, f.view_cart_purchase), f.views, f.purchases,
                       last_stage) AS branch) AS b
              WHERE f.visit_start >= one::timestamp AT TIME ZONE 'UTC'
                    AND f.visit_start < (one + 1)::timestamp AT TIME ZONE 'UTC'
                    AND (buys IS NULL OR (f.purchases > 0) = buys)
                    AND (level1 IS NULL
                         OR split_part(coalesce(f.first_category, 'unknown'), '.', 1) = level1)
                    AND (wanted IS NULL OR b.branch = wanted OR wanted = 'viewed' AND f.views > 0)
              ORDER BY f.visit_start DESC, f.user_session COLLATE "C" LIMIT missing) AS v
        ORDER BY v.visit_start DESC, v.user_session COLLATE "C";
        GET DIAGNOSTICS found = ROW_COUNT;
        missing := missing - found;
        EXIT WHEN missing <= 0;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION reporting.visits_of(date, date, text, text, int) IS
    'The visits of a bar of the funnel of visits, the newest first: those that began in the '
    'period. branch: the name of the bar, such as left after cart; null: all visits. category: '
    'visits that began with a category of the same first level, as the tiles count; null: all. '
    'outcome is the branch of each visit. session_key and visit_start are the arguments of '
    'session_timeline(). The keys are pseudonyms. Members of funnel_unmasked see the true session '
    'and user.';

-- ---------------------------------------------------------------- the events of a session

-- The session of a visit, by its start and its key as the reader sees it. Visits with this start
-- are few.
CREATE OR REPLACE FUNCTION mart.visit_by_key(key text, start timestamptz)
RETURNS processed.session_funnels LANGUAGE plpgsql STABLE AS $body$
DECLARE
    is_true constant boolean := mart.shows_true_ids();
    visit   processed.session_funnels;
BEGIN
    IF key IS NULL OR NOT is_true AND key !~ '^[0-9a-f]{20}$' THEN
        PERFORM mart.refuse_funnel(key, 'session_key', CASE WHEN is_true THEN 'a session id'
                                   ELSE 'a pseudonym of 20 hexadecimal digits' END);
    ELSIF start IS NULL THEN
        PERFORM mart.refuse_funnel(NULL, 'visit_start', 'the start of a visit of this session');
    END IF;
    SELECT v.* INTO visit FROM processed.session_funnels v
    WHERE v.visit_start = start AND mart.key_of('session', v.user_session, is_true) = key;
    IF visit.visit_start IS NULL THEN
        RAISE EXCEPTION 'no visit of session % begins at %: take session_key and visit_start from '
            'one row of reporting.visits_of() or reporting.fct_session_funnel (a visit may have '
            'become part of another one since)', key, start AT TIME ZONE 'UTC'
            USING ERRCODE = 'no_data_found';
    END IF;
    RETURN visit;
END
$body$;

-- One statement per day, so that each opens one day of raw.event_rows. mart.session_days has the
-- first and last time of the session on each day, which bound what the index on event_time finds.
-- The visit itself may be newer than the reports. The session is a parameter, because the text of a
-- statement is in the messages of its errors, and their reader may not see the session.
CREATE OR REPLACE FUNCTION mart.session_events(visit processed.session_funnels, how_many int)
RETURNS raw.events[] LANGUAGE plpgsql STABLE AS $body$
DECLARE
    day   constant date := (visit.visit_start AT TIME ZONE 'UTC')::date;
    one   record;
    part  raw.events[];
    found raw.events[] := '{}';
BEGIN
    FOR one IN
        SELECT event_date, min(first_time) AS first_time, max(last_time) AS last_time
        FROM (SELECT d.event_date, d.first_time, d.last_time FROM mart.session_days d
              WHERE d.session_id = processed.session_id(visit.user_session)
                    AND d.event_date BETWEEN day - 7 AND day + 7
              UNION ALL SELECT day, visit.visit_start, visit.visit_end) AS d
        GROUP BY event_date ORDER BY event_date
    LOOP
        EXECUTE format($sql$
            SELECT array_agg(e ORDER BY e.event_time, e.event_id)
            FROM (SELECT * FROM raw.events e
                  WHERE e.event_date = %L AND e.event_time BETWEEN %L AND %L
                        AND coalesce(e.user_session, 'user:' || e.user_id) = $1
                  ORDER BY e.event_time, e.event_id LIMIT %s) AS e
        $sql$, one.event_date, one.first_time, one.last_time, how_many - cardinality(found))
        INTO part USING visit.user_session;
        found := found || coalesce(part, '{}');
        EXIT WHEN cardinality(found) >= how_many;
    END LOOP;
    RETURN found;
END
$body$;

CREATE OR REPLACE FUNCTION reporting.session_timeline(session_key text, visit_start timestamptz)
RETURNS TABLE (step bigint, event_time timestamptz, event_type text, product_id bigint,
               category text, brand text, price numeric, seconds numeric, visit bigint,
               this_visit boolean, user_key text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET client_min_messages = warning AS $$
    WITH visit AS MATERIALIZED (
        SELECT v AS own, v.visit_start, v.visit_end
        FROM mart.visit_by_key(session_key, visit_start) AS v
    ), event AS (
        SELECT e.*, e.event_time - lag(e.event_time) OVER own AS pause,
               (e.event_time AT TIME ZONE 'UTC')::date
                   <> (lag(e.event_time) OVER own AT TIME ZONE 'UTC')::date AS new_day
        FROM visit v, unnest(mart.session_events(v.own, 1000)) AS e
        WINDOW own AS (ORDER BY e.event_time, e.event_id)
    )
    SELECT row_number() OVER own, e.event_time, e.event_type, e.product_id,
           coalesce(e.category_code, 'unknown'), coalesce(e.brand, 'unknown'), e.price,
           round(extract(epoch FROM e.pause), 1),
           1 + count(*) FILTER (WHERE e.pause > interval '30 minutes' OR e.new_day) OVER own,
           e.event_time BETWEEN v.visit_start AND v.visit_end,
           mart.key_of('user', e.user_id::text, (SELECT mart.shows_true_ids()))
    FROM event e, visit v
    WINDOW own AS (ORDER BY e.event_time, e.event_id)
    ORDER BY 1
$$;
COMMENT ON FUNCTION reporting.session_timeline(text, timestamptz) IS
    'The events of one session in their order: of the visit that begins at visit_start, and of '
    'the session''s other visits up to 7 UTC days before and after it. At most the first 1000. '
    'seconds: since the event before. visit: number of the visit within the rows. this_visit: the '
    'event lies in the visit that was asked for. Late events are included. session_key and '
    'user_key: pseudonyms; true ids for members of funnel_unmasked.';
