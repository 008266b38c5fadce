-- Reconciliation: do the layers hold the same events? reporting.count_proof compares counts of one
-- service with each other, so it cannot see a torn Kafka transaction. raw.events takes an event once,
-- so a double disappears there, and rollups count it twice. Each check below compares two layers that
-- were counted independently:
--
--   check              expected                              actual
--   partition events   bronze-sink's counts of a raw         rows of raw.events up to the offset
--                      partition                             of these counts
--   bronze doubles     0                                     bronze records, read for the first time,
--                                                            whose event was stored already
--   day events         raw.events of a UTC day               rollup 1d:all + late events (and revenue)
--   visit events       raw.events of a UTC day               visits + late events (and revenue)
--   segment rows       rows that the producer announced      rows that arrived, at most as many
--
-- Comparisons are exact. Layers are loaded from different topics, so they are unequal while events
-- flow. An unequal row differs where the offsets prove it, where the caller knows that all topics are
-- loaded (reporting.reconcile), or where nothing has moved for mart.state.settle_after. Until then it
-- is moving. Where it does not move for mart.state.overdue_after, it is overdue. A difference stays
-- until the layers agree, or until reporting.accept_difference() accepts it.
--
-- Each layer is kept as sums per partition and per day, and a refresh compares what has changed.
--
-- Partitions: bronze-sink commits its counts (offset of the last row counted, events passed on) in the
-- transaction that holds these events, and bronze has events in the order of raw. So a row of
-- raw.events beyond the counts' offset proves that all rows up to this offset were loaded. A target is
-- one record of counts, chosen while no stored row lies beyond it, and compared once one does.
--
-- Limits: one set of topics per database. The merge half of the aggregator publishes no counts, so no
-- offset proves that a rollup is complete; hence settle_after. Revenue is not compared where the sums
-- of the stream end (92233720368547758.07).
SET LOCAL lock_timeout = 0;
DO $do$ BEGIN PERFORM pg_advisory_xact_lock(mart.lock_reporting()); END $do$;

-- ---------------------------------------------------------------- what the loader writes
CREATE TABLE processed.bronze_loads (
    partition    int         NOT NULL PRIMARY KEY,
    first_offset bigint,
    loaded_up_to bigint      NOT NULL DEFAULT 0,
    doubles      bigint      NOT NULL DEFAULT 0,
    doubled_at   timestamptz
) WITH (fillfactor = 50); -- a few rows, each updated in every transaction that loads events
COMMENT ON TABLE processed.bronze_loads IS
    'How far each bronze partition was ever loaded, and what was there twice. Written in the '
    'transaction that stores the events.';
COMMENT ON COLUMN processed.bronze_loads.partition IS 'Partition of the bronze topic.';
COMMENT ON COLUMN processed.bronze_loads.first_offset IS
    'Where the first loader of this database began. Null: it began before the migration 0028.';
COMMENT ON COLUMN processed.bronze_loads.loaded_up_to IS
    'One more than the largest offset whose event was ever loaded. Never goes back: a record '
    'below it is read again, as after loader_offsets was set back.';
COMMENT ON COLUMN processed.bronze_loads.doubles IS
    'Records at or above loaded_up_to whose event was stored already: bronze holds that event '
    'twice.';
COMMENT ON COLUMN processed.bronze_loads.doubled_at IS 'When the last of them was loaded.';

-- A loader that reads a partition for the first time records where it begins. A loader that finds the
-- offsets deleted begins again, and changes nothing unless the events were deleted as well.
CREATE FUNCTION processed.note_first_offset() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    INSERT INTO processed.bronze_loads (partition, first_offset)
    VALUES (NEW.partition, NEW.next_offset)
    ON CONFLICT (partition) DO UPDATE
    SET first_offset = excluded.first_offset, loaded_up_to = 0, doubles = 0, doubled_at = NULL
    WHERE NOT EXISTS (SELECT FROM raw.events);
    RETURN NULL;
END
$body$;
COMMENT ON FUNCTION processed.note_first_offset() IS
    'Notes where the loading of a bronze partition began.';
CREATE TRIGGER note_first_offset AFTER INSERT ON processed.loader_offsets
    FOR EACH ROW WHEN (NEW.topic LIKE '%bronze\_events')
    EXECUTE FUNCTION processed.note_first_offset();
INSERT INTO processed.bronze_loads (partition, loaded_up_to)
SELECT partition, max(next_offset) FROM processed.loader_offsets
WHERE topic LIKE '%bronze\_events' GROUP BY partition;

-- A function, so that the days of raw.events are not planned for every batch that has no need of them.
CREATE FUNCTION processed.stored_now(id uuid, day date) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    RETURN EXISTS (SELECT FROM raw.events e
                   WHERE e.event_id = id AND e.event_date = day AND e.loaded_at = now());
END
$body$;
COMMENT ON FUNCTION processed.stored_now(uuid, date) IS
    'Whether this transaction has stored the event.';

CREATE TABLE processed.late_deltas (
    event_date     date          NOT NULL,
    rollup_events  bigint        NOT NULL,
    rollup_revenue numeric(38,2) NOT NULL,
    visit_events   bigint        NOT NULL,
    visit_revenue  numeric(38,2) NOT NULL
);
COMMENT ON TABLE processed.late_deltas IS
    'Late events that are stored and not yet in mart.day_layers: one row per statement and day.';
COMMENT ON COLUMN processed.late_deltas.rollup_events IS
    'Late for the rollup 1d:all; visit_events: late for their visit.';

CREATE FUNCTION processed.late_sums(source text) RETURNS text LANGUAGE sql IMMUTABLE AS
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

CREATE FUNCTION processed.note_late() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    EXECUTE 'INSERT INTO processed.late_deltas ' || processed.late_sums('new_late');
    RETURN NULL;
END
$body$;
COMMENT ON FUNCTION processed.note_late() IS 'Notes which late events a statement has stored.';
CREATE TRIGGER note_late AFTER INSERT ON raw.late_events REFERENCING NEW TABLE AS new_late
    FOR EACH STATEMENT EXECUTE FUNCTION processed.note_late();
DO $do$ BEGIN
    EXECUTE 'INSERT INTO processed.late_deltas ' || processed.late_sums('raw.late_events');
END $do$;

-- ---------------------------------------------------------------- sums of each layer
CREATE TABLE mart.partition_layers (
    partition      int    NOT NULL PRIMARY KEY,
    events         bigint NOT NULL DEFAULT 0,
    last_offset    bigint NOT NULL DEFAULT -1,
    base           bigint,
    target_offset  bigint,
    target_events  bigint,
    reached_events bigint,
    rebased        boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE mart.partition_layers IS
    'Rows of raw.events by raw partition, as far as refreshes have counted them, and the counts '
    'of bronze-sink that they are to be compared with.';
COMMENT ON COLUMN mart.partition_layers.last_offset IS 'Largest raw offset of the rows counted.';
COMMENT ON COLUMN mart.partition_layers.base IS
    'Events that were stored before counting began; null until the first comparison has found it, '
    'which then proves nothing.';
COMMENT ON COLUMN mart.partition_layers.rebased IS
    'A rebuild could not count all rows again, as retention has dropped days.';
COMMENT ON COLUMN mart.partition_layers.target_offset IS
    'Offset of the counts to compare with; null: none chosen.';
COMMENT ON COLUMN mart.partition_layers.target_events IS
    'Events that bronze-sink had passed on there.';
COMMENT ON COLUMN mart.partition_layers.reached_events IS
    'Rows counted with an offset up to target_offset.';

CREATE TABLE mart.day_layers (
    event_date     date          NOT NULL PRIMARY KEY,
    events         bigint        NOT NULL DEFAULT 0,
    revenue        numeric(38,2) NOT NULL DEFAULT 0,
    rollup_events  bigint,
    rollup_revenue numeric(38,2),
    late_events    bigint        NOT NULL DEFAULT 0,
    late_revenue   numeric(38,2) NOT NULL DEFAULT 0,
    visit_events   bigint        NOT NULL DEFAULT 0,
    visit_revenue  numeric(38,2) NOT NULL DEFAULT 0,
    visit_late_events  bigint        NOT NULL DEFAULT 0,
    visit_late_revenue numeric(38,2) NOT NULL DEFAULT 0,
    changed        boolean       NOT NULL DEFAULT true
) WITH (fillfactor = 75);
COMMENT ON TABLE mart.day_layers IS
    'Events and revenue of each UTC day by layer: raw.events, rollup 1d:all, visits, and what was '
    'late for the two.';
COMMENT ON COLUMN mart.day_layers.rollup_events IS 'Null where 1d:all has no row of this day.';
COMMENT ON COLUMN mart.day_layers.changed IS
    'One of its layers has changed since the last comparison.';
INSERT INTO mart.day_layers (event_date)
SELECT event_date FROM mart.hour_totals UNION SELECT visit_date FROM mart.visit_days;

CREATE TABLE mart.reconciliations (
    check_name    text        NOT NULL,
    subject       text        NOT NULL,
    expected      numeric,
    actual        numeric,
    progress      bigint      NOT NULL DEFAULT 0,
    accepted      numeric     NOT NULL DEFAULT 0,
    accepted_note text,
    state         text        NOT NULL
                  CHECK (state IN ('ok', 'moving', 'differs', 'overdue', 'not applicable')),
    waits_for     text,
    unchanged_for interval    NOT NULL DEFAULT '0',
    checked_at    timestamptz NOT NULL DEFAULT now(),
    agreed_at     timestamptz,
    PRIMARY KEY (check_name, subject)
) WITH (fillfactor = 75);
COMMENT ON TABLE mart.reconciliations IS 'Result of each check of reporting.reconciliation.';
COMMENT ON COLUMN mart.reconciliations.progress IS
    'With expected and actual, this shows whether anything moves.';
COMMENT ON COLUMN mart.reconciliations.accepted IS
    'Accepted difference, which is not a difference any more.';
COMMENT ON COLUMN mart.reconciliations.unchanged_for IS
    'How long expected, actual and progress have been seen as they are. Between two looks at most '
    'a minute counts, so that a time without refreshes does not.';

ALTER TABLE mart.state
    ADD COLUMN settle_after interval NOT NULL DEFAULT '5 minutes',
    ADD COLUMN overdue_after interval NOT NULL DEFAULT '15 minutes',
    ADD COLUMN reconciled_since timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN mart.state.settle_after IS
    'Layers of a day that differ and have not moved for this long count as complete. Longer '
    'than a service takes to recover.';
COMMENT ON COLUMN mart.state.overdue_after IS
    'A row that could not be compared for this long, and has not moved, is a breach.';
COMMENT ON COLUMN mart.state.reconciled_since IS 'Segments completed before are not compared.';

-- Scratch of the one refresh that runs.
CREATE UNLOGGED TABLE mart.new_checks (
    check_name text, subject text, expected numeric, actual numeric, progress bigint, proven boolean,
    not_applicable text, waits_for text
);
COMMENT ON TABLE mart.new_checks IS
    'Scratch of reporting.refresh(): what it compares now. proven: a difference is one, whatever '
    'still moves.';
ALTER TABLE mart.new_events ADD COLUMN raw_partition int, ADD COLUMN raw_offset bigint;

-- ---------------------------------------------------------------- keeping the sums
-- As 0011 has it, with the place in raw.
CREATE OR REPLACE FUNCTION mart.take_events(max_events bigint) RETURNS bigint LANGUAGE plpgsql AS $body$
DECLARE
    one   record;
    taken bigint := 0;
    found bigint := 0;
    rows  bigint;
BEGIN
    TRUNCATE mart.new_batches, mart.new_events;
    WITH first AS (
        SELECT ctid FROM (SELECT b.ctid, sum(events) OVER (ORDER BY loaded_at, event_date, raw_partition, b.ctid) - events AS before
                          FROM processed.load_batches b) AS running
        WHERE before < max_events
    ), gone AS (
        DELETE FROM processed.load_batches b USING first WHERE b.ctid = first.ctid RETURNING b.*
    )
    INSERT INTO mart.new_batches SELECT loaded_at, event_date, raw_partition, sum(events) FROM gone GROUP BY 1, 2, 3;
    ANALYZE mart.new_batches;
    FOR one IN SELECT event_date, min(loaded_at) AS low, max(loaded_at) AS high, sum(events) AS events FROM mart.new_batches GROUP BY 1 LOOP
        -- As constants, so that the planner looks at one day's partition and one range of it.
        EXECUTE format($sql$
            INSERT INTO mart.new_events
            SELECT e.event_date, extract(hour FROM e.event_time AT TIME ZONE 'UTC'), e.event_time, e.event_id, e.event_type, e.product_id,
                   coalesce(e.category_code, 'unknown'), coalesce(e.brand, 'unknown'), e.price, e.user_id,
                   coalesce(e.user_session, 'user:' || e.user_id),
                   e.category_code IS NULL, e.brand IS NULL, e.user_session IS NULL, e.raw_partition, e.raw_offset
            FROM raw.events e JOIN mart.new_batches b USING (event_date, raw_partition, loaded_at)
            WHERE e.event_date = %1$L AND e.loaded_at BETWEEN %2$L AND %3$L
        $sql$, one.event_date, one.low, one.high);
        GET DIAGNOSTICS rows = ROW_COUNT;
        taken := taken + one.events;
        found := found + rows;
    END LOOP;
    ANALYZE mart.new_events;
    IF found > taken THEN
        RAISE EXCEPTION 'reporting.refresh: % events were noted as stored, % are there: run reporting.rebuild()', taken, found;
    ELSIF found < taken THEN
        UPDATE mart.state SET lost_events = lost_events + taken - found;
    END IF;
    UPDATE mart.state SET newest_load = greatest(newest_load, (SELECT max(loaded_at) FROM mart.new_batches));
    PERFORM mart.add_dates(ARRAY(SELECT DISTINCT event_date FROM mart.new_batches));
    RETURN taken;
END
$body$;

-- As 0011 has it; it also marks the days whose visits have changed.
CREATE OR REPLACE FUNCTION mart.count_visits() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    IF NOT EXISTS (SELECT FROM processed.visit_deltas) THEN
        RETURN;
    END IF;
    WITH gone AS (DELETE FROM processed.visit_deltas RETURNING *
    ), marked AS (
        INSERT INTO mart.day_layers (event_date) SELECT DISTINCT visit_date FROM gone
        ON CONFLICT (event_date) DO UPDATE SET changed = true
    )
    INSERT INTO mart.visit_days AS t
    SELECT visit_date, entry_category, furthest_stage, left_after, duration_band, sum(visits), sum(open_visits), sum(viewing_visits), sum(carting_visits),
           sum(buying_visits), sum(abandoned_visits), sum(events), sum(purchases), sum(revenue), sum(duration_ms)
    FROM gone GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (visit_date, entry_category, furthest_stage, left_after, duration_band) DO UPDATE SET
        visits = t.visits + excluded.visits, open_visits = t.open_visits + excluded.open_visits, viewing_visits = t.viewing_visits + excluded.viewing_visits,
        carting_visits = t.carting_visits + excluded.carting_visits, buying_visits = t.buying_visits + excluded.buying_visits,
        abandoned_visits = t.abandoned_visits + excluded.abandoned_visits, events = t.events + excluded.events,
        purchases = t.purchases + excluded.purchases, revenue = t.revenue + excluded.revenue, duration_ms = t.duration_ms + excluded.duration_ms;
    DELETE FROM mart.visit_days WHERE visits = 0;
END
$body$;

-- After take_events. A row of a day that retention had dropped, stored again by a reload, was counted
-- before.
CREATE FUNCTION mart.count_partitions() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.partition_layers (partition) SELECT DISTINCT raw_partition FROM mart.new_batches
    ON CONFLICT DO NOTHING;
    INSERT INTO mart.day_layers (event_date) SELECT DISTINCT event_date FROM mart.new_batches
    ON CONFLICT (event_date) DO UPDATE SET changed = true;
    UPDATE mart.partition_layers t
    SET events = t.events + n.events, reached_events = t.reached_events + n.reached_events,
        last_offset = greatest(t.last_offset, n.last_offset)
    FROM (SELECT e.raw_partition, count(*) AS events, max(e.raw_offset) AS last_offset,
                 count(*) FILTER (WHERE e.raw_offset <= p.target_offset) AS reached_events
          FROM mart.new_events e JOIN mart.partition_layers p ON p.partition = e.raw_partition
          WHERE e.event_date >= (SELECT raw_from FROM mart.state) OR e.raw_offset > p.last_offset
          GROUP BY 1) AS n
    WHERE t.partition = n.raw_partition;
$$;

-- The days of new events are marked by count_partitions, those of visits by count_visits. Here come
-- late events and rollups.
CREATE FUNCTION mart.count_layers() RETURNS void LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM processed.late_deltas RETURNING *)
    INSERT INTO mart.day_layers AS t
        (event_date, late_events, late_revenue, visit_late_events, visit_late_revenue)
    SELECT event_date, sum(rollup_events), sum(rollup_revenue), sum(visit_events), sum(visit_revenue)
    FROM gone GROUP BY 1
    ON CONFLICT (event_date) DO UPDATE
    SET changed = true,
        late_events = t.late_events + excluded.late_events,
        late_revenue = t.late_revenue + excluded.late_revenue,
        visit_late_events = t.visit_late_events + excluded.visit_late_events,
        visit_late_revenue = t.visit_late_revenue + excluded.visit_late_revenue;

    WITH rollup AS (
        SELECT (window_start AT TIME ZONE 'UTC')::date AS event_date,
               views + carts + removes + checkouts + purchases AS events, revenue
        FROM processed.funnel_aggregates WHERE rollup = '1d:all' AND group_value = 'all'
    )
    INSERT INTO mart.day_layers AS t (event_date, rollup_events, rollup_revenue)
    SELECT event_date, r.events, r.revenue
    FROM rollup r FULL JOIN mart.day_layers d USING (event_date)
    WHERE (r.events, r.revenue) IS DISTINCT FROM (d.rollup_events, d.rollup_revenue)
    ON CONFLICT (event_date) DO UPDATE
    SET changed = true,
        rollup_events = excluded.rollup_events, rollup_revenue = excluded.rollup_revenue;

    UPDATE mart.day_layers t
    SET events = e.events, revenue = e.revenue, visit_events = v.events, visit_revenue = v.revenue
    FROM mart.day_layers d,
         LATERAL (SELECT coalesce(sum(h.events), 0) AS events, coalesce(sum(h.revenue), 0) AS revenue
                  FROM mart.hour_totals h WHERE h.event_date = d.event_date) AS e,
         LATERAL (SELECT coalesce(sum(w.events), 0) AS events, coalesce(sum(w.revenue), 0) AS revenue
                  FROM mart.visit_days w WHERE w.visit_date = d.event_date) AS v
    WHERE d.changed AND t.event_date = d.event_date;
$$;

-- ---------------------------------------------------------------- comparing
-- Compares what mart.new_checks holds with what was found before. settled: all that there is has been
-- loaded. An expected number that is null is not known yet: the layers do not agree then, and a
-- difference that was found before is kept.
CREATE FUNCTION mart.judge_checks(settled boolean) RETURNS void LANGUAGE sql AS $$
    WITH seen AS (
        SELECT n.*, o.accepted_note, n.actual - n.expected - coalesce(o.accepted, 0) AS off,
               o.state AS old_state, o.expected AS old_expected, o.actual AS old_actual,
               coalesce(o.state = 'differs' AND n.expected IS NULL AND NOT settled, false) AS kept,
               CASE WHEN (n.expected, n.actual, n.progress)
                         IS NOT DISTINCT FROM (o.expected, o.actual, o.progress)
                    THEN o.unchanged_for
                         + least(greatest(now() - o.checked_at, '0'), interval '1 minute')
                    ELSE '0' END AS unchanged_for
        FROM mart.new_checks n LEFT JOIN mart.reconciliations o USING (check_name, subject)
    ), judged AS (
        SELECT c.*, CASE
            WHEN c.not_applicable IS NOT NULL THEN 'not applicable'
            WHEN c.off IS NULL AND c.accepted_note IS NOT NULL THEN 'not applicable'
            WHEN c.off = 0 THEN 'ok'
            WHEN c.proven OR settled OR c.old_state = 'differs' THEN 'differs'
            WHEN c.waits_for IS NULL AND c.unchanged_for >= s.settle_after THEN 'differs'
            WHEN c.unchanged_for >= s.overdue_after THEN 'overdue'
            ELSE 'moving' END AS state
        FROM seen c, mart.state s
    )
    INSERT INTO mart.reconciliations AS t (check_name, subject, expected, actual, progress, state,
        waits_for, unchanged_for, checked_at, agreed_at)
    SELECT check_name, subject, CASE WHEN kept THEN old_expected ELSE expected END,
           CASE WHEN kept THEN old_actual ELSE actual END, progress, state,
           CASE WHEN state = 'not applicable' THEN coalesce(not_applicable, accepted_note)
                WHEN state IN ('moving', 'overdue') THEN waits_for END,
           unchanged_for, now(), CASE WHEN state = 'ok' THEN now() END
    FROM judged
    ON CONFLICT (check_name, subject) DO UPDATE
    SET expected = excluded.expected, actual = excluded.actual, progress = excluded.progress,
        state = excluded.state, waits_for = excluded.waits_for,
        unchanged_for = excluded.unchanged_for, checked_at = excluded.checked_at,
        agreed_at = coalesce(excluded.agreed_at, t.agreed_at)
$$;

-- Whether events of the partition are stored and not counted that may lie before those counted last.
CREATE FUNCTION mart.partition_waits(a_partition int) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM processed.load_batches b
                   WHERE b.raw_partition = a_partition
                         AND b.loaded_at <= (SELECT max(n.loaded_at) FROM mart.new_batches n
                                             WHERE n.raw_partition = a_partition))
$$;

-- Compares one partition with the counts of bronze-sink (their offset, and how many events they say
-- were passed on), and chooses the next target.
CREATE FUNCTION mart.check_partition(p mart.partition_layers, counted_to bigint, passed_on bigint,
                                     settled boolean) RETURNS mart.partition_layers
LANGUAGE plpgsql AS $body$
DECLARE
    expected bigint;
    actual   bigint;
    proven   boolean := false;
    ahead    boolean; -- the target, if there is one, lies at or after all stored rows
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
    IF expected IS NULL OR settled THEN -- nothing is proven; at rest both may be equal all the same
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
    VALUES ('partition events', 'partition ' || p.partition, expected, actual, p.last_offset, proven,
            CASE WHEN ahead AND p.base IS NULL
                 THEN 'the database is older than this check: it begins with the next events' END,
            waits);
    RETURN p;
END
$body$;

CREATE FUNCTION mart.check_partitions(settled boolean) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    one  record;
    done mart.partition_layers;
BEGIN
    INSERT INTO mart.partition_layers (partition)
    SELECT partition FROM processed.bronze_loads
    UNION SELECT partition FROM processed.counts WHERE service = 'bronze-sink'
    ON CONFLICT DO NOTHING;
    UPDATE mart.partition_layers p SET base = 0 FROM processed.bronze_loads l
    WHERE l.partition = p.partition AND l.first_offset = 0 AND p.base IS NULL AND NOT p.rebased;
    FOR one IN
        SELECT p AS layers, max(c.revision) AS counted_to, max(c.records_out) AS passed_on,
               count(c.topic) AS topics
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

-- The bronze partitions in which aggregator and loader stand at different events; null: none. The
-- loader has stored no event beyond the aggregator's counts, and has read as far as these.
CREATE FUNCTION mart.layers_wait_for() RETURNS text LANGUAGE sql STABLE AS $$
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

-- Whether any rollup has a window that begins in this span.
CREATE FUNCTION mart.any_rollup(starts timestamptz, ends timestamptz) RETURNS boolean
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

-- Why a day's rollup cannot be compared; null: it can. ROLLUPS may have had no 1d:all on that day, or
-- only until some time of it.
CREATE FUNCTION mart.day_without_rollup(d mart.day_layers) RETURNS text LANGUAGE sql STABLE AS $$
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

CREATE FUNCTION mart.check_days() RETURNS void LANGUAGE sql AS $$
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

-- A segment whose end has come in some partitions has it in all soon: ends are sent together. Then it
-- is complete, or waits for something.
CREATE FUNCTION mart.check_segments() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.new_checks
    SELECT 'segment rows', g.subject, g.rows_announced,
           CASE WHEN g.complete THEN least(coalesce(g.rows_in, 0), g.rows_announced) END,
           (SELECT coalesce(sum(records_in), 0) FROM processed.counts WHERE service = 'bronze-sink'),
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

CREATE FUNCTION mart.reconcile(settled boolean) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    TRUNCATE mart.new_checks;
    PERFORM mart.count_layers();
    PERFORM mart.check_partitions(settled);
    PERFORM mart.check_days();
    PERFORM mart.check_segments();
    PERFORM mart.judge_checks(settled);
END
$body$;

-- ---------------------------------------------------------------- the entrances
DROP FUNCTION reporting.refresh(bigint);
CREATE FUNCTION reporting.refresh(max_events bigint DEFAULT 100000,
                                  OUT events_counted bigint, OUT events_waiting bigint,
                                  OUT breaches bigint, OUT refreshed boolean,
                                  OUT differences bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
SET enable_hashjoin = on SET enable_mergejoin = on SET jit = off SET work_mem = '64MB'
AS $body$
BEGIN
    events_counted := 0;
    refreshed := pg_try_advisory_xact_lock(mart.lock_reporting());
    IF NOT refreshed THEN -- another call is running
        RETURN;
    END IF;
    PERFORM mart.count_visits();
    IF EXISTS (SELECT FROM processed.load_batches) THEN
        events_counted := mart.take_events(max_events);
        PERFORM mart.count_partitions();
        PERFORM mart.count_hours();
        PERFORM mart.count_products();
        PERFORM mart.count_sessions();
    END IF;
    events_waiting := (SELECT coalesce(sum(events), 0) FROM processed.load_batches);
    UPDATE mart.state SET refreshed_at = now();
    IF events_waiting = 0 THEN
        PERFORM mart.refresh_segments();
    END IF;
    PERFORM mart.reconcile(false);
    -- A breach may be momentary (counts that came before their dead letters), so it is checked again
    -- soon.
    PERFORM reporting.measure_quality(events_waiting = 0 AND (
        SELECT coalesce(quality_at < now() - CASE
            WHEN EXISTS (SELECT FROM reporting.data_quality_breaches) THEN interval '1 minute'
            ELSE interval '1 hour' END, true)
        FROM mart.state));
    breaches := (SELECT count(*) FROM reporting.data_quality_breaches);
    differences := (SELECT count(*) FROM mart.reconciliations WHERE state = 'differs');
END
$body$;
COMMENT ON FUNCTION reporting.refresh(bigint) IS
    'Counts up to max_events events that are stored and not yet in the reports, and all changes '
    'of visits; one transaction. Call again while events_waiting is not 0: then it also completes '
    'segments. breaches: rows of data_quality_breaches. differences: rows of '
    'reporting.reconciliation that differ. refreshed is false where another call was running: '
    'that one does the work.';

CREATE FUNCTION reporting.reconcile() RETURNS bigint
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
    'For use when everything has been loaded, as after pg-loader --wait-idle: '
    'counts the waiting events, compares all layers, and reports every difference. Returns how many '
    'rows of reporting.reconciliation differ.';

CREATE FUNCTION reporting.accept_difference(a_check_name text, a_subject text, note text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM pg_advisory_xact_lock(mart.lock_reporting());
    IF coalesce(note, '') = '' THEN
        RAISE EXCEPTION 'reporting.accept_difference: the note is empty: say why the difference stays'
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

-- rebuild() ends with rebuild_visits(), so what this migration keeps is made there. Events stored
-- meanwhile are still noted in load_batches.
ALTER FUNCTION mart.rebuild_visits() RENAME TO rebuild_visits_and_sums;
CREATE FUNCTION mart.rebuild_layers() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    DELETE FROM mart.day_layers;
    EXECUTE 'WITH gone AS (DELETE FROM processed.late_deltas) INSERT INTO mart.day_layers '
            '(event_date, late_events, late_revenue, visit_late_events, visit_late_revenue) '
            || processed.late_sums('raw.late_events');
    INSERT INTO mart.day_layers (event_date)
    SELECT event_date FROM mart.hour_totals UNION SELECT visit_date FROM mart.visit_days
    ON CONFLICT DO NOTHING;
    DELETE FROM mart.reconciliations r
    WHERE check_name IN ('day events', 'day revenue', 'visit events', 'visit revenue')
          AND NOT EXISTS (SELECT FROM mart.day_layers d WHERE d.event_date::text = r.subject);
    IF (SELECT raw_from FROM mart.state) = '-infinity' THEN
        UPDATE mart.partition_layers t
        SET events = coalesce(e.events, 0) - coalesce(w.events, 0),
            last_offset = coalesce(e.last_offset, -1), base = NULL, target_offset = NULL
        FROM mart.partition_layers p
        LEFT JOIN (SELECT raw_partition, count(*) AS events, max(raw_offset) AS last_offset
                   FROM raw.events GROUP BY 1) AS e ON e.raw_partition = p.partition
        LEFT JOIN (SELECT raw_partition, sum(events) AS events
                   FROM processed.load_batches GROUP BY 1) AS w ON w.raw_partition = p.partition
        WHERE t.partition = p.partition;
    ELSE
        UPDATE mart.partition_layers SET base = NULL, rebased = true, target_offset = NULL;
    END IF;
    PERFORM mart.reconcile(false);
END
$body$;
CREATE FUNCTION mart.rebuild_visits() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM mart.rebuild_visits_and_sums();
    PERFORM mart.rebuild_layers();
END
$body$;

-- ---------------------------------------------------------------- showing it
CREATE VIEW reporting.reconciliation AS
SELECT check_name, subject, expected, actual, actual - expected AS difference, state, checked_at,
       agreed_at, accepted AS accepted_difference,
       CASE
           WHEN state = 'ok' AND accepted <> 0 THEN 'accepted: ' || accepted_note
           WHEN state = 'ok' AND check_name = 'bronze doubles' THEN 'bronze has each event once'
           WHEN state = 'ok' THEN 'the layers agree'
           WHEN state = 'not applicable' THEN waits_for
           WHEN state = 'moving'
               THEN 'waits for ' || coalesce(waits_for, 'results that are on their way')
           WHEN state = 'overdue'
               THEN 'nothing has moved for ' || to_char(unchanged_for, 'HH24:MI:SS')
                    || ', and it still waits for ' || coalesce(waits_for, 'results')
           WHEN check_name = 'partition events' AND actual < expected
               THEN 'raw.events has fewer events than bronze-sink passed on: they were lost between '
                    'the two, or the loader refused them (raw.dead_letters, stage loader)'
           WHEN check_name = 'partition events' AND actual > expected
               THEN 'raw.events has more events than bronze-sink counted: its counts were lost, or '
                    'another program writes to bronze'
           WHEN check_name = 'partition events'
               THEN 'counts of bronze-sink are missing for events that are stored'
           WHEN check_name = 'bronze doubles'
               THEN 'bronze has these events twice: raw.events has them once, rollups and visits '
                    'have counted them twice'
           WHEN check_name = 'segment rows'
               THEN 'fewer rows arrived than the producer sent: the raw topic was created again, or '
                    'bronze-sink has skipped rows'
           WHEN actual > expected
               THEN 'the stream has counted more than raw.events has: its input or its results are '
                    'doubled'
           ELSE 'the stream has counted less than raw.events has: results were lost, or replaced by '
                'those of a part of the input'
       END AS explanation
FROM mart.reconciliations;
COMMENT ON VIEW reporting.reconciliation IS
    'Do the layers hold the same events? One row per check and partition, UTC day or segment. '
    'Rows that differ or are overdue are breaches of data quality.';
COMMENT ON COLUMN reporting.reconciliation.check_name IS
    'partition events: bronze-sink''s counts against raw.events. bronze doubles: events that '
    'bronze has twice. day events, day revenue: raw.events against the rollup 1d:all. visit '
    'events, visit revenue: raw.events against visits. segment rows: rows that the producer sent '
    'against those that arrived.';
COMMENT ON COLUMN reporting.reconciliation.subject IS
    'Partition of raw and bronze, UTC day, or segment and run.';
COMMENT ON COLUMN reporting.reconciliation.expected IS
    'What the layer that came first has: counts of bronze-sink, 0 doubles, raw.events, rows '
    'announced. Null: not known yet.';
COMMENT ON COLUMN reporting.reconciliation.actual IS
    'What the layer after it has: raw.events, doubles, rollup or visits with the events that were '
    'late for them, rows that arrived (at most as announced).';
COMMENT ON COLUMN reporting.reconciliation.difference IS 'actual less expected.';
COMMENT ON COLUMN reporting.reconciliation.state IS
    'ok: equal. moving: not equal yet, as one layer is ahead of the other. differs: not equal, '
    'and nothing is on its way; it stays until they are equal, or accepted. overdue: could not be '
    'compared for a quarter of an hour in which nothing moved. not applicable: see explanation.';
COMMENT ON COLUMN reporting.reconciliation.checked_at IS
    'When it was last compared. What has not changed since it was ok is not compared again.';
COMMENT ON COLUMN reporting.reconciliation.agreed_at IS 'When it was last found equal.';
COMMENT ON COLUMN reporting.reconciliation.accepted_difference IS
    'Difference that an administrator has accepted (reporting.accept_difference); 0: none.';
COMMENT ON COLUMN reporting.reconciliation.explanation IS
    'What the state means here: what it waits for, or what a difference comes from.';

INSERT INTO reporting.data_quality_thresholds VALUES
    ('bronze_doubles', NULL, 0, 'bronze records, reloads apart, whose event was stored already: '
        'rollups count it twice. reporting.reconciliation has the partition'),
    ('reconciliation_differences', NULL, 0, 'checks of reporting.reconciliation that differ: two '
        'layers do not hold the same events'),
    ('reconciliation_overdue', NULL, 0, 'checks of reporting.reconciliation that could not be '
        'compared for a quarter of an hour')
ON CONFLICT DO NOTHING;

CREATE FUNCTION mart.measure_reconciliation() RETURNS void LANGUAGE sql AS $$
    SELECT mart.put_measure('raw', 'bronze_doubles', '', coalesce(sum(actual - accepted), 0))
    FROM mart.reconciliations WHERE check_name = 'bronze doubles';
    SELECT mart.put_measure('reporting', 'reconciliation_' || c.name, '',
                            (SELECT count(*) FROM mart.reconciliations r WHERE r.state = c.state))
    FROM (VALUES ('differences', 'differs'), ('overdue', 'overdue')) AS c(name, state);
$$;
CREATE OR REPLACE FUNCTION mart.measure_cheap() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM mart.measure_counts();
    PERFORM mart.measure_completeness();
    PERFORM mart.measure_reconciliation();
END
$body$;

-- ---------------------------------------------------------------- rights
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mart FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION processed.note_first_offset(), processed.note_late(),
    processed.late_sums(text), processed.stored_now(uuid, date), reporting.refresh(bigint),
    reporting.reconcile(), reporting.accept_difference(text, text, text) FROM PUBLIC;
DO $body$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT rolname FROM pg_roles
                WHERE rolname IN ('funnel_analyst', 'funnel_metabase', 'funnel_unmasked') LOOP
        EXECUTE format('GRANT SELECT ON reporting.reconciliation TO %I', name);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'funnel_unmasked') THEN
        GRANT SELECT ON processed.bronze_loads, processed.late_deltas, mart.partition_layers,
            mart.day_layers, mart.reconciliations, mart.new_checks TO funnel_unmasked;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'funnel_loader') THEN
        GRANT SELECT, INSERT, UPDATE ON processed.bronze_loads TO funnel_loader;
        GRANT SELECT ON processed.load_batches TO funnel_loader;
        GRANT EXECUTE ON FUNCTION reporting.refresh(bigint), processed.stored_now(uuid, date)
            TO funnel_loader;
    END IF;
END
$body$;
