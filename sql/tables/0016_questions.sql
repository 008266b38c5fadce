-- Tables for questions about users over weeks and months, visits by the hour, users next to
-- sessions in the funnel, and products that are viewed more than usual.
--
-- A loader begins each transaction with a lock on loader_offsets. The same lock here avoids
-- deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;

-- ---------------------------------------------------------------- cohorts

CREATE TABLE mart.cohorts (
    kind         text   NOT NULL,
    grain        text   NOT NULL,
    cohort_start date   NOT NULL,
    period_start date   NOT NULL,
    users        bigint NOT NULL,
    PRIMARY KEY (kind, grain, cohort_start, period_start)
);
COMMENT ON TABLE mart.cohorts IS
    'Users by the week (from Monday) or month, UTC, in which they began, and by each week or month '
    'in which they came again.';
COMMENT ON COLUMN mart.cohorts.kind IS
    'active: began with the first event, came again with any event. buying: the same with '
    'purchases.';
COMMENT ON COLUMN mart.cohorts.grain IS 'week or month.';
INSERT INTO mart.cohorts
WITH day AS MATERIALIZED (
    SELECT DISTINCT 'active' AS kind, user_id, event_date FROM mart.session_days
    UNION ALL
    SELECT 'buying', user_id, event_date FROM mart.buyer_days
), period AS (
    SELECT DISTINCT kind, grain, user_id, date_trunc(grain, event_date::timestamp)::date AS starts
    FROM day CROSS JOIN unnest(ARRAY['week', 'month']) AS grain
)
SELECT kind, grain, cohort_start, starts, count(*)
FROM (SELECT *, min(starts) OVER (PARTITION BY kind, grain, user_id) AS cohort_start
      FROM period) AS own
GROUP BY 1, 2, 3, 4;

ALTER TABLE mart.active_users ADD new_users bigint NOT NULL DEFAULT 0;
ALTER TABLE mart.active_users ALTER new_users DROP DEFAULT;
COMMENT ON COLUMN mart.active_users.new_users IS
    'Of these, the users whose first event is in the period.';
UPDATE mart.active_users t SET new_users = n.users
FROM (SELECT grain, date_trunc(grain, first_seen AT TIME ZONE 'UTC')::date AS starts,
             count(*) AS users
      FROM mart.dim_users CROSS JOIN unnest(ARRAY['day', 'week', 'month']) AS grain
      GROUP BY 1, 2) AS n
WHERE t.grain = n.grain AND t.period_start = n.starts;

-- ---------------------------------------------------------------- visits by hour

ALTER TABLE processed.visit_deltas ADD hour smallint;
COMMENT ON COLUMN processed.visit_deltas.hour IS
    'UTC hour in which the visits began. Null: mart.visit_hours has counted them.';

CREATE TABLE mart.visit_hours (
    visit_date     date     NOT NULL,
    hour           smallint NOT NULL,
    entry_category text     NOT NULL,
    furthest_stage smallint NOT NULL,
    visits         bigint   NOT NULL,
    open_visits    bigint   NOT NULL,
    PRIMARY KEY (visit_date, hour, entry_category, furthest_stage)
);
COMMENT ON TABLE mart.visit_hours IS
    'Visits that began in each UTC hour, by first level of the category they began with and '
    'furthest stage. Adds up.';
INSERT INTO mart.visit_hours
SELECT (visit_start AT TIME ZONE 'UTC')::date,
       extract(hour FROM visit_start AT TIME ZONE 'UTC')::smallint,
       coalesce(nullif(split_part(l.category_code, '.', 1), ''), 'unknown'), furthest_stage,
       count(*), count(*) FILTER (WHERE NOT final)
FROM processed.visit_rows v LEFT JOIN raw.event_labels l ON l.label_id = v.first_label
GROUP BY 1, 2, 3, 4;

-- ---------------------------------------------------------------- users next to sessions

CREATE TABLE mart.user_levels (
    user_id    bigint   NOT NULL,
    event_date date     NOT NULL,
    level      smallint NOT NULL,
    PRIMARY KEY (user_id, event_date)
) WITH (fillfactor = 85);
CREATE INDEX user_levels_none ON mart.user_levels (event_date, user_id) WHERE level = 0;
COMMENT ON TABLE mart.user_levels IS
    'Users and UTC days with a session that has more than views: how many of the stages '
    '(mart.state.stages) the best session of the user and day reached in order.';

CREATE TABLE mart.user_level_days (
    event_date date     NOT NULL,
    level      smallint NOT NULL,
    users      bigint   NOT NULL,
    PRIMARY KEY (event_date, level)
);
COMMENT ON TABLE mart.user_level_days IS 'Rows of mart.user_levels by day and level.';

INSERT INTO mart.user_levels
SELECT d.user_id, d.event_date,
       max(coalesce(s.reached, s.stage, (c.stages[1] = 'view')::int))
FROM mart.session_days d LEFT JOIN mart.session_steps s USING (session_id, event_date)
CROSS JOIN mart.state c
GROUP BY d.user_id, d.event_date HAVING count(s.session_id) > 0;
INSERT INTO mart.user_level_days
SELECT event_date, level, count(*) FROM mart.user_levels GROUP BY 1, 2;

-- ---------------------------------------------------------------- products by hour

ALTER TABLE processed.load_batches ADD product_hour smallint[];
ALTER TABLE processed.load_batches
    ALTER product_hour SET STORAGE EXTERNAL, ALTER product_hour SET STATISTICS 0;
COMMENT ON COLUMN processed.load_batches.product_hour IS
    'UTC hour of the sums of a product. Null: mart.product_hours has counted them.';

CREATE TABLE mart.product_hours (
    hour       timestamptz NOT NULL,
    product_id bigint[]    NOT NULL,
    views      bigint[]    NOT NULL,
    purchases  bigint[]    NOT NULL
);
CREATE INDEX product_hours_hour ON mart.product_hours (hour);
ALTER TABLE mart.product_hours
    ALTER product_id SET STATISTICS 0, ALTER views SET STATISTICS 0,
    ALTER purchases SET STATISTICS 0;
COMMENT ON TABLE mart.product_hours IS
    'Views and purchases of products in one UTC hour, as one refresh counted them. The values of a '
    'product have the same place in the three arrays. Several rows of an hour add up. Only the '
    'newest hour that has events, and the eight days before it.';

CREATE TABLE mart.category_hours (
    hour      timestamptz NOT NULL,
    category  text        NOT NULL,
    views     bigint      NOT NULL,
    purchases bigint      NOT NULL,
    PRIMARY KEY (hour, category)
);
COMMENT ON TABLE mart.category_hours IS
    'The same for category codes (unknown where the event has none).';

-- Also of the events that no refresh has counted yet: their entries of processed.load_batches have
-- no product_hour. The days are named as constants, so that no other day is locked.
DO $body$
DECLARE
    newest timestamptz;
    day    date;
BEGIN
    FOR day IN
        SELECT to_date(substr(c.relname, 8), 'YYYY_MM_DD')
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'raw.event_rows'::regclass AND c.relname LIKE 'events\_%'
        ORDER BY 1 DESC
    LOOP
        EXECUTE format('SELECT date_trunc(''hour'', max(event_time), ''UTC'') FROM raw.event_rows '
                       'WHERE event_date = %L', day) INTO newest;
        EXIT WHEN newest IS NOT NULL;
    END LOOP;
    FOR day IN
        SELECT (newest AT TIME ZONE 'UTC')::date - n FROM generate_series(0, 8) AS n
        WHERE newest IS NOT NULL
    LOOP
        EXECUTE format($sql$
            WITH sums AS MATERIALIZED (
                SELECT date_trunc('hour', event_time, 'UTC') AS hour, product_id,
                       coalesce(category_code, 'unknown') AS category,
                       count(*) FILTER (WHERE event_type = 'view') AS views,
                       count(*) FILTER (WHERE event_type = 'purchase') AS purchases
                FROM raw.events
                WHERE event_date = %1$L AND event_time >= timestamptz %2$L - interval '192 hours'
                      AND event_type IN ('view', 'purchase')
                GROUP BY 1, 2, 3
            ), products AS (
                INSERT INTO mart.product_hours
                SELECT hour, array_agg(product_id), array_agg(views), array_agg(purchases)
                FROM (SELECT hour, product_id, sum(views)::bigint AS views,
                             sum(purchases)::bigint AS purchases
                      FROM sums GROUP BY 1, 2) AS product
                GROUP BY hour
            )
            INSERT INTO mart.category_hours
            SELECT hour, category, sum(views), sum(purchases) FROM sums GROUP BY 1, 2
        $sql$, day, newest);
    END LOOP;
END
$body$;
