-- The oracle: recounts source files in plain SQL and compares with what the pipeline wrote, in both directions.
--
-- It shares no code with the services: it reads the files itself, classifies each row by the rules of the design
-- ("what the numbers mean"), makes event ids, de-duplicates, and derives every row of raw.events, of each rollup
-- and of the visits. The script `oracle` runs it and feeds the lines (file number, line number, line;
-- separated by U+0001) and sets rollups, ignore_reasons, exact_counts, resent and max_late.
--
-- Everything it makes is in the schema `oracle`, created again at each run and kept for inspection.
--
-- Limits: one row is one line (no line breaks within quotes); columns are in the source's order; the funnel's
-- stages are the default ones; what depends on the moment of arrival (future_event_time, too_late_to_deduplicate,
-- wrong_partition) cannot be recounted: name such reasons in ignore_reasons when they are expected.

\set ON_ERROR_STOP on
\pset footer off
\pset null -
SET client_min_messages = warning;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET work_mem = '192MB';
SET jit = off;
SET synchronous_commit = off;
SET standard_conforming_strings = on;

DROP SCHEMA IF EXISTS oracle CASCADE;
CREATE SCHEMA oracle;
CREATE UNLOGGED TABLE oracle.setting AS
SELECT regexp_split_to_array(trim(:'rollups'), '\s+')                              AS rollups,
       array_remove(regexp_split_to_array(trim(:'ignore_reasons'), '[\s,]+'), '') AS ignore_reasons,
       :'exact_counts'::boolean                                                    AS exact_counts,
       :'resent'::boolean                                                          AS resent,
       nullif(:'max_late', '')::bigint                                             AS max_late;

-- ---------------------------------------------------------------- lines to fields
-- Lines come in as Latin-1, which takes any byte, so that one broken line cannot break the load.
CREATE UNLOGGED TABLE oracle.line (
    line_no   bigint GENERATED ALWAYS AS IDENTITY,
    file_no   int,
    file_line bigint,
    latin     text
);
\copy oracle.line (file_no, file_line, latin) FROM pstdin WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02', NULL E'\x03', ENCODING 'LATIN1')

CREATE FUNCTION oracle.utf8(latin text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN convert_from(convert_to(latin, 'LATIN1'), 'UTF8');
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

CREATE UNLOGGED TABLE oracle.source_row AS
SELECT line_no, file_no, file_line, text_line,
       CASE WHEN text_line IS NULL THEN NULL -- not UTF-8
            WHEN strpos(text_line, '"') = 0 THEN string_to_array(text_line, ',')
            WHEN text_line ~ '^([^",]*|"([^"]|"")*")(,([^",]*|"([^"]|"")*"))*$' THEN
                 ARRAY(SELECT CASE WHEN m[1] LIKE '"%' THEN replace(substr(m[1], 2, length(m[1]) - 2), '""', '"') ELSE m[1] END
                       FROM regexp_matches(',' || text_line, ',("(?:[^"]|"")*"|[^",]*)', 'g') WITH ORDINALITY AS r(m, n) ORDER BY n)
       END AS field
FROM (SELECT line_no, file_no, file_line,
             CASE WHEN octet_length(latin) = length(latin) THEN latin ELSE oracle.utf8(latin) END AS text_line
      FROM oracle.line
      WHERE latin <> '' AND NOT (file_line = 1 AND latin LIKE 'event_time,%')) AS l;
ANALYZE oracle.source_row;

-- ---------------------------------------------------------------- the verdict on each row
-- Words that mean "no value", in every field.
CREATE FUNCTION oracle.value_of(field text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN field IN ('nan', 'NaN', 'None', 'null', 'NULL', 'undefined', '\N', 'N/A') THEN '' ELSE field END $$;

-- The integer that a text stands for; NULL: none. A float has lost digits from 2^53 on, and where it has at most six digits and a
-- signed exponent, although the number is longer.
CREATE FUNCTION oracle.integer_of(number text) RETURNS numeric LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN number ~ '^-?[0-9]{1,40}$' THEN number::numeric
               WHEN length(number) > 64 THEN NULL
               WHEN number ~ '^-?[0-9]+\.0+$' THEN split_part(number, '.', 1)::numeric
               WHEN number ~ '^-?[0-9]+(\.[0-9]+)?[eE][+-]?[0-9]{1,3}$' AND number::numeric = trunc(number::numeric)
                    AND abs(number::numeric) < 9007199254740992
                    AND NOT (number ~ '[eE][+-]' AND length(trunc(abs(number::numeric))::text) > 6
                             AND length(rtrim(trunc(abs(number::numeric))::text, '0')) <= 6)
                    THEN trunc(number::numeric)
          END $$;
CREATE FUNCTION oracle.good_id(number text) RETURNS boolean LANGUAGE sql IMMUTABLE AS
$$ SELECT coalesce(oracle.integer_of(number) BETWEEN 1 AND 9223372036854775807, false) $$;

-- The time in UTC as `2019-10-01 12:00:00.5`, without zeros at the end; NULL: not a time of the years 2000 to 9999.
CREATE FUNCTION oracle.plain_time(field text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $body$
DECLARE
    part   text[] := regexp_match(field,
        '^([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))[ Tt]((?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2})(?:\.([0-9]{1,9}))?'
        '(?: ?(?:UTC|GMT|Z|utc|gmt|z)| ?([+-](?:0[0-9]|1[0-5]))(?::?([0-5][0-9]))?( (?:UTC|GMT|Z|utc|gmt|z))?)?$');
    digits text := coalesce(rtrim(left(part[3], 6), '0'), '');
    moment timestamp;
    offset_ interval := make_interval();
    epoch  numeric;
BEGIN
    IF part IS NOT NULL THEN
        IF substr(part[1], 1, 4) = '0000' OR substr(part[1], 9)::int > extract(day FROM
           make_date(left(part[1], 4)::int, substr(part[1], 6, 2)::int, 1) + interval '1 month' - interval '1 day') THEN
            RETURN NULL;
        END IF;
        IF part[4] IS NOT NULL THEN
            offset_ := (part[4] || ':' || coalesce(part[5], '00'))::interval;
        END IF;
        IF part[6] IS NOT NULL AND offset_ <> interval '0' THEN
            RETURN NULL;
        END IF;
        moment := (part[1] || ' ' || part[2])::timestamp - offset_;
    ELSE
        epoch := CASE WHEN field ~ '^[1-9][0-9]*(\.[0-9]{1,9})?$' AND length(field) <= 40 THEN field::numeric
                      WHEN field ~ '[eE]' THEN oracle.integer_of(field) END;
        IF epoch IS NULL OR epoch <= 0 OR length(trunc(epoch)::text) NOT IN (10, 13, 16, 19) THEN
            RETURN NULL;
        END IF;
        epoch := trunc(epoch * 1000000000000000 / ('1' || repeat('0', length(trunc(epoch)::text) - 1))::numeric); -- 16 digits
        moment := timestamp '1970-01-01' + (trunc(epoch / 1000000))::bigint * interval '1 second';
        digits := rtrim(lpad((epoch % 1000000)::text, 6, '0'), '0');
    END IF;
    IF moment < '2000-01-01' OR moment >= '10000-01-01' THEN
        RETURN NULL;
    END IF;
    RETURN to_char(moment, 'YYYY-MM-DD HH24:MI:SS') || CASE WHEN digits = '' THEN '' ELSE '.' || digits END;
END $body$;

-- At most two decimals by value (33.200 is 33.20); a JSON number may have an exponent.
CREATE FUNCTION oracle.good_price(price text) RETURNS boolean LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN price ~ '^[0-9]{1,15}(\.[0-9]{1,2})?$' THEN true
               WHEN length(price) <= 64 AND price ~ '^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?$'
                   THEN price::numeric >= 0 AND price::numeric = round(price::numeric, 2) AND price::numeric < 1e15
               ELSE false END $$;

CREATE UNLOGGED TABLE oracle.judged AS
SELECT line_no, file_no, file_line, text_line,
       event_time, event_type, product_id, category_id, category_code, brand, price, user_id, user_session, plain_time,
       CASE
           WHEN text_line IS NULL THEN 'invalid_utf8'
           WHEN field IS NULL OR cardinality(field) <> 9 THEN 'malformed_source_row'
           WHEN oracle.value_of(event_time) = '' THEN 'missing_event_time'
           WHEN plain_time IS NULL THEN 'invalid_event_time'
           WHEN oracle.value_of(event_type) = '' THEN 'missing_event_type'
           WHEN event_type NOT IN ('view', 'cart', 'remove_from_cart', 'checkout', 'purchase') THEN 'unknown_event_type'
           WHEN oracle.value_of(product_id) = '' THEN 'missing_product_id'
           WHEN NOT oracle.good_id(product_id) THEN 'invalid_product_id'
           WHEN oracle.value_of(user_id) = '' THEN 'missing_user_id'
           WHEN NOT oracle.good_id(user_id) THEN 'invalid_user_id'
           WHEN oracle.value_of(price) = '' AND event_type = 'purchase' THEN 'missing_price'
           WHEN oracle.value_of(price) <> '' AND NOT oracle.good_price(price) THEN 'invalid_price'
           WHEN starts_with(user_session, 'user:') THEN 'invalid_user_session'
           WHEN strpos(user_session, E'\x04') > 0 THEN 'nul_character' -- the script puts U+0004 for NUL
           WHEN octet_length(user_session) > 512 THEN 'text_too_long'
       END AS reason
FROM (SELECT *, field[1] AS event_time, field[2] AS event_type, field[3] AS product_id, field[4] AS category_id,
             field[5] AS category_code, field[6] AS brand, field[7] AS price, field[8] AS user_id, field[9] AS user_session,
             oracle.plain_time(field[1]) AS plain_time
      FROM oracle.source_row) AS f;

-- An optional text that has a value; one that cannot be read is none.
CREATE FUNCTION oracle.optional_text(field text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN octet_length(field) <= 512 AND strpos(field, E'\x04') = 0 THEN nullif(oracle.value_of(field), '') END $$;

-- Every copy of every valid row, typed.
CREATE UNLOGGED TABLE oracle.valid_row AS
SELECT line_no,
       md5(concat_ws('|', oracle.value_of(user_session), user_number, product_number, event_type, plain_time))::uuid AS event_id,
       (plain_time || '+00:00')::timestamptz AS event_time,
       left(plain_time, 10)::date            AS event_date,
       event_type,
       product_number                        AS product_id,
       CASE WHEN oracle.good_id(category_id) THEN oracle.integer_of(category_id)::bigint END AS category_id,
       oracle.optional_text(category_code)   AS category_code,
       oracle.optional_text(brand)           AS brand,
       nullif(oracle.value_of(price), '')::numeric(18,2) AS price,
       user_number                           AS user_id,
       nullif(oracle.value_of(user_session), '') AS user_session
FROM (SELECT *, oracle.integer_of(product_id)::bigint AS product_number, oracle.integer_of(user_id)::bigint AS user_number
      FROM oracle.judged WHERE reason IS NULL) AS j;

-- Rows refused for an ignored reason, as far as their bytes identify the event: an event whose copies were all refused
-- is not expected anywhere. (Without this, ignoring a reason would only replace one difference by another.)
CREATE FUNCTION oracle.json_or_null(bytes bytea) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    RETURN convert_from(bytes, 'UTF8')::jsonb;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;
CREATE UNLOGGED TABLE oracle.refused AS
WITH dead AS (
    SELECT source_topic, source_partition, source_offset, oracle.json_or_null(value) AS j
    FROM raw.dead_letters, oracle.setting
    WHERE stage = 'bronze-sink' AND reason = ANY (ignore_reasons) AND value IS NOT NULL AND redriven_at IS NULL -- those came back
), copies AS (
    SELECT v.event_id, count(DISTINCT (d.source_topic, d.source_partition, d.source_offset)) AS refused
    FROM dead d
    JOIN oracle.judged r ON (r.event_time, r.event_type, r.product_id, r.user_id, r.user_session)
       = (j->>'event_time', j->>'event_type', j->>'product_id', j->>'user_id', coalesce(j->>'user_session', ''))
    JOIN oracle.valid_row v USING (line_no)
    GROUP BY v.event_id
)
SELECT event_id FROM copies c
WHERE refused >= (SELECT count(*) FROM oracle.valid_row v WHERE v.event_id = c.event_id);

-- ---------------------------------------------------------------- events: the first copy of each id counts
CREATE UNLOGGED TABLE oracle.event AS
SELECT *, (extract(epoch FROM event_time) * 1000000)::bigint AS event_us,
       dense_rank() OVER (ORDER BY session_key COLLATE "C")::int AS session_no
FROM (SELECT DISTINCT ON (event_id) *, coalesce(user_session, 'user:' || user_id) AS session_key
      FROM oracle.valid_row
      WHERE event_id NOT IN (SELECT event_id FROM oracle.refused)
      ORDER BY event_id, line_no) AS first_copy;
ANALYZE oracle.event;

-- What each late event is left out of. `<rollup><=<time>` leaves it out of the windows that end by then.
CREATE UNLOGGED TABLE oracle.late AS
SELECT DISTINCT event_id, split_part(entry, '<=', 1) AS target,
       CASE WHEN strpos(entry, '<=') > 0
            THEN (extract(epoch FROM split_part(entry, '<=', 2)::timestamptz) * 1000000)::bigint
       END AS until_us
FROM raw.late_events, unnest(late_for) AS entry;
ANALYZE oracle.late;

-- ---------------------------------------------------------------- rollups
CREATE UNLOGGED TABLE oracle.rollup_row (
    rollup text, window_start timestamptz, window_end timestamptz, group_value text,
    views bigint, carts bigint, removes bigint, checkouts bigint, purchases bigint, revenue numeric,
    sessions bigint, view_sessions bigint, cart_sessions bigint, purchase_sessions bigint,
    funnel_cart_sessions bigint, funnel_checkout_sessions bigint, funnel_purchase_sessions bigint,
    buying_view_sessions bigint, view_purchase_sessions bigint, view_cart_purchase_sessions bigint
);

CREATE FUNCTION oracle.span_us(count text, unit text) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT count::bigint * 1000000 * CASE unit WHEN 's' THEN 1 WHEN 'm' THEN 60 WHEN 'h' THEN 3600 WHEN 'd' THEN 86400 END $$;

-- Classifies the purchases of one session by what came before them: 0 no view or no purchase, 1
-- only views after the purchases, 2 a view, 3 a view and then a cart. Tries each cart.
CREATE FUNCTION oracle.bought(first_view bigint, cart_times bigint[], last_purchase bigint) RETURNS int LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN first_view IS NULL OR last_purchase IS NULL THEN 0
               WHEN last_purchase < first_view THEN 1
               WHEN EXISTS (SELECT FROM unnest(cart_times) AS c WHERE c BETWEEN first_view AND last_purchase) THEN 3
               ELSE 2 END $$;

-- Windows of an event at time t: tumbling: the one; hopping: every multiple of the slide in (t - size, t];
-- cumulating: all windows from the start of the big one that end after t.
CREATE FUNCTION oracle.fill_rollup(rollup text) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    part    text[] := regexp_match(rollup, '^([0-9]+)([smhd])(?:([/+])([0-9]+)([smhd]))?:(all|category1|category|brand|product)$');
    size    bigint;
    step    bigint;
    windows text;
    groups  text;
BEGIN
    IF part IS NULL THEN
        RAISE EXCEPTION 'oracle: % is not a rollup', rollup;
    END IF;
    size := oracle.span_us(part[1], part[2]);
    step := coalesce(oracle.span_us(part[4], part[5]), size);
    IF size <= 0 OR step <= 0 OR step > size THEN
        RAISE EXCEPTION 'oracle: % has impossible windows', rollup;
    END IF;
    windows := CASE coalesce(part[3], '')
        WHEN ''  THEN format('(SELECT event_us - event_us %% %1$s AS window_start, event_us - event_us %% %1$s + %1$s AS window_end)', size)
        WHEN '/' THEN format('(SELECT s AS window_start, s + %1$s AS window_end
                               FROM generate_series(((event_us - %1$s) / %2$s + 1) * %2$s, event_us, %2$s) AS s)', size, step)
        WHEN '+' THEN format('(SELECT event_us - event_us %% %1$s AS window_start, w AS window_end
                               FROM generate_series(event_us - event_us %% %1$s + (event_us %% %1$s / %2$s + 1) * %2$s,
                                                    event_us - event_us %% %1$s + %1$s, %2$s) AS w)', size, step)
    END;
    groups := CASE part[6]
        WHEN 'all'       THEN $$'all'$$
        WHEN 'category1' THEN $$coalesce(nullif(split_part(category_code, '.', 1), ''), 'unknown')$$
        WHEN 'category'  THEN $$coalesce(category_code, 'unknown')$$
        WHEN 'brand'     THEN $$coalesce(brand, 'unknown')$$
        WHEN 'product'   THEN $$product_id::text$$
    END;
    EXECUTE format($sql$
        INSERT INTO oracle.rollup_row
        WITH spread AS (
            SELECT window_start, window_end, %1$s AS group_value, session_no, event_type, event_us, price
            FROM oracle.event AS e CROSS JOIN LATERAL %2$s AS w
            WHERE NOT EXISTS (SELECT FROM oracle.late AS l
                              WHERE l.event_id = e.event_id AND l.target = %3$L
                                AND (l.until_us IS NULL OR w.window_end <= l.until_us))
        ), session AS (
            SELECT window_start, window_end, group_value,
                   count(*) FILTER (WHERE event_type = 'view')             AS views,
                   count(*) FILTER (WHERE event_type = 'cart')             AS carts,
                   count(*) FILTER (WHERE event_type = 'remove_from_cart') AS removes,
                   count(*) FILTER (WHERE event_type = 'checkout')         AS checkouts,
                   count(*) FILTER (WHERE event_type = 'purchase')         AS purchases,
                   sum(price) FILTER (WHERE event_type = 'purchase')       AS revenue,
                   min(event_us) FILTER (WHERE event_type = 'view')        AS first_view,
                   array_agg(event_us) FILTER (WHERE event_type = 'cart')  AS cart_times,
                   max(event_us) FILTER (WHERE event_type = 'purchase')    AS last_purchase
            FROM spread GROUP BY window_start, window_end, group_value, session_no
        ), staged AS (
            SELECT *, oracle.bought(first_view, cart_times, last_purchase) AS bought,
                   CASE WHEN carts > 0 THEN (SELECT min(c) FROM unnest(cart_times) AS c WHERE c >= first_view) END AS first_cart
            FROM session
        )
        SELECT %3$L, to_timestamp(window_start / 1000000), to_timestamp(window_end / 1000000), group_value,
               sum(views), sum(carts), sum(removes), sum(checkouts), sum(purchases), coalesce(sum(revenue), 0),
               count(*), count(*) FILTER (WHERE views > 0), count(*) FILTER (WHERE carts > 0), count(*) FILTER (WHERE purchases > 0),
               count(first_cart), 0, count(*) FILTER (WHERE last_purchase >= first_cart),
               count(*) FILTER (WHERE bought >= 1), count(*) FILTER (WHERE bought >= 2), count(*) FILTER (WHERE bought >= 3)
        FROM staged GROUP BY window_start, window_end, group_value
    $sql$, groups, windows, rollup);
END $body$;

SELECT count(oracle.fill_rollup(r)) AS rollups_filled FROM oracle.setting, unnest(rollups) AS r \gset
ANALYZE oracle.rollup_row;

-- ---------------------------------------------------------------- visits
CREATE UNLOGGED TABLE oracle.visit AS
WITH flagged AS (
    SELECT *, coalesce(event_us - lag(event_us) OVER run > 1800000000, true) AS is_first,
              coalesce(lead(event_us) OVER run - event_us > 1800000000, true) AS is_last
    FROM oracle.event AS e
    WHERE NOT EXISTS (SELECT FROM oracle.late AS l WHERE l.event_id = e.event_id AND l.target = 'visit')
    WINDOW run AS (PARTITION BY session_no, event_date ORDER BY event_us, event_id)
), numbered AS (
    SELECT *, count(*) FILTER (WHERE is_first) OVER (PARTITION BY session_no, event_date ORDER BY event_us, event_id) AS visit_no
    FROM flagged
), grouped AS (
    SELECT min(session_key) AS user_session, min(event_us) AS start_us, max(event_us) AS end_us,
           min(event_time) AS visit_start, max(event_time) AS visit_end,
           max(user_id) FILTER (WHERE is_first)                    AS user_id,
           count(*) FILTER (WHERE event_type = 'view')             AS views,
           count(*) FILTER (WHERE event_type = 'cart')             AS carts,
           count(*) FILTER (WHERE event_type = 'remove_from_cart') AS removes,
           count(*) FILTER (WHERE event_type = 'checkout')         AS checkouts,
           count(*) FILTER (WHERE event_type = 'purchase')         AS purchases,
           count(DISTINCT product_id)                              AS products,
           coalesce(sum(price) FILTER (WHERE event_type = 'purchase'), 0) AS revenue,
           max(category_code) FILTER (WHERE is_first)              AS first_category,
           max(category_code) FILTER (WHERE is_last)               AS last_category,
           min(event_us) FILTER (WHERE event_type = 'view')        AS first_view,
           array_agg(event_us) FILTER (WHERE event_type = 'cart')  AS cart_times,
           array_agg(event_us) FILTER (WHERE event_type = 'purchase') AS purchase_times
    FROM numbered GROUP BY session_no, event_date, visit_no
), staged AS (
    SELECT *, (SELECT min(c) FROM unnest(cart_times) AS c WHERE c >= first_view)     AS first_cart,
              (SELECT min(p) FROM unnest(purchase_times) AS p WHERE p >= first_view) AS first_purchase,
              (SELECT max(p) FROM unnest(purchase_times) AS p)                       AS last_purchase
    FROM grouped
), reached AS (
    SELECT *, CASE WHEN last_purchase >= first_cart THEN 3
                   WHEN first_cart IS NOT NULL THEN 2
                   WHEN views > 0 THEN 1
                   ELSE 0 END::smallint AS furthest_stage
    FROM staged
)
SELECT user_session, visit_start, visit_end, user_id, views, carts, removes, checkouts, purchases, products, revenue,
       first_category, last_category, furthest_stage,
       CASE WHEN purchases = 0 THEN (ARRAY['none', 'view', 'cart', NULL])[furthest_stage + 1] END AS drop_off_stage,
       (end_us - start_us) / 1000          AS duration_ms,
       (first_cart - first_view) / 1000     AS view_to_cart_ms,
       (first_purchase - first_view) / 1000 AS view_to_purchase_ms,
       oracle.bought(first_view, cart_times, last_purchase) >= 2 AS view_purchase,
       oracle.bought(first_view, cart_times, last_purchase) >= 3 AS view_cart_purchase
FROM reached;
ANALYZE oracle.visit;

-- ---------------------------------------------------------------- comparison
CREATE UNLOGGED TABLE oracle.result (
    line int GENERATED ALWAYS AS IDENTITY,
    what text, expected bigint, actual bigint,
    missing bigint NOT NULL DEFAULT 0, unexpected bigint NOT NULL DEFAULT 0, differing bigint NOT NULL DEFAULT 0
);
CREATE UNLOGGED TABLE oracle.example (what text, kind text, detail text);

-- Full join of two queries on keys; missing = only expected, unexpected = only actual, differing = other values.
CREATE FUNCTION oracle.compare(what text, expected text, actual text, keys text[], vals text[]) RETURNS void
LANGUAGE plpgsql AS $body$
DECLARE
    on_keys text := (SELECT string_agg(format('e.%1$I = a.%1$I', k), ' AND ') FROM unnest(keys) AS k);
    e_vals  text := (SELECT string_agg(format('e.%I', v), ', ') FROM unnest(vals) AS v);
    a_vals  text := (SELECT string_agg(format('a.%I', v), ', ') FROM unnest(vals) AS v);
    columns text := (SELECT string_agg(quote_ident(c), ', ') FROM unnest(keys || vals) AS c);
    e_count bigint;
    a_count bigint;
BEGIN
    EXECUTE format('CREATE TEMP TABLE expected_row AS SELECT true AS here, %s FROM %s', columns, expected);
    GET DIAGNOSTICS e_count = ROW_COUNT;
    EXECUTE format('CREATE TEMP TABLE actual_row AS SELECT true AS here, %s FROM %s', columns, actual);
    GET DIAGNOSTICS a_count = ROW_COUNT;
    ANALYZE expected_row;
    ANALYZE actual_row;
    EXECUTE format('CREATE TEMP TABLE odd_row AS
        SELECT CASE WHEN a.here IS NULL THEN ''missing'' WHEN e.here IS NULL THEN ''unexpected'' ELSE ''differing'' END AS kind,
               to_jsonb(e) AS e, to_jsonb(a) AS a
        FROM expected_row AS e FULL JOIN actual_row AS a ON %s
        WHERE e.here IS NULL OR a.here IS NULL OR ROW(%s) IS DISTINCT FROM ROW(%s)', on_keys, e_vals, a_vals);
    INSERT INTO oracle.result (what, expected, actual, missing, unexpected, differing)
    SELECT compare.what, e_count, a_count, count(*) FILTER (WHERE kind = 'missing'),
           count(*) FILTER (WHERE kind = 'unexpected'), count(*) FILTER (WHERE kind = 'differing')
    FROM odd_row;
    INSERT INTO oracle.example
    SELECT compare.what, kind,
           (SELECT string_agg(coalesce(e, a) ->> k, ' ' ORDER BY n) FROM unnest(keys) WITH ORDINALITY AS u(k, n)) || coalesce(': ' ||
           CASE kind WHEN 'differing' THEN
               (SELECT string_agg(format('%s expected %s, actual %s', v, coalesce(e ->> v, 'null'), coalesce(a ->> v, 'null')), '; ' ORDER BY n)
                FROM unnest(vals) WITH ORDINALITY AS u(v, n) WHERE e -> v IS DISTINCT FROM a -> v)
           ELSE (SELECT string_agg(v || ' ' || coalesce(coalesce(e, a) ->> v, 'null'), '; ' ORDER BY n)
                 FROM unnest(vals) WITH ORDINALITY AS u(v, n)) END, '')
    FROM (SELECT *, row_number() OVER (PARTITION BY kind) AS nth FROM odd_row) AS o WHERE nth <= 10;
    DROP TABLE expected_row, actual_row, odd_row;
END $body$;

DO $body$
DECLARE
    event_columns  text[] := '{event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session}';
    rollup_columns text[] := '{views,carts,removes,checkouts,purchases,revenue,sessions,view_sessions,cart_sessions,purchase_sessions,funnel_cart_sessions,funnel_checkout_sessions,funnel_purchase_sessions,buying_view_sessions,view_purchase_sessions,view_cart_purchase_sessions}';
    rollup_keys    text[] := '{rollup,window_start,window_end,group_value}';
    r              text;
BEGIN
    PERFORM oracle.compare('raw.events', 'oracle.event', 'raw.events', '{event_id,event_date}', event_columns);
    FOR r IN SELECT DISTINCT ON (n) u.r FROM oracle.setting, unnest(rollups) WITH ORDINALITY AS u(r, n) LOOP
        PERFORM oracle.compare('rollup ' || r, format('oracle.rollup_row WHERE rollup = %L', r),
                               format('processed.funnel_aggregates WHERE rollup = %L', r), rollup_keys, rollup_columns);
    END LOOP;
    PERFORM oracle.compare('other rollups', 'oracle.rollup_row WHERE false',
                           'processed.funnel_aggregates WHERE rollup <> ALL (SELECT unnest(rollups) FROM oracle.setting)',
                           rollup_keys, rollup_columns);
    PERFORM oracle.compare('visits', 'oracle.visit', 'processed.session_funnels', '{user_session,visit_start}',
        '{visit_end,user_id,views,carts,removes,checkouts,purchases,products,revenue,first_category,last_category,furthest_stage,drop_off_stage,duration_ms,view_to_cart_ms,view_to_purchase_ms,view_purchase,view_cart_purchase}');
    -- Late events are taken from the pipeline's word, but each must be an event of the source, as it is there.
    PERFORM oracle.compare('late events', 'oracle.event WHERE event_id IN (SELECT event_id FROM raw.late_events)',
                           '(SELECT DISTINCT ON (event_id) * FROM raw.late_events) AS l', '{event_id,event_date}', event_columns);
END $body$;

INSERT INTO oracle.result (what, expected, actual, unexpected)
SELECT 'late events allowed', max_late, n, greatest(n - max_late, 0)
FROM oracle.setting, (SELECT count(DISTINCT event_id) AS n FROM raw.late_events) AS l WHERE max_late IS NOT NULL;

INSERT INTO oracle.example
SELECT 'late targets', 'unexpected', format('%s is neither visit nor one of the rollups', target)
FROM (SELECT DISTINCT target FROM oracle.late) AS l, oracle.setting WHERE target <> 'visit' AND target <> ALL (rollups);
INSERT INTO oracle.result (what, unexpected)
SELECT what, count(*) FROM oracle.example WHERE what = 'late targets' GROUP BY what;

-- Dead letters by number; the reasons are shown, as the first reason found depends on the order of the checks.
CREATE UNLOGGED TABLE oracle.tally AS
SELECT count(*) AS rows_read,
       count(*) FILTER (WHERE reason IS NOT NULL) AS invalid,
       (SELECT count(*) FROM oracle.event) AS events,
       (SELECT count(*) FROM raw.dead_letters, oracle.setting
        WHERE stage = 'bronze-sink' AND reason = ANY (ignore_reasons)) AS ignored_dead,
       (SELECT CASE WHEN resent THEN count(DISTINCT (headers->>'source_file', headers->>'source_row', reason)) ELSE count(*) END
        FROM raw.dead_letters, oracle.setting
        WHERE stage = 'bronze-sink' AND reason <> ALL (ignore_reasons) GROUP BY resent) AS actual_dead
FROM oracle.judged;
INSERT INTO oracle.result (what, expected, actual, missing, unexpected)
SELECT 'dead letters', invalid, coalesce(actual_dead, 0), greatest(invalid - coalesce(actual_dead, 0), 0), greatest(actual_dead - invalid, 0) FROM oracle.tally;
CREATE UNLOGGED TABLE oracle.reason AS
SELECT reason, coalesce(e.n, 0) AS expected, coalesce(a.n, 0) AS actual
FROM (SELECT reason, count(*) AS n FROM oracle.judged WHERE reason IS NOT NULL GROUP BY reason) AS e
FULL JOIN (SELECT reason, count(*) AS n FROM raw.dead_letters WHERE stage = 'bronze-sink' GROUP BY reason) AS a USING (reason);

-- Counts of bronze-sink over the raw topic's partitions.
CREATE UNLOGGED TABLE oracle.raw_count AS
SELECT * FROM processed.counts WHERE service = 'bronze-sink' AND topic LIKE '%raw\_events';
INSERT INTO oracle.result (what, actual, missing, differing)
SELECT 'counts: partitions balance', count(*), (count(*) = 0 AND (SELECT rows_read FROM oracle.tally) > 0)::int,
       count(*) FILTER (WHERE records_in <> records_out + duplicates + dead)
FROM oracle.raw_count;
INSERT INTO oracle.example
SELECT 'counts: partitions balance', 'differing', format('%s [%s]: in %s, out %s, duplicates %s, dead %s', topic, partition, records_in, records_out, duplicates, dead)
FROM oracle.raw_count WHERE records_in <> records_out + duplicates + dead LIMIT 10;
INSERT INTO oracle.result (what, expected, actual, differing)
SELECT 'counts: ' || name, expected, actual, (expected <> actual)::int
FROM oracle.setting, oracle.tally,
     (SELECT coalesce(sum(records_in), 0) AS i, coalesce(sum(records_out), 0) AS o,
             coalesce(sum(duplicates), 0) AS u, coalesce(sum(dead), 0) AS d FROM oracle.raw_count) AS c,
     LATERAL (VALUES (1, 'records_in', rows_read, i), (2, 'records_out', events, o),
                     (3, 'duplicates', rows_read - invalid - ignored_dead - events, u),
                     (4, 'dead', invalid + ignored_dead, d)) AS v(nth, name, expected, actual)
WHERE exact_counts ORDER BY nth;

-- ---------------------------------------------------------------- report
\echo
SELECT what, expected AS "expected rows", actual AS "actual rows", missing, unexpected, differing FROM oracle.result ORDER BY line;

SELECT total, expected, actual
FROM oracle.tally,
     (SELECT count(*) FILTER (WHERE event_type = 'view') v, count(*) FILTER (WHERE event_type = 'cart') c,
             count(*) FILTER (WHERE event_type = 'purchase') p, coalesce(sum(price) FILTER (WHERE event_type = 'purchase'), 0) r FROM oracle.event) AS e,
     (SELECT count(*) n, count(*) FILTER (WHERE event_type = 'view') v, count(*) FILTER (WHERE event_type = 'cart') c,
             count(*) FILTER (WHERE event_type = 'purchase') p, coalesce(sum(price) FILTER (WHERE event_type = 'purchase'), 0) r FROM raw.events) AS a,
     LATERAL (VALUES (1, 'rows read', rows_read::numeric, (SELECT sum(records_in) FROM oracle.raw_count)),
                     (2, 'valid rows', rows_read - invalid, NULL),
                     (3, 'distinct events', events, a.n),
                     (4, 'views', e.v, a.v), (5, 'carts', e.c, a.c), (6, 'purchases', e.p, a.p), (7, 'revenue', e.r, a.r),
                     (8, 'visits', (SELECT count(*) FROM oracle.visit), (SELECT count(*) FROM processed.session_funnels)),
                     (9, 'late events', NULL, (SELECT count(DISTINCT event_id) FROM raw.late_events))) AS t(nth, total, expected, actual)
ORDER BY nth;

SELECT count(*) > 0 AS any_dead FROM oracle.reason \gset
\if :any_dead
SELECT reason AS "dead letters by reason (for information)", expected, actual FROM oracle.reason ORDER BY 1;
\endif

SELECT count(*) > 0 AS any_example FROM oracle.example \gset
\if :any_example
SELECT what, kind, detail AS "example" FROM oracle.example ORDER BY what, kind;
\endif

SELECT coalesce(sum(missing + unexpected + differing), 0) AS differences,
       coalesce(sum(missing + unexpected + differing), 0) = 0 AS same FROM oracle.result \gset
\if :same
\echo 'oracle: OK'
\else
\echo 'oracle:' :differences 'differences'
\endif
