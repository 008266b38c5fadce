-- reporting.funnel(), and named funnels per day. sql/README.md, "Your own funnels", has the
-- definitions.

-- Few rows, read in a subtransaction that releases its locks (days.sql). The planner does not know
-- how many events match a step, and a nested loop over many would not end.
CREATE OR REPLACE FUNCTION mart.funnel_counts(
    steps text, first_day date, last_day date, conversion_window interval, unit text,
    step_order text, breakdown text)
RETURNS TABLE (name text, place bigint, step int, event text, converted bigint, median_s numeric,
               median_from_first_s numeric)
LANGUAGE plpgsql STABLE SET enable_nestloop = off AS $body$
DECLARE
    parts jsonb[];
    found jsonb[];
BEGIN
    PERFORM mart.check_funnel(steps, first_day, last_day, conversion_window, unit, step_order,
                              breakdown);
    parts := mart.funnel_steps(steps);
    BEGIN
        EXECUTE 'SELECT array_agg(to_jsonb(r)) FROM ('
            || mart.funnel_query(parts, first_day, last_day, conversion_window, unit, step_order,
                                 breakdown) || ') AS r' INTO found;
        PERFORM mart.release_locks();
    EXCEPTION WHEN SQLSTATE 'FNL01' THEN NULL;
    END;
    RETURN QUERY
    SELECT r->>'name', (r->>'place')::bigint, (r->>'step')::int,
           mart.funnel_step_name(parts[(r->>'step')::int]), (r->>'converted')::bigint,
           round((r->>'median')::numeric / 1000000, 1),
           round((r->>'median_from_first')::numeric / 1000000, 1)
    FROM unnest(found) AS r;
END
$body$;

CREATE OR REPLACE FUNCTION reporting.funnel(
    steps text, first_day date, last_day date, conversion_window interval DEFAULT '7 days',
    unit text DEFAULT 'user', step_order text DEFAULT 'open', breakdown text DEFAULT NULL)
RETURNS TABLE (breakdown_value text, step int, event text, converted bigint, of_first numeric,
               of_step_before numeric, dropped bigint, median_s numeric,
               median_from_first_s numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
    SET jit = off SET work_mem = '128MB' AS $$
    SELECT c.name, c.step, c.event, c.converted,
           round(c.converted::numeric / nullif(first_value(c.converted) OVER own, 0), 4),
           round(c.converted::numeric / nullif(lag(c.converted) OVER own, 0), 4),
           c.converted - coalesce(lead(c.converted) OVER own, c.converted), c.median_s,
           c.median_from_first_s
    FROM mart.funnel_counts(steps, first_day, last_day, conversion_window, unit, step_order,
                            breakdown) AS c
    WINDOW own AS (PARTITION BY c.name ORDER BY c.step)
    ORDER BY c.place, first_value(c.converted) OVER own DESC, c.name COLLATE "C", c.step
$$;
COMMENT ON FUNCTION reporting.funnel(text, date, date, interval, text, text, text) IS
    'A funnel of two to ten steps over the events of a period: units (visit, session or user) that '
    'reached each step (converted), how many of them went no further (dropped), and the median '
    'times since the step before and since the first step. sql/README.md, "Your own funnels", has '
    'the steps, the arguments and the exact definitions.';

-- ---------------------------------------------------------------- named funnels

CREATE OR REPLACE FUNCTION mart.first_funnel_day(first_event date, f reporting.funnels)
RETURNS date LANGUAGE sql IMMUTABLE AS
$$ SELECT first_event - mart.funnel_reach(f.conversion_window, f.unit) $$;
COMMENT ON FUNCTION mart.first_funnel_day(date, reporting.funnels) IS
    'The first day of a funnel that an event of a day may change.';

-- A refresh locks the reports, then rows of funnels. A change of funnels locks in the same order.
-- The lock also keeps a refresh from counting events of a day without seeing a new funnel.
CREATE OR REPLACE FUNCTION mart.lock_funnels() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM pg_advisory_xact_lock(mart.lock_reporting());
    RETURN NULL;
END
$body$;
CREATE OR REPLACE TRIGGER lock_funnels BEFORE INSERT OR UPDATE OR DELETE ON reporting.funnels
    FOR EACH STATEMENT EXECUTE FUNCTION mart.lock_funnels();

-- A new or changed funnel is counted by the next refreshes. A new name alone changes no numbers.
CREATE OR REPLACE FUNCTION mart.begin_funnel() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF TG_OP = 'UPDATE'
       AND (NEW.steps, NEW.conversion_window, NEW.unit, NEW.step_order)
           = (OLD.steps, OLD.conversion_window, OLD.unit, OLD.step_order) THEN
        RETURN NULL;
    END IF;
    PERFORM mart.check_funnel(NEW.steps, today, today, NEW.conversion_window, NEW.unit,
                              NEW.step_order, NULL)
    FROM (SELECT greatest(current_date, raw_from) AS today FROM mart.state) AS s;
    DELETE FROM mart.funnel_days WHERE funnel = NEW.funnel;
    INSERT INTO mart.stale_funnel_days
    SELECT DISTINCT NEW.funnel, h.event_date FROM mart.hour_totals h, mart.state s
    WHERE h.event_date >= s.raw_from
    ON CONFLICT DO NOTHING;
    UPDATE mart.state SET funnels_begun = NULL, funnels_at = NULL;
    RETURN NULL;
END
$body$;
CREATE OR REPLACE TRIGGER begin_funnel AFTER INSERT OR UPDATE ON reporting.funnels
    FOR EACH ROW EXECUTE FUNCTION mart.begin_funnel();

-- Refresh: notes the days whose funnels the new events may change.
CREATE OR REPLACE FUNCTION mart.note_funnel_days() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.stale_funnel_days
    SELECT DISTINCT f.funnel, h.event_date
    FROM reporting.funnels f
    CROSS JOIN (SELECT DISTINCT event_date FROM mart.new_batches) AS n
    JOIN mart.hour_totals h
         ON h.event_date BETWEEN mart.first_funnel_day(n.event_date, f) AND n.event_date
    WHERE h.event_date >= (SELECT raw_from FROM mart.state)
    ON CONFLICT DO NOTHING
$$;

CREATE OR REPLACE FUNCTION mart.count_funnel_day(f reporting.funnels, day date) RETURNS void
    LANGUAGE sql AS $$
    DELETE FROM mart.funnel_days d WHERE d.funnel = f.funnel AND d.event_date = day;
    INSERT INTO mart.funnel_days
    SELECT f.funnel, day, c.step, c.event, c.converted, c.median_s, c.median_from_first_s
    FROM mart.funnel_counts(f.steps, day, day, f.conversion_window, f.unit, f.step_order, NULL)
         AS c;
    DELETE FROM mart.stale_funnel_days s WHERE s.funnel = f.funnel AND s.event_date = day;
$$;

-- Refresh: counts changed days again. A pass counts the days that were noted up to its begin, in
-- the order of their notes, and of one note the newest first. Each call counts for about a second,
-- and the next one goes on. Each event of today changes today again, so days noted during a pass
-- wait for the next one. It begins after a pause of mart.state.funnels_after.
CREATE OR REPLACE FUNCTION mart.refresh_funnels() RETURNS void
LANGUAGE plpgsql SET timezone = 'UTC' AS $body$
DECLARE
    began constant timestamptz := clock_timestamp();
    pass  timestamptz := (SELECT funnels_begun FROM mart.state);
    one   record;
BEGIN
    IF pass IS NULL THEN
        IF NOT EXISTS (SELECT FROM mart.stale_funnel_days)
           OR (SELECT funnels_at > now() - funnels_after FROM mart.state) THEN
            RETURN;
        END IF;
        UPDATE mart.state SET funnels_begun = now() RETURNING funnels_begun INTO pass;
    END IF;
    DELETE FROM mart.stale_funnel_days WHERE event_date < (SELECT raw_from FROM mart.state);
    FOR one IN SELECT f, s.event_date FROM mart.stale_funnel_days s
               JOIN reporting.funnels f USING (funnel) WHERE s.noted <= pass
               ORDER BY s.noted, s.event_date DESC, funnel LOOP
        IF clock_timestamp() > began + interval '1 second' THEN
            RETURN;
        END IF;
        PERFORM mart.count_funnel_day(one.f, one.event_date);
    END LOOP;
    UPDATE mart.state SET funnels_begun = NULL, funnels_at = now();
END
$body$;

-- Rebuild: notes all days. The next refreshes count them, a second at a time, because this
-- transaction has the lock of the reports. Days that have lost all events end.
CREATE OR REPLACE FUNCTION mart.rebuild_funnels() RETURNS void LANGUAGE sql AS $$
    DELETE FROM mart.stale_funnel_days;
    DELETE FROM mart.funnel_days d
    WHERE event_date >= (SELECT raw_from FROM mart.state)
          AND NOT EXISTS (SELECT FROM mart.hour_totals h WHERE h.event_date = d.event_date);
    INSERT INTO mart.stale_funnel_days
    SELECT f.funnel, d.event_date
    FROM reporting.funnels f, (SELECT DISTINCT event_date FROM mart.hour_totals) AS d
    WHERE d.event_date >= (SELECT raw_from FROM mart.state);
    UPDATE mart.state SET funnels_begun = NULL, funnels_at = NULL;
$$;
