-- The arguments of reporting.funnel(): what they may be, and the steps as conditions on
-- raw.event_rows. sql/README.md, "Your own funnels", has the definitions.

CREATE OR REPLACE FUNCTION mart.refuse_funnel(value text, argument text, expected text) RETURNS void
    LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION 'invalid value % for %: expected %',
        coalesce('"' || value || '"', 'null'), argument, expected
        USING ERRCODE = 'invalid_parameter_value';
END
$body$;

-- One step as text: a type, then filters such as brand=apple or brand="two words".
CREATE OR REPLACE FUNCTION mart.funnel_step(step text, place int) RETURNS jsonb
    LANGUAGE plpgsql AS $body$
DECLARE
    found jsonb := jsonb_build_object('type', (regexp_match(step, '^\s*([^\s="]+)(?:\s|$)'))[1]);
    one   text[];
BEGIN
    IF step !~ '^\s*[^\s="]+(\s+\w+=("[^"]*"|[^\s"]+))*\s*$' THEN
        PERFORM mart.refuse_funnel(btrim(step), format('step %s of steps', place),
                                   'a type and filters, such as cart brand=apple price_from=100');
    END IF;
    FOR one IN SELECT regexp_matches(step, '\s(\w+)=("[^"]*"|[^\s"]+)', 'g') LOOP
        IF found ? one[1] THEN
            PERFORM mart.refuse_funnel(btrim(step), format('step %s of steps', place),
                                       'each filter once');
        END IF;
        found := found || jsonb_build_object(one[1], btrim(one[2], '"'));
    END LOOP;
    RETURN found;
END
$body$;

CREATE OR REPLACE FUNCTION mart.funnel_steps(steps text) RETURNS jsonb[]
    LANGUAGE plpgsql AS $body$
DECLARE
    usual constant text := 'two to ten steps, such as view > cart > purchase';
    found jsonb[];
    parts jsonb;
BEGIN
    IF steps IS NULL THEN
        PERFORM mart.refuse_funnel(steps, 'steps', usual);
    ELSIF length(steps) > 10000 THEN
        PERFORM mart.refuse_funnel(left(steps, 50) || '...', 'steps', 'at most 10000 characters');
    ELSIF steps !~ '^\s*[\[{]' THEN
        found := ARRAY(SELECT mart.funnel_step(step, place::int)
                       FROM unnest(string_to_array(steps, '>')) WITH ORDINALITY AS s(step, place)
                       ORDER BY place);
    ELSE
        BEGIN
            parts := steps::jsonb;
        EXCEPTION WHEN invalid_text_representation OR untranslatable_character
                       OR numeric_value_out_of_range OR statement_too_complex THEN
            PERFORM mart.refuse_funnel(steps, 'steps', 'valid JSON');
        END;
        IF jsonb_typeof(parts) <> 'array' THEN
            PERFORM mart.refuse_funnel(steps, 'steps', 'an array of objects');
        END IF;
        found := ARRAY(SELECT jsonb_array_elements(parts));
    END IF;
    IF cardinality(found) NOT BETWEEN 2 AND 10 THEN
        PERFORM mart.refuse_funnel(steps, 'steps', usual);
    END IF;
    RETURN found;
END
$body$;
COMMENT ON FUNCTION mart.funnel_steps(text) IS
    'The steps of a funnel, from text such as view > cart brand=apple, or from a JSON array.';

-- Whether text is a number that the type of a column can have.
CREATE OR REPLACE FUNCTION mart.is_number(value text, most numeric) RETURNS boolean
    LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN value ~ '^[0-9]{1,20}(\.[0-9]{1,20})?$'
                THEN value::numeric <= most ELSE false END
$$;

CREATE OR REPLACE FUNCTION mart.check_funnel_step(step jsonb, place int) RETURNS void
    LANGUAGE plpgsql AS $body$
DECLARE
    here   constant text := format('step %s of steps', place);
    filter record;
BEGIN
    IF jsonb_typeof(step) <> 'object' THEN
        PERFORM mart.refuse_funnel(step::text, here, 'an object such as {"type": "view"}');
    END IF;
    IF step->>'type' IS NULL
       OR step->>'type' NOT IN ('view', 'cart', 'remove_from_cart', 'checkout', 'purchase') THEN
        PERFORM mart.refuse_funnel(step->>'type', 'the type in ' || here,
                                   'view, cart, remove_from_cart, checkout or purchase');
    END IF;
    FOR filter IN SELECT * FROM jsonb_each_text(step) AS f(key, value) WHERE key <> 'type' LOOP
        IF filter.key NOT IN ('category', 'brand', 'product', 'price_from', 'price_below') THEN
            PERFORM mart.refuse_funnel(filter.key, 'a filter in ' || here,
                                       'category, brand, product, price_from or price_below');
        ELSIF filter.key IN ('category', 'brand') AND coalesce(filter.value, '') = '' THEN
            PERFORM mart.refuse_funnel(filter.value, format('%s in %s', filter.key, here),
                                       'a name; unknown stands for events without one');
        ELSIF filter.key = 'product'
              AND (filter.value !~ '^[0-9]+$'
                   OR NOT mart.is_number(filter.value, 9223372036854775807)) IS NOT FALSE THEN
            PERFORM mart.refuse_funnel(filter.value, 'product in ' || here, 'a product id');
        ELSIF filter.key LIKE 'price%'
              AND mart.is_number(filter.value, 9999999999999999) IS NOT TRUE THEN
            PERFORM mart.refuse_funnel(filter.value, format('%s in %s', filter.key, here),
                                       'a price such as 99.90');
        END IF;
    END LOOP;
    IF (step->>'price_from')::numeric >= (step->>'price_below')::numeric THEN
        PERFORM mart.refuse_funnel(step->>'price_from', 'price_from in ' || here,
                                   'less than price_below, which is ' || (step->>'price_below'));
    END IF;
END
$body$;

-- A condition on e, a row of raw.event_rows. The labels of a category or brand become a list of
-- numbers, so the query does not read the dictionary for each event.
CREATE OR REPLACE FUNCTION mart.funnel_condition(step jsonb) RETURNS text
    LANGUAGE plpgsql STABLE AS $body$
DECLARE
    condition text := format('e.event_type = %L', CASE step->>'type'
        WHEN 'view' THEN 'v' WHEN 'cart' THEN 'c' WHEN 'remove_from_cart' THEN 'r'
        WHEN 'checkout' THEN 'k' WHEN 'purchase' THEN 'p' END);
BEGIN
    IF step ? 'category' OR step ? 'brand' THEN
        condition := condition || format(' AND e.label_id = ANY (%L::int[])', ARRAY(
            SELECT label_id FROM raw.event_labels
            WHERE (NOT step ? 'category'
                   OR coalesce(category_code, 'unknown') = step->>'category'
                   OR starts_with(category_code, (step->>'category') || '.'))
                  AND (NOT step ? 'brand' OR coalesce(brand, 'unknown') = step->>'brand')));
    END IF;
    RETURN condition
        || coalesce(' AND e.product_id = ' || (step->>'product')::bigint, '')
        || coalesce(' AND e.price >= ' || (step->>'price_from')::numeric, '')
        || coalesce(' AND e.price < ' || (step->>'price_below')::numeric, '');
END
$body$;

-- How the step is shown in results.
CREATE OR REPLACE FUNCTION mart.funnel_step_name(step jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE AS $$
    SELECT concat_ws(' ', step->>'type', 'category=' || (step->>'category'),
                     'brand=' || (step->>'brand'), 'product=' || (step->>'product'),
                     'price_from=' || (step->>'price_from'),
                     'price_below=' || (step->>'price_below'))
$$;

-- The microseconds of a duration, NULL for an infinite one. As in comparisons of intervals, a month
-- is 30 days and a year 12 months. (extract(epoch) takes 365.25 days for a year.)
CREATE OR REPLACE FUNCTION mart.interval_us(duration interval) RETURNS numeric
    LANGUAGE sql IMMUTABLE AS $$
    SELECT ((extract(year FROM duration) * 12 + extract(month FROM duration)) * 30
            + extract(day FROM duration)) * 86400000000
           + extract(hour FROM duration) * 3600000000 + extract(minute FROM duration) * 60000000
           + extract(microseconds FROM duration)
$$;

-- A statement over raw.event_rows has three locks for each day that it reads: 1,500 for 500 days.
-- Measured with four locks per day, 60 connections and max_locks_per_transaction = 256: 40 such
-- calls at once had room, and 41 ran out of shared memory.
CREATE OR REPLACE FUNCTION mart.check_funnel(
    steps text, first_day date, last_day date, conversion_window interval, unit text,
    step_order text, breakdown text)
RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    kept_from constant date := (SELECT raw_from FROM mart.state);
    parts     constant jsonb[] := mart.funnel_steps(steps);
BEGIN
    FOR place IN 1 .. cardinality(parts) LOOP
        PERFORM mart.check_funnel_step(parts[place], place);
    END LOOP;
    IF first_day IS NULL OR NOT isfinite(first_day) OR first_day > '9999-12-31' THEN
        PERFORM mart.refuse_funnel(first_day::text, 'first_day',
                                   'a day such as 2019-10-01, at most 9999-12-31');
    ELSIF last_day IS NULL OR last_day NOT BETWEEN first_day AND '9999-12-31' THEN
        PERFORM mart.refuse_funnel(last_day::text, 'last_day', format(
            'a day from first_day, %s, to 9999-12-31', first_day));
    ELSIF first_day < kept_from THEN
        PERFORM mart.refuse_funnel(first_day::text, 'first_day', format(
            '%s or later: raw.events does not keep the days before', kept_from));
    ELSIF coalesce(mart.interval_us(conversion_window), 0)
          NOT BETWEEN 1 AND 366 * 86400000000 THEN
        PERFORM mart.refuse_funnel(conversion_window::text, 'conversion_window',
                                   'a duration up to 366 days, such as 30 minutes or 7 days');
    ELSIF last_day - first_day + 1 + mart.funnel_reach(conversion_window, unit) > 500 THEN
        PERFORM mart.refuse_funnel(last_day::text, 'last_day', format(
            'at most 500 days with the conversion window, from first_day, %s, on', first_day));
    ELSIF unit IS NULL OR unit NOT IN ('visit', 'session', 'user') THEN
        PERFORM mart.refuse_funnel(unit, 'unit', 'visit, session or user');
    ELSIF step_order IS NULL OR step_order NOT IN ('open', 'strict') THEN
        PERFORM mart.refuse_funnel(step_order, 'step_order', 'open or strict');
    ELSIF breakdown NOT IN ('category', 'category1', 'brand', 'price band', 'new or returning',
                            'RFM segment', 'weekday', 'hour') THEN
        PERFORM mart.refuse_funnel(breakdown, 'breakdown', 'category, category1, brand, price '
            'band, new or returning, RFM segment, weekday or hour, or null');
    END IF;
END
$body$;
COMMENT ON FUNCTION mart.check_funnel(text, date, date, interval, text, text, text) IS
    'Raises an error if an argument of reporting.funnel() is not valid.';

-- On how many days after the day of a first step the funnel may go on.
CREATE OR REPLACE FUNCTION mart.funnel_reach(conversion_window interval, unit text) RETURNS int
    LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN unit = 'visit' THEN 0
                ELSE ceil(mart.interval_us(conversion_window) / 86400000000)::int END
$$;
