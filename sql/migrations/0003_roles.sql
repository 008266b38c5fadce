-- The analyst's role: reads reporting and processed. Making a role needs a right that the migrating user may not
-- have: then the rest of the set works all the same, and the notice says what an administrator does.
DO $body$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'funnel_analyst') THEN
        IF (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) THEN
            BEGIN
                CREATE ROLE funnel_analyst NOLOGIN;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- roles belong to the whole server: another database's migration made it just now
            END;
        ELSE
            RAISE NOTICE 'role funnel_analyst is missing and % may not create roles: create it (NOLOGIN), then grant it USAGE on schemas reporting and processed and SELECT on their tables', current_user;
        END IF;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'funnel_analyst') THEN
        GRANT USAGE ON SCHEMA reporting, processed TO funnel_analyst;
        GRANT SELECT ON ALL TABLES IN SCHEMA reporting, processed TO funnel_analyst;
        ALTER DEFAULT PRIVILEGES IN SCHEMA reporting, processed GRANT SELECT ON TABLES TO funnel_analyst;
    END IF;
END
$body$;
