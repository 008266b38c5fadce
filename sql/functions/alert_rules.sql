-- What alert rules may be. sql/README.md, "Alerts", has the definitions.

CREATE OR REPLACE FUNCTION mart.refuse_alert_rule(
    r reporting.alert_rules, argument text, expected text) RETURNS void
LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION 'invalid value % for column % of alert rule "%": expected %',
        coalesce('"' || (to_jsonb(r)->>argument) || '"', 'null'), argument, r.rule, expected
        USING ERRCODE = 'invalid_parameter_value';
END
$body$;

-- The texts that a column may have. Null: it must be null.
CREATE OR REPLACE FUNCTION mart.alert_subjects(metric text) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT CASE metric
        WHEN 'stage' THEN ARRAY(SELECT s.stage FROM reporting.stages s WHERE s.step > 1
                                ORDER BY s.step)
        WHEN 'freshness' THEN '{events,rollups,visits,counts}'
        WHEN 'quality' THEN ARRAY(SELECT t.check_name FROM reporting.data_quality_thresholds t
                                  ORDER BY 1)
    END
$$;

-- Metrics whose rules have no volume.
CREATE OR REPLACE FUNCTION mart.alert_has_volume(r reporting.alert_rules) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT r.metric NOT IN ('freshness', 'quality')
           AND NOT (r.metric = 'traffic' AND r.compared_with = 'fixed')
$$;

-- Months and years have no fixed length.
CREATE OR REPLACE FUNCTION mart.is_minutes(i interval, low interval, high interval)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT i BETWEEN low AND high AND extract(month FROM i) = 0 AND extract(year FROM i) = 0
           AND mod(extract(epoch FROM i), 60) = 0
$$;

CREATE OR REPLACE FUNCTION mart.check_alert_choices(r reporting.alert_rules) RETURNS void
LANGUAGE plpgsql AS $body$
DECLARE
    subjects text[] := mart.alert_subjects(r.metric);
BEGIN
    IF r.rule !~ '^[a-z0-9][a-z0-9_.-]{0,62}$' THEN
        PERFORM mart.refuse_alert_rule(r, 'rule', 'lower-case letters, digits, _, . and -; at '
                                       'most 63');
    END IF;
    IF r.metric NOT IN ('conversion', 'stage', 'revenue', 'traffic', 'freshness', 'quality') THEN
        PERFORM mart.refuse_alert_rule(r, 'metric', 'conversion, stage, revenue, traffic, '
                                       'freshness or quality');
    END IF;
    IF subjects IS NULL AND r.subject IS NOT NULL THEN
        PERFORM mart.refuse_alert_rule(r, 'subject', format('null for the metric %s', r.metric));
    ELSIF r.subject <> ALL (subjects) OR (r.subject IS NULL AND r.metric <> 'quality'
                                          AND subjects IS NOT NULL) THEN
        PERFORM mart.refuse_alert_rule(r, 'subject', format('one of %s for the metric %s',
            array_to_string(subjects, ', '), r.metric));
    END IF;
    IF r.compared_with NOT IN ('fixed', 'day before', 'week before') THEN
        PERFORM mart.refuse_alert_rule(r, 'compared_with', 'fixed, day before or week before');
    ELSIF r.compared_with <> 'fixed' AND r.metric IN ('freshness', 'quality') THEN
        PERFORM mart.refuse_alert_rule(r, 'compared_with',
                                       format('fixed for the metric %s', r.metric));
    END IF;
    IF r.direction NOT IN ('below', 'above') THEN
        PERFORM mart.refuse_alert_rule(r, 'direction', 'below or above');
    END IF;
END
$body$;

CREATE OR REPLACE FUNCTION mart.check_alert_numbers(r reporting.alert_rules) RETURNS void
LANGUAGE plpgsql AS $body$
BEGIN
    IF r.bound < 0 OR r.bound IN ('NaN', 'Infinity') THEN
        PERFORM mart.refuse_alert_rule(r, 'bound', 'a number of 0 or more');
    END IF;
    IF NOT mart.is_minutes(r.span, '1 minute', '24 hours') THEN
        PERFORM mart.refuse_alert_rule(r, 'span', 'whole minutes from 1 minute to 24 hours');
    END IF;
    IF NOT mart.is_minutes(r.hold, '0', '7 days') THEN
        PERFORM mart.refuse_alert_rule(r, 'hold', 'whole minutes from 0 to 7 days');
    END IF;
    IF r.minimum_volume < 0 THEN
        PERFORM mart.refuse_alert_rule(r, 'minimum_volume', '0 or more');
    ELSIF r.minimum_volume > 0 AND NOT mart.alert_has_volume(r) THEN
        PERFORM mart.refuse_alert_rule(r, 'minimum_volume', format(
            '0, as the metric %s compared with %s has no volume', r.metric, r.compared_with));
    END IF;
END
$body$;

CREATE OR REPLACE FUNCTION mart.check_alert_rule() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF NEW.minimum_volume IS NULL THEN
        NEW.minimum_volume := CASE WHEN mart.alert_has_volume(NEW) THEN 100 ELSE 0 END;
    END IF;
    PERFORM mart.check_alert_choices(NEW);
    PERFORM mart.check_alert_numbers(NEW);
    RETURN NEW;
END
$body$;
CREATE OR REPLACE TRIGGER check_alert_rule BEFORE INSERT OR UPDATE ON reporting.alert_rules
    FOR EACH ROW EXECUTE FUNCTION mart.check_alert_rule();
