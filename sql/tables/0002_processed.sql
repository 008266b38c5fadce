-- processed: results of the stream, and the bookkeeping of pg-loader. pg-loader writes these
-- tables in the transaction that moves processed.loader_offsets. Triggers (functions/triggers.sql)
-- write load_batches and visit_deltas (0003_mart.sql) in the same transaction.

CREATE SCHEMA IF NOT EXISTS processed;
COMMENT ON SCHEMA processed IS
    'Results of the stream (rollups, visits, counts) and the loader''s bookkeeping.';

-- A few rows, each updated at every commit: the fill factor keeps them on their pages (HOT).
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
) WITH (fillfactor = 50);
COMMENT ON TABLE processed.counts IS
    'Cumulative counts of each service per input partition since the topic began. records_in = '
    'records_out + duplicates + dead. What the loader itself refused is in raw.dead_letters, '
    'stage loader.';
COMMENT ON COLUMN processed.counts.topic IS 'The input topic.';
COMMENT ON COLUMN processed.counts.records_in IS 'Rows read; controls are not rows.';
COMMENT ON COLUMN processed.counts.records_out IS 'Rows passed on.';
COMMENT ON COLUMN processed.counts.duplicates IS 'Rows whose event was already there.';
COMMENT ON COLUMN processed.counts.late IS
    'Rows passed on that were too late for a rollup or a visit.';
COMMENT ON COLUMN processed.counts.dead IS
    'Rows sent to the dead letter; dead_by_reason splits them.';
COMMENT ON COLUMN processed.counts.revision IS 'Offset of the last input record counted.';

-- Open windows are updated often: the fill factor leaves room on the page of a row for its new
-- versions (HOT).
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
) WITH (fillfactor = 75);
COMMENT ON TABLE processed.funnel_aggregates IS
    'One row per rollup, window and group that had an event. Counts of events and sums add up '
    'over windows and groups; counts of sessions do not: use the rollup of the wanted window and '
    'group. Upserts only move (revision, final) forward.';
COMMENT ON COLUMN processed.funnel_aggregates.rollup IS
    'Window and group, for example 1m:all, 1h:category, 5m/1m:all (size/slide), 1d+1h:all '
    '(growing by the hour up to a day).';
COMMENT ON COLUMN processed.funnel_aggregates.window_start IS
    'First moment of the window, UTC epoch aligned.';
COMMENT ON COLUMN processed.funnel_aggregates.window_end IS 'First moment after the window.';
COMMENT ON COLUMN processed.funnel_aggregates.group_value IS
    'all, or the category, its first level, brand or product; unknown where the event has none.';
COMMENT ON COLUMN processed.funnel_aggregates.views IS
    'view events; carts, removes, checkouts and purchases likewise (events, not sessions).';
COMMENT ON COLUMN processed.funnel_aggregates.revenue IS
    'Sum of the prices of purchase events, exact.';
COMMENT ON COLUMN processed.funnel_aggregates.sessions IS
    'Distinct sessions with any event in this window and group. An event without a session '
    'belongs to the session user:<user_id>.';
COMMENT ON COLUMN processed.funnel_aggregates.view_sessions IS
    'Distinct sessions with at least one view.';
COMMENT ON COLUMN processed.funnel_aggregates.cart_sessions IS
    'Distinct sessions with at least one cart.';
COMMENT ON COLUMN processed.funnel_aggregates.purchase_sessions IS
    'Distinct sessions with at least one purchase = orders.';
COMMENT ON COLUMN processed.funnel_aggregates.funnel_cart_sessions IS
    'Of the sessions that viewed, those with a cart at or after their first view in this window '
    'and group.';
COMMENT ON COLUMN processed.funnel_aggregates.funnel_checkout_sessions IS
    'With a stage list that has checkout: of the stage before it, the sessions with a checkout at '
    'or after it. Else 0.';
COMMENT ON COLUMN processed.funnel_aggregates.funnel_purchase_sessions IS
    'Of the stage before, the sessions with a purchase at or after it (by default: view, then '
    'cart, then purchase).';
COMMENT ON COLUMN processed.funnel_aggregates.final IS
    'No event can change it any more, except one that arrives in spite of an idle partition; that '
    'gives a newer, not final, revision.';
COMMENT ON COLUMN processed.funnel_aggregates.revision IS
    'Input offset of the last record that contributed.';

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
-- Reports ask for days, the key is by session: BRIN, as visits are written roughly in the order of
-- their start.
CREATE INDEX session_funnels_visit_start_brin ON processed.session_funnels USING brin (visit_start)
    WITH (pages_per_range = 32);
-- Times to convert are asked for by day, and few visits have one.
CREATE INDEX session_funnels_converting ON processed.session_funnels (visit_start)
    INCLUDE (view_to_cart_ms, view_to_purchase_ms)
    WHERE view_to_cart_ms IS NOT NULL OR view_to_purchase_ms IS NOT NULL;
COMMENT ON TABLE processed.session_funnels IS
    'One row per visit: a run of one session''s events within one UTC day without a gap of over '
    '30 minutes.';
COMMENT ON COLUMN processed.session_funnels.user_session IS
    'The session; user:<user_id> for events without one.';
COMMENT ON COLUMN processed.session_funnels.visit_start IS 'Time of the first event.';
COMMENT ON COLUMN processed.session_funnels.visit_end IS 'Time of the last event.';
COMMENT ON COLUMN processed.session_funnels.user_id IS
    'User of the first event (ties in time go by event_id).';
COMMENT ON COLUMN processed.session_funnels.views IS
    'view events; carts, removes, checkouts and purchases likewise.';
COMMENT ON COLUMN processed.session_funnels.products IS 'Distinct products touched.';
COMMENT ON COLUMN processed.session_funnels.revenue IS 'Sum of the prices of purchase events.';
COMMENT ON COLUMN processed.session_funnels.first_category IS
    'category_code of the first event (ties by event_id); null where that event has none.';
COMMENT ON COLUMN processed.session_funnels.last_category IS
    'category_code of the last event (ties by event_id); null where that event has none.';
COMMENT ON COLUMN processed.session_funnels.furthest_stage IS
    'Furthest stage reached in order; by default 0 none, 1 view, 2 cart at or after the first '
    'view, 3 purchase at or after such a cart.';
COMMENT ON COLUMN processed.session_funnels.drop_off_stage IS
    'Name of that stage, where the visitor left (none, view, cart); null where the last stage was '
    'reached.';
COMMENT ON COLUMN processed.session_funnels.duration_ms IS
    'From first to last event, whole milliseconds, rounded down.';
COMMENT ON COLUMN processed.session_funnels.view_to_cart_ms IS
    'From the first view to the first cart at or after it; null where there is none.';
COMMENT ON COLUMN processed.session_funnels.view_to_purchase_ms IS
    'From the first view to the first purchase at or after it, with or without a cart; null where '
    'there is none.';
COMMENT ON COLUMN processed.session_funnels.final IS
    'The visit is closed: no event can join it any more.';
COMMENT ON COLUMN processed.session_funnels.revision IS
    'Input offset of the last record that contributed.';

CREATE TABLE processed.loader_offsets (
    topic       text   NOT NULL,
    partition   int    NOT NULL,
    next_offset bigint NOT NULL,
    last_record text,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);
COMMENT ON TABLE processed.loader_offsets IS
    'How far the loader has come. Moved by compare-and-set in the transaction that writes the '
    'rows: the only truth about what is loaded.';
COMMENT ON COLUMN processed.loader_offsets.next_offset IS 'First offset that is not loaded yet.';
COMMENT ON COLUMN processed.loader_offsets.last_record IS
    'Newest record that was loaded: its offset, its time (ms since 1970) and a hash of its key '
    'and value. Null: none yet, or loaded by a version before this column.';

CREATE TABLE processed.segment_controls (
    segment         text        NOT NULL,
    partition       int         NOT NULL,
    kind            text        NOT NULL,
    raw_offset      bigint,
    rows_announced  bigint,
    partition_count int         NOT NULL,
    bronze_offset   bigint      NOT NULL,
    announced_at    timestamptz NOT NULL,
    loaded_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (partition, bronze_offset)
);
COMMENT ON TABLE processed.segment_controls IS
    'Controls as they came through bronze: where segments begin, jump in time and end, per '
    'partition.';
COMMENT ON COLUMN processed.segment_controls.kind IS 'begin, jump or end.';
COMMENT ON COLUMN processed.segment_controls.raw_offset IS
    'Offset of the control in the raw topic; null where bronze-sink did not say.';
COMMENT ON COLUMN processed.segment_controls.rows_announced IS
    'Of an end: rows that the producer has sent to this partition.';
COMMENT ON COLUMN processed.segment_controls.partition_count IS
    'Partitions of the topic. The segment has an end in each of them.';

CREATE TABLE processed.late_corrections (
    LIKE processed.funnel_aggregates INCLUDING COMMENTS,
    late_events     bigint NOT NULL,
    stream_revision bigint,
    folded_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (rollup, window_start, window_end, group_value)
);
ALTER TABLE processed.late_corrections
    DROP COLUMN final, DROP COLUMN revision, DROP COLUMN loaded_at,
    ALTER COLUMN revenue TYPE numeric(38,2);
COMMENT ON TABLE processed.late_corrections IS
    'Recounts of the cells (rollup, window and group) that late events are missing from, with '
    'these events. Written by processed.fold_late().';
COMMENT ON COLUMN processed.late_corrections.late_events IS 'Late events in it.';
COMMENT ON COLUMN processed.late_corrections.stream_revision IS
    'Revision of the stream''s row that the recount replaces; null: the stream has no row, because '
    'all events of the cell were late. If the stream''s row has another revision now, the recount '
    'is not used.';

CREATE TABLE processed.load_batches (
    loaded_at     timestamptz NOT NULL,
    event_date    date        NOT NULL,
    raw_partition int         NOT NULL,
    events        bigint      NOT NULL
);
COMMENT ON TABLE processed.load_batches IS
    'Events that are stored and not yet counted by reporting.refresh(): one row per loader '
    'transaction, day and raw partition. Empty when reports are up to date.';
COMMENT ON COLUMN processed.load_batches.loaded_at IS 'raw.events.loaded_at of the rows.';
COMMENT ON COLUMN processed.load_batches.events IS 'How many rows.';
