-- Tables that pg-loader writes: raw (events as bronze has them, and what was refused), processed (results and
-- the loader's own bookkeeping). Every table is written in the transaction that moves processed.loader_offsets.
--
-- Indexes are few on purpose: each costs on every row loaded. A primary key is what makes loading idempotent;
-- BRIN costs almost nothing and fits, because rows arrive roughly in the order of their time. There is no index by
-- user, session or product: such questions are answered by processed, or scan the days they ask for.

CREATE SCHEMA IF NOT EXISTS raw;
CREATE SCHEMA IF NOT EXISTS processed;
CREATE SCHEMA IF NOT EXISTS reporting;
COMMENT ON SCHEMA raw IS 'Events as they were accepted, and what was refused and why. Grows; old days are dropped by retention.';
COMMENT ON SCHEMA processed IS 'Results of the stream (rollups, visits, counts) and the loader''s bookkeeping.';
COMMENT ON SCHEMA reporting IS 'Views for analysts. Ratios are computed here, from counts; nothing here sums sessions over windows or groups.';

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
-- Recent days are read by hour ("since 10:00"): a block range of 32 pages is some 3,000 events.
CREATE INDEX events_event_time_brin ON raw.events USING brin (event_time) WITH (pages_per_range = 32);

COMMENT ON TABLE raw.events IS 'Every valid event once, late ones too. A recount of this table must give exactly what processed holds, but for the late events listed in raw.late_events. One partition per UTC day, made by raw.ensure_event_partition.';
COMMENT ON COLUMN raw.events.event_id IS 'md5 of user_session|user_id|product_id|event_type|event_time, the time as YYYY-MM-DD HH:MM:SS[.fraction without trailing zeros], empty for a missing session. Same id = same event; the first one counts. (With DEDUP_KEY=source: of source file and row.)';
COMMENT ON COLUMN raw.events.event_time IS 'When it happened, as the source says. UTC.';
COMMENT ON COLUMN raw.events.event_date IS 'UTC day of event_time; the partition key.';
COMMENT ON COLUMN raw.events.event_type IS 'view, cart, remove_from_cart, checkout or purchase.';
COMMENT ON COLUMN raw.events.category_code IS 'Dotted code of up to four levels; null where the source has none (unknown in groups).';
COMMENT ON COLUMN raw.events.brand IS 'Null where the source has none (unknown in groups).';
COMMENT ON COLUMN raw.events.price IS 'Exact decimal, never negative; null where absent, never null for a purchase.';
COMMENT ON COLUMN raw.events.user_session IS 'Null where the source has none: such an event belongs to the session user:<user_id>.';
COMMENT ON COLUMN raw.events.source_file IS 'File the row came from; null where the source is no file.';
COMMENT ON COLUMN raw.events.source_row IS 'Row in source_file; 1 is the first after the header.';
COMMENT ON COLUMN raw.events.raw_partition IS 'Partition of the raw topic it was read from.';
COMMENT ON COLUMN raw.events.raw_offset IS 'Offset in that partition.';
COMMENT ON COLUMN raw.events.raw_time IS 'Time of the raw record: when the pipeline received it.';
COMMENT ON COLUMN raw.events.loaded_at IS 'Start of the transaction that loaded it.';

-- Makes the day's partition where it is missing. Safe to call by many at once: one advisory lock, held to the end
-- of the caller's transaction, lets one creator through at a time, and the usual case (it exists) takes no lock.
-- CREATE TABLE ... PARTITION OF would lock out every reader and writer of raw.events; ATTACH PARTITION of a table
-- made beforehand lets them go on. Needs READ COMMITTED (the default), where the second look sees what another made.
CREATE FUNCTION raw.ensure_event_partition(day date) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog
SET client_min_messages = warning
AS $body$
DECLARE
    partition_name text := 'events_' || to_char(day, 'YYYY_MM_DD');
BEGIN
    IF day IS NULL OR NOT isfinite(day) THEN
        RAISE EXCEPTION 'raw.ensure_event_partition: a day is needed, not %', coalesce(day::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF EXISTS (SELECT FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
               WHERE c.relname = partition_name AND i.inhparent = 'raw.events'::regclass) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('raw.ensure_event_partition', 0));
    -- A query, not to_regclass(): that one may answer from a cache that is as old as the first look.
    IF EXISTS (SELECT FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
               WHERE c.relname = partition_name AND i.inhparent = 'raw.events'::regclass) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE raw.%I (LIKE raw.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', partition_name);
    EXECUTE format('ALTER TABLE raw.events ATTACH PARTITION raw.%I FOR VALUES FROM (%L) TO (%L)', partition_name, day, day + 1);
END
$body$;
COMMENT ON FUNCTION raw.ensure_event_partition(date) IS 'Makes the partition of raw.events for one UTC day where it is missing. Idempotent, safe under concurrency.';

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
    PRIMARY KEY (stage, source_topic, source_partition, source_offset, reason)
);
CREATE INDEX dead_letters_rejected_at_brin ON raw.dead_letters USING brin (rejected_at);
COMMENT ON TABLE raw.dead_letters IS 'What was refused, with its bytes as they came. A row that was refused is here or was a duplicate: nothing is silently dropped.';
COMMENT ON COLUMN raw.dead_letters.stage IS 'Service that refused it: bronze-sink, funnel-aggregator or loader.';
COMMENT ON COLUMN raw.dead_letters.reason IS 'Stable reason code, for example invalid_price.';
COMMENT ON COLUMN raw.dead_letters.detail IS 'What exactly was wrong, for people.';
COMMENT ON COLUMN raw.dead_letters.source_topic IS 'Topic of the refused record; with partition and offset its address.';
COMMENT ON COLUMN raw.dead_letters.value IS 'Its bytes; null where it was refused by reference only (look it up at its address).';
COMMENT ON COLUMN raw.dead_letters.rejected_at IS 'Time of the dead-letter record.';

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
COMMENT ON TABLE raw.late_events IS 'Events that came too late for a rollup or for their visit: not counted there, but in raw.events all the same.';
COMMENT ON COLUMN raw.late_events.late_for IS 'What it was left out of: rollup names, or visit. <rollup><=<window end> means: only the windows of that rollup that end at or before that time.';
COMMENT ON COLUMN raw.late_events.bronze_offset IS 'Offset in bronze_partition of the bronze topic; the late event''s identity.';

CREATE TABLE processed.counts (
    service        text        NOT NULL,
    topic          text        NOT NULL,
    partition      int         NOT NULL,
    records_in     bigint      NOT NULL,
    records_out    bigint      NOT NULL,
    duplicates     bigint      NOT NULL,
    late           bigint      NOT NULL,
    dead           bigint      NOT NULL,
    dead_by_reason jsonb       NOT NULL DEFAULT '{}',
    revision       bigint      NOT NULL,
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, topic, partition)
) WITH (fillfactor = 50); -- a few rows, each updated at every commit: room for them to stay on their page
COMMENT ON TABLE processed.counts IS 'Cumulative counts of each service per input partition since the topic began. records_in = records_out + duplicates + dead. What the loader itself refused is in raw.dead_letters, stage loader.';
COMMENT ON COLUMN processed.counts.topic IS 'The input topic.';
COMMENT ON COLUMN processed.counts.records_in IS 'Rows read; controls are not rows.';
COMMENT ON COLUMN processed.counts.records_out IS 'Rows passed on.';
COMMENT ON COLUMN processed.counts.duplicates IS 'Rows whose event was already there.';
COMMENT ON COLUMN processed.counts.late IS 'Rows passed on that were too late for a rollup or a visit.';
COMMENT ON COLUMN processed.counts.dead IS 'Rows sent to the dead letter; dead_by_reason splits them.';
COMMENT ON COLUMN processed.counts.revision IS 'Offset of the last input record counted.';

CREATE TABLE processed.funnel_aggregates (
    rollup                   text          NOT NULL,
    window_start             timestamptz   NOT NULL,
    window_end               timestamptz   NOT NULL,
    group_value              text          NOT NULL,
    views                    bigint        NOT NULL,
    carts                    bigint        NOT NULL,
    removes                  bigint        NOT NULL,
    checkouts                bigint        NOT NULL,
    purchases                bigint        NOT NULL,
    revenue                  numeric(20,2) NOT NULL,
    sessions                 bigint        NOT NULL,
    view_sessions            bigint        NOT NULL,
    cart_sessions            bigint        NOT NULL,
    purchase_sessions        bigint        NOT NULL,
    funnel_cart_sessions     bigint        NOT NULL,
    funnel_checkout_sessions bigint        NOT NULL,
    funnel_purchase_sessions bigint        NOT NULL,
    final                    boolean       NOT NULL,
    revision                 bigint        NOT NULL,
    loaded_at                timestamptz   NOT NULL DEFAULT now(),
    PRIMARY KEY (rollup, window_start, window_end, group_value)
) WITH (fillfactor = 75); -- open windows are updated again and again: room for new versions beside the old (HOT)
COMMENT ON TABLE processed.funnel_aggregates IS 'One row per rollup, window and group that had an event. Counts of events and sums add up over windows and groups; counts of sessions do not: use the rollup of the wanted window and group. Upserts only move (revision, final) forward.';
COMMENT ON COLUMN processed.funnel_aggregates.rollup IS 'Window and group, for example 1m:all, 1h:category, 5m/1m:all (size/slide), 1d+1h:all (growing by the hour up to a day).';
COMMENT ON COLUMN processed.funnel_aggregates.window_start IS 'First moment of the window, UTC epoch aligned.';
COMMENT ON COLUMN processed.funnel_aggregates.window_end IS 'First moment after the window.';
COMMENT ON COLUMN processed.funnel_aggregates.group_value IS 'all, or the category, its first level, brand or product; unknown where the event has none.';
COMMENT ON COLUMN processed.funnel_aggregates.views IS 'view events; carts, removes, checkouts and purchases likewise (events, not sessions).';
COMMENT ON COLUMN processed.funnel_aggregates.revenue IS 'Sum of the prices of purchase events, exact.';
COMMENT ON COLUMN processed.funnel_aggregates.sessions IS 'Distinct sessions with any event in this window and group. An event without a session belongs to the session user:<user_id>.';
COMMENT ON COLUMN processed.funnel_aggregates.view_sessions IS 'Distinct sessions with at least one view.';
COMMENT ON COLUMN processed.funnel_aggregates.cart_sessions IS 'Distinct sessions with at least one cart.';
COMMENT ON COLUMN processed.funnel_aggregates.purchase_sessions IS 'Distinct sessions with at least one purchase = orders.';
COMMENT ON COLUMN processed.funnel_aggregates.funnel_cart_sessions IS 'Of the sessions that viewed, those with a cart at or after their first view in this window and group.';
COMMENT ON COLUMN processed.funnel_aggregates.funnel_checkout_sessions IS 'With a stage list that has checkout: of the stage before it, the sessions with a checkout at or after it. Else 0.';
COMMENT ON COLUMN processed.funnel_aggregates.funnel_purchase_sessions IS 'Of the stage before, the sessions with a purchase at or after it (by default: view, then cart, then purchase).';
COMMENT ON COLUMN processed.funnel_aggregates.final IS 'No event can change it any more, except one that arrives in spite of an idle partition; that gives a newer, not final, revision.';
COMMENT ON COLUMN processed.funnel_aggregates.revision IS 'Input offset of the last record that contributed.';

CREATE TABLE processed.session_funnels (
    user_session        text          NOT NULL,
    visit_start         timestamptz   NOT NULL,
    visit_end           timestamptz   NOT NULL,
    user_id             bigint        NOT NULL,
    views               bigint        NOT NULL,
    carts               bigint        NOT NULL,
    removes             bigint        NOT NULL,
    checkouts           bigint        NOT NULL,
    purchases           bigint        NOT NULL,
    products            bigint        NOT NULL,
    revenue             numeric(20,2) NOT NULL,
    first_category      text,
    last_category       text,
    furthest_stage      smallint      NOT NULL,
    drop_off_stage      text,
    duration_ms         bigint        NOT NULL,
    view_to_cart_ms     bigint,
    view_to_purchase_ms bigint,
    final               boolean       NOT NULL,
    revision            bigint        NOT NULL,
    loaded_at           timestamptz   NOT NULL DEFAULT now(),
    PRIMARY KEY (user_session, visit_start)
) WITH (fillfactor = 85);
-- Reports ask for days, the key is by session: BRIN, as visits are written roughly in the order of their start.
CREATE INDEX session_funnels_visit_start_brin ON processed.session_funnels USING brin (visit_start) WITH (pages_per_range = 32);
COMMENT ON TABLE processed.session_funnels IS 'One row per visit: a run of one session''s events within one UTC day without a gap of over 30 minutes.';
COMMENT ON COLUMN processed.session_funnels.user_session IS 'The session; user:<user_id> for events without one.';
COMMENT ON COLUMN processed.session_funnels.visit_start IS 'Time of the first event.';
COMMENT ON COLUMN processed.session_funnels.visit_end IS 'Time of the last event.';
COMMENT ON COLUMN processed.session_funnels.user_id IS 'User of the first event (ties in time go by event_id).';
COMMENT ON COLUMN processed.session_funnels.views IS 'view events; carts, removes, checkouts and purchases likewise.';
COMMENT ON COLUMN processed.session_funnels.products IS 'Distinct products touched.';
COMMENT ON COLUMN processed.session_funnels.revenue IS 'Sum of the prices of purchase events.';
COMMENT ON COLUMN processed.session_funnels.first_category IS 'category_code of the first event (ties by event_id); null where that event has none.';
COMMENT ON COLUMN processed.session_funnels.last_category IS 'category_code of the last event (ties by event_id); null where that event has none.';
COMMENT ON COLUMN processed.session_funnels.furthest_stage IS 'Furthest stage reached in order; by default 0 none, 1 view, 2 cart at or after the first view, 3 purchase at or after such a cart.';
COMMENT ON COLUMN processed.session_funnels.drop_off_stage IS 'Name of that stage, where the visitor left (none, view, cart); null where the last stage was reached.';
COMMENT ON COLUMN processed.session_funnels.duration_ms IS 'From first to last event, whole milliseconds, rounded down.';
COMMENT ON COLUMN processed.session_funnels.view_to_cart_ms IS 'From the first view to the first cart at or after it; null where there is none.';
COMMENT ON COLUMN processed.session_funnels.view_to_purchase_ms IS 'From the first view to the first purchase at or after it, with or without a cart; null where there is none.';
COMMENT ON COLUMN processed.session_funnels.final IS 'The visit is closed: no event can join it any more.';
COMMENT ON COLUMN processed.session_funnels.revision IS 'Input offset of the last record that contributed.';

CREATE TABLE processed.loader_offsets (
    topic       text   NOT NULL,
    partition   int    NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);
COMMENT ON TABLE processed.loader_offsets IS 'How far the loader has come. Moved by compare-and-set in the transaction that writes the rows: the only truth about what is loaded.';
COMMENT ON COLUMN processed.loader_offsets.next_offset IS 'First offset that is not loaded yet.';
