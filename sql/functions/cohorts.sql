-- Cohorts: users by the week or month of their first event or purchase, and how many of them came
-- again in later weeks or months.
--
-- mart.cohorts has only sums. A refresh adds the weeks and months that are new for a user. If an
-- earlier event arrives, the user belongs to an earlier cohort: the refresh moves all weeks and
-- months of that user. refresh_users.sql does this for events, buyers.sql for purchases.

CREATE OR REPLACE FUNCTION mart.rebuild_cohorts() RETURNS void LANGUAGE sql AS $$
    DELETE FROM mart.cohorts;
    INSERT INTO mart.cohorts
    SELECT kind, grain, date_trunc(grain, first_day::timestamp)::date,
           date_trunc(grain, event_date::timestamp)::date, count(DISTINCT user_id)
    FROM (SELECT 'active' AS kind, user_id, event_date,
                 min(event_date) OVER (PARTITION BY user_id) AS first_day
          FROM mart.session_days
          UNION ALL
          SELECT 'buying', user_id, event_date, min(event_date) OVER (PARTITION BY user_id)
          FROM mart.buyer_days) AS day
    CROSS JOIN unnest(ARRAY['week', 'month']) AS grain
    GROUP BY 1, 2, 3, 4;
$$;

-- The end of the newest minute that has a counted event. A period is complete when it ends at or
-- before this time.
CREATE OR REPLACE FUNCTION mart.counted_to() RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT date_trunc('minute', newest_event, 'UTC') + interval '1 minute'
    FROM mart.hour_totals ORDER BY event_date DESC, hour DESC LIMIT 1
$$;

CREATE OR REPLACE FUNCTION mart.cohort_table(
    which text, from_day date, to_day date, a_grain text, periods int)
RETURNS TABLE (cohort date, cohort_users bigint, period int, period_start date, users bigint,
               share numeric, complete boolean)
LANGUAGE plpgsql STABLE AS $body$
DECLARE
    now  timestamp := mart.counted_to() AT TIME ZONE 'UTC';
    step interval;
BEGIN
    IF a_grain IS NULL OR a_grain NOT IN ('week', 'month') THEN
        PERFORM mart.refuse_funnel(a_grain, 'grain', 'week or month');
    ELSIF periods IS NULL OR periods NOT BETWEEN 0 AND 1000 THEN
        PERFORM mart.refuse_funnel(periods::text, 'periods', 'a number from 0 to 1000');
    END IF;
    step := ('1 ' || a_grain)::interval;
    RETURN QUERY
    SELECT c.cohort_start, c.users, n, p.starts::date, coalesce(k.users, 0),
           CASE WHEN p.starts + step <= now THEN round(coalesce(k.users, 0)::numeric / c.users, 4)
           END,
           p.starts + step <= now
    FROM mart.cohorts c
    CROSS JOIN generate_series(0, periods) AS n
    CROSS JOIN LATERAL (SELECT c.cohort_start + n * step AS starts) AS p
    LEFT JOIN mart.cohorts k ON k.kind = which AND k.grain = a_grain
         AND k.cohort_start = c.cohort_start AND k.period_start = p.starts::date
    WHERE c.kind = which AND c.grain = a_grain AND c.period_start = c.cohort_start
          AND c.cohort_start <= to_day AND c.cohort_start + step > from_day AND p.starts < now
    ORDER BY c.cohort_start, n;
END
$body$;

CREATE OR REPLACE FUNCTION reporting.retention(
    from_day date, to_day date, grain text DEFAULT 'week', periods int DEFAULT 12)
RETURNS TABLE (cohort date, cohort_users bigint, period int, period_start date, users bigint,
               share numeric, complete boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM mart.cohort_table('active', from_day, to_day, grain, periods)
$$;
COMMENT ON FUNCTION reporting.retention(date, date, text, int) IS
    'Users by the week (from Monday) or month of their first event: how many had an event in this '
    'week or month (period 0) and in each of the following. Cohorts of which a day is in the '
    'period. share: of the users of the cohort. complete: the data reaches the end of period_start '
    '+ 1 grain; share is null before, because users still grows.';

CREATE OR REPLACE FUNCTION reporting.repeat_purchases(
    from_day date, to_day date, grain text DEFAULT 'week', periods int DEFAULT 12)
RETURNS TABLE (cohort date, cohort_users bigint, period int, period_start date, users bigint,
               share numeric, complete boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM mart.cohort_table('buying', from_day, to_day, grain, periods)
$$;
COMMENT ON FUNCTION reporting.repeat_purchases(date, date, text, int) IS
    'As retention, but of buyers: users by the week or month of their first purchase, and how many '
    'bought in this week or month and in each of the following.';
