-- Working tables of mart.refresh_shopping() with fewer rows, and numbers in place of texts.
--
-- A loader begins each transaction with a lock on loader_offsets. The same lock here avoids
-- deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;

DROP TABLE mart.shopping_events;
CREATE UNLOGGED TABLE mart.shopping_views (
    session int NOT NULL, view int NOT NULL, buys boolean NOT NULL, product_id bigint NOT NULL,
    before bigint, hour smallint, category int NOT NULL, category1 int NOT NULL, brand int NOT NULL,
    band smallint NOT NULL
);
COMMENT ON TABLE mart.shopping_views IS
    'Working table of mart.refresh_shopping(): views of the day that it counts, without those that '
    'repeat product, category, brand and price of the view before.';
CREATE UNLOGGED TABLE mart.shopping_orders (
    session_id uuid NOT NULL, event_type "char" NOT NULL, product_id bigint NOT NULL,
    event_time timestamptz NOT NULL
);
COMMENT ON TABLE mart.shopping_orders IS
    'Working table of mart.refresh_shopping(): views and purchases of the sessions that bought on '
    'the day that it counts.';
ALTER TABLE mart.stale_shopping_days ADD only_returns boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN mart.stale_shopping_days.only_returns IS
    'The day has no new events, but one of the 30 days before has: only mart.return_days changes.';
COMMENT ON COLUMN mart.state.shopping_after IS
    'How long changed days wait while events arrive. A pass counts today again, which takes about '
    '7 seconds of CPU time for a million events.';

-- Autovacuum sees none of the rows that a running refresh has written to a working table. It then
-- notes that the table is empty. The planner believes that for the rest of the refresh, and joins
-- such tables by nested loops: 1.5 million events took more than five minutes, and 35 seconds
-- without the note.
DO $body$
DECLARE
    one regclass;
BEGIN
    FOR one IN SELECT oid FROM pg_class
               WHERE relnamespace = 'mart'::regnamespace AND relkind = 'r' AND relpersistence = 'u'
    LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', one);
    END LOOP;
END
$body$;
