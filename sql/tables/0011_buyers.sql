-- Buyers are not drop-offs. Rollups and visits say which sessions bought after their first view,
-- and which of these put something into the cart between. A visit that bought has no drop-off
-- stage. The funnels of the mart count buyers apart from sessions that left.
--
-- A loader begins each transaction with a lock on loader_offsets. The same lock here avoids
-- deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;

-- ---------------------------------------------------------------- rollups

ALTER TABLE processed.funnel_aggregates
    ADD buying_view_sessions bigint, ADD view_purchase_sessions bigint,
    ADD view_cart_purchase_sessions bigint;
COMMENT ON COLUMN processed.funnel_aggregates.buying_view_sessions IS
    'Distinct sessions with a view and a purchase, in any order. This column and the next two are '
    'null if the window began before the aggregator counted them.';
COMMENT ON COLUMN processed.funnel_aggregates.view_purchase_sessions IS
    'Of these, the sessions with a purchase at or after their first view.';
COMMENT ON COLUMN processed.funnel_aggregates.view_cart_purchase_sessions IS
    'Of these, the sessions with a cart between, whatever the stage list is.';
ALTER TABLE processed.late_corrections
    ADD buying_view_sessions bigint, ADD view_purchase_sessions bigint,
    ADD view_cart_purchase_sessions bigint;
COMMENT ON COLUMN processed.late_corrections.buying_view_sessions IS
    'As in processed.funnel_aggregates, and the next two too. Null if a row of the stream in the '
    'same window has null.';

-- ---------------------------------------------------------------- visits

ALTER TABLE processed.session_funnels ADD view_purchase boolean, ADD view_cart_purchase boolean;
COMMENT ON COLUMN processed.session_funnels.view_purchase IS
    'A purchase at or after the first view. Null: the record is older than this column.';
COMMENT ON COLUMN processed.session_funnels.view_cart_purchase IS
    'A cart between. Null: the record is older than this column.';
COMMENT ON COLUMN processed.session_funnels.drop_off_stage IS
    'Name of that stage, where the visitor left (none, view, cart); null where the last stage was '
    'reached, or the visit bought, in any order.';

-- Sums of visits that bought move to the left_after that mart.left_after() (functions/bands.sql)
-- gives them. The change is one more delta: it is right for counted visits, and for those whose
-- deltas wait.
INSERT INTO processed.visit_deltas
SELECT (visit_start AT TIME ZONE 'UTC')::date,
       coalesce(nullif(split_part(first_category, '.', 1), ''), 'unknown'), furthest_stage,
       moved.left_after,
       (SELECT max(band) FROM mart.duration_bands WHERE from_ms <= duration_ms),
       sum(sign), sum(sign * (NOT final)::int), sum(sign * (views > 0)::int),
       sum(sign * (carts > 0)::int), sum(sign), 0,
       sum(sign * (views + carts + removes + checkouts + purchases)), sum(sign * purchases),
       sum(sign * revenue), sum(sign * duration_ms)
FROM processed.session_funnels,
     LATERAL (SELECT coalesce(drop_off_stage, 'completed') AS was,
                     CASE WHEN views = 0 THEN 'bought without view'
                          WHEN view_to_purchase_ms IS NULL THEN 'bought before view'
                          WHEN view_to_cart_ms <= view_to_purchase_ms
                               OR furthest_stage >= 3 AND purchases > 1 THEN 'completed'
                          ELSE 'bought without cart' END AS now) AS branch,
     LATERAL (VALUES (-1, was), (1, now)) AS moved(sign, left_after)
WHERE purchases > 0 AND was <> now
GROUP BY 1, 2, 3, 4, 5;

-- The trigger would note the update too.
ALTER TABLE processed.session_funnels DISABLE TRIGGER USER;
UPDATE processed.session_funnels SET drop_off_stage = NULL
WHERE purchases > 0 AND drop_off_stage IS NOT NULL;
ALTER TABLE processed.session_funnels ENABLE TRIGGER USER;

-- ---------------------------------------------------------------- the mart

ALTER TABLE mart.day_totals
    ADD buying_view_sessions bigint NOT NULL DEFAULT 0,
    ADD view_purchase_sessions bigint NOT NULL DEFAULT 0,
    ADD buying_cart_sessions bigint NOT NULL DEFAULT 0;
ALTER TABLE mart.day_totals
    ALTER buying_view_sessions DROP DEFAULT, ALTER view_purchase_sessions DROP DEFAULT,
    ALTER buying_cart_sessions DROP DEFAULT;
COMMENT ON COLUMN mart.day_totals.buying_view_sessions IS
    'Sessions with a view and a purchase, in any order.';
COMMENT ON COLUMN mart.day_totals.view_purchase_sessions IS
    'Of these, the sessions with a purchase at or after their first view.';
COMMENT ON COLUMN mart.day_totals.buying_cart_sessions IS
    'Of funnel_cart_sessions, the sessions with a purchase, in any order.';
UPDATE mart.day_totals t
SET buying_view_sessions = n.buying_view, view_purchase_sessions = n.view_purchase,
    buying_cart_sessions = n.buying_cart
FROM (SELECT event_date, count(*) FILTER (WHERE d.first_view IS NOT NULL) AS buying_view,
             count(*) FILTER (WHERE d.last_purchase >= d.first_view) AS view_purchase,
             count(*) FILTER (WHERE s.stage >= 2) AS buying_cart
      FROM (SELECT session_id, event_date, min(first_view) AS first_view,
                   max(last_purchase) AS last_purchase
            FROM mart.session_days GROUP BY session_id, event_date
            HAVING sum(purchases) > 0) AS d
      LEFT JOIN mart.session_steps s USING (session_id, event_date)
      GROUP BY event_date) AS n
WHERE t.event_date = n.event_date;

ALTER TABLE mart.touched
    ADD last_purchase timestamptz, ADD first_view_before timestamptz,
    ADD last_purchase_before timestamptz;
