-- Counts a funnel over raw.event_rows. sql/README.md, "Your own funnels", has the definitions.
--
-- Only a unit with an event of step 2 goes further than step 1. So the query reads the step events
-- of these units, the newest first. Other units are only counted. The query computes one column per
-- step, from the last step to the first. Column sK of an event is the chain that begins with this
-- event as step k: its place and time, then the times of the later steps. The chain goes on with
-- the next event of step k + 1. This is the minimum of the chains so far, because places ascend
-- with time. In open order no later event would lead further. A step that is not reached has the
-- greatest bigint as its time. If the first step is any view, most units need no events of it
-- (funnel_first_views.sql).

-- The expressions on e, a row of the source, by which a unit is known.
CREATE OR REPLACE FUNCTION mart.funnel_unit(unit text) RETURNS text
    LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE unit WHEN 'user' THEN 'e.user_id' WHEN 'session' THEN 'e.session_id'
                     WHEN 'visit' THEN 'e.session_id, e.event_date, e.visit' END
$$;

-- Whether mart.session_days can answer for the events of a step, and is faster to read: it has one
-- row for several events.
CREATE OR REPLACE FUNCTION mart.funnel_reads_sessions(
    step jsonb, first_day date, last_day date, unit text)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT unit <> 'visit' AND step - 'type' = '{}'
           AND pg_relation_size('mart.session_days') <= (
               SELECT coalesce(sum(pg_relation_size(partition)), 0) FROM mart.event_days
               WHERE event_date BETWEEN first_day AND last_day)
$$;

-- Days with events that the reports have not counted yet.
CREATE OR REPLACE FUNCTION mart.funnel_waiting_days(first_day date, last_day date) RETURNS date[]
    LANGUAGE sql STABLE AS $$
    SELECT ARRAY(SELECT DISTINCT event_date FROM processed.load_batches
                 WHERE event_date BETWEEN first_day AND last_day)
$$;

-- The query of some rows of mart.session_days. For days with events that the reports have not
-- counted yet, it reads the events instead. Columns and conditions are expressions on e.
CREATE OR REPLACE FUNCTION mart.funnel_session_rows(
    columns text, condition text, event_columns text, event_source text, event_condition text,
    first_day date, last_day date)
RETURNS text LANGUAGE plpgsql STABLE AS $body$
DECLARE
    waiting constant date[] := mart.funnel_waiting_days(first_day, last_day);
    found   text := format('SELECT %s FROM mart.session_days e '
                           'WHERE e.event_date BETWEEN %L AND %L AND %s',
                           columns, first_day, last_day, condition);
BEGIN
    IF waiting <> '{}' THEN
        found := found || format(' AND e.event_date <> ALL (%1$L::date[]) UNION ALL '
                                 'SELECT %2$s FROM %3$s WHERE e.event_date IN (%4$s) AND %5$s',
                                 waiting, event_columns, event_source,
                                 (SELECT string_agg(quote_literal(d), ', ') FROM unnest(waiting) d),
                                 event_condition);
    END IF;
    RETURN found;
END
$body$;

-- The query that finds the units with an event of a step.
CREATE OR REPLACE FUNCTION mart.funnel_units(
    step jsonb, first_day date, last_day date, unit text, source text)
RETURNS text LANGUAGE plpgsql STABLE AS $body$
DECLARE
    own constant text := mart.funnel_unit(unit);
BEGIN
    IF NOT mart.funnel_reads_sessions(step, first_day, last_day, unit) THEN
        RETURN format('SELECT %s FROM %s WHERE e.event_date BETWEEN %L AND %L AND %s', own, source,
                      first_day, last_day, mart.funnel_condition(step));
    END IF;
    RETURN mart.funnel_session_rows(
        own, format('e.%I > 0', CASE step->>'type' WHEN 'view' THEN 'views' WHEN 'cart' THEN 'carts'
                                                   WHEN 'remove_from_cart' THEN 'removes'
                                                   WHEN 'checkout' THEN 'checkouts'
                                                   WHEN 'purchase' THEN 'purchases' END),
        own, source, mart.funnel_condition(step), first_day, last_day);
END
$body$;

-- What the breakdown needs of the first step's event, as a number, and how it is named. The names
-- come from s, a row of the query's last part.
CREATE OR REPLACE FUNCTION mart.funnel_breakdown(
    breakdown text, first_day date, last_day date,
    OUT kept text, OUT name text, OUT place text, OUT tables text)
LANGUAGE plpgsql STABLE AS $body$
DECLARE
    label constant text := 'JOIN raw.event_labels l ON l.label_id = s.kept';
BEGIN
    place := '0';
    tables := '';
    CASE breakdown
    WHEN 'category' THEN
        kept := 'e.label_id';
        name := $$coalesce(l.category_code, 'unknown')$$;
        tables := label;
    WHEN 'category1' THEN
        kept := 'e.label_id';
        name := $$split_part(coalesce(l.category_code, 'unknown'), '.', 1)$$;
        tables := label;
    WHEN 'brand' THEN
        kept := 'e.label_id';
        name := $$coalesce(l.brand, 'unknown')$$;
        tables := label;
    WHEN 'price band' THEN
        kept := 'mart.price_band(e.price)';
        name := 'b.label';
        place := 's.kept';
        tables := 'JOIN mart.price_bands b ON b.band = s.kept';
    WHEN 'new or returning' THEN
        kept := 'e.user_id';
        name := $$CASE WHEN (u.first_seen AT TIME ZONE 'UTC')::date
                            < (to_timestamp(s.us / 1000000) AT TIME ZONE 'UTC')::date
                       THEN 'returning' ELSE 'new' END$$;
        tables := 'LEFT JOIN mart.dim_users u ON u.user_id = s.kept';
    WHEN 'RFM segment' THEN
        kept := 'e.user_id';
        name := $$CASE WHEN u.r IS NULL THEN 'no purchase'
                     ELSE mart.rfm_segment(u.r, u.f, u.m) END$$;
        tables := format('LEFT JOIN mart.rfm(%L, %L) u ON u.user_id = s.kept', first_day,
                         last_day);
    WHEN 'weekday' THEN
        kept := $$extract(isodow FROM e.event_time AT TIME ZONE 'UTC')$$;
        name := '(ARRAY[''Monday'', ''Tuesday'', ''Wednesday'', ''Thursday'', ''Friday'', '
                '''Saturday'', ''Sunday''])[s.kept]';
        place := 's.kept';
    WHEN 'hour' THEN
        kept := $$extract(hour FROM e.event_time AT TIME ZONE 'UTC')$$;
        name := $$lpad(s.kept::text, 2, '0')$$;
    ELSE
        kept := 'NULL';
        name := 'NULL::text';
    END CASE;
    kept := kept || '::bigint';
END
$body$;

-- The chains that begin with step k, from those of step k + 1. In strict order, an event that is
-- neither of step k nor of step k + 1 ends a chain.
CREATE OR REPLACE FUNCTION mart.funnel_chain(inner_query text, k int, steps int, strict boolean)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format(
        'SELECT x.*, CASE WHEN mask & %1$s <> 0 THEN ARRAY[place, us] || %4$s END AS s%2$s '
        'FROM (SELECT y.*, min(s%3$s) OVER earlier AS next%2$s%5$s FROM (%6$s) AS y '
        'WINDOW earlier AS (PARTITION BY unit ORDER BY us DESC, event_id DESC '
        'ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS x',
        1 << (k - 1), k, k + 1,
        format(CASE WHEN strict
                    THEN 'CASE WHEN next%1$s[1] < coalesce(broken%1$s, 0) THEN next%1$s[2:] '
                         'ELSE %2$L::bigint[] END'
                    ELSE 'coalesce(next%1$s[2:], %2$L::bigint[])' END,
               k, array_fill(9223372036854775807, ARRAY[steps - k])),
        CASE WHEN strict THEN format(', min(CASE WHEN mask & %s = 0 THEN place END) OVER earlier '
                                     'AS broken%s', 3 << (k - 1), k) ELSE '' END,
        inner_query)
$$;

-- The chains that begin with step 1, from the query of the events.
CREATE OR REPLACE FUNCTION mart.funnel_chains(
    event_query text, steps int, strict boolean)
RETURNS text LANGUAGE plpgsql IMMUTABLE AS $body$
DECLARE
    chain text := format($sql$
        SELECT *, CASE WHEN mask & %s <> 0 THEN ARRAY[place, us] END AS s%s
        FROM (SELECT *, -row_number() OVER (PARTITION BY unit ORDER BY us DESC, event_id DESC)
                         AS place
              FROM (%s) AS event) AS placed
    $sql$, 1 << (steps - 1), steps, event_query);
BEGIN
    FOR k IN REVERSE steps - 1 .. 1 LOOP
        chain := mart.funnel_chain(chain, k, steps, strict);
    END LOOP;
    RETURN chain;
END
$body$;

-- One row per name of the breakdown and step: name, place, step, converted, and the medians of the
-- time since the step before and since the first step, in microseconds.
CREATE OR REPLACE FUNCTION mart.funnel_query(
    steps jsonb[], first_day date, last_day date, conversion_window interval, unit text,
    step_order text, breakdown text)
RETURNS text LANGUAGE plpgsql STABLE AS $body$
DECLARE
    n      constant int := cardinality(steps);
    us     constant text := mart.funnel_us('e.event_time');
    until  constant date := last_day + mart.funnel_reach(conversion_window, unit);
    days   constant text := format('e.event_date BETWEEN %L AND %L', first_day, until);
    period constant text := format('e.event_date BETWEEN %L AND %L', first_day, last_day);
    within constant bigint := mart.interval_us(conversion_window);
    own    constant text := mart.funnel_unit(unit);
    one    constant text := CASE unit WHEN 'visit' THEN format('ROW(%s)', own) ELSE own END;
    wanted constant text[] := ARRAY(SELECT mart.funnel_condition(s) FROM unnest(steps) AS s);
    mask   constant text := (
        SELECT string_agg(format('((%s) IS TRUE)::int * %s', c, 1 << (k - 1)::int), ' + '
                          ORDER BY k)
        FROM unnest(wanted) WITH ORDINALITY AS w(c, k));
    level  constant text := '1' || (
        SELECT string_agg(format(' + (s1[%s] <= us + %s)::int', k + 1, within), '')
        FROM generate_series(2, n) AS k);
    split  constant record := mart.funnel_breakdown(breakdown, first_day, last_day);
    source text := 'raw.event_rows e';
    tables text := '';
    sure   text := '';
    starts text;
    entered text;
BEGIN
    IF unit = 'visit' THEN
        source := 'visit_event e';
        tables := format($sql$
            visit_event AS MATERIALIZED (
                SELECT e.*, count(*) FILTER (WHERE begins) OVER own AS visit
                FROM (SELECT session_id, event_date, event_time, event_id, event_type, user_id,
                             label_id, product_id, price,
                             event_time - lag(event_time) OVER own > interval '30 minutes'
                                 AS begins
                      FROM raw.event_rows e WHERE %s
                      WINDOW own AS (PARTITION BY session_id, event_date
                                     ORDER BY event_time, event_id)) AS e
                WINDOW own AS (PARTITION BY session_id, event_date ORDER BY event_time, event_id)),
        $sql$, days);
    END IF;
    IF mart.funnel_has_first_views(steps, first_day, last_day, unit, step_order, breakdown) THEN
        tables := mart.funnel_first_views(
            format('SELECT %s AS unit, e.event_time AS at, e.event_id, %s AS mask FROM %s '
                   'WHERE %s AND (%s)', own, mask, source, days,
                   array_to_string(wanted[2:], ' OR ')),
            n, within, first_day, last_day, unit);
        sure := format('SELECT unit, NULL::bigint AS kept, us, %s AS level, s1 FROM (%s) AS c '
                       'UNION ALL ', level, mart.funnel_sure_chains(n));
        starts := mart.funnel_unsure_chains(n);
    ELSE
        starts := format(
            'SELECT * FROM (%s) AS c WHERE starts AND s1 IS NOT NULL',
            mart.funnel_chains(
                format('SELECT %s AS unit, %s AS us, e.event_id, %s AS mask, %s AS kept, '
                       '%s AS starts FROM %s WHERE %s AND (%s) AND (%s) IN (%s)', one, us, mask,
                       split.kept, period, source, days, array_to_string(wanted, ' OR '), own,
                       mart.funnel_units(steps[2], first_day, until, unit, source)),
                n, step_order = 'strict'));
    END IF;
    IF breakdown IS NOT NULL THEN
        entered := format($sql$
            SELECT kept, us, 1, NULL, 1
            FROM (SELECT DISTINCT ON (%1$s) %2$s AS unit, %3$s AS kept, %4$s AS us
                  FROM %5$s WHERE %6$s AND %7$s
                  ORDER BY %1$s, e.event_time, e.event_id) AS entered
            WHERE NOT EXISTS (SELECT FROM best b WHERE b.unit = entered.unit)
        $sql$, own, one, split.kept, us, source, period, wanted[1]);
    ELSE
        entered := format(
            'SELECT NULL, NULL, 1, NULL, %s - (SELECT count(*) FROM best)',
            CASE WHEN sure <> '' AND mart.funnel_counts_users(first_day, last_day, unit)
                 THEN mart.funnel_entered(first_day, last_day)
                 ELSE format('(SELECT count(*) FROM (SELECT DISTINCT * FROM (%s) AS e) AS entered)',
                             mart.funnel_units(steps[1], first_day, last_day, unit, source)) END);
    END IF;
    RETURN format($sql$
        WITH %7$s best AS MATERIALIZED (
            %8$s
            (SELECT DISTINCT ON (unit) unit, kept, us, level, s1
             FROM (SELECT *, %1$s AS level FROM (%2$s) AS c) AS start
             ORDER BY unit, level DESC, us, event_id)
        ), reached AS (
            SELECT kept, us, level, s1, 1 AS units FROM best
            UNION ALL
            %3$s
        ), named AS (
            SELECT %4$s AS name, %5$s AS place, level, s1, units FROM reached s %6$s
        ), step AS (
            SELECT name, place, step, CASE WHEN level >= step THEN units END AS units,
                   CASE WHEN level >= step AND step > 1 THEN s1[step + 1] - s1[step] END AS since,
                   CASE WHEN level >= step AND step > 1 THEN s1[step + 1] - s1[2] END AS since_first
            FROM named CROSS JOIN generate_series(1, %9$s) AS step OFFSET 0
        )
        SELECT name, min(place) AS place, step, coalesce(sum(units), 0)::bigint AS converted,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY since) AS median,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY since_first) AS median_from_first
        FROM step GROUP BY name, step
    $sql$, level, starts, entered, split.name, split.place, split.tables, tables, sure, n);
END
$body$;
