-- mart: reports are made of these tables. reporting.refresh() keeps them up to date; its work is
-- proportional to what is new.
--
--   raw.events -> trigger -> processed.load_batches -> refresh
--       -> cubes -> dimensions and totals -> views of reporting
--   processed.session_funnels -> trigger -> processed.visit_deltas -> refresh -> mart.visit_days
--
-- How a refresh finds new rows. loaded_at alone is not a watermark, because transactions of several
-- loaders may commit in another order than they began. So each transaction that stores events also
-- stores one entry per day and raw partition (loaded_at, number of events): a statement trigger
-- counts exactly the rows that were inserted. A refresh takes the entries that it can see, reads
-- their rows by the BRIN index on loaded_at, and deletes the entries. A raw partition has one
-- writer at a time, so day, partition and loaded_at name the rows of one transaction; the number
-- proves it. Cost in bytes of WAL per event (loading alone: 400): this way 0, a table of the new
-- ids 82, a btree on (raw_partition, raw_offset) 76.
--
-- A visit can change, merge with another or vanish. So its trigger writes the sums of the old rows
-- with a minus sign and those of the new rows with a plus sign, in the transaction of the loader.
-- Their total equals a recount.
--
-- Only one refresh runs at a time (advisory lock), so a merge is a plain upsert.

-- If the other schemas were dropped and the mart was not, it is useless. It can be built again.
DROP SCHEMA IF EXISTS mart CASCADE;
CREATE SCHEMA mart;
COMMENT ON SCHEMA mart IS
    'What reports are made of: cubes per day, dimensions, totals. Holds true user ids and '
    'sessions: analysts read reporting instead.';

-- ---------------------------------------------------------------- visits per day and kind of visit

CREATE TABLE mart.visit_days (
    visit_date       date          NOT NULL,
    entry_category   text          NOT NULL,
    furthest_stage   smallint      NOT NULL,
    left_after       text          NOT NULL,
    duration_band    smallint      NOT NULL,
    visits           bigint        NOT NULL,
    open_visits      bigint        NOT NULL,
    viewing_visits   bigint        NOT NULL,
    carting_visits   bigint        NOT NULL,
    buying_visits    bigint        NOT NULL,
    abandoned_visits bigint        NOT NULL,
    events           bigint        NOT NULL,
    purchases        bigint        NOT NULL,
    revenue          numeric(38,2) NOT NULL,
    duration_ms      bigint        NOT NULL,
    PRIMARY KEY (visit_date, entry_category, furthest_stage, left_after, duration_band)
);
COMMENT ON TABLE mart.visit_days IS
    'Visits that began on each day, by first level of the category they began with, furthest '
    'stage and duration. Sums, so they add up.';
COMMENT ON COLUMN mart.visit_days.duration_band IS 'Band of mart.duration_bands.';

CREATE TABLE processed.visit_deltas (LIKE mart.visit_days);
COMMENT ON TABLE processed.visit_deltas IS
    'Changes of the sums of mart.visit_days, with their sign. Written in the transaction of the '
    'visits, added up by reporting.refresh().';

CREATE TABLE mart.duration_bands (
    band    smallint PRIMARY KEY,
    label   text     NOT NULL,
    from_ms bigint   NOT NULL
);
COMMENT ON TABLE mart.duration_bands IS
    'Bands of visit durations; each ends where the next begins. mart.duration_band() has the same '
    'limits.';
INSERT INTO mart.duration_bands VALUES
    (0, 'one moment', 0), (1, 'up to 1 minute', 1), (2, '1 to 5 minutes', 60000),
    (3, '5 to 15 minutes', 300000), (4, '15 to 30 minutes', 900000),
    (5, '30 to 60 minutes', 1800000), (6, 'over 1 hour', 3600000);

-- ---------------------------------------------------------------- cubes, counted from events
-- category and brand are `unknown` where the event has none. A session is user_session, or
-- user:<user_id> without one.
CREATE TABLE mart.hour_totals (
    event_date        date          NOT NULL,
    hour              smallint      NOT NULL,
    events            bigint        NOT NULL,
    views             bigint        NOT NULL,
    carts             bigint        NOT NULL,
    removes           bigint        NOT NULL,
    checkouts         bigint        NOT NULL,
    purchases         bigint        NOT NULL,
    revenue           numeric(38,2) NOT NULL,
    without_category  bigint        NOT NULL,
    without_brand     bigint        NOT NULL,
    without_price     bigint        NOT NULL,
    without_session   bigint        NOT NULL,
    zero_price        bigint        NOT NULL,
    newest_event      timestamptz   NOT NULL,
    PRIMARY KEY (event_date, hour)
);
COMMENT ON TABLE mart.hour_totals IS 'Events of each UTC hour, by type, and how many lack a field.';

CREATE TABLE mart.product_days (
    event_date date          NOT NULL,
    product_id bigint        NOT NULL,
    category   text          NOT NULL,
    brand      text          NOT NULL,
    price      numeric(18,2),
    views      bigint        NOT NULL,
    carts      bigint        NOT NULL,
    removes    bigint        NOT NULL,
    checkouts  bigint        NOT NULL,
    purchases  bigint        NOT NULL,
    revenue    numeric(38,2) NOT NULL,
    first_time timestamptz   NOT NULL,
    last_time  timestamptz   NOT NULL,
    UNIQUE NULLS NOT DISTINCT (product_id, event_date, category, brand, price)
) WITH (fillfactor = 90);
CREATE INDEX product_days_date ON mart.product_days USING brin (event_date)
    WITH (pages_per_range = 32);
CREATE INDEX product_days_sold ON mart.product_days (event_date)
    INCLUDE (product_id, brand, category, purchases, revenue) WHERE purchases > 0;
COMMENT ON TABLE mart.product_days IS
    'Events of each day, product, category, brand and price (null: the event had none).';

CREATE TABLE mart.session_days (
    session_key   text          NOT NULL,
    event_date    date          NOT NULL,
    user_id       bigint        NOT NULL,
    views         bigint        NOT NULL,
    carts         bigint        NOT NULL,
    removes       bigint        NOT NULL,
    checkouts     bigint        NOT NULL,
    purchases     bigint        NOT NULL,
    revenue       numeric(38,2) NOT NULL,
    first_time    timestamptz   NOT NULL,
    last_time     timestamptz   NOT NULL,
    first_view    timestamptz,
    last_view     timestamptz,
    last_purchase timestamptz,
    PRIMARY KEY (session_key, event_date, user_id)
) WITH (fillfactor = 85);
CREATE INDEX session_days_user ON mart.session_days (user_id, event_date);
CREATE INDEX session_days_buying ON mart.session_days (event_date)
    INCLUDE (user_id, session_key, purchases, revenue, last_purchase) WHERE purchases > 0;
COMMENT ON TABLE mart.session_days IS
    'Events of each session, UTC day and user. A session is nearly always one user''s, but the '
    'data has sessions of two.';

CREATE TABLE mart.session_steps (
    session_key     text          NOT NULL,
    event_date      date          NOT NULL,
    steps           text[]        NOT NULL,
    path            text          NOT NULL,
    stage           smallint      NOT NULL,
    abandoned_items bigint        NOT NULL,
    abandoned_value numeric(38,2) NOT NULL,
    PRIMARY KEY (session_key, event_date)
);
COMMENT ON TABLE mart.session_steps IS
    'Sessions and days with more than views: their steps in order, and what follows from them.';
COMMENT ON COLUMN mart.session_steps.steps IS
    'time|event_id|type|product_id|price of each event except views, sorted. Only the first 500 of '
    'a day.';
COMMENT ON COLUMN mart.session_steps.path IS
    'The steps in order. Repeats in a row count as one step, and at most eight steps are shown. '
    'The path begins with view if a view was before all steps, and ends with view if one was after '
    'all. Views between steps are not shown.';
COMMENT ON COLUMN mart.session_steps.stage IS
    '0 none, 1 viewed, 2 cart at or after the first view, 3 purchase at or after such a cart.';
COMMENT ON COLUMN mart.session_steps.abandoned_items IS
    'Products whose last step of the day (cart, remove_from_cart, purchase) is cart.';
COMMENT ON COLUMN mart.session_steps.abandoned_value IS 'Sum of their prices at that step.';

-- ---------------------------------------------------------------- sums of the cubes

CREATE TABLE mart.category_days (
    event_date date NOT NULL, category text NOT NULL,
    views bigint NOT NULL, carts bigint NOT NULL, removes bigint NOT NULL,
    checkouts bigint NOT NULL, purchases bigint NOT NULL,
    revenue numeric(38,2) NOT NULL,
    PRIMARY KEY (event_date, category)
);
COMMENT ON TABLE mart.category_days IS 'mart.product_days by category.';

CREATE TABLE mart.brand_days (
    event_date date NOT NULL, brand text NOT NULL,
    views bigint NOT NULL, carts bigint NOT NULL, removes bigint NOT NULL,
    checkouts bigint NOT NULL, purchases bigint NOT NULL,
    revenue numeric(38,2) NOT NULL,
    PRIMARY KEY (event_date, brand)
);
COMMENT ON TABLE mart.brand_days IS 'mart.product_days by brand.';

CREATE TABLE mart.price_band_days (
    event_date date NOT NULL, band smallint NOT NULL,
    views bigint NOT NULL, carts bigint NOT NULL, removes bigint NOT NULL,
    checkouts bigint NOT NULL, purchases bigint NOT NULL,
    revenue numeric(38,2) NOT NULL,
    PRIMARY KEY (event_date, band)
);
COMMENT ON TABLE mart.price_band_days IS 'mart.product_days by band of mart.price_bands.';

CREATE TABLE mart.price_bands (
    band       smallint PRIMARY KEY,
    label      text NOT NULL,
    from_price numeric(18,2)
);
COMMENT ON TABLE mart.price_bands IS
    'Bands of prices; each ends where the next begins. mart.price_band() has the same limits.';
INSERT INTO mart.price_bands VALUES
    (-1, 'no price', NULL), (0, 'under 10', 0), (1, '10 to 25', 10), (2, '25 to 50', 25),
    (3, '50 to 100', 50),
    (4, '100 to 250', 100), (5, '250 to 500', 250), (6, '500 to 1000', 500),
    (7, '1000 and over', 1000);

CREATE TABLE mart.day_totals (
    event_date               date          NOT NULL PRIMARY KEY,
    sessions                 bigint        NOT NULL,
    view_sessions            bigint        NOT NULL,
    cart_sessions            bigint        NOT NULL,
    orders                   bigint        NOT NULL,
    funnel_cart_sessions     bigint        NOT NULL,
    funnel_purchase_sessions bigint        NOT NULL,
    abandoned_sessions       bigint        NOT NULL,
    abandoned_items          bigint        NOT NULL,
    abandoned_value          numeric(38,2) NOT NULL
);
COMMENT ON TABLE mart.day_totals IS
    'Distinct sessions of each UTC day. Over several days they add up to session days: a session '
    'of two days counts in both.';

CREATE TABLE mart.journey_days (
    event_date date          NOT NULL,
    path       text          NOT NULL,
    sessions   bigint        NOT NULL,
    orders     bigint        NOT NULL,
    revenue    numeric(38,2) NOT NULL,
    PRIMARY KEY (event_date, path)
);
COMMENT ON TABLE mart.journey_days IS
    'Sessions of each day by the path they took; see mart.session_steps.path.';

CREATE TABLE mart.long_orders (
    session_key text NOT NULL,
    event_date  date NOT NULL,
    PRIMARY KEY (session_key, event_date)
);
CREATE INDEX long_orders_date ON mart.long_orders (event_date);
COMMENT ON TABLE mart.long_orders IS
    'Sessions with purchases on several UTC days, each of these days.';

CREATE TABLE mart.active_users (
    grain        text   NOT NULL,
    period_start date   NOT NULL,
    users        bigint NOT NULL,
    PRIMARY KEY (grain, period_start)
);
COMMENT ON TABLE mart.active_users IS
    'Distinct users with an event in each day, week (from Monday) and month, UTC.';

-- ---------------------------------------------------------------- dimensions

CREATE TABLE mart.dim_users (
    user_id       bigint        NOT NULL PRIMARY KEY,
    user_key      text          NOT NULL,
    first_seen    timestamptz   NOT NULL,
    last_seen     timestamptz   NOT NULL,
    events        bigint        NOT NULL,
    carts         bigint        NOT NULL,
    purchases     bigint        NOT NULL,
    spend         numeric(38,2) NOT NULL,
    sessions      bigint        NOT NULL,
    orders        bigint        NOT NULL,
    last_purchase timestamptz,
    segment       text          NOT NULL GENERATED ALWAYS AS (CASE
        WHEN orders >= 3 THEN 'loyal buyer' WHEN orders = 2 THEN 'repeat buyer'
            WHEN orders = 1 THEN 'one-time buyer'
        WHEN carts > 0 THEN 'cart, no purchase' WHEN sessions > 1 THEN 'returning visitor'
            ELSE 'one-session visitor' END) STORED
) WITH (fillfactor = 85);
CREATE INDEX dim_users_buyers ON mart.dim_users (user_id)
    INCLUDE (user_key, orders, spend, last_purchase) WHERE purchases > 0;
COMMENT ON TABLE mart.dim_users IS 'One row per user that has an event.';

CREATE TABLE mart.segment_totals (
    segment  text          NOT NULL PRIMARY KEY,
    users    bigint        NOT NULL,
    sessions bigint        NOT NULL,
    orders   bigint        NOT NULL,
    spend    numeric(38,2) NOT NULL
);
COMMENT ON TABLE mart.segment_totals IS 'mart.dim_users by segment.';

CREATE TABLE mart.dim_products (
    product_id bigint        NOT NULL PRIMARY KEY,
    category   text          NOT NULL,
    brand      text          NOT NULL,
    price      numeric(18,2),
    first_seen timestamptz   NOT NULL,
    last_seen  timestamptz   NOT NULL
) WITH (fillfactor = 85);
COMMENT ON TABLE mart.dim_products IS 'One row per product, as its latest event has it.';

CREATE TABLE mart.dim_categories (
    category text NOT NULL PRIMARY KEY,
    level1   text NOT NULL,
    level2   text,
    level3   text,
    level4   text
);
COMMENT ON TABLE mart.dim_categories IS
    'One row per category code, split at its dots; level4 keeps what is left.';

CREATE TABLE mart.dim_dates (
    date_key   date     NOT NULL PRIMARY KEY,
    year       smallint NOT NULL,
    quarter    smallint NOT NULL,
    month      smallint NOT NULL,
    month_name text     NOT NULL,
    day        smallint NOT NULL,
    iso_week   smallint NOT NULL,
    week_start date     NOT NULL,
    weekday    smallint NOT NULL,
    day_name   text     NOT NULL,
    is_weekend boolean  NOT NULL
);
COMMENT ON TABLE mart.dim_dates IS 'Days from 2000 to 2039, and any other that had an event.';

CREATE TABLE mart.dim_times (
    time_key    smallint NOT NULL PRIMARY KEY,
    hour        smallint NOT NULL,
    minute      smallint NOT NULL,
    clock       text     NOT NULL,
    part_of_day text     NOT NULL
);
INSERT INTO mart.dim_times
SELECT m, m / 60, m % 60, to_char(make_time(m / 60, m % 60, 0), 'HH24:MI'),
       CASE WHEN m < 360 THEN 'night' WHEN m < 720 THEN 'morning'
            WHEN m < 1080 THEN 'afternoon' ELSE 'evening' END
FROM generate_series(0, 1439) AS m;

CREATE TABLE mart.dim_event_types (
    event_type    text     NOT NULL PRIMARY KEY,
    position      smallint NOT NULL,
    outcome_class text     NOT NULL,
    meaning       text     NOT NULL
);
INSERT INTO mart.dim_event_types VALUES
    ('view', 1, 'browse', 'A product page was looked at.'),
    ('cart', 2, 'intent', 'A product was put into the cart.'),
    ('remove_from_cart', 3, 'withdrawal', 'A product was taken out of the cart.'),
    ('checkout', 4, 'intent', 'The checkout was begun.'),
    ('purchase', 5, 'sale', 'A product was bought; its price is revenue.');

-- ---------------------------------------------------------------- bookkeeping

CREATE TABLE mart.secret (
    only_row boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (only_row),
    salt     text    NOT NULL
);
COMMENT ON TABLE mart.secret IS
    'Salt of the pseudonyms. Only the owner reads it, because its reader can find out who is who '
    'by trying ids.';
INSERT INTO mart.secret (salt)
    SELECT encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'hex');

CREATE TABLE mart.state (
    only_row      boolean     NOT NULL PRIMARY KEY DEFAULT true CHECK (only_row),
    refreshed_at  timestamptz,
    rebuilt_at    timestamptz,
    quality_at    timestamptz,
    newest_load   timestamptz,
    lost_events   bigint      NOT NULL DEFAULT 0,
    raw_from      date        NOT NULL DEFAULT '-infinity',
    raw_days      int         CHECK (raw_days > 0),
    settle_after  interval    NOT NULL DEFAULT '5 minutes',
    overdue_after interval    NOT NULL DEFAULT '15 minutes',
    reconciled_since timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE mart.state IS 'State of the mart itself; one row.';
COMMENT ON COLUMN mart.state.quality_at IS 'Last deep measurement of data quality.';
COMMENT ON COLUMN mart.state.newest_load IS 'Newest raw.events.loaded_at that is counted.';
COMMENT ON COLUMN mart.state.lost_events IS
    'Events that were deleted after they were stored and before a refresh counted them: 0, unless '
    'somebody deletes events.';
COMMENT ON COLUMN mart.state.raw_from IS
    'First day that raw.events has completely: retention has dropped the days before it. A rebuild '
    'keeps the cubes of those days.';
COMMENT ON COLUMN mart.state.raw_days IS
    'Days of raw.events to keep, back from its newest day; null: all.';
COMMENT ON COLUMN mart.state.settle_after IS
    'Layers of a day that differ and have not moved for this long count as complete. Longer '
    'than a service takes to recover.';
COMMENT ON COLUMN mart.state.overdue_after IS
    'A row that could not be compared for this long, and has not moved, is a breach.';
COMMENT ON COLUMN mart.state.reconciled_since IS 'Segments completed before are not compared.';
INSERT INTO mart.state DEFAULT VALUES;

CREATE TABLE mart.quality_measures (
    layer       text NOT NULL,
    check_name  text NOT NULL,
    subject     text NOT NULL DEFAULT '',
    value       numeric,
    measured_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (layer, check_name, subject)
);

-- ---------------------------------------------------------------- scratch of the refresh that runs

CREATE UNLOGGED TABLE mart.new_batches (LIKE processed.load_batches);

CREATE UNLOGGED TABLE mart.new_events (
    event_date date, hour smallint, event_time timestamptz, event_id uuid, event_type text,
    product_id bigint,
    category text, brand text, price numeric(18,2), user_id bigint, session_key text,
    without_category boolean, without_brand boolean, without_session boolean,
    raw_partition int, raw_offset bigint
);
COMMENT ON TABLE mart.new_events IS 'Scratch of reporting.refresh(): the events it counts now.';

CREATE UNLOGGED TABLE mart.new_products (LIKE mart.product_days);

CREATE UNLOGGED TABLE mart.new_sessions (LIKE mart.session_days);

CREATE UNLOGGED TABLE mart.touched (session_key text NOT NULL, event_date date NOT NULL);

CREATE UNLOGGED TABLE mart.state_before (
    event_date date, path text, stage smallint, views bigint, carts bigint, purchases bigint,
    revenue numeric,
    abandoned_items bigint, abandoned_value numeric
);

CREATE UNLOGGED TABLE mart.state_change (sign int, LIKE mart.state_before);

CREATE UNLOGGED TABLE mart.users_before (segment text, sessions bigint, orders bigint,
                                         spend numeric);
