-- A refresh counts sessions in fewer steps.

-- Scratch of a running refresh. It is empty between refreshes.
DROP TABLE mart.new_sessions, mart.prior_sessions, mart.touched, mart.new_users;
CREATE UNLOGGED TABLE mart.new_sessions (LIKE mart.session_days);
COMMENT ON TABLE mart.new_sessions IS
    'Scratch of reporting.refresh(): what new events add to sessions.';
CREATE UNLOGGED TABLE mart.prior_sessions (LIKE mart.session_days, place tid NOT NULL);
COMMENT ON TABLE mart.prior_sessions IS
    'Scratch of reporting.refresh(): all rows of mart.session_days, as they were, of the sessions '
    'that have new events. place: where the row is.';
CREATE UNLOGGED TABLE mart.mixed_sessions (session_id uuid NOT NULL);
COMMENT ON TABLE mart.mixed_sessions IS
    'Scratch of reporting.refresh(): sessions that had events before, or have new events of '
    'several users or days.';
CREATE UNLOGGED TABLE mart.touched (
    session_id uuid NOT NULL, event_date date NOT NULL,
    views int, carts int, purchases int, revenue numeric,
    first_view timestamptz, last_view timestamptz,
    known boolean, views_before int, carts_before int, purchases_before int, revenue_before numeric
);
COMMENT ON TABLE mart.touched IS
    'Scratch of reporting.refresh(): the sessions and days that have new events, but for '
    'mart.plain_sessions. known: they had events before.';
CREATE UNLOGGED TABLE mart.new_users (
    user_id bigint NOT NULL, first_time timestamptz, last_time timestamptz, first_day date,
    last_day date, events bigint, carts bigint, purchases bigint, spend numeric, sessions bigint,
    orders bigint,
    last_purchase timestamptz,
    place tid, segment_before text, first_seen timestamptz, last_seen timestamptz,
    carts_before bigint, sessions_before bigint, orders_before bigint, spend_before numeric
);
COMMENT ON TABLE mart.new_users IS
    'Scratch of reporting.refresh(): what new events add to users, and the users before. place: '
    'where the row of mart.dim_users is; null: the user is new.';
