-- Reconciliation: do the layers have the same events? reporting.count_proof compares counts of one
-- service with each other, so it cannot see a torn Kafka transaction. raw.events stores an event
-- once, so it does not show an event that bronze has twice, but rollups count it twice. Each check
-- below compares two layers that were counted independently:
--
--   check              expected                              actual
--   partition events   bronze-sink's counts of a raw         rows of raw.events up to the offset
--                      partition                             of these counts
--   bronze doubles     0                                     bronze records, read for the first
--                                                            time, whose event was stored already
--   day events         raw.events of a UTC day               rollup 1d:all + late events
--   day revenue                                              (likewise)
--   visit events       raw.events of a UTC day               visits + late events
--   visit revenue                                            (likewise)
--   segment rows       rows that the producer announced      rows that arrived, at most as many
--
-- Comparisons are exact. Layers are loaded from different topics, so they are unequal while events
-- flow. The state of an unequal row is `differs` in three cases: the offsets prove it; the caller
-- knows that all topics are loaded (reporting.reconcile); or nothing has moved for
-- mart.state.settle_after. Before that the state is `moving`. It is `overdue` if the row cannot be
-- compared and has not moved for mart.state.overdue_after. A difference stays until the layers are
-- equal, or until reporting.accept_difference() accepts it.
--
-- Each layer is kept as sums per partition and per day. A refresh compares the sums that changed.
--
-- Partitions: bronze-sink commits its counts (offset of the last row counted, events passed on) in
-- the transaction of these events, and bronze has events in the order of raw. So a row of
-- raw.events past the counts' offset proves that all rows up to this offset were loaded. A target
-- is one record of counts. It is chosen while no stored row is past its offset, and compared as
-- soon as one is.
--
-- Limits: one set of topics per database. The merge half of the aggregator publishes no counts, so
-- no offset proves that a rollup is complete; hence settle_after. Revenue is not compared where
-- the sums of the stream end (92233720368547758.07).

CREATE OR REPLACE FUNCTION reporting.reconcile() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
SET enable_hashjoin = on SET enable_mergejoin = on SET jit = off SET work_mem = '64MB'
AS $body$
BEGIN
    PERFORM pg_advisory_xact_lock(mart.lock_reporting());
    LOOP
        EXIT WHEN (SELECT r.events_waiting FROM reporting.refresh() r) = 0;
    END LOOP;
    UPDATE mart.day_layers SET changed = true WHERE event_date >= (SELECT raw_from FROM mart.state);
    PERFORM mart.reconcile(true);
    PERFORM reporting.measure_quality(false);
    RETURN (SELECT count(*) FROM mart.reconciliations WHERE state IN ('differs', 'overdue'));
END
$body$;
COMMENT ON FUNCTION reporting.reconcile() IS
    'For use when everything has been loaded, as after pg-loader --wait-idle: counts the waiting '
    'events, compares all layers, and reports every difference. Returns how many rows of '
    'reporting.reconciliation differ.';

CREATE OR REPLACE FUNCTION reporting.accept_difference(a_check_name text, a_subject text, note text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM pg_advisory_xact_lock(mart.lock_reporting());
    IF coalesce(note, '') = '' THEN
        RAISE EXCEPTION 'reporting.accept_difference: the note is empty: say why the difference '
            'stays'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE mart.reconciliations
    SET accepted = coalesce(actual - expected, 0), accepted_note = note, waits_for = note,
        state = CASE WHEN actual - expected IS NULL THEN 'not applicable' ELSE 'ok' END
    WHERE check_name = a_check_name AND subject = a_subject AND state IN ('differs', 'overdue');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'reporting.accept_difference: no row of reporting.reconciliation with '
            'check_name "%" and subject "%" differs or is overdue', a_check_name, a_subject
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM reporting.measure_quality(false);
END
$body$;
COMMENT ON FUNCTION reporting.accept_difference(text, text, text) IS
    'Accepts a difference that is understood and stays. It is not a breach any more; any other '
    'difference of the same check and subject is one.';

CREATE OR REPLACE FUNCTION mart.reconcile(settled boolean) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    TRUNCATE mart.new_checks;
    PERFORM mart.count_layers();
    PERFORM mart.check_partitions(settled);
    PERFORM mart.check_days();
    PERFORM mart.check_segments();
    PERFORM mart.classify_checks(settled);
END
$body$;

-- Sets the state of each row of mart.new_checks, from its numbers and its last result. settled: all
-- topics have been loaded completely. If expected is null, the number is not known yet: the layers
-- are not equal then, and a difference that was found before stays.
CREATE OR REPLACE FUNCTION mart.classify_checks(settled boolean) RETURNS void LANGUAGE sql AS $$
    WITH compared AS (
        SELECT n.*, o.accepted_note, n.actual - n.expected - coalesce(o.accepted, 0) AS off,
               o.state AS old_state, o.expected AS old_expected, o.actual AS old_actual,
               coalesce(o.state = 'differs' AND n.expected IS NULL AND NOT settled, false) AS kept,
               CASE WHEN (n.expected, n.actual, n.progress)
                         IS NOT DISTINCT FROM (o.expected, o.actual, o.progress)
                    THEN o.unchanged_for
                         + least(greatest(now() - o.checked_at, '0'), interval '1 minute')
                    ELSE '0' END AS unchanged_for
        FROM mart.new_checks n LEFT JOIN mart.reconciliations o USING (check_name, subject)
    ), classified AS (
        SELECT c.*, CASE
            WHEN c.not_applicable IS NOT NULL THEN 'not applicable'
            WHEN c.off IS NULL AND c.accepted_note IS NOT NULL THEN 'not applicable'
            WHEN c.off = 0 THEN 'ok'
            WHEN c.proven OR settled OR c.old_state = 'differs' THEN 'differs'
            WHEN c.waits_for IS NULL AND c.unchanged_for >= s.settle_after THEN 'differs'
            WHEN c.unchanged_for >= s.overdue_after THEN 'overdue'
            ELSE 'moving' END AS state
        FROM compared c, mart.state s
    )
    INSERT INTO mart.reconciliations AS t (check_name, subject, expected, actual, progress, state,
        waits_for, unchanged_for, checked_at, agreed_at)
    SELECT check_name, subject, CASE WHEN kept THEN old_expected ELSE expected END,
           CASE WHEN kept THEN old_actual ELSE actual END, progress, state,
           CASE WHEN state = 'not applicable' THEN coalesce(not_applicable, accepted_note)
                WHEN state IN ('moving', 'overdue') THEN waits_for END,
           unchanged_for, now(), CASE WHEN state = 'ok' THEN now() END
    FROM classified
    ON CONFLICT (check_name, subject) DO UPDATE
    SET expected = excluded.expected, actual = excluded.actual, progress = excluded.progress,
        state = excluded.state, waits_for = excluded.waits_for,
        unchanged_for = excluded.unchanged_for, checked_at = excluded.checked_at,
        agreed_at = coalesce(excluded.agreed_at, t.agreed_at)
$$;

-- Whether the partition has events that are stored, are not counted, and may be before the events
-- that were counted last.
CREATE OR REPLACE FUNCTION mart.partition_waits(a_partition int) RETURNS boolean
    LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM processed.load_batches b
                   WHERE a_partition = ANY (b.run_partition)
                         AND b.loaded_at <= (SELECT max(n.loaded_at) FROM mart.new_batches n))
$$;

-- Compares one partition with the counts of bronze-sink (counted_to: their offset; passed_on:
-- events passed on up to there), and chooses the next target.
CREATE OR REPLACE FUNCTION mart.check_partition(
    p mart.partition_layers, counted_to bigint, passed_on bigint, settled boolean)
RETURNS mart.partition_layers
LANGUAGE plpgsql AS $body$
DECLARE
    expected bigint;
    actual   bigint;
    proven   boolean := false;
    ahead    boolean; -- there is a target, at or after all stored rows
    waits    text;
BEGIN
    IF p.target_offset < p.last_offset AND NOT mart.partition_waits(p.partition) THEN -- reached
        p.base := coalesce(p.base, p.target_events - p.reached_events);
        expected := p.target_events;
        actual := p.base + p.reached_events;
        proven := true;
        p.target_offset := NULL;
    END IF;
    IF p.target_offset IS NULL AND counted_to >= p.last_offset THEN
        p.target_offset := counted_to;
        p.target_events := passed_on;
        p.reached_events := p.events;
    END IF;
    ahead := coalesce(p.target_offset >= p.last_offset, false);
    IF expected IS NULL OR settled THEN -- not proven, but both may be equal if all is loaded
        IF settled AND ahead THEN
            p.base := coalesce(p.base, p.target_events - p.reached_events);
        END IF;
        expected := CASE WHEN ahead AND p.base IS NOT NULL THEN p.target_events END;
        actual := coalesce(p.base, 0) + p.events;
        proven := coalesce(actual > expected, false);
        waits := CASE WHEN ahead THEN format('stored events up to raw offset %s', p.target_offset)
                      ELSE format('counts of bronze-sink up to raw offset %s', p.last_offset) END;
        IF actual = expected THEN
            p.target_offset := NULL;
        END IF;
    END IF;
    INSERT INTO mart.new_checks
    VALUES ('partition events', 'partition ' || p.partition, expected, actual, p.last_offset,
            proven,
            CASE WHEN ahead AND p.base IS NULL
                 THEN 'the database is older than this check: it begins with the next events' END,
            waits);
    RETURN p;
END
$body$;

CREATE OR REPLACE FUNCTION mart.check_partitions(settled boolean) RETURNS void
    LANGUAGE plpgsql AS $body$
DECLARE
    counting boolean;
    one  record;
    done mart.partition_layers;
BEGIN
    INSERT INTO mart.partition_layers (partition)
    SELECT partition FROM processed.bronze_loads
    UNION SELECT partition FROM processed.counts WHERE service = 'bronze-sink'
    ON CONFLICT DO NOTHING;
    UPDATE mart.partition_layers p SET base = 0 FROM processed.bronze_loads l
    WHERE l.partition = p.partition AND l.first_offset = 0 AND p.base IS NULL AND NOT p.rebased;
    -- bronze-sink counts a partition from its first row on. So where others have counts, a
    -- partition without counts and without events has had no row: both sides are 0.
    counting := EXISTS (SELECT FROM processed.counts WHERE service = 'bronze-sink');
    FOR one IN
        SELECT p AS layers, count(c.topic) AS topics,
               coalesce(max(c.revision), CASE WHEN counting AND p.last_offset < 0 THEN -1 END)
                   AS counted_to,
               coalesce(max(c.records_out), CASE WHEN counting AND p.last_offset < 0 THEN 0 END)
                   AS passed_on
        FROM mart.partition_layers p
        LEFT JOIN processed.counts c ON c.service = 'bronze-sink' AND c.partition = p.partition
        GROUP BY p.partition ORDER BY p.partition
    LOOP
        IF one.topics > 1 THEN
            INSERT INTO mart.new_checks
            VALUES ('partition events', 'partition ' || (one.layers).partition, NULL,
                    (one.layers).events, (one.layers).last_offset, false, NULL,
                    format('a database of its own: counts of %s raw topics are here', one.topics));
            CONTINUE;
        END IF;
        done := mart.check_partition(one.layers, one.counted_to, one.passed_on, settled);
        UPDATE mart.partition_layers p
        SET base = done.base, target_offset = done.target_offset,
            target_events = done.target_events, reached_events = done.reached_events
        WHERE p.partition = done.partition AND p IS DISTINCT FROM done;
    END LOOP;
    INSERT INTO mart.new_checks
    SELECT 'bronze doubles', 'partition ' || partition, 0, doubles, 0, true
    FROM processed.bronze_loads;
END
$body$;

-- Names the bronze partitions in which aggregator and loader have read up to different events;
-- null: none. In all others the loader has stored no event past the aggregator's counts, and has
-- read past the offset of these counts.
CREATE OR REPLACE FUNCTION mart.layers_wait_for() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT 'events that funnel-aggregator or pg-loader has not read yet in bronze partition '
           || string_agg(l.partition::text, ', ' ORDER BY l.partition)
    FROM processed.bronze_loads l
    JOIN (SELECT partition, max(next_offset) AS next_offset FROM processed.loader_offsets
          WHERE topic LIKE '%bronze\_events' GROUP BY 1) AS o USING (partition)
    LEFT JOIN (SELECT partition, max(revision) AS revision FROM processed.counts
               WHERE service = 'funnel-aggregator' AND topic LIKE '%bronze\_events'
               GROUP BY 1) AS c USING (partition)
    WHERE l.loaded_up_to > 0
          AND NOT coalesce(c.revision >= l.loaded_up_to - 1 AND c.revision < o.next_offset, false)
$$;

-- Whether any rollup has a window that starts in this span.
CREATE OR REPLACE FUNCTION mart.any_rollup(starts timestamptz, ends timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE known AS (
        (SELECT rollup FROM processed.funnel_aggregates ORDER BY rollup LIMIT 1)
        UNION ALL
        SELECT (SELECT a.rollup FROM processed.funnel_aggregates a WHERE a.rollup > known.rollup
                ORDER BY a.rollup LIMIT 1)
        FROM known WHERE known.rollup IS NOT NULL
    )
    SELECT EXISTS (
        SELECT FROM known,
               LATERAL (SELECT FROM processed.funnel_aggregates a
                        WHERE a.rollup = known.rollup AND a.window_start >= starts
                              AND a.window_start < ends LIMIT 1) AS found)
$$;

-- Why the rollup of a day cannot be compared; null: it can. ROLLUPS may have been without 1d:all on
-- that day, or on a part of it.
CREATE OR REPLACE FUNCTION mart.day_without_rollup(d mart.day_layers) RETURNS text
    LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN d.rollup_events IS NULL AND mart.any_rollup(starts, ends)
            THEN 'ROLLUPS had no 1d:all for this day'
        WHEN d.rollup_events IS NOT NULL AND mart.any_rollup(ends, 'infinity') AND NOT EXISTS (
            SELECT FROM processed.funnel_aggregates a
            WHERE a.rollup = '1d:all'
                  AND (a.window_start >= ends OR (a.window_start = starts AND a.final)))
            THEN '1d:all was taken out of ROLLUPS on this day'
    END
    FROM (SELECT d.event_date::timestamp AT TIME ZONE 'UTC' AS starts,
                 (d.event_date + 1)::timestamp AT TIME ZONE 'UTC' AS ends) AS day
$$;

CREATE OR REPLACE FUNCTION mart.check_days() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.new_checks
    SELECT c.check_name, d.event_date::text, c.expected, c.actual,
           d.events + coalesce(d.rollup_events, 0) + d.visit_events, false,
           CASE WHEN d.event_date < s.raw_from THEN 'raw.events has dropped this day'
                WHEN c.check_name LIKE '% revenue' AND c.expected >= 92233720368547758.07
                     THEN 'the sums of the stream end at 92233720368547758.07'
                WHEN c.check_name LIKE 'day %' AND c.expected <> c.actual
                     THEN mart.day_without_rollup(d) END,
           CASE WHEN EXISTS (SELECT FROM processed.load_batches b WHERE b.event_date = d.event_date)
                THEN 'events that are stored and not yet in the reports' ELSE w.waits END
    FROM mart.state s, (SELECT mart.layers_wait_for() AS waits) AS w, mart.day_layers d,
         LATERAL (VALUES
             ('day events', d.events::numeric,
              coalesce(d.rollup_events, 0)::numeric + d.late_events),
             ('day revenue', d.revenue, coalesce(d.rollup_revenue, 0) + d.late_revenue),
             ('visit events', d.events, d.visit_events + d.visit_late_events),
             ('visit revenue', d.revenue, d.visit_revenue + d.visit_late_revenue)
         ) AS c(check_name, expected, actual)
    WHERE d.changed OR EXISTS (
        SELECT FROM mart.reconciliations o
        WHERE o.check_name = c.check_name AND o.subject = d.event_date::text
              AND o.state IN ('moving', 'differs', 'overdue'));
    UPDATE mart.day_layers SET changed = false WHERE changed;
$$;

-- The producer sends the ends of a segment to all partitions together. So when one has arrived, the
-- others follow soon. The segment is then complete, or waits for something.
CREATE OR REPLACE FUNCTION mart.check_segments() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.new_checks
    SELECT 'segment rows', g.subject, g.rows_announced,
           CASE WHEN g.complete THEN least(coalesce(g.rows_in, 0), g.rows_announced) END,
           (SELECT coalesce(sum(records_in), 0) FROM processed.counts
            WHERE service = 'bronze-sink'),
           g.complete,
           CASE WHEN g.complete AND NOT p.placed
                THEN 'bronze-sink did not say where its controls stand in raw' END,
           g.waiting_for
    FROM mart.state s,
         (SELECT *, format('%s, run %s', segment, run) AS subject FROM reporting.segments) AS g,
         LATERAL (SELECT bool_and(c.raw_offset IS NOT NULL) AS placed,
                         max(c.loaded_at) FILTER (WHERE kind = 'end') AS ended_at
                  FROM processed.segment_controls c WHERE c.segment = g.segment) AS p
    WHERE g.partitions_ended > 0 AND p.ended_at > s.reconciled_since AND NOT EXISTS (
        SELECT FROM mart.reconciliations o
        WHERE o.check_name = 'segment rows' AND o.subject = g.subject
              AND o.state NOT IN ('moving', 'overdue'));
$$;
