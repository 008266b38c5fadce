-- pg-loader sums up the events of each transaction itself (pg-loader/event_sums.h), and stores the
-- sums with them. So a refresh of the reports does not read raw.events, and raw.events has no
-- trigger: with one that sees the new rows, COPY inserts row by row.
--
-- A loader begins each transaction with a lock on loader_offsets. The same lock here avoids
-- deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;

DROP TRIGGER IF EXISTS note_events ON raw.events;
DROP FUNCTION IF EXISTS processed.note_events();
-- In a database of the old migrations, no record says that these were ours.
DROP FUNCTION IF EXISTS mart.take_events(bigint), mart.segment_report(text, text, text, bigint);

-- ---------------------------------------------------------------- what loaders have stored

-- functions/unsummed_batches.sql sums these up and drops the table.
ALTER TABLE processed.load_batches RENAME TO unsummed_batches;

CREATE TABLE processed.load_batches (
    loaded_at             timestamptz   NOT NULL DEFAULT now(),
    event_date            date          NOT NULL,
    events                bigint        NOT NULL,
    run_partition         int[]         NOT NULL,
    run_offset            bigint[]      NOT NULL,
    run_events            int[]         NOT NULL,
    hour                  smallint[]    NOT NULL,
    hour_views            int[]         NOT NULL,
    hour_carts            int[]         NOT NULL,
    hour_removes          int[]         NOT NULL,
    hour_checkouts        int[]         NOT NULL,
    hour_purchases        int[]         NOT NULL,
    hour_revenue          numeric[]     NOT NULL,
    hour_without_category int[]         NOT NULL,
    hour_without_brand    int[]         NOT NULL,
    hour_without_price    int[]         NOT NULL,
    hour_without_session  int[]         NOT NULL,
    hour_zero_price       int[]         NOT NULL,
    hour_newest           timestamptz[] NOT NULL,
    product_id            bigint[]      NOT NULL,
    product_category      text[]        NOT NULL,
    product_brand         text[]        NOT NULL,
    product_price         numeric[]     NOT NULL,
    product_views         int[]         NOT NULL,
    product_carts         int[]         NOT NULL,
    product_removes       int[]         NOT NULL,
    product_checkouts     int[]         NOT NULL,
    product_purchases     int[]         NOT NULL,
    product_first         timestamptz[] NOT NULL,
    product_last          timestamptz[] NOT NULL,
    session_id            uuid[]        NOT NULL,
    session_user_id       bigint[]      NOT NULL,
    session_views         int[]         NOT NULL,
    session_carts         int[]         NOT NULL,
    session_removes       int[]         NOT NULL,
    session_checkouts     int[]         NOT NULL,
    session_purchases     int[]         NOT NULL,
    session_revenue       numeric[]     NOT NULL,
    session_first         timestamptz[] NOT NULL,
    session_last          timestamptz[] NOT NULL,
    session_first_view    timestamptz[] NOT NULL,
    session_last_view     timestamptz[] NOT NULL,
    session_last_purchase timestamptz[] NOT NULL,
    step_session_id       uuid[]        NOT NULL,
    step_time             timestamptz[] NOT NULL,
    step_event_id         uuid[]        NOT NULL,
    step_type             text[]        NOT NULL,
    step_product_id       bigint[]      NOT NULL,
    step_price            numeric[]     NOT NULL
);
COMMENT ON TABLE processed.load_batches IS
    'Events that are stored and not yet counted by reporting.refresh(): one row per loader '
    'transaction and day, with the sums of its events. Empty when reports are up to date. Arrays '
    'with the same prefix have the same length: the elements with the same number are one row. A '
    'key may be there more than once: its sums add up.';
COMMENT ON COLUMN processed.load_batches.loaded_at IS 'raw.events.loaded_at of the rows.';
COMMENT ON COLUMN processed.load_batches.events IS 'How many rows.';
COMMENT ON COLUMN processed.load_batches.run_offset IS
    'First raw offset of run_events events with consecutive offsets of raw partition '
    'run_partition.';
COMMENT ON COLUMN processed.load_batches.hour IS
    'UTC hour; with its sums, as in mart.hour_totals.';
COMMENT ON COLUMN processed.load_batches.product_id IS
    'With product_category, product_brand (unknown where the event has none) and product_price '
    '(null where it has none) the key of mart.product_days.';
COMMENT ON COLUMN processed.load_batches.session_id IS
    'processed.session_id() of the session; with session_user_id the key of mart.session_days.';
COMMENT ON COLUMN processed.load_batches.step_session_id IS
    'Session of an event that is not a view; see mart.session_steps.steps.';
-- Refreshes read and delete the arrays soon, so compressing them is not worth its time.
DO $body$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT attname FROM pg_attribute
        WHERE attrelid = 'processed.load_batches'::regclass AND attndims > 0 LOOP
        EXECUTE format('ALTER TABLE processed.load_batches ALTER %I SET STORAGE EXTERNAL', name);
    END LOOP;
END
$body$;

-- ---------------------------------------------------------------- the mart

DROP VIEW IF EXISTS mart.touched_state;
-- The columns of session_days and session_steps get narrower types. A session is a uuid: see
-- processed.session_id() (functions/notes.sql), which these lines compute.
ALTER TABLE mart.session_days
    ALTER session_key TYPE uuid USING CASE
        WHEN session_key ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' THEN session_key::uuid
        ELSE md5(session_key)::uuid END,
    ALTER views TYPE int, ALTER carts TYPE int, ALTER removes TYPE int, ALTER checkouts TYPE int,
    ALTER purchases TYPE int;
ALTER TABLE mart.session_days RENAME session_key TO session_id;
ALTER TABLE mart.session_steps
    ALTER session_key TYPE uuid USING CASE
        WHEN session_key ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' THEN session_key::uuid
        ELSE md5(session_key)::uuid END;
ALTER TABLE mart.session_steps RENAME session_key TO session_id;
ALTER TABLE mart.long_orders
    ALTER session_key TYPE uuid USING CASE
        WHEN session_key ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' THEN session_key::uuid
        ELSE md5(session_key)::uuid END;
ALTER TABLE mart.long_orders RENAME session_key TO session_id;
COMMENT ON COLUMN mart.session_days.session_id IS 'processed.session_id() of the session.';

ALTER TABLE mart.state DROP COLUMN lost_events;
DELETE FROM reporting.data_quality_thresholds WHERE check_name = 'lost_events';
DELETE FROM mart.quality_measures
WHERE check_name = 'lost_events' OR subject = 'events without a type';

-- Scratch of the refresh or rebuild that runs. It is empty between them.
TRUNCATE mart.new_products;
DROP TABLE mart.new_batches, mart.new_events, mart.new_sessions, mart.touched, mart.state_before,
    mart.state_change, mart.users_before;
CREATE UNLOGGED TABLE mart.new_batches (
    place      tid         NOT NULL,
    loaded_at  timestamptz NOT NULL,
    event_date date        NOT NULL,
    events     bigint      NOT NULL
);
COMMENT ON TABLE mart.new_batches IS
    'Scratch of reporting.refresh(): the rows of processed.load_batches that it counts now.';
CREATE UNLOGGED TABLE mart.new_events (
    event_date date, hour smallint, event_time timestamptz, event_id uuid, event_type text,
    product_id bigint,
    category text, brand text, price numeric(18,2), user_id bigint, session_id uuid,
    without_category boolean, without_brand boolean, without_session boolean,
    raw_partition int, raw_offset bigint
);
COMMENT ON TABLE mart.new_events IS 'Scratch of reporting.rebuild(): all events.';
CREATE UNLOGGED TABLE mart.new_sessions (LIKE mart.session_days, other_user_id bigint NOT NULL);
COMMENT ON COLUMN mart.new_sessions.other_user_id IS
    'Another user of the same session and day; user_id if there is none.';
CREATE UNLOGGED TABLE mart.prior_sessions (LIKE mart.session_days);
COMMENT ON TABLE mart.prior_sessions IS
    'Scratch of reporting.refresh(): all rows of mart.session_days, as they were, of the sessions '
    'that have new events.';
CREATE UNLOGGED TABLE mart.touched (
    session_id uuid NOT NULL, event_date date NOT NULL,
    views int, carts int, purchases int, revenue numeric,
    first_view timestamptz, last_view timestamptz,
    known boolean, views_before int, carts_before int, purchases_before int, revenue_before numeric
);
COMMENT ON TABLE mart.touched IS
    'Scratch of reporting.refresh(): the sessions and days that have new events. known: they had '
    'events before.';
CREATE UNLOGGED TABLE mart.touched_steps (
    session_id uuid NOT NULL, event_date date NOT NULL, steps text[],
    path text, stage smallint, abandoned_items bigint, abandoned_value numeric,
    path_before text, stage_before smallint, items_before bigint, value_before numeric
);
COMMENT ON TABLE mart.touched_steps IS
    'Scratch of reporting.refresh(): those of mart.touched that have steps.';
CREATE UNLOGGED TABLE mart.new_users (
    user_id bigint NOT NULL, first_time timestamptz, last_time timestamptz, first_day date,
    last_day date, events bigint, carts bigint, purchases bigint, spend numeric, sessions bigint,
    orders bigint,
    last_purchase timestamptz,
    known boolean, segment_before text, first_seen timestamptz, last_seen timestamptz,
    carts_before bigint, sessions_before bigint, orders_before bigint, spend_before numeric
);
COMMENT ON TABLE mart.new_users IS
    'Scratch of reporting.refresh(): what new events add to users, and the users before.';
