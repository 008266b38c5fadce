-- Narrow visits. A visit used to repeat long texts: the session, which was also the key, and two
-- categories. Numbers had eight bytes each. processed.visit_rows has the form of raw.event_rows
-- (0009_narrow_events.sql). processed.session_funnels is a view with the columns that the table of
-- this name had.
--
-- Two different texts of a session never have the same key. The md5 of a text can be the UUID of
-- another session, and a UUID in upper case is another session. So the key includes session_form
-- and session_text. This takes 8 bytes of the index for each visit.
--
-- The key begins with visit_start. pg-loader stores the visits of a batch in this order, so they
-- are close to each other in the index. A key that begins with session_id took 3 us more CPU for
-- each visit, because every visit was on another page.
--
-- Categories are entries of raw.event_labels without category_id and brand. Both categories always
-- have an entry: that of null, if there is none.
--
-- The upgrade of a filled database is one transaction. 1 million visits take about 10 seconds. The
-- disk needs room for the new table, about 60 % of the old one, and for as much WAL.
--
-- A loader begins each transaction with a lock on loader_offsets. The same lock here avoids
-- deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;
LOCK TABLE processed.session_funnels IN ACCESS EXCLUSIVE MODE;

-- The order of the columns leaves no gaps: first uuid, then 8 bytes, 4 bytes, 2 bytes, 1 byte.
-- Nearly every row has a null, so a null takes no room. Therefore the times to convert, which few
-- visits have, have eight bytes.
CREATE TABLE processed.visit_rows (
    session_id          uuid          NOT NULL,
    visit_start         timestamptz   NOT NULL,
    visit_end           timestamptz   NOT NULL,
    user_id             bigint        NOT NULL,
    revision            bigint        NOT NULL,
    loaded_at           timestamptz   NOT NULL DEFAULT now(),
    first_label         int           NOT NULL,
    last_label          int           NOT NULL,
    views               int           NOT NULL,
    carts               int           NOT NULL,
    removes             int           NOT NULL,
    checkouts           int           NOT NULL,
    purchases           int           NOT NULL,
    products            int           NOT NULL,
    view_to_cart_ms     bigint,
    view_to_purchase_ms bigint,
    furthest_stage      smallint      NOT NULL,
    final               boolean       NOT NULL,
    view_purchase       boolean,
    view_cart_purchase  boolean,
    session_form        "char"        NOT NULL,
    session_text        text          NOT NULL DEFAULT '',
    drop_off_stage      text,
    revenue             numeric(20,2) NOT NULL
) WITH (fillfactor = 85);
COMMENT ON TABLE processed.visit_rows IS
    'The rows of processed.session_funnels in the form in which they are stored. Queries read '
    'processed.session_funnels.';
COMMENT ON COLUMN processed.visit_rows.session_id IS 'processed.session_id() of user_session.';
COMMENT ON COLUMN processed.visit_rows.first_label IS
    'first_category: see raw.event_labels. last_label: last_category.';
COMMENT ON COLUMN processed.visit_rows.views IS
    'See processed.session_funnels, also for the other columns.';
COMMENT ON COLUMN processed.visit_rows.session_form IS
    'Where user_session is. u: it is the text of session_id. t: it is session_text, because it is '
    'not a UUID in the form that PostgreSQL prints.';
COMMENT ON COLUMN processed.visit_rows.session_text IS 'Empty unless session_form is t.';

-- ---------------------------------------------------------------- what depends on the old table

-- Objects that an administrator has added and that cannot be kept.
DO $body$
DECLARE
    visits oid := 'processed.session_funnels'::regclass;
    added  text;
BEGIN
    SELECT string_agg(object, ', ' ORDER BY object) INTO added FROM (
        SELECT 'policy ' || polname FROM pg_policy WHERE polrelid = visits
        UNION ALL
        SELECT 'trigger ' || tgname FROM pg_trigger JOIN pg_proc f ON f.oid = tgfoid
        WHERE tgrelid = visits AND NOT tgisinternal
              AND f.pronamespace <> 'processed'::regnamespace
        UNION ALL
        SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = visits
        UNION ALL
        SELECT 'publication ' || pubname
        FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
        WHERE r.prrelid = visits
        UNION ALL
        SELECT 'foreign key of ' || conrelid::regclass FROM pg_constraint
        WHERE contype = 'f' AND confrelid = visits
        UNION ALL
        SELECT DISTINCT 'materialized view ' || c.oid::regclass
        FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
              AND d.refobjid = visits AND c.relkind = 'm') AS found(object);
    IF added IS NOT NULL THEN
        RAISE EXCEPTION 'processed.session_funnels becomes a view, and this upgrade cannot keep: '
            '%. Drop these objects, start pg-loader again, and create them again: policies, '
            'triggers and publications on processed.visit_rows', added;
    END IF;
END
$body$;

-- Views that read processed.session_funnels stay, also those of an administrator. They get a body
-- that reads nothing until the new one exists. SELECT that others have on it is granted again.
CREATE TEMPORARY TABLE kept_views AS
SELECT DISTINCT c.oid::regclass::text AS name, pg_get_viewdef(c.oid) AS definition,
       coalesce('WITH (' || array_to_string(c.reloptions, ', ') || ')', '') AS options,
       (SELECT string_agg(format('NULL::%s%s AS %I', format_type(atttypid, atttypmod),
                                 ' COLLATE ' || nullif(attcollation, 0)::regcollation, attname),
                          ', ' ORDER BY attnum)
        FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0) AS columns
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.refobjid = 'processed.session_funnels'::regclass AND c.relkind = 'v';
CREATE TEMPORARY TABLE kept_rights AS
SELECT format('GRANT SELECT%s ON processed.session_funnels TO %s%s', columns,
              CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
              CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS command
FROM (SELECT '' AS columns, acl.*, relowner
      FROM pg_class, aclexplode(relacl) AS acl
      WHERE oid = 'processed.session_funnels'::regclass
      UNION ALL
      SELECT format(' (%I)', attname), acl.*, relowner
      FROM pg_class c JOIN pg_attribute ON attrelid = c.oid, aclexplode(attacl) AS acl
      WHERE c.oid = 'processed.session_funnels'::regclass) AS granted
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

-- ---------------------------------------------------------------- the rows

-- pg-loader never wrote such a visit. The check is exact, and much faster than an error for a row.
DO $body$
DECLARE
    wrong bigint;
BEGIN
    SELECT count(*) INTO wrong FROM processed.session_funnels
    WHERE greatest(views, carts, removes, checkouts, purchases, products) > 2147483647
          OR duration_ms IS DISTINCT FROM
             (date_part('epoch', visit_end - visit_start) * 1000000)::bigint / 1000;
    IF wrong > 0 THEN
        RAISE EXCEPTION 'processed.session_funnels has % visits that pg-loader did not write: a '
            'count is above 2147483647, or duration_ms is not visit_end - visit_start. Correct or '
            'delete these rows, and start pg-loader again', wrong;
    END IF;
END
$body$;

INSERT INTO raw.event_labels (category_code)
SELECT category FROM (SELECT first_category FROM processed.session_funnels
                      UNION SELECT last_category FROM processed.session_funnels) AS v(category)
WHERE NOT EXISTS (
    SELECT FROM raw.event_labels l
    WHERE coalesce(l.category_id, 0) = 0 AND coalesce(l.brand, '') = ''
          AND coalesce(l.category_code, '') = coalesce(v.category, '')
          AND l.category_id IS NULL AND l.brand IS NULL
          AND l.category_code IS NOT DISTINCT FROM v.category)
ORDER BY 1;
CREATE TEMPORARY TABLE visit_labels AS
SELECT coalesce(category_code, '') AS code, category_code IS NULL AS is_null, label_id
FROM raw.event_labels WHERE category_id IS NULL AND brand IS NULL;
ANALYZE visit_labels;
-- A label that is missing would be an error: null.
INSERT INTO processed.visit_rows
SELECT -- processed.session_id() (functions/notes.sql)
       CASE WHEN is_uuid THEN v.user_session::uuid ELSE md5(v.user_session)::uuid END,
       v.visit_start, v.visit_end, v.user_id, v.revision, v.loaded_at, f.label_id, l.label_id,
       v.views, v.carts, v.removes, v.checkouts, v.purchases, v.products, v.view_to_cart_ms,
       v.view_to_purchase_ms, v.furthest_stage, v.final, v.view_purchase, v.view_cart_purchase,
       CASE WHEN is_uuid THEN 'u' ELSE 't' END, CASE WHEN is_uuid THEN '' ELSE v.user_session END,
       v.drop_off_stage, v.revenue
FROM (SELECT *, user_session ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' AS is_uuid
      FROM processed.session_funnels OFFSET 0) AS v
LEFT JOIN visit_labels f ON f.code = coalesce(v.first_category, '')
                            AND f.is_null = (v.first_category IS NULL)
LEFT JOIN visit_labels l ON l.code = coalesce(v.last_category, '')
                            AND l.is_null = (v.last_category IS NULL);
DROP TABLE visit_labels;
DROP TABLE processed.session_funnels;

-- Building the indexes of a filled table is faster than adding row by row.
ALTER TABLE processed.visit_rows
    ADD PRIMARY KEY (visit_start, session_id, session_form, session_text);
-- Visits are written roughly in the order of their start.
CREATE INDEX visit_rows_visit_start_brin ON processed.visit_rows USING brin (visit_start)
    WITH (pages_per_range = 32);
-- Times to convert are asked for by day, and few visits have one.
CREATE INDEX visit_rows_converting ON processed.visit_rows (visit_start)
    INCLUDE (view_to_cart_ms, view_to_purchase_ms)
    WHERE view_to_cart_ms IS NOT NULL OR view_to_purchase_ms IS NOT NULL;

-- ---------------------------------------------------------------- the view

-- LEFT JOIN by a primary key: PostgreSQL leaves out a dictionary that a query does not need.
--
-- duration_ms is exact for visits of less than 35 years (2^50 us). pg-loader rejects longer ones.
-- An expression that is exact for all needs numeric, which takes 0.5 us more for each visit.
CREATE VIEW processed.session_funnels AS
SELECT CASE v.session_form WHEN 'u' THEN v.session_id::text ELSE v.session_text END
           AS user_session,
       v.visit_start, v.visit_end, v.user_id, v.views::bigint AS views, v.carts::bigint AS carts,
       v.removes::bigint AS removes, v.checkouts::bigint AS checkouts,
       v.purchases::bigint AS purchases, v.products::bigint AS products, v.revenue,
       f.category_code AS first_category, l.category_code AS last_category, v.furthest_stage,
       v.drop_off_stage,
       (date_part('epoch', v.visit_end - v.visit_start) * 1000000)::bigint / 1000 AS duration_ms,
       v.view_to_cart_ms, v.view_to_purchase_ms, v.final, v.revision, v.loaded_at,
       v.view_purchase, v.view_cart_purchase
FROM processed.visit_rows v
LEFT JOIN raw.event_labels f ON f.label_id = v.first_label
LEFT JOIN raw.event_labels l ON l.label_id = v.last_label;
COMMENT ON VIEW processed.session_funnels IS
    'One row per visit: a run of one session''s events within one UTC day without a gap of over '
    '30 minutes. The rows are in processed.visit_rows.';
COMMENT ON COLUMN processed.session_funnels.user_session IS
    'The session; user:<user_id> for events without one.';
COMMENT ON COLUMN processed.session_funnels.visit_start IS 'Time of the first event.';
COMMENT ON COLUMN processed.session_funnels.visit_end IS 'Time of the last event.';
COMMENT ON COLUMN processed.session_funnels.user_id IS
    'User of the first event (ties in time go by event_id).';
COMMENT ON COLUMN processed.session_funnels.views IS
    'view events; carts, removes, checkouts and purchases likewise.';
COMMENT ON COLUMN processed.session_funnels.products IS 'Distinct products touched.';
COMMENT ON COLUMN processed.session_funnels.revenue IS 'Sum of the prices of purchase events.';
COMMENT ON COLUMN processed.session_funnels.first_category IS
    'category_code of the first event (ties by event_id); null where that event has none.';
COMMENT ON COLUMN processed.session_funnels.last_category IS
    'category_code of the last event (ties by event_id); null where that event has none.';
COMMENT ON COLUMN processed.session_funnels.furthest_stage IS
    'Furthest stage reached in order; by default 0 none, 1 view, 2 cart at or after the first '
    'view, 3 purchase at or after such a cart.';
COMMENT ON COLUMN processed.session_funnels.drop_off_stage IS
    'Name of that stage, where the visitor left (none, view, cart); null where the last stage was '
    'reached, or the visit bought, in any order.';
COMMENT ON COLUMN processed.session_funnels.duration_ms IS
    'From first to last event, whole milliseconds, rounded down.';
COMMENT ON COLUMN processed.session_funnels.view_to_cart_ms IS
    'From the first view to the first cart at or after it; null where there is none.';
COMMENT ON COLUMN processed.session_funnels.view_to_purchase_ms IS
    'From the first view to the first purchase at or after it, with or without a cart; null where '
    'there is none.';
COMMENT ON COLUMN processed.session_funnels.final IS
    'The visit is closed: no event can join it any more.';
COMMENT ON COLUMN processed.session_funnels.revision IS
    'Input offset of the last record that contributed.';
COMMENT ON COLUMN processed.session_funnels.view_purchase IS
    'A purchase at or after the first view. Null: the record is older than this column.';
COMMENT ON COLUMN processed.session_funnels.view_cart_purchase IS
    'A cart between. Null: the record is older than this column.';

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
