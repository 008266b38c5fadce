-- raw: the events as bronze has them, refused records, and late events. pg-loader writes these
-- tables in the transaction that moves processed.loader_offsets.
--
-- There are few indexes, because each one costs time for every row loaded. A primary key makes
-- loading idempotent. BRIN costs almost nothing and fits, because rows arrive roughly in the order
-- of their time. There is no index by user, session or product: processed has these sums, or a
-- query scans the days it asks for.

CREATE SCHEMA IF NOT EXISTS raw;
COMMENT ON SCHEMA raw IS
    'Events as they were accepted, and what was refused and why. Grows; old days are dropped by '
    'retention.';

CREATE TABLE raw.events (
    event_id      uuid          NOT NULL,
    event_time    timestamptz   NOT NULL,
    event_date    date          NOT NULL,
    event_type    text          NOT NULL,
    product_id    bigint        NOT NULL,
    category_id   bigint,
    category_code text,
    brand         text,
    price         numeric(18,2),
    user_id       bigint        NOT NULL,
    user_session  text,
    source_file   text,
    source_row    bigint,
    raw_partition int           NOT NULL,
    raw_offset    bigint        NOT NULL,
    raw_time      timestamptz   NOT NULL,
    loaded_at     timestamptz   NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, event_date)
) PARTITION BY RANGE (event_date);
-- Recent days are read by hour ("since 10:00"): a block range of 32 pages has about 3,000 events.
CREATE INDEX events_event_time_brin ON raw.events USING brin (event_time)
    WITH (pages_per_range = 32);
CREATE INDEX events_loaded_at_brin ON raw.events USING brin (loaded_at)
    WITH (pages_per_range = 32, autosummarize = on);
COMMENT ON TABLE raw.events IS
    'Every valid event once, late ones too. A recount of this table must give exactly what '
    'processed holds, but for the late events listed in raw.late_events. One partition per UTC '
    'day, made by raw.ensure_event_partition.';
COMMENT ON COLUMN raw.events.event_id IS
    'md5 of user_session|user_id|product_id|event_type|event_time, the time as YYYY-MM-DD '
    'HH:MM:SS[.fraction without trailing zeros], empty for a missing session. Same id = same '
    'event; the first one counts. (With DEDUP_KEY=source: of source file and row.)';
COMMENT ON COLUMN raw.events.event_time IS 'When it happened, as the source says. UTC.';
COMMENT ON COLUMN raw.events.event_date IS 'UTC day of event_time; the partition key.';
COMMENT ON COLUMN raw.events.event_type IS 'view, cart, remove_from_cart, checkout or purchase.';
COMMENT ON COLUMN raw.events.category_code IS
    'Dotted code of up to four levels; null where the source has none (unknown in groups).';
COMMENT ON COLUMN raw.events.brand IS 'Null where the source has none (unknown in groups).';
COMMENT ON COLUMN raw.events.price IS
    'Exact decimal, never negative; null where absent, never null for a purchase.';
COMMENT ON COLUMN raw.events.user_session IS
    'Null where the source has none: such an event belongs to the session user:<user_id>.';
COMMENT ON COLUMN raw.events.source_file IS
    'File that the row came from; null if the source is not a file.';
COMMENT ON COLUMN raw.events.source_row IS 'Row in source_file; 1 is the first after the header.';
COMMENT ON COLUMN raw.events.raw_partition IS 'Partition of the raw topic it was read from.';
COMMENT ON COLUMN raw.events.raw_offset IS 'Offset in that partition.';
COMMENT ON COLUMN raw.events.raw_time IS 'Time of the raw record: when the pipeline received it.';
COMMENT ON COLUMN raw.events.loaded_at IS 'Start of the transaction that loaded it.';

CREATE TABLE raw.dead_letters (
    stage            text        NOT NULL,
    reason           text        NOT NULL,
    detail           text,
    source_topic     text        NOT NULL,
    source_partition int         NOT NULL,
    source_offset    bigint      NOT NULL,
    key              bytea,
    value            bytea,
    headers          jsonb,
    rejected_at      timestamptz NOT NULL,
    loaded_at        timestamptz NOT NULL DEFAULT now(),
    redriven_at      timestamptz,
    PRIMARY KEY (stage, source_topic, source_partition, source_offset, reason)
);
CREATE INDEX dead_letters_rejected_at_brin ON raw.dead_letters USING brin (rejected_at);
COMMENT ON TABLE raw.dead_letters IS
    'Refused records, with their bytes as they came. Each row of the source is in raw.events, is a '
    'duplicate, or is here: nothing is dropped silently.';
COMMENT ON COLUMN raw.dead_letters.stage IS
    'Service that refused it: bronze-sink, funnel-aggregator or loader.';
COMMENT ON COLUMN raw.dead_letters.reason IS 'Stable reason code, for example invalid_price.';
COMMENT ON COLUMN raw.dead_letters.detail IS 'What exactly was wrong, for people.';
COMMENT ON COLUMN raw.dead_letters.source_topic IS
    'Topic of the refused record; with partition and offset its address.';
COMMENT ON COLUMN raw.dead_letters.value IS
    'Its bytes; null where it was refused by reference only (look it up at its address).';
COMMENT ON COLUMN raw.dead_letters.rejected_at IS 'Time of the dead-letter record.';
COMMENT ON COLUMN raw.dead_letters.redriven_at IS
    'When it was sent to the raw topic again; null: not yet. Its event is then in raw.events, or '
    'in another dead letter.';

CREATE TABLE raw.late_events (
    event_id         uuid        NOT NULL,
    late_for         text[]      NOT NULL,
    event_time       timestamptz NOT NULL,
    event_date       date        NOT NULL,
    event_type       text        NOT NULL,
    product_id       bigint      NOT NULL,
    category_id      bigint,
    category_code    text,
    brand            text,
    price            numeric(18,2),
    user_id          bigint      NOT NULL,
    user_session     text,
    source_file      text,
    source_row       bigint,
    raw_partition    int         NOT NULL,
    raw_offset       bigint      NOT NULL,
    raw_time         timestamptz NOT NULL,
    bronze_partition int         NOT NULL,
    bronze_offset    bigint      NOT NULL,
    loaded_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bronze_partition, bronze_offset)
);
COMMENT ON TABLE raw.late_events IS
    'Events that were too late for a rollup or for their visit. They are not counted there, but '
    'they are in raw.events.';
COMMENT ON COLUMN raw.late_events.late_for IS
    'The rollups that do not count it, or visit. <rollup><=<window end> means: only the windows of '
    'that rollup that end at or before that time.';
COMMENT ON COLUMN raw.late_events.bronze_offset IS
    'Offset in bronze_partition of the bronze topic; the late event''s identity.';
