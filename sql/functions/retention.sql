CREATE OR REPLACE FUNCTION reporting.keep_raw_days(days int) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ UPDATE mart.state SET raw_days = days $$;
COMMENT ON FUNCTION reporting.keep_raw_days(int) IS
    'Sets how many days of raw.events to keep, counted back from its newest day; null: all. '
    'Reports keep their numbers of older days. With a lake, a day stays until the lake has it.';

-- DETACH PARTITION locks out all readers and writers of events for a moment. If this lock is
-- not granted within two seconds, a later call tries again. A call drops at most 50 days, as each
-- takes about ten locks until the transaction ends. With a lake it also notes at most 50 days,
-- whose events are counted (functions/archive.sql).
--
-- raw_from goes past days that stay before a dropped one: reports then treat them as dropped.
CREATE OR REPLACE FUNCTION reporting.apply_retention() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
    SET client_min_messages = warning AS $body$
DECLARE
    with_lake constant boolean := mart.has_lake();
    keep_from date;
    one       record;
    dropped   int := 0;
    noted     int := 0;
    dropped_to date;
BEGIN
    IF NOT pg_try_advisory_xact_lock(mart.lock_reporting()) THEN
        RETURN 0;
    END IF;
    SELECT (SELECT max(event_date) FROM mart.hour_totals) - raw_days + 1 INTO keep_from
    FROM mart.state;
    DELETE FROM mart.kept_days
    WHERE NOT with_lake OR event_date >= keep_from OR keep_from IS NULL;
    FOR one IN
        SELECT c.relname, to_date(substr(c.relname, 8), 'YYYY_MM_DD') AS day
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'raw.event_rows'::regclass AND c.relname LIKE 'events\_%'
        ORDER BY 2
    LOOP
        EXIT WHEN dropped = 50 OR noted = 50;
        -- A day with events that are not counted yet stays.
        CONTINUE WHEN one.day >= keep_from OR keep_from IS NULL
            OR EXISTS (SELECT FROM processed.load_batches WHERE event_date = one.day);
        IF with_lake THEN
            noted := noted + mart.note_kept_day(one.day)::int;
            CONTINUE WHEN mart.stays_for_lake(one.day);
        END IF;
        EXECUTE format('ALTER TABLE raw.event_rows DETACH PARTITION raw.%I', one.relname);
        -- Events that were stored after the check above would be dropped uncounted. From here on
        -- nobody can store events of this day.
        IF EXISTS (SELECT FROM processed.load_batches WHERE event_date = one.day) THEN
            RAISE EXCEPTION 'reporting.apply_retention: events of % have just been stored: try '
                'again', one.day USING ERRCODE = 'lock_not_available';
        END IF;
        EXECUTE format('DROP TABLE raw.%I', one.relname);
        DELETE FROM mart.kept_days WHERE event_date = one.day;
        dropped := dropped + 1;
        dropped_to := one.day;
    END LOOP;
    IF dropped > 0 THEN
        UPDATE mart.state
        SET raw_from = greatest(raw_from, CASE WHEN dropped < 50 AND NOT with_lake THEN keep_from
                                               ELSE dropped_to + 1 END);
    END IF;
    RETURN dropped;
EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
END
$body$;
COMMENT ON FUNCTION reporting.apply_retention() IS
    'Drops days of raw.events that are older than keep_raw_days allows, if the reports have '
    'counted them and the lake, if there is one, has them: at most 50. Returns the number of days '
    'dropped; reporting.kept_days has those that stay for the lake.';
