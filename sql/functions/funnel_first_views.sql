-- Funnels whose first step is any view: mart.session_days gives the first event of a chain. It has
-- the first and the last view of each session and day, so few rows are read, and no view is sorted.
--
-- A chain of k steps may begin with any view in one of the ranges [s(k) - window, s(2)), where s(2)
-- is the time of an event of step 2, and s(k) that of step k in the chain from this event. Of all
-- such views, the first one begins the chain that counts. A session and day gives its first view to
-- a range that has it. In two cases the view is unknown: a range begins between the first and the
-- last view, or the first view and the event of step 2 have the same time, and event_id decides.
-- A unit is unsure if such a view could begin a longer or an earlier chain. A unit with many events
-- of step 2 is unsure too, because each of them would be compared with each session and day. The
-- events of unsure units are read, as for all other funnels.

CREATE OR REPLACE FUNCTION mart.funnel_many() RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT 1000 $$;
COMMENT ON FUNCTION mart.funnel_many() IS
    'With more events of step 2, the events of a unit are read (mart.funnel_first_views).';

CREATE OR REPLACE FUNCTION mart.funnel_has_first_views(
    steps jsonb[], first_day date, last_day date, unit text, step_order text, breakdown text)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT steps[1] = '{"type": "view"}' AND step_order = 'open' AND breakdown IS NULL
           AND mart.funnel_reads_sessions(steps[1], first_day, last_day, unit)
           AND NOT EXISTS (SELECT FROM unnest(steps[2:]) AS s WHERE s->>'type' = 'view')
$$;

-- The query of the views with which a chain may begin: unit, and the first and last of a session
-- and day.
CREATE OR REPLACE FUNCTION mart.funnel_view_ranges(first_day date, last_day date, unit text)
RETURNS text LANGUAGE plpgsql STABLE AS $body$
DECLARE
    own constant text := mart.funnel_unit(unit);
    us  constant text := '(date_part(''epoch'', e.%I) * 1000000)::bigint';
BEGIN
    RETURN mart.funnel_session_rows(
        format('%s AS unit, %s AS first, %s AS last', own, format(us, 'first_view'),
               format(us, 'last_view')),
        'e.views > 0', format('%1$s, %2$s, %2$s', own, format(us, 'event_time')),
        'raw.event_rows e', 'e.event_type = ''v''', first_day, last_day);
END
$body$;

-- Common table expressions: early, the units of the chains from step 2 and the time of their first
-- view, with unsure; and sure, the chains of the others. fK: time of the first view that
-- certainly begins a chain of K steps. oK: the earliest time at which an unknown view could begin
-- one. OFFSET 0: the times of a row are computed once, and only the rows that remain are joined.
CREATE OR REPLACE FUNCTION mart.funnel_first_views(
    chains text, first_day date, last_day date, unit text, steps int, within bigint)
RETURNS text LANGUAGE plpgsql STABLE AS $body$
DECLARE
    firsts text := '';
    us     text := '';
    unsure text := 'false';
    longer text := '';
BEGIN
    FOR k IN REVERSE steps .. 2 LOOP
        firsts := firsts || format($sql$,
            min(first) FILTER (WHERE first >= s2[%1$s] - %2$s AND first < us) AS f%1$s,
            min(greatest(first, s2[%1$s] - %2$s)) FILTER (
                WHERE s2[%1$s] - %2$s BETWEEN CASE WHEN first < us THEN first + 1
                                                   ELSE s2[%1$s] - %2$s END
                                          AND least(last, us)) AS o%1$s$sql$, k, within);
        us := us || format('f%s, ', k);
        unsure := unsure || format(' OR %so%s <= coalesce(f%s, o%s)', longer, k, k, k);
        longer := longer || format('f%s IS NULL AND ', k);
    END LOOP;
    RETURN format($sql$
        later AS MATERIALIZED (
            SELECT unit, us, s2, count(*) OVER (PARTITION BY unit) > mart.funnel_many() AS many
            FROM (%1$s) AS c WHERE s2 IS NOT NULL
        ), early AS MATERIALIZED (
            SELECT unit, coalesce(%2$s NULL) AS us, (%3$s) IS TRUE AS unsure
            FROM (SELECT unit%4$s
                  FROM later
                  JOIN (SELECT * FROM (%5$s) AS r
                        WHERE unit IN (SELECT unit FROM later WHERE NOT many)
                        OFFSET 0) AS v USING (unit)
                  WHERE first <= us AND last >= s2[2] - %6$s GROUP BY unit) AS found
            UNION ALL
            SELECT DISTINCT unit, NULL::bigint, true FROM later WHERE many
        ), sure AS MATERIALIZED (
            SELECT e.unit, e.us, ARRAY[0, e.us] || (min(l.s2))[2:] AS s1
            FROM early e JOIN later l ON l.unit = e.unit AND l.us > e.us
            WHERE NOT e.unsure GROUP BY e.unit, e.us
        ),
    $sql$, chains, us, unsure, firsts, mart.funnel_view_ranges(first_day, last_day, unit), within);
END
$body$;
