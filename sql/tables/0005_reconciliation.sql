-- Reconciliation: do the layers hold the same events? functions/reconciliation.sql says how layers
-- are compared.
--
-- The database may have events already, so each table is filled from the existing rows. A loader
-- begins each transaction with a lock on loader_offsets. So the lock here keeps loaders out until
-- the triggers exist that note further rows.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;

-- A few rows, each updated in every transaction that loads events.
CREATE TABLE processed.bronze_loads (
    partition    int         NOT NULL PRIMARY KEY,
    first_offset bigint,
    loaded_up_to bigint      NOT NULL DEFAULT 0,
    doubles      bigint      NOT NULL DEFAULT 0,
    doubled_at   timestamptz
) WITH (fillfactor = 50);
COMMENT ON TABLE processed.bronze_loads IS
    'How far each bronze partition was ever loaded, and how many events it has twice. Written in '
    'the transaction that stores the events.';
COMMENT ON COLUMN processed.bronze_loads.partition IS 'Partition of the bronze topic.';
COMMENT ON COLUMN processed.bronze_loads.first_offset IS
    'Where the first loader of this database began. Null: it began before the database recorded '
    'this.';
COMMENT ON COLUMN processed.bronze_loads.loaded_up_to IS
    'One more than the largest offset whose event was ever loaded. Never goes back: a record '
    'below it is read again, as after loader_offsets was set back.';
COMMENT ON COLUMN processed.bronze_loads.doubles IS
    'Records at or above loaded_up_to whose event was stored already: bronze holds that event '
    'twice.';
COMMENT ON COLUMN processed.bronze_loads.doubled_at IS 'When the last of them was loaded.';

INSERT INTO processed.bronze_loads (partition, loaded_up_to)
SELECT partition, max(next_offset) FROM processed.loader_offsets
WHERE topic LIKE '%bronze\_events' GROUP BY partition;

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

INSERT INTO processed.late_deltas
SELECT event_date, count(*) FILTER (WHERE for_rollup),
       coalesce(sum(price) FILTER (WHERE for_rollup AND event_type = 'purchase'), 0),
       count(*) FILTER (WHERE for_visit),
       coalesce(sum(price) FILTER (WHERE for_visit AND event_type = 'purchase'), 0)
FROM (SELECT *, '1d:all' = ANY (late_for) AS for_rollup, 'visit' = ANY (late_for) AS for_visit
      FROM raw.late_events) AS late
GROUP BY event_date;

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
    'Events that were stored before counting began; null until the first comparison has found '
    'their number. That comparison proves nothing.';
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
    'Events and revenue of each UTC day by layer: raw.events, rollup 1d:all, visits, and the '
    'events that were late for the rollup or their visit.';
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
    'Grows when more events arrive. With expected and actual it shows whether anything still '
    'moves.';
COMMENT ON COLUMN mart.reconciliations.accepted IS
    'Accepted difference, which is not a difference any more.';
COMMENT ON COLUMN mart.reconciliations.unchanged_for IS
    'How long expected, actual and progress have not changed. Between two comparisons at most a '
    'minute counts, so that a time without refreshes does not count.';

-- Scratch of the one refresh that runs.
CREATE UNLOGGED TABLE mart.new_checks (
    check_name text, subject text, expected numeric, actual numeric, progress bigint,
    proven boolean,
    not_applicable text, waits_for text
);
COMMENT ON TABLE mart.new_checks IS
    'Scratch of reporting.refresh(): the rows that it compares now. proven: a difference is real, '
    'even while events still move.';

INSERT INTO reporting.data_quality_thresholds VALUES
    ('bronze_doubles', NULL, 0, 'bronze records, reloads apart, whose event was stored already: '
        'rollups count it twice. reporting.reconciliation has the partition'),
    ('reconciliation_differences', NULL, 0, 'checks of reporting.reconciliation that differ: two '
        'layers do not hold the same events'),
    ('reconciliation_overdue', NULL, 0, 'checks of reporting.reconciliation that could not be '
        'compared for a quarter of an hour')
ON CONFLICT DO NOTHING;
