-- Who may do what. Roles are groups; logins are the administrator's.
--
--   owner            who migrates: everything
--   funnel_loader    pg-loader with MIGRATE=false: writes raw and processed, calls refresh
--   funnel_analyst   reads reporting, where users and sessions are pseudonyms
--   funnel_metabase  the same, for Metabase
--   funnel_unmasked  also reads raw, processed and mart with their true ids, but not the salt
--
-- Where the migrating user may not make roles, the notice says which are missing; the rest of the set works all the same.

-- A loader that may not create tables in raw still makes day partitions, by these functions alone.
ALTER FUNCTION raw.ensure_event_partition(date) SECURITY DEFINER SET search_path = pg_catalog, pg_temp;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA raw, processed, mart, reporting FROM PUBLIC;

DO $body$
DECLARE
    name     text;
    question regprocedure;
BEGIN
    FOREACH name IN ARRAY ARRAY['funnel_loader', 'funnel_analyst', 'funnel_metabase', 'funnel_unmasked'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) AND (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- another database's migration made it just now
            END;
        END IF;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            RAISE NOTICE 'role % is missing and % may not create roles: create it (NOLOGIN), then grant as the migration 0016_rights.sql does', name, current_user;
            CONTINUE;
        END IF;
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA raw, processed, mart, reporting FROM %I', name);
        EXECUTE format('GRANT USAGE ON SCHEMA reporting TO %I', name);
        IF name = 'funnel_loader' THEN
            CONTINUE;
        END IF;
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA reporting TO %I', name);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA reporting GRANT SELECT ON TABLES TO %I', name);
        FOR question IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'reporting'::regnamespace
                        AND p.proname NOT IN ('refresh', 'rebuild', 'measure_quality', 'keep_raw_days', 'apply_retention') LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', question, name);
        END LOOP;
        -- A view's functions are called with the reader's rights.
        EXECUTE format('GRANT EXECUTE ON FUNCTION mart.price_band(numeric) TO %I', name);
    END LOOP;

    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'funnel_analyst') THEN
        -- processed holds true ids; an earlier migration let analysts read it.
        REVOKE USAGE ON SCHEMA processed FROM funnel_analyst;
        ALTER DEFAULT PRIVILEGES IN SCHEMA processed REVOKE SELECT ON TABLES FROM funnel_analyst;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'funnel_unmasked') THEN
        GRANT USAGE ON SCHEMA raw, processed, mart TO funnel_unmasked;
        GRANT SELECT ON ALL TABLES IN SCHEMA raw, processed, mart TO funnel_unmasked;
        REVOKE ALL ON mart.secret FROM funnel_unmasked;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'funnel_loader') THEN
        GRANT USAGE ON SCHEMA raw, processed TO funnel_loader;
        GRANT SELECT, INSERT ON raw.events, raw.dead_letters, raw.late_events, processed.segment_controls TO funnel_loader;
        GRANT SELECT, INSERT, UPDATE ON processed.counts, processed.funnel_aggregates, processed.loader_offsets TO funnel_loader;
        GRANT SELECT, INSERT, UPDATE, DELETE ON processed.session_funnels TO funnel_loader;
        IF to_regclass('processed.schema_migrations') IS NOT NULL THEN -- pg-loader makes it, other ways of migrating do not
            GRANT SELECT ON processed.schema_migrations TO funnel_loader;
        END IF;
        GRANT EXECUTE ON FUNCTION raw.ensure_event_partition(date), reporting.refresh(bigint), reporting.apply_retention() TO funnel_loader;
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO funnel_loader', current_database()); -- staging tables
    END IF;
END
$body$;
