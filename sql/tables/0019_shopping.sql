-- Sums for the dashboards: events by category and brand, so that tiles can follow both filters.
--
-- A loader begins each transaction with a lock on loader_offsets. The same lock here avoids
-- deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;

CREATE TABLE mart.category_brand_days (
    event_date date NOT NULL, category text NOT NULL, brand text NOT NULL,
    views bigint NOT NULL, carts bigint NOT NULL, removes bigint NOT NULL,
    checkouts bigint NOT NULL, purchases bigint NOT NULL,
    revenue numeric(38,2) NOT NULL,
    PRIMARY KEY (event_date, category, brand)
);
COMMENT ON TABLE mart.category_brand_days IS 'mart.product_days by category and brand.';
INSERT INTO mart.category_brand_days
SELECT event_date, category, brand, sum(views), sum(carts), sum(removes), sum(checkouts),
       sum(purchases), sum(revenue)
FROM mart.product_days GROUP BY 1, 2, 3;

-- Sessions are asked for by day. Rows are written roughly in the order of their days.
CREATE INDEX session_days_date ON mart.session_days USING brin (event_date)
    WITH (pages_per_range = 32);

-- ---------------------------------------------------------------- counted from events, day by day
-- Buyers and leavers, product paths, baskets, and what users do next need the order or the
-- combination of a session's events, which the sums of loaders do not have. functions/shopping.sql
-- counts a changed day again from raw.event_rows.

CREATE TABLE mart.stale_shopping_days (
    event_date date        NOT NULL PRIMARY KEY,
    noted      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE mart.stale_shopping_days IS
    'Days that wait to be counted again by mart.refresh_shopping().';

ALTER TABLE mart.state
    ADD shopping_begun timestamptz, ADD shopping_at timestamptz,
    ADD shopping_after interval NOT NULL DEFAULT '30 minutes';
COMMENT ON COLUMN mart.state.shopping_begun IS
    'Begin of the present pass over mart.stale_shopping_days; null: none.';
COMMENT ON COLUMN mart.state.shopping_at IS
    'Begin of the last complete pass.';
COMMENT ON COLUMN mart.state.shopping_after IS
    'How long changed days wait while events arrive. A pass counts today again, which takes about '
    '10 seconds of CPU time for a million events.';

CREATE TABLE mart.lift_days (
    dimension        text   NOT NULL,
    event_date       date   NOT NULL,
    value            text   NOT NULL,
    buying_sessions  bigint NOT NULL,
    leaving_sessions bigint NOT NULL,
    PRIMARY KEY (dimension, event_date, value)
);
COMMENT ON TABLE mart.lift_days IS
    'Sessions of each UTC day with a view of each value of a dimension, with and without a '
    'purchase on that day. dimension all: all sessions with a view.';

CREATE TABLE mart.product_path_days (
    event_date   date     NOT NULL,
    step         text     NOT NULL,
    from_product bigint   NOT NULL,
    to_product   bigint   NOT NULL,
    sessions     bigint   NOT NULL,
    PRIMARY KEY (event_date, step, from_product, to_product)
);
CREATE INDEX product_path_days_product ON mart.product_path_days (from_product, event_date);
COMMENT ON TABLE mart.product_path_days IS
    'Sessions of each UTC day that viewed a product and then viewed or bought another. Of each day '
    'and step, the 1000 pairs with the most sessions, and at least two.';
COMMENT ON COLUMN mart.product_path_days.step IS
    'viewed next: to_product is the next product that was viewed. bought: it was bought at or '
    'after the first view of from_product.';

CREATE TABLE mart.basket_days (
    event_date date   NOT NULL,
    product_a  bigint NOT NULL,
    product_b  bigint NOT NULL,
    orders     bigint NOT NULL,
    PRIMARY KEY (event_date, product_a, product_b)
);
COMMENT ON TABLE mart.basket_days IS
    'Sessions of each UTC day that bought both products. product_a is the smaller number.';

CREATE TABLE mart.basket_product_days (
    product_id bigint NOT NULL,
    event_date date   NOT NULL,
    orders     bigint NOT NULL,
    PRIMARY KEY (product_id, event_date)
);
COMMENT ON TABLE mart.basket_product_days IS 'Sessions of each UTC day that bought the product.';

CREATE TABLE mart.user_outcome_days (
    event_date date   NOT NULL,
    outcome    text   NOT NULL,
    users      bigint NOT NULL,
    PRIMARY KEY (event_date, outcome)
);
COMMENT ON TABLE mart.user_outcome_days IS
    'Users with an event on each UTC day, by what they did on it: bought, cart (a cart or checkout '
    'and no purchase), or viewed (neither).';

CREATE TABLE mart.return_days (
    event_date   date   NOT NULL,
    previous_day date   NOT NULL,
    outcome      text   NOT NULL,
    next_outcome text   NOT NULL,
    users        bigint NOT NULL,
    PRIMARY KEY (previous_day, event_date, outcome, next_outcome)
);
CREATE INDEX return_days_date ON mart.return_days (event_date);
COMMENT ON TABLE mart.return_days IS
    'Users who came back: their day before event_date with an event (previous_day, at most 30 days '
    'before), what they did on it (outcome), and on event_date (next_outcome).';

CREATE TABLE mart.session_texts (
    session_id   uuid NOT NULL PRIMARY KEY,
    session_text text NOT NULL
);
COMMENT ON TABLE mart.session_texts IS
    'The sessions whose id in the source is not a UUID as PostgreSQL prints it.';

CREATE UNLOGGED TABLE mart.shopping_events (
    session_id uuid, event_type "char", product_id bigint, event_time timestamptz, event_id uuid,
    user_id bigint, category text, brand text, price numeric
);
COMMENT ON TABLE mart.shopping_events IS
    'Working table of mart.refresh_shopping(): the events of the day that it counts.';
CREATE UNLOGGED TABLE mart.shopping_users (user_id bigint NOT NULL, outcome text NOT NULL);
COMMENT ON TABLE mart.shopping_users IS
    'Working table of mart.refresh_shopping(): the users of the day that it counts.';

INSERT INTO mart.stale_shopping_days
SELECT DISTINCT h.event_date FROM mart.hour_totals h, mart.state s WHERE h.event_date >= s.raw_from;
