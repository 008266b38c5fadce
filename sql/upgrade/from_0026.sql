-- For a database that the migrations 0001 to 0026, 0027 or 0028 have made: brings it to the state
-- that tables/ defines up to 0004 (after 0028: up to 0005). pg-loader runs this file once, before
-- all others, and then records these files of tables as applied. Remove it when no such database is
-- left.

-- Since 0028 its result has one more column.
DROP FUNCTION IF EXISTS reporting.refresh(bigint);
-- Each of these had one caller, which now does its work.
DROP FUNCTION IF EXISTS mart.merge_day_totals(), mart.rebuild_visit_days(),
    mart.rebuild_visits_and_sums(), mart.measure_layers(), mart.measure_counts();
-- Now mart.classify_checks().
DROP FUNCTION IF EXISTS mart.judge_checks(boolean);

ALTER TABLE processed.loader_offsets ADD COLUMN IF NOT EXISTS last_record text;
ALTER TABLE mart.state
    ADD COLUMN IF NOT EXISTS settle_after interval NOT NULL DEFAULT '5 minutes',
    ADD COLUMN IF NOT EXISTS overdue_after interval NOT NULL DEFAULT '15 minutes',
    ADD COLUMN IF NOT EXISTS reconciled_since timestamptz NOT NULL DEFAULT now();
ALTER TABLE mart.new_events
    ADD COLUMN IF NOT EXISTS raw_partition int, ADD COLUMN IF NOT EXISTS raw_offset bigint;

-- Comments of tables that have changed since these migrations.
COMMENT ON COLUMN processed.loader_offsets.last_record IS
    'Newest record that was loaded: its offset, its time (ms since 1970) and a hash of its key '
    'and value. Null: none yet, or loaded by a version before this column.';
COMMENT ON TABLE raw.dead_letters IS
    'Refused records, with their bytes as they came. Each row of the source is in raw.events, is a '
    'duplicate, or is here: nothing is dropped silently.';
COMMENT ON COLUMN raw.dead_letters.redriven_at IS
    'When it was sent to the raw topic again; null: not yet. Its event is then in raw.events, or '
    'in another dead letter.';
COMMENT ON COLUMN raw.events.source_file IS
    'File that the row came from; null if the source is not a file.';
COMMENT ON TABLE raw.late_events IS
    'Events that were too late for a rollup or for their visit. They are not counted there, but '
    'they are in raw.events.';
COMMENT ON COLUMN raw.late_events.late_for IS
    'The rollups that do not count it, or visit. <rollup><=<window end> means: only the windows of '
    'that rollup that end at or before that time.';
COMMENT ON COLUMN processed.segment_controls.partition_count IS
    'Partitions of the topic. The segment has an end in each of them.';
COMMENT ON TABLE processed.late_corrections IS
    'Recounts of the cells (rollup, window and group) that late events are missing from, with '
    'these events. Written by processed.fold_late().';
COMMENT ON COLUMN processed.late_corrections.stream_revision IS
    'Revision of the stream''s row that the recount replaces; null: the stream has no row, because '
    'all events of the cell were late. If the stream''s row has another revision now, the recount '
    'is not used.';
COMMENT ON TABLE processed.visit_deltas IS
    'Changes of the sums of mart.visit_days, with their sign. Written in the transaction of the '
    'visits, added up by reporting.refresh().';
COMMENT ON COLUMN mart.session_steps.steps IS
    'time|event_id|type|product_id|price of each event except views, sorted. Only the first 500 of '
    'a day.';
COMMENT ON COLUMN mart.session_steps.path IS
    'The steps in order. Repeats in a row count as one step, and at most eight steps are shown. '
    'The path begins with view if a view was before all steps, and ends with view if one was after '
    'all. Views between steps are not shown.';
COMMENT ON TABLE mart.secret IS
    'Salt of the pseudonyms. Only the owner reads it, because its reader can find out who is who '
    'by trying ids.';
COMMENT ON TABLE mart.state IS 'State of the mart itself; one row.';
COMMENT ON COLUMN mart.state.lost_events IS
    'Events that were deleted after they were stored and before a refresh counted them: 0, unless '
    'somebody deletes events.';
COMMENT ON COLUMN mart.state.raw_from IS
    'First day that raw.events has completely: retention has dropped the days before it. A rebuild '
    'keeps the cubes of those days.';
COMMENT ON TABLE reporting.segments IS
    'Segments of the replay. complete: the end has arrived in every partition, all rows before it '
    'are stored, and the batch reports segment_days and segment_months are made. A complete '
    'segment does not change.';
DO $do$ BEGIN
    IF to_regclass('processed.bronze_loads') IS NOT NULL THEN
        COMMENT ON COLUMN processed.bronze_loads.first_offset IS
            'Where the first loader of this database began. Null: it began before the database '
            'recorded this.';
        COMMENT ON TABLE processed.bronze_loads IS
            'How far each bronze partition was ever loaded, and how many events it has twice. '
            'Written in the transaction that stores the events.';
        COMMENT ON COLUMN mart.partition_layers.base IS
            'Events that were stored before counting began; null until the first comparison has '
            'found their number. That comparison proves nothing.';
        COMMENT ON TABLE mart.day_layers IS
            'Events and revenue of each UTC day by layer: raw.events, rollup 1d:all, visits, and '
            'the events that were late for the rollup or their visit.';
        COMMENT ON COLUMN mart.reconciliations.progress IS
            'Grows when more events arrive. With expected and actual it shows whether anything '
            'still moves.';
        COMMENT ON COLUMN mart.reconciliations.unchanged_for IS
            'How long expected, actual and progress have not changed. Between two comparisons at '
            'most a minute counts, so that a time without refreshes does not count.';
        COMMENT ON TABLE mart.new_checks IS
            'Scratch of reporting.refresh(): the rows that it compares now. proven: a difference '
            'is real, even while events still move.';
    END IF;
END $do$;
COMMENT ON COLUMN mart.state.settle_after IS
    'Layers of a day that differ and have not moved for this long count as complete. Longer '
    'than a service takes to recover.';
COMMENT ON COLUMN mart.state.overdue_after IS
    'A row that could not be compared for this long, and has not moved, is a breach.';
COMMENT ON COLUMN mart.state.reconciled_since IS 'Segments completed before are not compared.';
