-- What became of one row of a source, or of one event: stored, counted in these windows, late for
-- those, or refused and why. For operators: `make why`. The answers show neither users nor
-- sessions; `detail` of a dead letter may have any value of its row.
--
-- A duplicate leaves no trace in the database: only its first copy is stored. So a row that is
-- neither stored nor refused is a duplicate, or was not read yet.
--
-- Each day is looked at in a statement of its own, whose locks are released: see
-- functions/days.sql. By event id, and by file and row, that is one look into an index per day,
-- from the newest day until one has the row.

-- The rollups that the aggregates have. The table is large, and its key begins with the rollup: so
-- each step finds the next rollup by the index.
CREATE OR REPLACE FUNCTION processed.rollups() RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE found(rollup) AS (
        (SELECT a.rollup FROM processed.funnel_aggregates a ORDER BY a.rollup LIMIT 1)
        UNION ALL
        SELECT (SELECT a.rollup FROM processed.funnel_aggregates a WHERE a.rollup > f.rollup
                ORDER BY a.rollup LIMIT 1)
        FROM found f WHERE f.rollup IS NOT NULL)
    SELECT rollup FROM found WHERE rollup IS NOT NULL
$$;
COMMENT ON FUNCTION processed.rollups() IS
    'The rollups that processed.funnel_aggregates has rows of.';

CREATE OR REPLACE FUNCTION raw.event_of_id(id uuid) RETURNS SETOF raw.events
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan AS $body$
DECLARE
    day   date;
    event raw.events;
BEGIN
    FOR day IN SELECT event_date FROM mart.event_days ORDER BY 1 DESC LOOP
        BEGIN
            SELECT * INTO event FROM raw.events e WHERE e.event_id = id AND e.event_date = day;
            PERFORM mart.release_locks();
        EXCEPTION WHEN SQLSTATE 'FNL01' THEN NULL;
        END;
        IF event.event_id IS NOT NULL THEN
            RETURN NEXT event;
            RETURN;
        END IF;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION raw.event_of_id(uuid) IS 'The stored event with this id, searched day by day.';

CREATE OR REPLACE FUNCTION raw.event_of_row(file text, number bigint) RETURNS SETOF raw.events
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan AS $body$
DECLARE
    sources constant int[] := (SELECT array_agg(s.source_id) FROM raw.event_sources s
                               WHERE s.source_file = file);
    day     date;
    event   raw.events;
BEGIN
    IF sources IS NULL THEN
        RETURN;
    END IF;
    FOR day IN SELECT event_date FROM mart.event_days ORDER BY 1 DESC LOOP
        BEGIN
            SELECT e.* INTO event
            FROM raw.event_rows r
            JOIN raw.events e ON e.event_id = r.event_id AND e.event_date = day
            WHERE r.event_date = day AND r.source_id = ANY (sources) AND r.source_row = number
            LIMIT 1;
            PERFORM mart.release_locks();
        EXCEPTION WHEN SQLSTATE 'FNL01' THEN NULL;
        END;
        IF event.event_id IS NOT NULL THEN
            RETURN NEXT event;
            RETURN;
        END IF;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION raw.event_of_row(text, bigint) IS
    'The stored event of a row of a source file, searched day by day.';

-- late_for of the event: "1m:all", or "1d+1h:all<=2019-10-01T05:00:00Z" for some windows only.
CREATE OR REPLACE FUNCTION processed.is_late_for(
    late_for text[], rollup text, window_end timestamptz) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(bool_or(split_part(entry, '<=', 1) = rollup
                            AND (split_part(entry, '<=', 2) = ''
                                 OR window_end <= split_part(entry, '<=', 2)::timestamptz)), false)
    FROM unnest(late_for) AS entry
$$;
COMMENT ON FUNCTION processed.is_late_for(text[], text, timestamptz) IS
    'Whether an event with this late_for is not counted in a window.';

CREATE OR REPLACE FUNCTION processed.windows_of_event(event raw.events, late_for text[])
    RETURNS TABLE (finding text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    SELECT CASE WHEN late.late THEN 'not counted' WHEN a.rollup IS NULL THEN 'not counted yet'
                ELSE 'counted' END,
           format('%s %s, %s to %s', r.rollup, g.name, w.window_start, w.window_end),
           CASE WHEN late.late THEN 'the watermark had passed the end of the window + grace'
                WHEN a.rollup IS NULL THEN
                    'the rollup has no such row: it may be newer than the event, or the '
                    'aggregator or pg-loader lags'
                WHEN a.final THEN 'final' ELSE 'the window is open' END
    FROM processed.rollups() AS r(rollup)
    CROSS JOIN LATERAL processed.rollup_parts(r.rollup) AS p
    CROSS JOIN LATERAL processed.windows_of(p.size_us, p.step_us, p.mark,
                                            (event).event_time) AS w
    CROSS JOIN LATERAL (SELECT processed.group_of(p.grouped_by, (event).category_code,
                                                  (event).brand, (event).product_id)) AS g(name)
    CROSS JOIN LATERAL (SELECT processed.is_late_for(late_for, r.rollup, w.window_end))
        AS late(late)
    LEFT JOIN processed.funnel_aggregates a
        ON a.rollup = r.rollup AND a.window_start = w.window_start
           AND a.window_end = w.window_end AND a.group_value = g.name
    ORDER BY r.rollup, w.window_start, w.window_end
$$;
COMMENT ON FUNCTION processed.windows_of_event(raw.events, text[]) IS
    'The windows that an event belongs to, and whether it is counted there.';

CREATE OR REPLACE FUNCTION raw.why_stored(event raw.events)
    RETURNS TABLE (finding text, subject text, detail text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $body$
DECLARE
    late raw.late_events;
BEGIN
    RETURN QUERY SELECT 'stored'::text, format('event %s', event.event_id),
        format('%s at %s, from %s row %s, raw partition %s offset %s, loaded at %s',
               event.event_type, event.event_time, coalesce(event.source_file, '(no file)'),
               coalesce(event.source_row::text, '-'), event.raw_partition, event.raw_offset,
               event.loaded_at);
    SELECT * INTO late FROM raw.late_events l WHERE l.event_id = event.event_id
    ORDER BY l.bronze_offset LIMIT 1;
    IF late.late_for IS NOT NULL THEN
        RETURN QUERY SELECT 'late'::text, array_to_string(late.late_for, ', '),
            'it came after these were closed; raw.events has it, and '
            'reporting.funnel_corrected after processed.fold_late()'::text;
    END IF;
    RETURN QUERY SELECT * FROM processed.windows_of_event(event, late.late_for);
END
$body$;
COMMENT ON FUNCTION raw.why_stored(raw.events) IS
    'What became of a stored event: where it is, what it was late for, and each of its windows.';

CREATE OR REPLACE FUNCTION raw.why_event(id uuid)
    RETURNS TABLE (finding text, subject text, detail text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    RETURN QUERY SELECT w.* FROM raw.event_of_id(id) AS event, LATERAL raw.why_stored(event) AS w;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'not stored'::text, format('event %s', id),
            'no stored event has this id. It was not read yet, or refused: a refused row has no '
            'id, so ask by file and row'::text;
    END IF;
END
$body$;
COMMENT ON FUNCTION raw.why_event(uuid) IS
    'What became of the event with this id: stored or not, late for what, counted in which '
    'windows.';

CREATE OR REPLACE FUNCTION raw.why_refused(file text, number bigint)
    RETURNS TABLE (finding text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    SELECT 'refused', format('%s by %s', l.reason, l.stage),
           format('%s; %s partition %s offset %s, at %s%s', coalesce(l.detail, 'no detail'),
                  l.source_topic, l.source_partition, l.source_offset, l.rejected_at,
                  '; sent again at ' || l.redriven_at)
    FROM raw.dead_letters l
    WHERE l.headers->>'source_file' = file AND l.headers->>'source_row' = number::text
    ORDER BY l.rejected_at
$$;
COMMENT ON FUNCTION raw.why_refused(text, bigint) IS 'The dead letters of a row of a source file.';

CREATE OR REPLACE FUNCTION raw.why_row(file text, number bigint)
    RETURNS TABLE (finding text, subject text, detail text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    answered boolean;
BEGIN
    RETURN QUERY SELECT * FROM raw.why_refused(file, number);
    answered := FOUND;
    RETURN QUERY SELECT w.* FROM raw.event_of_row(file, number) AS event,
                                 LATERAL raw.why_stored(event) AS w;
    IF answered OR FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT 'neither stored nor refused'::text, format('%s row %s', file, number),
        CASE WHEN EXISTS (SELECT FROM raw.event_sources s WHERE s.source_file = file)
             THEN 'its event was stored before (a duplicate), or the row was not read yet: '
                  'reporting.ingestion has the duplicates of each run'
             ELSE 'no event of this file is stored. Files that are: '
                  || coalesce((SELECT string_agg(DISTINCT s.source_file, ', ')
                               FROM (SELECT e.source_file FROM raw.event_sources e
                                     ORDER BY e.source_id DESC LIMIT 20) AS s), 'none') END;
END
$body$;
COMMENT ON FUNCTION raw.why_row(text, bigint) IS
    'What became of a row of a source file: refused and why, stored, late, counted; or neither.';
