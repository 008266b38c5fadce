-- Brings a database that the migrations 0001 to 0026, 0027 or 0028 have made to the state that
-- tables/ defines up to 0004 (from 0028: up to 0005). pg-loader runs it once, before all else, and
-- then records these tables as made. It can go when no such database is left.

-- Its result has one column more since 0028.
DROP FUNCTION IF EXISTS reporting.refresh(bigint);
-- Each of these was called by one function, which now does their work itself.
DROP FUNCTION IF EXISTS mart.merge_day_totals(), mart.rebuild_visit_days(),
    mart.rebuild_visits_and_sums(), mart.measure_layers(), mart.measure_counts();

ALTER TABLE processed.loader_offsets ADD COLUMN IF NOT EXISTS last_record text;
ALTER TABLE mart.state
    ADD COLUMN IF NOT EXISTS settle_after interval NOT NULL DEFAULT '5 minutes',
    ADD COLUMN IF NOT EXISTS overdue_after interval NOT NULL DEFAULT '15 minutes',
    ADD COLUMN IF NOT EXISTS reconciled_since timestamptz NOT NULL DEFAULT now();
ALTER TABLE mart.new_events
    ADD COLUMN IF NOT EXISTS raw_partition int, ADD COLUMN IF NOT EXISTS raw_offset bigint;

COMMENT ON COLUMN processed.loader_offsets.last_record IS
    'Newest record that was loaded: its offset, its time (ms since 1970) and a hash of its key '
    'and value. Null: none yet, or loaded by a version before this column.';
DO $do$ BEGIN
    IF to_regclass('processed.bronze_loads') IS NOT NULL THEN
        COMMENT ON COLUMN processed.bronze_loads.first_offset IS
            'Where the first loader of this database began. Null: it began before the database '
            'recorded this.';
    END IF;
END $do$;
COMMENT ON COLUMN mart.state.settle_after IS
    'Layers of a day that differ and have not moved for this long count as complete. Longer '
    'than a service takes to recover.';
COMMENT ON COLUMN mart.state.overdue_after IS
    'A row that could not be compared for this long, and has not moved, is a breach.';
COMMENT ON COLUMN mart.state.reconciled_since IS 'Segments completed before are not compared.';
