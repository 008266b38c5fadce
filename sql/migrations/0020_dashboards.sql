-- What dashboards need beside the questions: the clock of the data, named periods before it, and minutes by category.
--
-- In a replay the data is of another day than the wall clock. "Now", "today" and "the last hour" of a report are therefore told by
-- the data: now is the end of the newest minute that has an event in the rollup 1m:all. It is defined here and nowhere else.

CREATE VIEW reporting.data_clock AS
SELECT window_end AS now, (window_start AT TIME ZONE 'UTC')::date AS today
FROM processed.funnel_aggregates WHERE rollup = '1m:all' ORDER BY window_start DESC LIMIT 1;
COMMENT ON VIEW reporting.data_clock IS 'Now, as the data has it: one row, or none where there is no data.';
COMMENT ON COLUMN reporting.data_clock.now IS 'End of the newest minute with an event (rollup 1m:all), so that all of it lies before now.';
COMMENT ON COLUMN reporting.data_clock.today IS 'UTC day of that minute.';

CREATE FUNCTION reporting.period_start(period text) RETURNS timestamptz LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE period
        WHEN 'last 5 minutes'  THEN now - interval '5 minutes'
        WHEN 'last 15 minutes' THEN now - interval '15 minutes'
        WHEN 'last hour'       THEN now - interval '1 hour'
        WHEN 'last 3 hours'    THEN now - interval '3 hours'
        WHEN 'today'           THEN today::timestamp AT TIME ZONE 'UTC'
        WHEN 'last 7 days'     THEN (today - 6)::timestamp AT TIME ZONE 'UTC'
        WHEN 'last 30 days'    THEN (today - 29)::timestamp AT TIME ZONE 'UTC'
        WHEN 'last 90 days'    THEN (today - 89)::timestamp AT TIME ZONE 'UTC'
        WHEN 'everything'      THEN (SELECT min(day) FROM reporting.hourly_activity)::timestamp AT TIME ZONE 'UTC'
    END FROM reporting.data_clock
$$;
COMMENT ON FUNCTION reporting.period_start(text) IS 'First moment of a period that ends now (reporting.data_clock): last 5 minutes, last 15 minutes, last hour, last 3 hours, today, last 7 days (today is the seventh), last 30 days, last 90 days, everything. Null for any other name, and without data.';

CREATE FUNCTION reporting.period_first_day(period text) RETURNS date LANGUAGE sql STABLE AS
$$ SELECT (reporting.period_start(period) AT TIME ZONE 'UTC')::date $$;
COMMENT ON FUNCTION reporting.period_first_day(text) IS 'UTC day in which reporting.period_start lies.';

CREATE VIEW reporting.funnel_by_minute_category AS
SELECT window_start AS minute, group_value AS category_level1, views, carts, removes, checkouts, purchases, revenue, sessions, final
FROM processed.funnel_aggregates WHERE rollup = '1m:category1';
COMMENT ON VIEW reporting.funnel_by_minute_category IS 'Each minute by the first level of the category (unknown where the event has none). Events and revenue add up to those of funnel_by_minute; sessions do not.';

REVOKE EXECUTE ON FUNCTION reporting.period_start(text), reporting.period_first_day(text) FROM PUBLIC;
DO $body$
DECLARE
    reader text;
BEGIN
    FOREACH reader IN ARRAY ARRAY['funnel_analyst', 'funnel_metabase', 'funnel_unmasked'] LOOP
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = reader) THEN
            EXECUTE format('GRANT SELECT ON reporting.data_clock, reporting.funnel_by_minute_category TO %I', reader);
            EXECUTE format('GRANT EXECUTE ON FUNCTION reporting.period_start(text), reporting.period_first_day(text) TO %I', reader);
        END IF;
    END LOOP;
END
$body$;
