-- Sums of money get 36 digits before the point, so that no number of events at any allowed price (below 10^15) overflows them: with 18,
-- a thousand purchases at the highest price stopped every refresh, and some visits of such in one batch stopped the loading of visits.
-- What the stream itself writes, processed.funnel_aggregates and session_funnels, is bounded by its wire format and stays.
--
-- A column's type cannot change under a view. So the views above are kept in a list with all that belongs to them (definition, options,
-- owner, rights, comments), dropped from the top down, and made again from the bottom up. No row is rewritten: the type only widens.
SET LOCAL lock_timeout = 0;
DO $do$ BEGIN PERFORM pg_advisory_xact_lock(mart.lock_reporting()); END $do$;

CREATE FUNCTION mart.widen_sums() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    one record;
    act text;
BEGIN
    CREATE TEMPORARY TABLE narrow ON COMMIT DROP AS
    SELECT c.oid AS relation, string_agg(format('ALTER COLUMN %I TYPE numeric(38,2)', a.attname), ', ') AS widen
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind = 'r' AND c.relnamespace IN ('mart'::regnamespace, 'processed'::regnamespace, 'reporting'::regnamespace)
          AND c.oid NOT IN ('processed.funnel_aggregates'::regclass, 'processed.session_funnels'::regclass)
          AND NOT a.attisdropped AND format_type(a.atttypid, a.atttypmod) = 'numeric(20,2)'
    GROUP BY c.oid;

    CREATE TEMPORARY TABLE above ON COMMIT DROP AS
    WITH RECURSIVE reading AS ( -- who reads whom, through a view's rule
        SELECT DISTINCT r.ev_class AS reader, d.refobjid AS read
        FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
    ), found AS (
        SELECT reader, 1 AS depth FROM reading JOIN narrow ON narrow.relation = reading.read
        UNION
        SELECT reading.reader, found.depth + 1 FROM reading JOIN found ON found.reader = reading.read
    ), deepest AS (
        SELECT reader AS oid, max(depth) AS depth FROM found GROUP BY 1
    )
    SELECT v.oid::regclass::text AS name, v.relnamespace, v.relname, depth,
           format('CREATE VIEW %s%s AS %s', v.oid::regclass, ' WITH (' || array_to_string(v.reloptions, ', ') || ')', pg_get_viewdef(v.oid)) AS make,
           format('ALTER VIEW %s OWNER TO %s', v.oid::regclass, v.relowner::regrole) AS own,
           ARRAY(SELECT format('GRANT %s ON %s TO %s%s', g.privilege_type, v.oid::regclass,
                               CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END, CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' END)
                 FROM aclexplode(v.relacl) AS g WHERE g.grantee <> v.relowner) AS rights,
           ARRAY(SELECT CASE WHEN c.objsubid = 0 THEN format('COMMENT ON VIEW %s IS %L', v.oid::regclass, c.description)
                             ELSE format('COMMENT ON COLUMN %s.%I IS %L', v.oid::regclass, a.attname, c.description) END
                 FROM pg_description c LEFT JOIN pg_attribute a ON a.attrelid = c.objoid AND a.attnum = c.objsubid
                 WHERE c.classoid = 'pg_class'::regclass AND c.objoid = v.oid) AS comments
    FROM deepest JOIN pg_class v USING (oid);

    FOR one IN SELECT * FROM above ORDER BY depth DESC LOOP
        EXECUTE format('DROP VIEW %s', one.name);
    END LOOP;
    FOR one IN SELECT * FROM narrow LOOP
        EXECUTE format('ALTER TABLE %s %s', one.relation::regclass, one.widen);
    END LOOP;
    FOR one IN SELECT * FROM above ORDER BY depth LOOP
        EXECUTE one.make;
        -- Default rights of the schema came with it; those it had are the ones that count.
        FOR act IN SELECT DISTINCT format('REVOKE ALL ON %s FROM %s', one.name, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END)
                   FROM pg_class v, aclexplode(v.relacl) AS g WHERE v.relnamespace = one.relnamespace AND v.relname = one.relname AND g.grantee <> v.relowner LOOP
            EXECUTE act;
        END LOOP;
        FOREACH act IN ARRAY ARRAY[one.own] || one.rights || one.comments LOOP
            EXECUTE act;
        END LOOP;
    END LOOP;
END
$body$;
DO $do$ BEGIN PERFORM mart.widen_sums(); END $do$;
DROP FUNCTION mart.widen_sums();
