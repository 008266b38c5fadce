-- Triggers that note what a transaction of pg-loader has stored, for the next reporting.refresh():
-- events in processed.load_batches, visits in processed.visit_deltas, late events in
-- processed.late_deltas, and where loading began in processed.bronze_loads.

CREATE OR REPLACE FUNCTION processed.note_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    INSERT INTO processed.load_batches
    SELECT loaded_at, event_date, raw_partition, count(*) FROM new_events
    GROUP BY loaded_at, event_date, raw_partition;
    RETURN NULL;
END
$body$;
COMMENT ON FUNCTION processed.note_events() IS
    'Notes which events a statement has stored. Copies of stored events are not among them.';

CREATE OR REPLACE FUNCTION processed.visit_sums(source text) RETURNS text
LANGUAGE sql IMMUTABLE AS
$$ SELECT replace($sql$
    SELECT (visit_start AT TIME ZONE 'UTC')::date,
           coalesce(nullif(split_part(first_category, '.', 1), ''), 'unknown'),
           furthest_stage,
           coalesce(drop_off_stage, 'completed'),
           mart.duration_band(duration_ms),
           sum(sign),
           sum(sign * (NOT final)::int),
           sum(sign * (views > 0)::int),
           sum(sign * (carts > 0)::int),
           sum(sign * (purchases > 0)::int),
           sum(sign * (carts > 0 AND purchases = 0)::int),
           sum(sign * (views + carts + removes + checkouts + purchases)),
           sum(sign * purchases),
           sum(sign * revenue),
           sum(sign * duration_ms)
    FROM (%source%) AS changed_visits
    GROUP BY 1, 2, 3, 4, 5
$sql$, '%source%', source) $$;
COMMENT ON FUNCTION processed.visit_sums(text) IS
    'The statement that sums up visits into rows of mart.visit_days. source: a query that returns '
    'sign and the columns of processed.session_funnels.';

CREATE OR REPLACE FUNCTION processed.note_visits() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    EXECUTE 'INSERT INTO processed.visit_deltas ' || processed.visit_sums(CASE TG_OP
        WHEN 'INSERT' THEN 'SELECT 1 AS sign, n.* FROM new_visits n'
        WHEN 'DELETE' THEN 'SELECT -1 AS sign, o.* FROM old_visits o'
        ELSE 'SELECT 1 AS sign, n.* FROM new_visits n UNION ALL SELECT -1, o.* FROM old_visits o'
        END);
    RETURN NULL;
END
$body$;
COMMENT ON FUNCTION processed.note_visits() IS
    'Notes by how much a statement changed the sums of visits.';

CREATE OR REPLACE FUNCTION processed.late_sums(source text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT replace($sql$
    SELECT event_date, count(*) FILTER (WHERE for_rollup),
           coalesce(sum(price) FILTER (WHERE for_rollup AND event_type = 'purchase'), 0),
           count(*) FILTER (WHERE for_visit),
           coalesce(sum(price) FILTER (WHERE for_visit AND event_type = 'purchase'), 0)
    FROM (SELECT *, '1d:all' = ANY (late_for) AS for_rollup, 'visit' = ANY (late_for) AS for_visit
          FROM %source%) AS late
    GROUP BY event_date
$sql$, '%source%', source) $$;
COMMENT ON FUNCTION processed.late_sums(text) IS
    'The statement that sums up late events into rows of processed.late_deltas. source: a table '
    'with the columns of raw.late_events.';

CREATE OR REPLACE FUNCTION processed.note_late() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    EXECUTE 'INSERT INTO processed.late_deltas ' || processed.late_sums('new_late');
    RETURN NULL;
END
$body$;
COMMENT ON FUNCTION processed.note_late() IS 'Notes which late events a statement has stored.';

-- The first loader of a partition stores the offset where it begins. If the offsets were deleted, a
-- loader begins again; the row then changes only if the events were deleted too.
CREATE OR REPLACE FUNCTION processed.note_first_offset() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    INSERT INTO processed.bronze_loads (partition, first_offset)
    VALUES (NEW.partition, NEW.next_offset)
    ON CONFLICT (partition) DO UPDATE
    SET first_offset = excluded.first_offset, loaded_up_to = 0, doubles = 0, doubled_at = NULL
    WHERE NOT mart.has_events();
    RETURN NULL;
END
$body$;
COMMENT ON FUNCTION processed.note_first_offset() IS
    'Notes where the loading of a bronze partition began.';
