-- What became of the rows: optional fields that could not be read, repeats with another price, and
-- the refused rows of a segment by reason.
--
-- A loader begins each transaction with a lock on loader_offsets. The same lock here avoids
-- deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;

ALTER TABLE processed.counts
    ADD COLUMN unreadable_by_field    jsonb  NOT NULL DEFAULT '{}',
    ADD COLUMN duplicates_other_price bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN processed.counts.unreadable_by_field IS
    'Rows passed on whose optional field could not be read and is null, by field.';
COMMENT ON COLUMN processed.counts.duplicates_other_price IS
    'Of duplicates: rows whose price differs from that of the first copy, which is the one stored.';

ALTER TABLE processed.segment_controls ADD COLUMN duplicates_other_price bigint;
COMMENT ON COLUMN processed.segment_controls.duplicates_other_price IS
    'Count of the partition (processed.counts) at this control; null where bronze-sink did not '
    'say.';

ALTER TABLE reporting.segments
    ADD COLUMN duplicates_other_price bigint,
    ADD COLUMN rejects_by_reason      jsonb;
COMMENT ON COLUMN reporting.segments.duplicates_other_price IS
    'Of duplicates: rows whose price differs from that of the first copy. Null where it is not '
    'known.';
COMMENT ON COLUMN reporting.segments.rejects_by_reason IS 'Rows in raw.dead_letters by reason.';

INSERT INTO reporting.data_quality_thresholds VALUES
    ('unreadable_share', NULL, 0.05,
     'events whose optional field could not be read and is null, of all events passed on; by '
     'field'),
    ('unreadable_fields', NULL, NULL,
     'events whose optional field could not be read and is null; by field'),
    ('duplicates_other_price', NULL, NULL,
     'duplicates whose price differs from that of the first copy; the first copy is stored')
ON CONFLICT DO NOTHING;
