-- Checks between the lake and PostgreSQL: checksums of the files, days of raw.events that retention
-- keeps because the lake does not have them, and the way back from a row of the source.

CREATE TABLE lake.file_checksums (
    data_file_id bigint NOT NULL PRIMARY KEY,
    sha256       text   NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$')
);
COMMENT ON TABLE lake.file_checksums IS
    'SHA-256 of each file, computed before the file was stored. lake verify compares it with the '
    'stored file. Files of other programs have no row.';
COMMENT ON COLUMN lake.file_checksums.data_file_id IS 'As lake.ducklake_data_file.data_file_id.';
COMMENT ON COLUMN lake.file_checksums.sha256 IS 'SHA-256 of the bytes of the file, 64 digits.';

-- The three values are of one snapshot of the database. So if the lake is at or after `loaded` in
-- each partition, and nothing was counted since, the lake was given all events of the day.
CREATE TABLE mart.kept_days (
    event_date date        NOT NULL PRIMARY KEY,
    counted    bigint      NOT NULL,
    stored     bigint      NOT NULL,
    loaded     jsonb       NOT NULL,
    reason     text        NOT NULL,
    checked_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE mart.kept_days IS
    'Days that retention would have dropped from raw.events, but that the lake does not have.';
COMMENT ON COLUMN mart.kept_days.event_date IS 'UTC day.';
COMMENT ON COLUMN mart.kept_days.counted IS
    'Events of the day that the reports had counted when it was noted. If there are more now, the '
    'day is noted again.';
COMMENT ON COLUMN mart.kept_days.stored IS 'Events of the day in raw.events then.';
COMMENT ON COLUMN mart.kept_days.loaded IS
    'processed.bronze_loads.loaded_up_to then, by partition.';
COMMENT ON COLUMN mart.kept_days.reason IS 'What the lake lacked at checked_at.';
COMMENT ON COLUMN mart.kept_days.checked_at IS 'When retention looked last.';

-- From a row of the source to its event (sql/README.md, "Lineage"). Rows come nearly in the order
-- of the source, so a row can be in few ranges of pages. A filled table is read once, which takes
-- about a second for a million events, and two locks more per day until the end of the upgrade.
CREATE INDEX event_rows_source_row_brin ON raw.event_rows USING brin (source_row)
    WITH (pages_per_range = 32, autosummarize = on);
