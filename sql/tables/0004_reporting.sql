-- reporting: the tables that analysts read. All else in reporting is views and functions.

CREATE SCHEMA IF NOT EXISTS reporting;
COMMENT ON SCHEMA reporting IS
    'Views for analysts. Ratios are computed here, from counts; nothing here sums sessions over '
    'windows or groups.';

CREATE TABLE reporting.clickstream_metrics (
    category      text          NOT NULL,
    total_events  bigint        NOT NULL,
    total_revenue numeric(38,2) NOT NULL,
    event_date    date          NOT NULL,
    PRIMARY KEY (category, event_date)
);
COMMENT ON TABLE reporting.clickstream_metrics IS
    'Events and revenue of each category and UTC day, late events included.';
COMMENT ON COLUMN reporting.clickstream_metrics.category IS
    'Category code; unknown for events without one.';
COMMENT ON COLUMN reporting.clickstream_metrics.total_events IS 'Events of all types.';
COMMENT ON COLUMN reporting.clickstream_metrics.total_revenue IS
    'Sum of the prices of purchase events.';
COMMENT ON COLUMN reporting.clickstream_metrics.event_date IS 'UTC day of the events.';

CREATE TABLE reporting.segments (
    segment          text    NOT NULL,
    run              bigint  NOT NULL,
    complete         boolean NOT NULL,
    waiting_for      text,
    partitions       int     NOT NULL,
    partitions_ended int     NOT NULL,
    rows_announced   bigint  NOT NULL,
    rows_in          bigint,
    stored           bigint,
    duplicates       bigint,
    rejects          bigint,
    completed_at     timestamptz,
    PRIMARY KEY (segment, run)
);
COMMENT ON TABLE reporting.segments IS
    'Segments of the replay. complete: the end has arrived in every partition, all rows before it '
    'are stored, and the batch reports segment_days and segment_months are made. A complete '
    'segment does not change.';
COMMENT ON COLUMN reporting.segments.run IS 'Counts runs over the same input from 1.';
COMMENT ON COLUMN reporting.segments.waiting_for IS 'What is still to come; null when complete.';
COMMENT ON COLUMN reporting.segments.rows_announced IS
    'Rows the producer says it sent, of the partitions that have ended.';
COMMENT ON COLUMN reporting.segments.rows_in IS
    'Rows that arrived between begin and end: more than announced where a restarted producer sent '
    'some again. rows_in = stored + duplicates + rejects. Null until complete.';
COMMENT ON COLUMN reporting.segments.stored IS 'Events in raw.events.';
COMMENT ON COLUMN reporting.segments.duplicates IS 'Rows whose event was already there.';
COMMENT ON COLUMN reporting.segments.rejects IS 'Rows in raw.dead_letters.';

CREATE TABLE reporting.segment_days (
    segment text NOT NULL, run bigint NOT NULL, day date NOT NULL,
    events bigint NOT NULL, views bigint NOT NULL, carts bigint NOT NULL, removes bigint NOT NULL,
    checkouts bigint NOT NULL, purchases bigint NOT NULL,
    revenue numeric(38,2) NOT NULL, sessions bigint NOT NULL, orders bigint NOT NULL,
    users bigint NOT NULL,
    PRIMARY KEY (segment, run, day)
);
COMMENT ON TABLE reporting.segment_days IS
    'Batch report of a complete segment: each UTC day''s events, revenue, distinct sessions, '
    'orders (sessions with a purchase) and users.';

CREATE TABLE reporting.segment_months (LIKE reporting.segment_days,
                                       PRIMARY KEY (segment, run, day));
ALTER TABLE reporting.segment_months RENAME COLUMN day TO month;
COMMENT ON TABLE reporting.segment_months IS
    'The same by UTC month (its first day). Distinct counts are of the month, not sums of days.';

CREATE TABLE reporting.data_quality_thresholds (
    check_name text NOT NULL PRIMARY KEY,
    minimum    numeric,
    maximum    numeric,
    meaning    text NOT NULL
);
COMMENT ON TABLE reporting.data_quality_thresholds IS
    'Limits of measures; beyond them a measure is a breach. Change them to fit the source.';
INSERT INTO reporting.data_quality_thresholds VALUES
    ('unbalanced_partitions', NULL, 0,
     'partitions of the raw topic where rows in = bronze + duplicates + dead letters does not '
     'hold: a defect'),
    ('reject_share', NULL, 0.05, 'rows refused, of all rows'),
    ('duplicate_share', NULL, 0.2,
     'rows whose event was already there, of all rows; a replay of the same input has many'),
    ('late_share', NULL, 0.05, 'events too late for a rollup or their visit, of all events'),
    ('share_without_category', NULL, 0.6, 'events without a category code'),
    ('share_without_brand', NULL, 0.4, 'events without a brand'),
    ('share_without_price', NULL, 0.2, 'events without a price'),
    ('share_without_session', NULL, 0.1, 'events without a session'),
    ('share_zero_price', NULL, 0.05, 'events with the price 0'),
    ('loader_rejects', NULL, 0, 'records that the database refused'),
    ('dead_letters_missing', NULL, 0,
     'dead letters that bronze-sink counted and that are not in raw.dead_letters'),
    ('reporting_lag_s', NULL, 300,
     'seconds since the oldest event that is stored and not yet in the reports'),
    ('lost_events', NULL, 0, 'events that were deleted before the reports counted them'),
    ('orphans', NULL, 0, 'rows whose key is in no dimension'),
    ('layer_difference', NULL, 0, 'events by which one layer differs from raw.events'),
    ('completeness', NULL, NULL,
     'raw: events stored, of those that bronze-sink passed on; reporting: events counted, of '
     'those stored. Below 1 while loading; a minimum makes a breach of it');
