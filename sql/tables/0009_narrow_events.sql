-- Narrow events. An event used to repeat long texts: category and brand, the name of the source
-- file, the session as text. raw.event_rows has numbers in their place. raw.event_labels and
-- raw.event_sources are the dictionaries of these numbers. raw.events is a view with the columns
-- that the table of this name had.
--
-- Rejected: foreign keys to the dictionaries, which PostgreSQL would check for every row. Instead,
-- entries of the dictionaries never change and are never removed (functions/events.sql), and
-- pg-loader keeps the numbers that it knows only until its connection ends.
--
-- The upgrade of a filled database moves the rows day by day. All is one transaction, so the old
-- days leave the disk when it ends. The disk needs room for the new table, about two thirds of the
-- old one, and a bit more than that for WAL. 1 million events take about 10 seconds. The upgrade
-- takes 16 locks for each day. If the server has no room for them, the upgrade fails with a message
-- before it begins.
--
-- A loader begins each transaction with a lock on loader_offsets. The same lock here avoids
-- deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;
LOCK TABLE ONLY raw.events IN ACCESS EXCLUSIVE MODE;

-- ---------------------------------------------------------------- the new tables

CREATE TABLE raw.event_labels (
    label_id      int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    category_id   bigint,
    category_code text,
    brand         text
);
-- Nulls are equal here. NULLS NOT DISTINCT would say the same, but then no query could find an
-- entry with nulls by the index.
CREATE UNIQUE INDEX event_labels_entry ON raw.event_labels (
    coalesce(category_id, 0), coalesce(category_code, ''), coalesce(brand, ''),
    (category_id IS NULL), (category_code IS NULL), (brand IS NULL));
COMMENT ON TABLE raw.event_labels IS
    'What raw.event_rows.label_id means. Each combination is there once. Entries never change and '
    'are never removed.';
COMMENT ON COLUMN raw.event_labels.category_code IS
    'See raw.events, also for category_id and brand.';

CREATE TABLE raw.event_sources (
    source_id     int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_file   text,
    raw_partition int NOT NULL
);
CREATE UNIQUE INDEX event_sources_entry ON raw.event_sources (
    coalesce(source_file, ''), raw_partition, (source_file IS NULL));
COMMENT ON TABLE raw.event_sources IS
    'What raw.event_rows.source_id means. Each combination is there once. Entries never change and '
    'are never removed.';
COMMENT ON COLUMN raw.event_sources.source_file IS 'See raw.events, also for raw_partition.';

-- The order of the columns leaves no gaps: first uuid, then 8 bytes, 4 bytes, 1 byte. A row
-- without any null is 8 bytes shorter than one with a null, so session_text is empty, and not
-- null, in most rows.
CREATE TABLE raw.event_rows (
    event_id     uuid        NOT NULL,
    session_id   uuid        NOT NULL,
    event_time   timestamptz NOT NULL,
    user_id      bigint      NOT NULL,
    product_id   bigint      NOT NULL,
    raw_offset   bigint      NOT NULL,
    raw_time     timestamptz NOT NULL,
    loaded_at    timestamptz NOT NULL DEFAULT now(),
    source_row   bigint,
    event_date   date        NOT NULL,
    label_id     int         NOT NULL,
    source_id    int         NOT NULL,
    event_type   "char"      NOT NULL,
    session_form "char"      NOT NULL,
    session_text text        NOT NULL DEFAULT '',
    price        numeric(18,2),
    PRIMARY KEY (event_id, event_date)
) PARTITION BY RANGE (event_date);
-- Recent days are read by hour ("since 10:00"). A block range of 32 pages has about 1,900 events.
CREATE INDEX event_rows_event_time_brin ON raw.event_rows USING brin (event_time)
    WITH (pages_per_range = 32);
CREATE INDEX event_rows_loaded_at_brin ON raw.event_rows USING brin (loaded_at)
    WITH (pages_per_range = 32, autosummarize = on);
COMMENT ON TABLE raw.event_rows IS
    'The rows of raw.events in the form in which they are stored. Queries read raw.events. One '
    'partition per UTC day, made by raw.ensure_event_partition.';
COMMENT ON COLUMN raw.event_rows.session_id IS
    'processed.session_id() of user_session, or of user:<user_id> if the event has none.';
COMMENT ON COLUMN raw.event_rows.event_date IS 'UTC day of event_time; the partition key.';
COMMENT ON COLUMN raw.event_rows.label_id IS 'Category and brand: see raw.event_labels.';
COMMENT ON COLUMN raw.event_rows.source_id IS
    'source_file and raw_partition: see raw.event_sources.';
COMMENT ON COLUMN raw.event_rows.event_type IS
    'v: view, c: cart, r: remove_from_cart, k: checkout, p: purchase.';
COMMENT ON COLUMN raw.event_rows.session_form IS
    'Where user_session is. u: it is the text of session_id. t: it is session_text, because it is '
    'not a UUID in the form that PostgreSQL prints. n: the event has none.';
COMMENT ON COLUMN raw.event_rows.session_text IS 'Empty unless session_form is t.';

-- ---------------------------------------------------------------- what depends on the old table

-- Views that read raw.events stay, also those of an administrator. They get a body that reads
-- nothing until the new raw.events exists. Rights that others have on it are granted again.
CREATE TEMPORARY TABLE kept_views AS
SELECT DISTINCT c.oid::regclass::text AS name, pg_get_viewdef(c.oid) AS definition,
       coalesce('WITH (' || array_to_string(c.reloptions, ', ') || ')', '') AS options,
       (SELECT string_agg(format('NULL::%s%s AS %I', format_type(atttypid, atttypmod),
                                 ' COLLATE ' || nullif(attcollation, 0)::regcollation, attname),
                          ', ' ORDER BY attnum)
        FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0) AS columns
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.refobjid = 'raw.events'::regclass AND c.relkind = 'v';
CREATE TEMPORARY TABLE kept_rights AS
SELECT format('GRANT SELECT%s ON raw.events TO %s%s', columns,
              CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
              CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS command
FROM (SELECT '' AS columns, acl.*, relowner
      FROM pg_class, aclexplode(relacl) AS acl WHERE oid = 'raw.events'::regclass
      UNION ALL
      SELECT format(' (%I)', attname), acl.*, relowner
      FROM pg_class c JOIN pg_attribute ON attrelid = c.oid, aclexplode(attacl) AS acl
      WHERE c.oid = 'raw.events'::regclass) AS granted
WHERE privilege_type = 'SELECT' AND grantee <> relowner;
DO $body$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT * FROM kept_views LOOP
        EXECUTE format('CREATE OR REPLACE VIEW %s %s AS SELECT %s', one.name, one.options,
                       one.columns);
    END LOOP;
END
$body$;
-- functions/notes.sql defines it again, for raw.event_rows.
DROP FUNCTION IF EXISTS processed.note_events(raw.events[]);

-- ---------------------------------------------------------------- the rows

DO $body$
DECLARE
    days constant bigint := (SELECT count(*) FROM pg_inherits
                             WHERE inhparent = 'raw.events'::regclass);
    per_session constant numeric := current_setting('max_locks_per_transaction')::numeric;
    -- The server's own processes count as sessions.
    room constant bigint := per_session * (1 + (
        SELECT sum(setting::int) FROM pg_settings
        WHERE name IN ('max_connections', 'max_prepared_transactions', 'autovacuum_max_workers',
                       'max_worker_processes', 'max_wal_senders')));
    needed constant bigint := days * 16 + 500;
    one  record;
    day  date;
BEGIN
    IF days > 0 AND needed > room THEN
        RAISE EXCEPTION 'the upgrade of raw.events with % days takes % locks, and this server has '
            'room for %: set max_locks_per_transaction to % or more, restart PostgreSQL, and start '
            'pg-loader again', days, needed, room, ceil(needed * per_session / room);
    END IF;
    -- The old days keep their names there, so the new ones can have the same.
    CREATE SCHEMA wide_events;
    FOR one IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'raw.events'::regclass ORDER BY 1
    LOOP
        day := to_date(substr(one.relname, 8), 'YYYY_MM_DD');
        EXECUTE format('ALTER TABLE raw.%I SET SCHEMA wide_events', one.relname);
        EXECUTE format($sql$
            INSERT INTO raw.event_labels (category_id, category_code, brand)
            SELECT DISTINCT e.category_id, e.category_code, e.brand FROM wide_events.%1$I e
            WHERE NOT EXISTS (
                SELECT FROM raw.event_labels l
                WHERE coalesce(l.category_id, 0) = coalesce(e.category_id, 0)
                      AND coalesce(l.category_code, '') = coalesce(e.category_code, '')
                      AND coalesce(l.brand, '') = coalesce(e.brand, '')
                      AND (l.category_id, l.category_code, l.brand)
                          IS NOT DISTINCT FROM (e.category_id, e.category_code, e.brand))
        $sql$, one.relname);
        EXECUTE format($sql$
            INSERT INTO raw.event_sources (source_file, raw_partition)
            SELECT DISTINCT e.source_file, e.raw_partition FROM wide_events.%1$I e
            WHERE NOT EXISTS (
                SELECT FROM raw.event_sources s
                WHERE coalesce(s.source_file, '') = coalesce(e.source_file, '')
                      AND s.raw_partition = e.raw_partition
                      AND s.source_file IS NOT DISTINCT FROM e.source_file)
        $sql$, one.relname);
        -- ATTACH PARTITION builds the indexes at once, which is faster than row by row.
        EXECUTE format('CREATE TABLE raw.%I (LIKE raw.event_rows INCLUDING DEFAULTS '
                       'INCLUDING CONSTRAINTS)', one.relname);
        EXECUTE format($sql$
            INSERT INTO raw.%1$I
            SELECT e.event_id,
                   -- processed.session_id() (functions/notes.sql)
                   CASE WHEN is_uuid THEN e.user_session::uuid
                        ELSE md5(coalesce(e.user_session, 'user:' || e.user_id))::uuid END,
                   e.event_time, e.user_id, e.product_id, e.raw_offset, e.raw_time, e.loaded_at,
                   e.source_row, e.event_date, l.label_id, s.source_id,
                   CASE e.event_type WHEN 'view' THEN 'v' WHEN 'cart' THEN 'c'
                                     WHEN 'remove_from_cart' THEN 'r' WHEN 'checkout' THEN 'k'
                                     WHEN 'purchase' THEN 'p' END,
                   CASE WHEN e.user_session IS NULL THEN 'n' WHEN is_uuid THEN 'u' ELSE 't' END,
                   CASE WHEN is_uuid OR e.user_session IS NULL THEN '' ELSE e.user_session END,
                   e.price
            FROM (SELECT *, coalesce(user_session
                                     ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$',
                                     false) AS is_uuid
                  FROM wide_events.%1$I OFFSET 0) AS e
            JOIN raw.event_labels l
                 ON coalesce(l.category_id, 0) = coalesce(e.category_id, 0)
                    AND coalesce(l.category_code, '') = coalesce(e.category_code, '')
                    AND coalesce(l.brand, '') = coalesce(e.brand, '')
                    AND (l.category_id, l.category_code, l.brand)
                        IS NOT DISTINCT FROM (e.category_id, e.category_code, e.brand)
            JOIN raw.event_sources s
                 ON coalesce(s.source_file, '') = coalesce(e.source_file, '')
                    AND s.raw_partition = e.raw_partition
                    AND s.source_file IS NOT DISTINCT FROM e.source_file
        $sql$, one.relname);
        EXECUTE format('DROP TABLE wide_events.%I', one.relname);
        EXECUTE format('ALTER TABLE raw.event_rows ATTACH PARTITION raw.%I '
                       'FOR VALUES FROM (%L) TO (%L)', one.relname, day, day + 1);
    END LOOP;
    DROP TABLE raw.events;
    DROP SCHEMA wide_events;
END
$body$;

-- ---------------------------------------------------------------- the view

-- LEFT JOIN by a primary key: PostgreSQL leaves out a dictionary that a query does not need.
CREATE VIEW raw.events AS
SELECT e.event_id, e.event_time, e.event_date,
       CASE e.event_type WHEN 'v' THEN 'view' WHEN 'c' THEN 'cart' WHEN 'p' THEN 'purchase'
                         WHEN 'r' THEN 'remove_from_cart' WHEN 'k' THEN 'checkout' END
           AS event_type,
       e.product_id, l.category_id, l.category_code, l.brand, e.price, e.user_id,
       CASE e.session_form WHEN 'u' THEN e.session_id::text WHEN 't' THEN e.session_text END
           AS user_session,
       s.source_file, e.source_row, s.raw_partition, e.raw_offset, e.raw_time, e.loaded_at
FROM raw.event_rows e
LEFT JOIN raw.event_labels l ON l.label_id = e.label_id
LEFT JOIN raw.event_sources s ON s.source_id = e.source_id;
COMMENT ON VIEW raw.events IS
    'Every valid event once, late ones too. A recount of this view must give exactly what '
    'processed holds, but for the late events listed in raw.late_events. Put a condition on '
    'event_date: without it a query reads all days. The rows are in raw.event_rows.';
COMMENT ON COLUMN raw.events.event_id IS
    'md5 of user_session|user_id|product_id|event_type|event_time, the time as YYYY-MM-DD '
    'HH:MM:SS[.fraction without trailing zeros], empty for a missing session. Same id = same '
    'event; the first one counts. (With DEDUP_KEY=source: of source file and row.)';
COMMENT ON COLUMN raw.events.event_time IS 'When it happened, as the source says. UTC.';
COMMENT ON COLUMN raw.events.event_date IS 'UTC day of event_time; the partition key.';
COMMENT ON COLUMN raw.events.event_type IS 'view, cart, remove_from_cart, checkout or purchase.';
COMMENT ON COLUMN raw.events.category_code IS
    'Dotted code of up to four levels; null where the source has none (unknown in groups).';
COMMENT ON COLUMN raw.events.brand IS 'Null where the source has none (unknown in groups).';
COMMENT ON COLUMN raw.events.price IS
    'Exact decimal, never negative; null where absent, never null for a purchase.';
COMMENT ON COLUMN raw.events.user_session IS
    'Null where the source has none: such an event belongs to the session user:<user_id>.';
COMMENT ON COLUMN raw.events.source_file IS
    'File that the row came from; null if the source is not a file.';
COMMENT ON COLUMN raw.events.source_row IS 'Row in source_file; 1 is the first after the header.';
COMMENT ON COLUMN raw.events.raw_partition IS 'Partition of the raw topic it was read from.';
COMMENT ON COLUMN raw.events.raw_offset IS 'Offset in that partition.';
COMMENT ON COLUMN raw.events.raw_time IS 'Time of the raw record: when the pipeline received it.';
COMMENT ON COLUMN raw.events.loaded_at IS 'Start of the transaction that loaded it.';

DO $body$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT * FROM kept_views LOOP
        EXECUTE format('CREATE OR REPLACE VIEW %s %s AS %s', one.name, one.options,
                       one.definition);
    END LOOP;
    FOR one IN SELECT * FROM kept_rights LOOP
        EXECUTE one.command;
    END LOOP;
END
$body$;
DROP TABLE kept_views, kept_rights;
