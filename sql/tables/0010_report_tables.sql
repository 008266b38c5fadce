-- Tables that make reports of many events fast. The batch reports of segments use where the events
-- of a day are in the raw topic, and sessions of several days. The reports about buyers, products
-- and times to convert use their sums by day.
--
-- A loader begins each transaction with a lock on loader_offsets. The same lock here avoids
-- deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;

-- In a database of the old migrations, no record says that this was ours.
DROP FUNCTION IF EXISTS mart.buyers(date, date, date);

CREATE TABLE mart.day_offsets (
    event_date   date        NOT NULL,
    partition    int         NOT NULL,
    events       bigint      NOT NULL,
    first_offset bigint      NOT NULL,
    last_offset  bigint      NOT NULL,
    first_load   timestamptz NOT NULL,
    last_load    timestamptz NOT NULL,
    PRIMARY KEY (event_date, partition)
);
COMMENT ON TABLE mart.day_offsets IS
    'First and last raw offset, and first and last raw.events.loaded_at, of the events of each UTC '
    'day and raw partition that the reports have counted, since this table exists. They prove that '
    'all events of a day belong to a segment, or that none does.';

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

CREATE TABLE mart.buyer_days (
    user_id      bigint        NOT NULL,
    event_date   date          NOT NULL,
    previous_day date          NOT NULL,
    next_day     date          NOT NULL,
    orders       bigint        NOT NULL,
    spend_band   int           NOT NULL,
    revenue      numeric(38,2) NOT NULL,
    PRIMARY KEY (user_id, event_date)
) WITH (fillfactor = 85);
CREATE INDEX buyer_days_often ON mart.buyer_days (event_date)
    INCLUDE (user_id, orders, revenue) WHERE spend_band = -1;
CREATE INDEX buyer_days_once ON mart.buyer_days (spend_band, event_date) WHERE spend_band >= 0;
COMMENT ON TABLE mart.buyer_days IS
    'Each user and UTC day with a purchase: sessions with a purchase (orders) and revenue.';
COMMENT ON COLUMN mart.buyer_days.previous_day IS
    'The day before on which the user bought; -infinity: none. next_day: the day after; infinity: '
    'none.';
COMMENT ON COLUMN mart.buyer_days.spend_band IS
    'mart.spend_band() of revenue, if it is the only day of the user; else -1.';

CREATE TABLE mart.buyer_cells (
    event_date   date          NOT NULL,
    previous_day date          NOT NULL,
    next_day     date          NOT NULL,
    orders       bigint        NOT NULL,
    spend_band   int           NOT NULL,
    buyers       bigint        NOT NULL,
    revenue      numeric(38,2) NOT NULL,
    PRIMARY KEY (event_date, previous_day, next_day, orders, spend_band)
);
COMMENT ON TABLE mart.buyer_cells IS
    'Rows of mart.buyer_days with the same day, neighbours, orders and band: how many, and their '
    'revenue. From them follow the distinct buyers of any period.';

INSERT INTO mart.buyer_days
SELECT user_id, event_date,
       coalesce(lag(event_date) OVER own, '-infinity'),
       coalesce(lead(event_date) OVER own, 'infinity'), orders,
       CASE WHEN count(*) OVER (PARTITION BY user_id) > 1 THEN -1
            ELSE floor(32 * sqrt(sqrt(revenue::float8)))::int END, revenue
FROM (SELECT user_id, event_date, count(*) AS orders, sum(revenue) AS revenue
      FROM mart.session_days WHERE purchases > 0 GROUP BY user_id, event_date) AS d
WINDOW own AS (PARTITION BY user_id ORDER BY event_date);
INSERT INTO mart.buyer_cells
SELECT event_date, previous_day, next_day, orders, spend_band, count(*), sum(revenue)
FROM mart.buyer_days GROUP BY 1, 2, 3, 4, 5;

CREATE TABLE mart.product_sales (
    product_id bigint        NOT NULL,
    event_date date          NOT NULL,
    purchases  bigint        NOT NULL,
    revenue    numeric(38,2) NOT NULL,
    cents      bigint        GENERATED ALWAYS AS (
        CASE WHEN revenue < 90000000000000000 THEN (revenue * 100)::bigint END) STORED,
    PRIMARY KEY (product_id, event_date)
) WITH (fillfactor = 85);
CREATE INDEX product_sales_date ON mart.product_sales USING brin (event_date)
    WITH (pages_per_range = 32);
COMMENT ON TABLE mart.product_sales IS 'Products sold on each day, without their other events.';
COMMENT ON COLUMN mart.product_sales.cents IS
    'revenue as an integer, because sums of integers take half the time; null where it may not fit '
    'into 64 bits, which only absurd prices lead to.';
INSERT INTO mart.product_sales (product_id, event_date, purchases, revenue)
SELECT product_id, event_date, sum(purchases), sum(revenue)
FROM mart.product_days WHERE purchases > 0 GROUP BY 1, 2;

CREATE TABLE mart.product_prices (
    product_id bigint        NOT NULL,
    price      numeric(18,2) NOT NULL,
    PRIMARY KEY (product_id, price)
);
COMMENT ON TABLE mart.product_prices IS 'Each price that a product had.';
INSERT INTO mart.product_prices
SELECT DISTINCT product_id, price FROM mart.product_days WHERE price IS NOT NULL;

CREATE TABLE mart.conversion_days (
    visit_date date     NOT NULL,
    step       smallint NOT NULL,
    ms         bigint   NOT NULL,
    visits     bigint   NOT NULL,
    PRIMARY KEY (visit_date, step, ms)
);
COMMENT ON TABLE mart.conversion_days IS
    'Visits that began on each day, by the time from the first view to the first cart (step 1) and '
    'to the first purchase (step 2). Few rows where event times are full seconds.';
INSERT INTO mart.conversion_days
SELECT (visit_start AT TIME ZONE 'UTC')::date, w.step, w.ms, count(*)
FROM processed.session_funnels v,
     LATERAL (VALUES (1, view_to_cart_ms), (2, view_to_purchase_ms)) AS w(step, ms)
WHERE (view_to_cart_ms IS NOT NULL OR view_to_purchase_ms IS NOT NULL) AND w.ms IS NOT NULL
GROUP BY 1, 2, 3;
