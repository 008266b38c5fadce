-- Functions about activity. Each takes the first and the last day of a period (UTC, both included).
-- Columns with `before` in their name describe the period of the same length just before. A rate is
-- null if its divisor is 0.

CREATE OR REPLACE FUNCTION mart.engaged(
    from_day date, to_day date,
    OUT events numeric, OUT session_days numeric, OUT visits numeric, OUT visit_ms numeric,
    OUT days numeric, OUT user_days numeric)
LANGUAGE sql STABLE AS $$
    SELECT (SELECT sum(h.events) FROM mart.hour_totals h
            WHERE event_date BETWEEN from_day AND to_day),
           (SELECT sum(sessions) FROM mart.day_totals
            WHERE event_date BETWEEN from_day AND to_day),
           (SELECT sum(v.visits) FROM mart.visit_days v
            WHERE visit_date BETWEEN from_day AND to_day),
           (SELECT sum(duration_ms) FROM mart.visit_days
            WHERE visit_date BETWEEN from_day AND to_day),
           (SELECT count(*) FROM mart.day_totals WHERE event_date BETWEEN from_day AND to_day),
           (SELECT sum(users) FROM mart.active_users
            WHERE grain = 'day' AND period_start BETWEEN from_day AND to_day)
$$;

CREATE OR REPLACE FUNCTION reporting.engagement(from_day date, to_day date)
RETURNS TABLE (line int, measure text, value numeric, before numeric, change numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT m.line, m.measure, m.value, m.before, reporting.change(m.value, m.before)
    FROM mart.engaged(from_day, to_day) AS n,
         mart.engaged(from_day - (to_day - from_day + 1), from_day - 1) AS b, LATERAL (VALUES
        (1, 'events_per_session', round(n.events / nullif(n.session_days, 0), 2),
         round(b.events / nullif(b.session_days, 0), 2)),
        (2, 'sessions_per_day', round(n.session_days / nullif(n.days, 0), 1),
         round(b.session_days / nullif(b.days, 0), 1)),
        (3, 'users_per_day', round(n.user_days / nullif(n.days, 0), 1),
         round(b.user_days / nullif(b.days, 0), 1)),
        (4, 'visits', coalesce(n.visits, 0), coalesce(b.visits, 0)),
        (5, 'average_visit_s', round(n.visit_ms / nullif(n.visits, 0) / 1000, 1),
         round(b.visit_ms / nullif(b.visits, 0) / 1000, 1))) AS m(line, measure, value, before)
    ORDER BY 1
$$;
COMMENT ON FUNCTION reporting.engagement(date, date) IS
    'events_per_session and sessions_per_day (sessions within a UTC day), users_per_day (mean of '
    'daily distinct users; days that had events), visits, average_visit_s. Weekly users are in '
    'active_users.';

CREATE OR REPLACE FUNCTION reporting.weekday_weekend(from_day date, to_day date)
RETURNS TABLE (kind text, days bigint, events_per_day numeric, purchases_per_day numeric,
               revenue_per_day numeric, purchases_per_view numeric, revenue_per_day_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH sums AS (
        SELECT d.is_weekend, event_date >= from_day AS now, count(DISTINCT event_date) AS days,
               sum(h.events) AS events, sum(h.purchases) AS purchases, sum(h.views) AS views,
               sum(h.revenue) AS revenue
        FROM mart.hour_totals h JOIN mart.dim_dates d ON d.date_key = h.event_date
        WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day GROUP BY 1, 2
    )
    SELECT CASE WHEN n.is_weekend THEN 'weekend' ELSE 'weekday' END, n.days,
           round(n.events / n.days, 1), round(n.purchases / n.days, 1),
           round(n.revenue / n.days, 2),
           round(n.purchases / nullif(n.views, 0), 4), round(b.revenue / b.days, 2)
    FROM sums n LEFT JOIN sums b ON b.is_weekend = n.is_weekend AND NOT b.now WHERE n.now
    ORDER BY n.is_weekend
$$;
COMMENT ON FUNCTION reporting.weekday_weekend(date, date) IS
    'Weekdays against Saturdays and Sundays (UTC), per day that had events.';

CREATE OR REPLACE FUNCTION reporting.hour_of_day(from_day date, to_day date)
RETURNS TABLE (hour int, events bigint, share numeric, purchases bigint, revenue numeric,
               purchases_per_view numeric, events_before bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT o, coalesce(sum(h.events) FILTER (WHERE now), 0)::bigint,
           round(sum(h.events) FILTER (WHERE now)
                 / nullif(sum(sum(h.events) FILTER (WHERE now)) OVER (), 0), 4),
           coalesce(sum(h.purchases) FILTER (WHERE now), 0)::bigint,
           coalesce(sum(h.revenue) FILTER (WHERE now), 0),
           round(sum(h.purchases) FILTER (WHERE now)
                 / nullif(sum(h.views) FILTER (WHERE now), 0), 4),
           coalesce(sum(h.events) FILTER (WHERE NOT now), 0)::bigint
    FROM generate_series(0, 23) AS o
    LEFT JOIN (SELECT *, event_date >= from_day AS now FROM mart.hour_totals
               WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day) h
         ON h.hour = o
    GROUP BY o ORDER BY o
$$;
COMMENT ON FUNCTION reporting.hour_of_day(date, date) IS
    'The day by UTC hour, all days of the period together.';
