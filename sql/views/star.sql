-- The star schema: dimensions and facts as analysts see them. Keys of users, sessions and events
-- are pseudonyms. They are stable, so that joins work. They are salted with mart.secret, so that
-- nobody can find the id by trying. A view reads the salt with the rights of its owner. Members of
-- funnel_unmasked see the true ids in the same columns (mart.shows_true_ids, asked once per query).
--
-- The facts are views, not copies: fct_events over raw.events, fct_session_funnel over
-- processed.session_funnels. So they are always current and take no space.
-- reporting.measure_quality() checks their keys. The next refresh adds the dimensions of a new
-- event. Dashboards do not read fct_events; they read sums per day.

CREATE OR REPLACE VIEW reporting.dim_users AS
SELECT CASE WHEN (SELECT mart.shows_true_ids()) THEN user_id::text ELSE user_key END
           AS user_key,
       first_seen, last_seen, events, carts, purchases, spend, sessions, orders, last_purchase,
       segment
FROM mart.dim_users;
COMMENT ON VIEW reporting.dim_users IS 'One row per user with an event.';
COMMENT ON COLUMN reporting.dim_users.user_key IS
    'Pseudonym of the user id; the same everywhere in reporting. Members of funnel_unmasked see '
    'the id.';
COMMENT ON COLUMN reporting.dim_users.first_seen IS
    'Time of the first event; last_seen: of the last.';
COMMENT ON COLUMN reporting.dim_users.purchases IS
    'Purchase events; carts: cart events; events: all.';
COMMENT ON COLUMN reporting.dim_users.spend IS 'Sum of the prices of purchase events.';
COMMENT ON COLUMN reporting.dim_users.sessions IS 'Distinct sessions.';
COMMENT ON COLUMN reporting.dim_users.orders IS 'Distinct sessions with a purchase of this user.';
COMMENT ON COLUMN reporting.dim_users.segment IS
    'loyal buyer (3 orders and more), repeat buyer (2), one-time buyer (1), else: cart, no '
    'purchase; returning visitor (several sessions); one-session visitor.';

-- Most sessions lie within one day, and a condition on date_key reaches their rows. The others are
-- few: mart.long_sessions has them.
CREATE OR REPLACE VIEW reporting.dim_sessions AS
SELECT CASE WHEN (SELECT mart.shows_true_ids())
                THEN coalesce(t.session_text,
                              CASE WHEN s.session_id = md5('user:' || s.user_id)::uuid
                                   THEN 'user:' || s.user_id ELSE s.session_id::text END)
            ELSE left(encode(sha256(convert_to((SELECT salt FROM mart.secret) || 'session:'
                     || coalesce(t.session_text,
                                 CASE WHEN s.session_id = md5('user:' || s.user_id)::uuid
                                      THEN 'user:' || s.user_id ELSE s.session_id::text END),
                                               'UTF8')), 'hex'), 20)
       END                                                                 AS session_key,
       s.date_key,
       CASE WHEN (SELECT mart.shows_true_ids()) THEN s.user_id::text
            ELSE left(encode(sha256(convert_to((SELECT salt FROM mart.secret) || 'user:'
                                               || s.user_id, 'UTF8')), 'hex'), 20)
       END                                                                 AS user_key,
       s.first_seen, s.last_seen, s.days,
       s.views + s.carts + s.removes + s.checkouts + s.purchases           AS events,
       s.views, s.carts, s.removes, s.checkouts, s.purchases, s.revenue,
       CASE WHEN s.purchases > 0 THEN 'bought' WHEN s.carts + s.checkouts > 0 THEN 'cart'
            ELSE 'viewed' END                                              AS outcome
FROM (
    SELECT d.session_id, d.event_date AS date_key,
           (array_agg(d.user_id ORDER BY d.first_time, d.user_id))[1] AS user_id,
           min(d.first_time) AS first_seen, max(d.last_time) AS last_seen, 1::bigint AS days,
           sum(d.views)::bigint AS views, sum(d.carts)::bigint AS carts,
           sum(d.removes)::bigint AS removes, sum(d.checkouts)::bigint AS checkouts,
           sum(d.purchases)::bigint AS purchases, sum(d.revenue) AS revenue
    FROM mart.session_days d
    WHERE NOT EXISTS (SELECT FROM mart.long_sessions l WHERE l.session_id = d.session_id)
    GROUP BY d.session_id, d.event_date
    UNION ALL
    SELECT d.session_id, min(d.event_date),
           (array_agg(d.user_id ORDER BY d.first_time, d.user_id))[1], min(d.first_time),
           max(d.last_time), count(DISTINCT d.event_date), sum(d.views)::bigint,
           sum(d.carts)::bigint, sum(d.removes)::bigint, sum(d.checkouts)::bigint,
           sum(d.purchases)::bigint, sum(d.revenue)
    FROM mart.session_days d
    WHERE d.session_id IN (SELECT l.session_id FROM mart.long_sessions l)
    GROUP BY d.session_id) AS s
LEFT JOIN mart.session_texts t USING (session_id);
COMMENT ON VIEW reporting.dim_sessions IS
    'One row per session with an event, as of the last refresh. Put a condition on date_key.';
COMMENT ON COLUMN reporting.dim_sessions.session_key IS
    'Pseudonym of the session; the same in fct_events and fct_session_funnel. If the source''s id '
    'is not a UUID in lower case, it is the same after the next pass over the session''s day (up '
    'to 30 minutes).';
COMMENT ON COLUMN reporting.dim_sessions.date_key IS 'UTC day of the first event: dim_date.';
COMMENT ON COLUMN reporting.dim_sessions.user_key IS 'User of the first event: dim_users.';
COMMENT ON COLUMN reporting.dim_sessions.days IS 'UTC days with an event of the session.';
COMMENT ON COLUMN reporting.dim_sessions.outcome IS
    'bought; cart (a cart or checkout, no purchase); viewed (neither).';

CREATE OR REPLACE VIEW reporting.dim_products AS
SELECT product_id, category, brand, price, mart.price_band(price) AS price_band, first_seen,
       last_seen
FROM mart.dim_products;
COMMENT ON VIEW reporting.dim_products IS 'One row per product.';
COMMENT ON COLUMN reporting.dim_products.category IS
    'Category code of its latest event (unknown without one); brand and price likewise. Of several '
    'events at that moment, the one with the greatest values.';
COMMENT ON COLUMN reporting.dim_products.price_band IS
    'Number of the band in reporting.price_bands(...), -1 without a price.';

-- The list of days: as in reporting.product_days.
CREATE OR REPLACE VIEW reporting.dim_product_prices AS
SELECT product_id, event_date AS date_key, price, min(first_time) AS first_seen,
       max(last_time) AS last_seen,
       sum(views + carts + removes + checkouts + purchases)::bigint AS events,
       sum(purchases)::bigint AS purchases
FROM mart.day_totals JOIN mart.product_days USING (event_date)
GROUP BY product_id, event_date, price;
COMMENT ON VIEW reporting.dim_product_prices IS
    'Each price that a product had on each UTC day: its price changes.';
COMMENT ON COLUMN reporting.dim_product_prices.first_seen IS
    'First event of the day with this price; last_seen: the last.';

CREATE OR REPLACE VIEW reporting.product_prices AS
SELECT product_id, prices, lowest, highest FROM mart.product_price_ranges;
COMMENT ON VIEW reporting.product_prices IS
    'How many prices each product has had, the lowest and the highest of them.';

CREATE OR REPLACE VIEW reporting.dim_categories AS
SELECT category, level1, level2, level3, level4 FROM mart.dim_categories;
COMMENT ON VIEW reporting.dim_categories IS
    'One row per category code, split at its dots. unknown stands for events without one.';

CREATE OR REPLACE VIEW reporting.dim_event_types AS
SELECT event_type, position, outcome_class, meaning FROM mart.dim_event_types;
COMMENT ON VIEW reporting.dim_event_types IS
    'The five types of events, in the order of the funnel, with what they say about the outcome '
    '(browse, intent, withdrawal, sale).';

CREATE OR REPLACE VIEW reporting.dim_date AS SELECT * FROM mart.dim_dates;
COMMENT ON VIEW reporting.dim_date IS
    'One row per UTC day, 2000 to 2039. weekday: 1 Monday to 7 Sunday.';

CREATE OR REPLACE VIEW reporting.dim_time AS SELECT * FROM mart.dim_times;
COMMENT ON VIEW reporting.dim_time IS
    'One row per minute of the day, UTC. time_key: minutes since midnight.';

CREATE OR REPLACE VIEW reporting.fct_events AS
SELECT CASE WHEN (SELECT mart.shows_true_ids()) THEN e.event_id::text
            ELSE left(encode(sha256(convert_to((SELECT salt FROM mart.secret) || 'event:'
                                               || e.event_id, 'UTF8')), 'hex'), 20)
       END                                                                 AS event_key,
       e.event_date                                                        AS date_key,
       (extract(hour FROM e.event_time AT TIME ZONE 'UTC') * 60
        + extract(minute FROM e.event_time AT TIME ZONE 'UTC'))::smallint  AS time_key,
       e.event_time, e.event_type, e.product_id,
       coalesce(e.category_code, 'unknown')                                AS category,
       coalesce(e.brand, 'unknown')                                        AS brand,
       e.price,
       CASE WHEN e.event_type = 'purchase' THEN e.price ELSE 0 END         AS revenue,
       CASE WHEN (SELECT mart.shows_true_ids()) THEN e.user_id::text
            ELSE left(encode(sha256(convert_to((SELECT salt FROM mart.secret) || 'user:'
                                               || e.user_id, 'UTF8')), 'hex'), 20)
       END                                                                 AS user_key,
       CASE WHEN (SELECT mart.shows_true_ids())
                THEN coalesce(e.user_session, 'user:' || e.user_id)
            ELSE left(encode(sha256(convert_to((SELECT salt FROM mart.secret) || 'session:'
                                               || coalesce(e.user_session, 'user:' || e.user_id),
                                               'UTF8')), 'hex'), 20)
       END                                                                 AS session_key,
       (SELECT CASE WHEN sum(d.purchases) > 0 THEN 'bought'
                    WHEN sum(d.carts + d.checkouts) > 0 THEN 'cart'
                    WHEN count(*) > 0 THEN 'viewed' END
        FROM mart.session_days d
        WHERE d.session_id = processed.session_id(coalesce(e.user_session, 'user:' || e.user_id))
              AND d.event_date = e.event_date)                             AS outcome
FROM raw.events e;
COMMENT ON VIEW reporting.fct_events IS
    'One row per event, late ones too, with keys to the dimensions. Filter by date_key: without it '
    'a query reads all days.';
COMMENT ON COLUMN reporting.fct_events.event_key IS
    'Pseudonym of the event id, which would reveal its user. Members of funnel_unmasked see the '
    'true event id, user and session in the three keys.';
COMMENT ON COLUMN reporting.fct_events.date_key IS
    'UTC day: dim_date. time_key: minute of the day, dim_time.';
COMMENT ON COLUMN reporting.fct_events.outcome IS
    'What became of the event''s session on its UTC day: bought; cart (a cart or checkout, no '
    'purchase); viewed (neither). Null until the next refresh. A query that does not use this '
    'column does not compute it.';
COMMENT ON COLUMN reporting.fct_events.revenue IS 'Price of a purchase, else 0.';
COMMENT ON COLUMN reporting.fct_events.user_key IS
    'Pseudonym: dim_users. session_key: pseudonym of the session, or of the user where there is '
    'none.';

CREATE OR REPLACE VIEW reporting.fct_session_funnel AS
SELECT CASE WHEN (SELECT mart.shows_true_ids()) THEN v.user_session
            ELSE left(encode(sha256(convert_to((SELECT salt FROM mart.secret) || 'session:'
                                               || v.user_session, 'UTF8')), 'hex'), 20)
       END                                                                 AS session_key,
       v.visit_start, v.visit_end,
       (v.visit_start AT TIME ZONE 'UTC')::date                            AS date_key,
       (extract(hour FROM v.visit_start AT TIME ZONE 'UTC') * 60
        + extract(minute FROM v.visit_start AT TIME ZONE 'UTC'))::smallint AS time_key,
       CASE WHEN (SELECT mart.shows_true_ids()) THEN v.user_id::text
            ELSE left(encode(sha256(convert_to((SELECT salt FROM mart.secret) || 'user:'
                                               || v.user_id, 'UTF8')), 'hex'), 20)
       END                                                                 AS user_key,
       coalesce(v.first_category, 'unknown')                               AS entry_category,
       coalesce(v.last_category, 'unknown')                                AS exit_category,
       v.views, v.carts, v.removes, v.checkouts, v.purchases, v.products, v.revenue,
       v.furthest_stage, v.drop_off_stage,
       v.duration_ms, v.view_to_cart_ms, v.view_to_purchase_ms, NOT v.final AS is_open,
       v.view_purchase, v.view_cart_purchase,
       mart.left_after(v.drop_off_stage, v.furthest_stage, v.views, v.purchases, v.view_to_cart_ms,
                       v.view_to_purchase_ms, v.view_cart_purchase)        AS left_after
FROM processed.session_funnels v;
COMMENT ON VIEW reporting.fct_session_funnel IS
    'One row per visit, with keys to the dimensions: a run of one session''s events within one '
    'UTC day without a gap of over 30 minutes.';
COMMENT ON COLUMN reporting.fct_session_funnel.session_key IS
    'Pseudonym of the session; with visit_start the visit''s key. Members of funnel_unmasked see '
    'the true session and user.';
COMMENT ON COLUMN reporting.fct_session_funnel.date_key IS
    'UTC day of the visit: dim_date. time_key: minute of its start, dim_time.';
COMMENT ON COLUMN reporting.fct_session_funnel.user_key IS 'User of the first event: dim_users.';
COMMENT ON COLUMN reporting.fct_session_funnel.entry_category IS
    'Category of the first event, exit_category of the last: dim_categories.';
COMMENT ON COLUMN reporting.fct_session_funnel.drop_off_stage IS
    'Stage after which the visitor left; null where the last stage was reached, or the visit '
    'bought.';
COMMENT ON COLUMN reporting.fct_session_funnel.view_purchase IS
    'A purchase at or after the first view; view_cart_purchase: and a cart between. Null: the '
    'record is older than these columns.';
COMMENT ON COLUMN reporting.fct_session_funnel.left_after IS
    'Where the visit ended, as in visit_days.';
COMMENT ON COLUMN reporting.fct_session_funnel.is_open IS 'Events may still join it.';
