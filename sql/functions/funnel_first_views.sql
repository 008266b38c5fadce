-- Funnels whose first step is any view: mart.session_days gives the first event of a chain. It has
-- the first and the last view of each session and day, so few rows are read, and no view is sorted.
--
-- A chain of k steps may begin with any view in one of the ranges [s(k) - window, s(2)), where s(2)
-- is the time of an event of step 2, and s(k) that of step k in the chain from this event. Of all
-- such views, the first one begins the chain that counts. A session and day gives its first view to
-- a range that has it. In two cases the view is unknown: a range begins between the first and the
-- last view, or the first view and the event of step 2 have the same time, and event_id decides.
-- A unit is unsure if such a view could begin a longer or an earlier chain. A unit with many events
-- of step 2 is unsure too, because each of them would be compared with each session and day.
--
-- For an unsure unit, the views of these sessions and days are read, and of a unit with many events
-- all its views. mart.funnel_views reads a day with one statement. Usually few units are unsure, so
-- it reads small parts of a day. At most it reads each day once.

CREATE OR REPLACE FUNCTION mart.funnel_many() RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT 1000 $$;
COMMENT ON FUNCTION mart.funnel_many() IS
    'With more events of step 2, all views of a unit are read (mart.funnel_first_views).';

CREATE OR REPLACE FUNCTION mart.funnel_parts() RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT 20 $$;
COMMENT ON FUNCTION mart.funnel_parts() IS
    'With more times to read on a day, mart.funnel_views reads all of the day.';

CREATE OR REPLACE FUNCTION mart.funnel_has_first_views(
    steps jsonb[], first_day date, last_day date, unit text, step_order text, breakdown text)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT steps[1] = '{"type": "view"}' AND step_order = 'open' AND breakdown IS NULL
           AND mart.funnel_reads_sessions(steps[1], first_day, last_day, unit)
           AND NOT EXISTS (SELECT FROM unnest(steps[2:]) AS s WHERE s->>'type' = 'view')
$$;

-- Whether the users with a view need not be found one by one (mart.funnel_entered).
CREATE OR REPLACE FUNCTION mart.funnel_counts_users(first_day date, last_day date, unit text)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT unit = 'user' AND mart.funnel_waiting_days(first_day, last_day) = '{}'
$$;

-- The views of some units on a day, of some times. If these are few, the index on event_time may
-- find them; else all events of the day are read. Views of other times of the day do no harm: all
-- of them are views of these units.
CREATE OR REPLACE FUNCTION mart.funnel_views(
    day date, units anyarray, times tstzmultirange, kind text,
    OUT unit anyelement, OUT at timestamptz, OUT event_id uuid)
RETURNS SETOF record LANGUAGE plpgsql STABLE AS $body$
DECLARE
    own   constant text := mart.funnel_unit(kind);
    parts constant tstzrange[] := ARRAY(SELECT unnest(times));
    found text := format('SELECT %1$s, e.event_time, e.event_id FROM raw.event_rows e '
                         'WHERE e.event_date = %2$L AND e.event_type = ''v'' AND %1$s = ANY ($1)',
                         own, day);
BEGIN
    IF cardinality(parts) <= mart.funnel_parts() THEN
        found := found || (SELECT format(' AND (%s)', string_agg(format(
            'e.event_time BETWEEN %L AND %L', lower(part), upper(part)), ' OR '))
                           FROM unnest(parts) AS part);
    END IF;
    RETURN QUERY EXECUTE found USING units;
END
$body$;

-- Times as the other parts of the query have them: in microseconds.
CREATE OR REPLACE FUNCTION mart.funnel_us(moment text) RETURNS text
    LANGUAGE sql IMMUTABLE AS
$$ SELECT format('(date_part(''epoch'', %s) * 1000000)::bigint', moment) $$;

-- The times of a chain, from the columns in which steps 2 and up are: as s1 in mart.funnel_chain,
-- with 0 in the place of the event's place.
CREATE OR REPLACE FUNCTION mart.funnel_times(columns text[]) RETURNS text
    LANGUAGE sql IMMUTABLE AS $$
    SELECT format('ARRAY[0, %s]', string_agg(
        CASE place WHEN 1 THEN mart.funnel_us(moment)
                   ELSE format('coalesce(%s, 9223372036854775807)', mart.funnel_us(moment)) END,
        ', ' ORDER BY place))
    FROM unnest(columns) WITH ORDINALITY AS c(moment, place)
$$;

-- Adds the times of the steps after k, in the chain that begins with an event of step k: columns
-- sK_J, J from K + 1 on. In open order, of two events of a step the earlier one leads to the
-- earlier times. So each time is a minimum, and no arrays are compared as in mart.funnel_chain.
CREATE OR REPLACE FUNCTION mart.funnel_next_times(inner_query text, k int, steps int)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format(
        'SELECT q.*, %s FROM (%s) AS q WINDOW earlier AS (PARTITION BY unit ORDER BY at DESC, '
        'event_id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)',
        string_agg(format('min(%s) FILTER (WHERE mask & %s <> 0) OVER earlier AS s%s_%s',
                          CASE j WHEN k + 1 THEN 'at' ELSE format('s%s_%s', k + 1, j) END, 1 << k,
                          k, j), ', ' ORDER BY j),
        inner_query)
    FROM generate_series(k + 1, steps) AS j
$$;

-- The columns of the times of steps 3 and up in the chain from an event of step 2.
CREATE OR REPLACE FUNCTION mart.funnel_later_times(steps int) RETURNS text
    LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(string_agg(format(', s2_%s', j), '' ORDER BY j), '')
    FROM generate_series(3, steps) AS j
$$;

-- The query of the views with which a chain may begin: unit, and the first and last of a session
-- and day.
CREATE OR REPLACE FUNCTION mart.funnel_view_ranges(first_day date, last_day date, unit text)
RETURNS text LANGUAGE plpgsql STABLE AS $body$
DECLARE
    own constant text := mart.funnel_unit(unit);
BEGIN
    RETURN mart.funnel_session_rows(
        format('%s AS unit, e.first_view AS first, e.last_view AS last', own),
        'e.views > 0', format('%s, e.event_time, e.event_time', own), 'raw.event_rows e',
        'e.event_type = ''v''', first_day, last_day);
END
$body$;

-- Common table expressions of the chains from step 2 (later), and of units with a session and day
-- without views (viewless), if mart.funnel_entered needs them.
CREATE OR REPLACE FUNCTION mart.funnel_later(
    event_query text, steps int, first_day date, last_day date, unit text)
RETURNS text LANGUAGE plpgsql STABLE AS $body$
DECLARE
    chain text := event_query;
BEGIN
    FOR k IN REVERSE steps - 1 .. 2 LOOP
        chain := mart.funnel_next_times(chain, k, steps);
    END LOOP;
    RETURN format($sql$
        later AS MATERIALIZED (
            SELECT unit, at, event_id%1$s FROM (%2$s) AS c WHERE mask & 2 <> 0
        ), many AS MATERIALIZED (
            SELECT unit FROM later GROUP BY unit HAVING count(*) > mart.funnel_many()
        ), viewless AS MATERIALIZED (%3$s),
    $sql$, mart.funnel_later_times(steps), chain,
        CASE WHEN mart.funnel_counts_users(first_day, last_day, unit)
             THEN format('SELECT DISTINCT e.user_id AS unit FROM mart.session_days e '
                         'WHERE e.event_date BETWEEN %L AND %L AND e.views = 0',
                         first_day, last_day)
             ELSE 'SELECT unit FROM many WHERE false' END);
END
$body$;

-- Common table expressions: those above; early, the units of later and viewless that have a view,
-- with the time of the first view of their chain, unless unsure; sure, the chains of those that are
-- not unsure; and read_view, the views that are read for the others. fK: time of the first view
-- that certainly begins a chain of K steps. oK: the earliest time at which an unknown view could
-- begin one. low, high: the first and the last time of unknown views. OFFSET 0: sessions are joined
-- with their units before they are joined with all chains, and the conditions of a pair are
-- computed once.
CREATE OR REPLACE FUNCTION mart.funnel_first_views(
    event_query text, steps int, within bigint, first_day date, last_day date, unit text)
RETURNS text LANGUAGE plpgsql STABLE AS $body$
DECLARE
    reach   constant text := format('%s * interval ''1 microsecond''', within);
    lows    text := format('at - %s AS low2', reach);
    pairs   text := '';
    firsts  text := '';
    asked   text := '';
    us      text := '';
    unsure  text := 'false';
    longer  text := '';
BEGIN
    FOR k IN REVERSE steps .. 2 LOOP
        pairs := pairs || format($sql$,
                         CASE WHEN first >= low%1$s AND first < at THEN first END AS f%1$s,
                         CASE WHEN low%1$s <= least(last, at) AND (low%1$s > first OR first = at)
                              THEN greatest(first, low%1$s) END AS o%1$s$sql$, k);
        firsts := firsts || format(', min(f%1$s) AS f%1$s, min(o%1$s) AS o%1$s', k);
        asked := asked || format('o%s, ', k);
        lows := lows || CASE WHEN k > 2 THEN format(', s2_%1$s - %2$s AS low%1$s', k, reach)
                             ELSE '' END;
        us := us || format('f%s, ', k);
        unsure := unsure || format(' OR %so%s <= coalesce(f%s, o%s)', longer, k, k, k);
        longer := longer || format('f%s IS NULL AND ', k);
    END LOOP;
    RETURN mart.funnel_later(event_query, steps, first_day, last_day, unit) || format($sql$
        early AS MATERIALIZED (
            SELECT unit, coalesce(%1$s NULL) AS at, ARRAY[%2$s] AS certain, low, high,
                   (%3$s) IS TRUE AS unsure
            FROM (SELECT unit, min(first) FILTER (WHERE coalesce(%4$s NULL) IS NOT NULL) AS low,
                         max(until) FILTER (WHERE coalesce(%4$s NULL) IS NOT NULL) AS high%5$s
                  FROM (SELECT unit, first, least(last, at) AS until%14$s
                        FROM (SELECT unit, at, at - %6$s AS since, %7$s FROM later
                              WHERE unit NOT IN (SELECT unit FROM many)
                              UNION ALL
                              SELECT unit, 'infinity', '-infinity'%8$s FROM viewless) AS l
                        JOIN (SELECT v.*
                              FROM (SELECT unit, min(since) AS since, max(at) AS at
                                    FROM (SELECT unit, at - %6$s AS since, at FROM later
                                          WHERE unit NOT IN (SELECT unit FROM many)
                                          UNION ALL
                                          SELECT unit, '-infinity', 'infinity' FROM viewless) AS l
                                    GROUP BY unit) AS u
                              JOIN (%9$s) AS v
                                   ON v.unit = u.unit AND v.first <= u.at AND v.last >= u.since
                              OFFSET 0) AS v USING (unit)
                        WHERE first <= at AND last >= since OFFSET 0) AS pair
                  GROUP BY unit) AS found
            UNION ALL
            SELECT unit, NULL, NULL, %11$L, %12$L, true FROM many
        ), sure AS MATERIALIZED (
            SELECT e.unit, e.at, min(l.at) AS s1_2%10$s
            FROM early e JOIN later l ON l.unit = e.unit AND l.at > e.at
            WHERE NOT e.unsure GROUP BY e.unit, e.at
        ), asked AS (
            SELECT day::date AS day, array_agg(DISTINCT unit) AS units,
                   range_agg(tstzrange(greatest(low, day), least(high, day + interval '1 day'),
                                       '[]')) AS times
            FROM early, generate_series(date_trunc('day', low), high, interval '1 day') AS day
            WHERE unsure GROUP BY day
        ), read_view AS MATERIALIZED (
            SELECT v.* FROM asked a, mart.funnel_views(a.day, a.units, a.times, %13$L) AS v
        ),
    $sql$, us, rtrim(us, ', '), unsure, asked, firsts, reach, lows,
        repeat(', NULL', steps - 1), mart.funnel_view_ranges(first_day, last_day, unit),
        (SELECT coalesce(string_agg(format(', min(l.s2_%1$s) AS s1_%1$s', j), '' ORDER BY j), '')
         FROM generate_series(3, steps) AS j),
        first_day::timestamp AT TIME ZONE 'UTC',
        (last_day + 1)::timestamp AT TIME ZONE 'UTC' - interval '1 us', unit, pairs);
END
$body$;

-- The query of the chains of units that are not unsure. OFFSET 0: s1 is made once.
CREATE OR REPLACE FUNCTION mart.funnel_sure_chains(steps int) RETURNS text
    LANGUAGE sql IMMUTABLE AS $$
    SELECT format('SELECT unit, %s AS us, %s AS s1 FROM sure OFFSET 0', mart.funnel_us('at'),
                  mart.funnel_times(ARRAY['at'] || ARRAY(SELECT 's1_' || j
                                                         FROM generate_series(2, steps) AS j)))
$$;

-- The query of the chains of unsure units, from the views that are read, and the first views that
-- are certain. Of views at the same time as an event of step 2, only those that are read may be
-- before it. So the event_id of the others is the greatest one.
CREATE OR REPLACE FUNCTION mart.funnel_unsure_chains(steps int) RETURNS text
    LANGUAGE sql IMMUTABLE AS $$
    SELECT format($sql$
        SELECT unit, NULL::bigint AS kept, %1$s AS us, event_id, %2$s AS s1
        FROM (%3$s) AS c WHERE mask = 1 OFFSET 0
    $sql$, mart.funnel_us('at'),
        mart.funnel_times(ARRAY['at'] || ARRAY(SELECT 's1_' || j
                                               FROM generate_series(2, steps) AS j)),
        mart.funnel_next_times(format($sql$
            SELECT unit, at, event_id, 2 AS mask%1$s FROM later
            WHERE unit IN (SELECT unit FROM early WHERE unsure)
            UNION ALL
            SELECT unit, at, event_id, 1%2$s FROM read_view
            UNION ALL
            SELECT unit, first, 'ffffffff-ffff-ffff-ffff-ffffffffffff', 1%2$s
            FROM early, unnest(certain) AS first WHERE unsure AND first IS NOT NULL
        $sql$, mart.funnel_later_times(steps), repeat(', NULL', steps - 2)), 1, steps))
$$;

-- How many units have a view in the period. Each user has its days in mart.dim_users, and nearly
-- each has a view on one of them. The others are among the users with a session and day without
-- views: those of them that are not in early.
CREATE OR REPLACE FUNCTION mart.funnel_entered(first_day date, last_day date) RETURNS text
    LANGUAGE sql STABLE AS $$
    SELECT format($sql$
        (SELECT count(*) FROM mart.dim_users
         WHERE days && %1$L::date[]
               OR days IS NULL AND first_seen >= %2$L AND first_seen < %3$L)
        - (SELECT count(*) FROM viewless v
           WHERE NOT EXISTS (SELECT FROM early e WHERE e.unit = v.unit AND certain IS NOT NULL))
    $sql$, ARRAY(SELECT d::date FROM generate_series(first_day::timestamp, last_day::timestamp,
                                                     '1 day') AS d),
        first_day::timestamp AT TIME ZONE 'UTC', (last_day + 1)::timestamp AT TIME ZONE 'UTC')
$$;
