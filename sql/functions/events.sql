-- The dictionaries of events, and storing events by hand.

-- pg-loader calls these two before the transaction of a batch, each as a transaction of its own. So
-- a batch that is rolled back leaves no number that is not in the dictionary, and two loaders never
-- wait for each other's batch. An entry that no event uses is harmless.
--
-- The insert leaves out entries that exist, because each row that it tries takes a number of the
-- sequence. The second statement also sees the entries that another loader has just inserted (READ
-- COMMITTED).
CREATE OR REPLACE FUNCTION raw.event_label_ids(
    category_ids bigint[], category_codes text[], brands text[])
RETURNS SETOF int LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    INSERT INTO raw.event_labels (category_id, category_code, brand)
    SELECT DISTINCT w.* FROM unnest(category_ids, category_codes, brands) AS w(id, code, brand)
    WHERE NOT EXISTS (
        SELECT FROM raw.event_labels l
        WHERE coalesce(l.category_id, 0) = coalesce(w.id, 0)
              AND coalesce(l.category_code, '') = coalesce(w.code, '')
              AND coalesce(l.brand, '') = coalesce(w.brand, '')
              AND (l.category_id, l.category_code, l.brand)
                  IS NOT DISTINCT FROM (w.id, w.code, w.brand))
    ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING;
    RETURN QUERY
    SELECT l.label_id
    FROM unnest(category_ids, category_codes, brands) WITH ORDINALITY AS w(id, code, brand, place)
    JOIN raw.event_labels l
         ON coalesce(l.category_id, 0) = coalesce(w.id, 0)
            AND coalesce(l.category_code, '') = coalesce(w.code, '')
            AND coalesce(l.brand, '') = coalesce(w.brand, '')
            AND (l.category_id, l.category_code, l.brand)
                IS NOT DISTINCT FROM (w.id, w.code, w.brand)
    ORDER BY w.place;
END
$body$;
COMMENT ON FUNCTION raw.event_label_ids(bigint[], text[], text[]) IS
    'The label_id of each entry, in the order of the arrays. Entries that are missing in '
    'raw.event_labels are added.';

CREATE OR REPLACE FUNCTION raw.event_source_ids(source_files text[], raw_partitions int[])
RETURNS SETOF int LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    INSERT INTO raw.event_sources (source_file, raw_partition)
    SELECT DISTINCT w.* FROM unnest(source_files, raw_partitions) AS w(file, partition)
    WHERE NOT EXISTS (
        SELECT FROM raw.event_sources s
        WHERE coalesce(s.source_file, '') = coalesce(w.file, '')
              AND s.raw_partition = w.partition AND s.source_file IS NOT DISTINCT FROM w.file)
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING;
    RETURN QUERY
    SELECT s.source_id
    FROM unnest(source_files, raw_partitions) WITH ORDINALITY AS w(file, partition, place)
    JOIN raw.event_sources s
         ON coalesce(s.source_file, '') = coalesce(w.file, '')
            AND s.raw_partition = w.partition AND s.source_file IS NOT DISTINCT FROM w.file
    ORDER BY w.place;
END
$body$;
COMMENT ON FUNCTION raw.event_source_ids(text[], int[]) IS
    'The source_id of each entry, in the order of the arrays. Entries that are missing in '
    'raw.event_sources are added.';

-- Rows of events have the numbers of entries, and no foreign key.
CREATE OR REPLACE FUNCTION raw.keep_entries() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION '%.%: entries of a dictionary must not change or go, because rows of '
        'raw.event_rows have their numbers', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$body$;
COMMENT ON FUNCTION raw.keep_entries() IS 'Refuses to change or remove entries of dictionaries.';

CREATE OR REPLACE FUNCTION raw.narrow_events(events raw.events[]) RETURNS SETOF raw.event_rows
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT e.event_id, k.session_id, e.event_time, e.user_id, e.product_id, e.raw_offset,
           e.raw_time, coalesce(e.loaded_at, now()), e.source_row, e.event_date,
           e.event_label_ids, e.event_source_ids,
           (CASE e.event_type WHEN 'view' THEN 'v' WHEN 'cart' THEN 'c'
                              WHEN 'remove_from_cart' THEN 'r' WHEN 'checkout' THEN 'k'
                              WHEN 'purchase' THEN 'p' END)::"char",
           (CASE WHEN e.user_session IS NULL THEN 'n'
                 WHEN e.user_session = k.session_id::text THEN 'u' ELSE 't' END)::"char",
           CASE WHEN e.user_session <> k.session_id::text THEN e.user_session ELSE '' END,
           e.price
    FROM (SELECT array_agg(category_id) AS categories, array_agg(category_code) AS codes,
                 array_agg(brand) AS brands, array_agg(source_file) AS files,
                 array_agg(raw_partition) AS partitions
          FROM unnest(events)) AS a
    CROSS JOIN LATERAL ROWS FROM (
        unnest(events), raw.event_label_ids(a.categories, a.codes, a.brands),
        raw.event_source_ids(a.files, a.partitions)) AS e
    CROSS JOIN LATERAL (SELECT processed.session_id(coalesce(e.user_session, 'user:' || e.user_id))
                            AS session_id) AS k
$$;
COMMENT ON FUNCTION raw.narrow_events(raw.events[]) IS
    'Rows of raw.event_rows that have these events. Adds missing entries to the dictionaries. '
    'loaded_at null: now.';

CREATE OR REPLACE FUNCTION processed.store_events(events raw.events[]) RETURNS bigint
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH stored AS (INSERT INTO raw.event_rows AS e
                    SELECT n.* FROM raw.narrow_events(raw.forget_in_events(events)) AS n
                    ON CONFLICT DO NOTHING RETURNING e)
    SELECT stored FROM (SELECT count(*) AS stored, processed.note_events(array_agg(e)) FROM stored)
        AS noted
$$;
COMMENT ON FUNCTION processed.store_events(raw.events[]) IS
    'Stores events by hand, and notes them for the reports. Events that are stored already stay as '
    'they are. Users that are forgotten get their pseudonym. The days need a partition '
    '(raw.ensure_event_partition). Returns how many were stored.';
