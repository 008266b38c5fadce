CREATE OR REPLACE FUNCTION reporting.keep_raw_days(days int) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ UPDATE mart.state SET raw_days = days $$;
COMMENT ON FUNCTION reporting.keep_raw_days(int) IS
    'How many days of raw.events to keep, back from its newest; null: all. Reports keep what they '
    'counted of older days.';

-- Detaching locks raw.events against everybody for a moment: not to be had within two seconds, it
-- is tried again another time.
CREATE OR REPLACE FUNCTION reporting.apply_retention() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
    SET client_min_messages = warning AS $body$
DECLARE
    keep_from date;
    one       record;
    dropped   int := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(mart.lock_reporting()) THEN
        RETURN 0;
    END IF;
    SELECT (SELECT max(event_date) FROM mart.hour_totals) - raw_days + 1 INTO keep_from
    FROM mart.state;
    FOR one IN
        SELECT c.relname, to_date(substr(c.relname, 8), 'YYYY_MM_DD') AS day
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'raw.events'::regclass AND c.relname LIKE 'events\_%'
    LOOP
        -- What is not counted yet stays.
        CONTINUE WHEN one.day >= keep_from OR keep_from IS NULL
            OR EXISTS (SELECT FROM processed.load_batches WHERE event_date = one.day);
        EXECUTE format('ALTER TABLE raw.events DETACH PARTITION raw.%I', one.relname);
        -- Events that were stored since the look above would be lost uncounted: now nobody can
        -- store any more.
        IF EXISTS (SELECT FROM processed.load_batches WHERE event_date = one.day) THEN
            RAISE EXCEPTION 'reporting.apply_retention: events of % came just now, try again',
                one.day USING ERRCODE = 'lock_not_available';
        END IF;
        EXECUTE format('DROP TABLE raw.%I', one.relname);
        dropped := dropped + 1;
    END LOOP;
    IF dropped > 0 THEN
        UPDATE mart.state SET raw_from = greatest(raw_from, keep_from);
    END IF;
    RETURN dropped;
EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
END
$body$;
COMMENT ON FUNCTION reporting.apply_retention() IS
    'Drops days of raw.events that are older than keep_raw_days allows and are counted. Returns '
    'how many.';
