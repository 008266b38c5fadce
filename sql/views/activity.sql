-- Activity per day and hour, counted from events as stored, late ones included.

CREATE OR REPLACE VIEW reporting.daily_activity AS
SELECT h.event_date AS day, sum(h.events)::bigint AS events, sum(h.views)::bigint AS views,
       sum(h.carts)::bigint AS carts, sum(h.removes)::bigint AS removes,
       sum(h.checkouts)::bigint AS checkouts, sum(h.purchases)::bigint AS purchases,
       sum(h.revenue) AS revenue,
       min(d.sessions) AS sessions, min(u.users) AS users,
       round(sum(h.events) / nullif(min(d.sessions), 0), 2) AS events_per_session
FROM mart.hour_totals h
LEFT JOIN mart.day_totals d USING (event_date)
LEFT JOIN mart.active_users u ON u.grain = 'day' AND u.period_start = h.event_date
GROUP BY h.event_date;
COMMENT ON VIEW reporting.daily_activity IS
    'Events by type, distinct sessions and users of each UTC day.';

CREATE OR REPLACE VIEW reporting.hourly_activity AS
SELECT event_date AS day, hour, events, views, carts, removes, checkouts, purchases, revenue
FROM mart.hour_totals;
COMMENT ON VIEW reporting.hourly_activity IS 'Events by type and revenue of each UTC hour.';

CREATE OR REPLACE VIEW reporting.active_users AS
SELECT grain, period_start, users, new_users FROM mart.active_users;
COMMENT ON VIEW reporting.active_users IS
    'Distinct users with an event in each day, week (from Monday) and month: grain day, week, '
    'month. new_users: of these, the users whose first event is in it.';
