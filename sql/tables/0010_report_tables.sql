-- Tables that make reports of many events fast: where the events of a day are in the raw topic.
--
-- A refresh locks loader_offsets last, a loader first. The same lock here avoids deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;

CREATE TABLE mart.day_offsets (
    event_date   date   NOT NULL,
    partition    int    NOT NULL,
    events       bigint NOT NULL,
    first_offset bigint NOT NULL,
    last_offset  bigint NOT NULL,
    PRIMARY KEY (event_date, partition)
);
COMMENT ON TABLE mart.day_offsets IS
    'First and last raw offset of the events of each UTC day and raw partition that the reports '
    'have counted, since this table exists. They prove that all events of a day belong to a '
    'segment, or that none does.';

CREATE TABLE mart.long_sessions (
    session_id uuid NOT NULL,
    event_date date NOT NULL,
    PRIMARY KEY (session_id, event_date)
);
CREATE INDEX long_sessions_date ON mart.long_sessions (event_date);
COMMENT ON TABLE mart.long_sessions IS
    'Sessions with events on several UTC days, each of these days.';
INSERT INTO mart.long_sessions
SELECT DISTINCT session_id, event_date FROM mart.session_days
WHERE session_id IN (SELECT session_id FROM mart.session_days GROUP BY session_id
                     HAVING min(event_date) < max(event_date));

CREATE UNLOGGED TABLE mart.segment_sessions (
    session_id uuid    NOT NULL,
    user_id    bigint  NOT NULL,
    has_order  boolean NOT NULL
);
COMMENT ON TABLE mart.segment_sessions IS
    'Scratch of the batch reports: sessions, and their users, of the days whose events were read.';
