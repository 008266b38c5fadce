-- Named periods before now. In a replay the data is of another day than the wall clock: the view
-- reporting.data_clock defines now.

CREATE OR REPLACE FUNCTION reporting.period_start(period text) RETURNS timestamptz
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE period
        WHEN 'last 5 minutes'  THEN now - interval '5 minutes'
        WHEN 'last 15 minutes' THEN now - interval '15 minutes'
        WHEN 'last hour'       THEN now - interval '1 hour'
        WHEN 'last 3 hours'    THEN now - interval '3 hours'
        WHEN 'today'           THEN today::timestamp AT TIME ZONE 'UTC'
        WHEN 'last 7 days'     THEN (today - 6)::timestamp AT TIME ZONE 'UTC'
        WHEN 'last 30 days'    THEN (today - 29)::timestamp AT TIME ZONE 'UTC'
        WHEN 'last 90 days'    THEN (today - 89)::timestamp AT TIME ZONE 'UTC'
        WHEN 'everything'      THEN (SELECT min(day)
                                     FROM reporting.hourly_activity)::timestamp AT TIME ZONE 'UTC'
    END FROM reporting.data_clock
$$;
COMMENT ON FUNCTION reporting.period_start(text) IS
    'First moment of a period that ends now (reporting.data_clock): last 5 minutes, last 15 '
    'minutes, last hour, last 3 hours, today, last 7 days (today is the seventh), last 30 days, '
    'last 90 days, everything. Null for any other name, and without data.';

CREATE OR REPLACE FUNCTION reporting.period_first_day(period text) RETURNS date
    LANGUAGE sql STABLE AS
$$ SELECT (reporting.period_start(period) AT TIME ZONE 'UTC')::date $$;
COMMENT ON FUNCTION reporting.period_first_day(text) IS
    'UTC day in which reporting.period_start lies.';
