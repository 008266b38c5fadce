-- The reports follow STAGES. The counts of funnel-aggregator name the stages that it counts, so the
-- database has them from the service that counts, in the transaction of the rows.
--
-- A loader begins each transaction with a lock on loader_offsets. The same lock here avoids
-- deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;

ALTER TABLE processed.counts ADD stages text;
COMMENT ON COLUMN processed.counts.stages IS
    'The ordered stages of the funnels that this service counts (STAGES), separated by commas. '
    'Null: it counts none, or it has not said which.';

-- ---------------------------------------------------------------- the mart

ALTER TABLE mart.state ADD stages text[] DEFAULT '{view,cart,purchase}';
COMMENT ON COLUMN mart.state.stages IS
    'The stages that stage_days and session_steps were counted with. If processed.counts has '
    'others, the next refresh counts both again from stored steps. Null: it does so too.';

ALTER TABLE mart.session_steps
    ADD reached smallint, ADD checkout_items bigint, ADD checkout_value numeric(38,2);
COMMENT ON COLUMN mart.session_steps.reached IS
    'How many of the stages were reached in order. Null if the stages are view, cart and purchase: '
    'then it is stage.';
COMMENT ON COLUMN mart.session_steps.checkout_items IS
    'Products of checkouts after the last purchase. Null: no checkout.';
COMMENT ON COLUMN mart.session_steps.checkout_value IS
    'Sum of their prices at the checkout. Null: no checkout.';

ALTER TABLE mart.touched_steps
    ADD reached smallint, ADD checkout_items bigint, ADD checkout_value numeric,
    ADD reached_before smallint, ADD checkout_items_before bigint,
    ADD checkout_value_before numeric;

ALTER TABLE mart.day_totals
    ADD checkout_sessions bigint NOT NULL DEFAULT 0,
    ADD abandoned_checkouts bigint NOT NULL DEFAULT 0,
    ADD checkout_items bigint NOT NULL DEFAULT 0,
    ADD checkout_value numeric(38,2) NOT NULL DEFAULT 0;
ALTER TABLE mart.day_totals
    ALTER checkout_sessions DROP DEFAULT, ALTER abandoned_checkouts DROP DEFAULT,
    ALTER checkout_items DROP DEFAULT, ALTER checkout_value DROP DEFAULT;
COMMENT ON COLUMN mart.day_totals.checkout_sessions IS 'Sessions with a checkout.';
COMMENT ON COLUMN mart.day_totals.abandoned_checkouts IS
    'Of these, the sessions without a purchase at or after their last checkout.';
COMMENT ON COLUMN mart.day_totals.checkout_items IS
    'Products of checkouts after the last purchase of their session.';
COMMENT ON COLUMN mart.day_totals.checkout_value IS 'Sum of their prices at the checkout.';

CREATE TABLE mart.stage_days (
    event_date date     NOT NULL,
    stage      smallint NOT NULL,
    sessions   bigint   NOT NULL,
    buyers     bigint   NOT NULL,
    PRIMARY KEY (event_date, stage)
);
COMMENT ON TABLE mart.stage_days IS
    'Sessions of each UTC day that reached each of the stages in order. Without view as the first '
    'stage: mart.day_totals has these sessions.';
COMMENT ON COLUMN mart.stage_days.stage IS 'Place of the stage in mart.state.stages, from 1.';
COMMENT ON COLUMN mart.stage_days.buyers IS 'Of these, the sessions with a purchase, in any order.';

INSERT INTO mart.stage_days
SELECT event_date, s.* FROM mart.day_totals, LATERAL (VALUES
    (2, funnel_cart_sessions, buying_cart_sessions),
    (3, funnel_purchase_sessions, funnel_purchase_sessions)) AS s(stage, sessions, buyers)
WHERE s.sessions > 0;

-- The refresh then counts abandoned checkouts of stored sessions.
UPDATE mart.state SET stages = NULL
WHERE EXISTS (SELECT FROM mart.hour_totals WHERE checkouts > 0);

-- Their results get more columns. An administrator's views of the second one cannot be kept.
DO $body$
DECLARE
    views text;
BEGIN
    SELECT string_agg(DISTINCT c.oid::regclass::text, ', ') INTO views
    FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_proc'::regclass
          AND d.refobjid = to_regprocedure('reporting.funnel_by_category(date, date)');
    IF views IS NOT NULL THEN
        RAISE EXCEPTION 'reporting.funnel_by_category() gets more columns, and this upgrade cannot '
            'keep views that call it: %. Drop them, start pg-loader again, and create them again',
            views;
    END IF;
END
$body$;
DROP FUNCTION IF EXISTS mart.session_outcome(text[], timestamptz, timestamptz);
DROP FUNCTION IF EXISTS reporting.funnel_by_category(date, date);
