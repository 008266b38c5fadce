-- Named funnels, and each of them counted per day.
--
-- A loader begins each transaction with a lock on loader_offsets. The same lock here avoids
-- deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;

CREATE TABLE reporting.funnels (
    funnel            text     NOT NULL PRIMARY KEY,
    steps             text     NOT NULL,
    conversion_window interval NOT NULL DEFAULT '7 days',
    unit              text     NOT NULL DEFAULT 'user',
    step_order        text     NOT NULL DEFAULT 'open'
);
COMMENT ON TABLE reporting.funnels IS
    'Funnels with a name. reporting.funnel_trend has each of them per day. Insert a row to begin, '
    'delete it to end.';
COMMENT ON COLUMN reporting.funnels.steps IS
    'This column and the next ones are arguments of reporting.funnel().';

CREATE TABLE mart.funnel_days (
    funnel              text     NOT NULL REFERENCES reporting.funnels
                                 ON DELETE CASCADE ON UPDATE CASCADE,
    event_date          date     NOT NULL,
    step                smallint NOT NULL,
    event               text     NOT NULL,
    converted           bigint   NOT NULL,
    median_s            numeric,
    median_from_first_s numeric,
    PRIMARY KEY (funnel, event_date, step)
);
COMMENT ON TABLE mart.funnel_days IS
    'Named funnels of each UTC day that has events: reporting.funnel() with this day as first and '
    'last day.';

CREATE TABLE mart.stale_funnel_days (
    funnel     text NOT NULL REFERENCES reporting.funnels ON DELETE CASCADE ON UPDATE CASCADE,
    event_date date NOT NULL,
    noted      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (funnel, event_date)
);
COMMENT ON TABLE mart.stale_funnel_days IS
    'Days of mart.funnel_days that a refresh has yet to count, because their events have changed.';
COMMENT ON COLUMN mart.stale_funnel_days.noted IS
    'When the day was noted first. Days are counted in this order.';

ALTER TABLE mart.state
    ADD funnels_after interval NOT NULL DEFAULT '5 minutes',
    ADD funnels_begun timestamptz, ADD funnels_at timestamptz;
COMMENT ON COLUMN mart.state.funnels_after IS
    'The pause between two passes over the changed days of named funnels.';
COMMENT ON COLUMN mart.state.funnels_begun IS
    'When the current pass has begun. It counts the days noted up to then. NULL: a pause.';
COMMENT ON COLUMN mart.state.funnels_at IS
    'When the last pass has ended. NULL: the next pass does not wait.';
