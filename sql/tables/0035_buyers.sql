-- The sums of each buyer over all days. The RFM reports read one row for a buyer all of whose
-- purchases are in the period, and add up the days of the others only.
CREATE TABLE mart.buyers (
    user_id    bigint        NOT NULL PRIMARY KEY,
    first_day  date          NOT NULL,
    last_day   date          NOT NULL,
    orders     bigint        NOT NULL,
    spend_band int           NOT NULL,
    revenue    numeric(38,2) NOT NULL
) WITH (fillfactor = 85);
CREATE INDEX buyers_often ON mart.buyers (first_day, last_day)
    INCLUDE (user_id, orders, spend_band, revenue) WHERE first_day < last_day;
COMMENT ON TABLE mart.buyers IS 'mart.buyer_days by user.';
COMMENT ON COLUMN mart.buyers.first_day IS
    'UTC day of the first purchase. last_day: of the last one.';
COMMENT ON COLUMN mart.buyers.orders IS
    'Sessions and days with a purchase. A session with purchases on several days counts on each.';
COMMENT ON COLUMN mart.buyers.spend_band IS 'mart.spend_band() of revenue.';
-- As mart.spend_band(), which does not exist yet when all files run in a new database.
INSERT INTO mart.buyers
SELECT user_id, min(event_date), max(event_date), sum(orders),
       floor(32 * sqrt(sqrt(sum(revenue)::float8)))::int, sum(revenue)
FROM mart.buyer_days GROUP BY user_id;
