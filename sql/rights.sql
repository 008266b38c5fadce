-- Roles and their rights. pg-loader applies this file after all others, when any file has changed.
--
--   owner            everything; applies the migrations
--   funnel_loader    pg-loader with MIGRATE=false: writes raw and processed, calls refresh
--   funnel_analyst   reads reporting, where users and sessions are pseudonyms; in processed what
--                    holds no true id: rollups, counts, and visits without session and user
--   funnel_metabase  reads reporting, for Metabase
--   funnel_unmasked  also reads raw, processed, mart and lake with their true ids, but not the keys
--                    and hashes; sees true ids in reporting
--   funnel_privacy   calls reporting.forget_user, and reads the record of its requests
--   funnel_lake      the lake writer: writes the catalogue in lake, and asks whether users are
--                    forgotten
--
-- Roles are groups without a login; the administrator grants them to logins. Only this file sets
-- the rights of these six roles on the owner's objects in the five schemas: it revokes all other
-- rights that they have there. PUBLIC may not call the owner's functions there. The rights of other
-- roles do not change.
--
-- If the migrating user may not create roles, a notice names the missing ones. All else works.
DO $body$
DECLARE
    names constant text[] := '{funnel_loader,funnel_analyst,funnel_metabase,funnel_unmasked,'
                              'funnel_privacy,funnel_lake}';
    role_name text;
    one       record;
BEGIN
    -- ------------------------------------------------------------ roles
    FOREACH role_name IN ARRAY names LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name)
           AND (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- the migration of another database has just created it
            END;
        END IF;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            RAISE NOTICE 'role % is missing and % may not create roles: create it (NOLOGIN), then '
                'run sql/rights.sql as the owner of the database', role_name, current_user;
        END IF;
    END LOOP;

    -- ------------------------------------------------------------ revoke their present rights
    FOR one IN
        WITH ours AS (
            SELECT oid FROM pg_namespace
            WHERE nspname IN ('raw', 'processed', 'mart', 'reporting', 'lake')
        ), relation AS (
            SELECT c.oid, relacl, relowner FROM pg_class c JOIN ours ON ours.oid = relnamespace
            WHERE relkind IN ('r', 'p', 'v', 'm')
        ), granted(object, acl, owner) AS (
            SELECT format('SCHEMA %I', nspname), nspacl, nspowner
            FROM pg_namespace JOIN ours USING (oid)
            UNION ALL
            SELECT format('TABLE %s', oid::regclass), relacl, relowner FROM relation
            UNION ALL
            SELECT format('TABLE %s', attrelid::regclass), attacl, relowner
            FROM relation JOIN pg_attribute ON attrelid = oid WHERE NOT attisdropped
            UNION ALL
            SELECT format('ROUTINE %s', p.oid::regprocedure),
                   coalesce(proacl, acldefault('f', proowner)), proowner
            FROM pg_proc p JOIN ours ON ours.oid = pronamespace
        )
        SELECT DISTINCT object, CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE rolname::text END AS role
        FROM granted, aclexplode(acl) LEFT JOIN pg_roles r ON r.oid = grantee
        WHERE pg_has_role(owner, 'USAGE')
              AND (rolname = ANY (names) OR (grantee = 0 AND object LIKE 'ROUTINE %'))
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', one.object, one.role);
    END LOOP;

    -- ------------------------------------------------------------ role, rights, objects
    FOR one IN
        WITH relation AS (
            SELECT relnamespace::regnamespace::text AS schema, oid::regclass::text AS name
            FROM pg_class
            WHERE relkind IN ('r', 'p', 'v') AND NOT relispartition
                  AND pg_has_role(relowner, 'USAGE')
        ), question AS ( -- functions that change nothing
            SELECT oid::regprocedure::text AS name
            FROM pg_proc
            WHERE pronamespace = 'reporting'::regnamespace AND provolatile <> 'v'
                  AND pg_has_role(proowner, 'USAGE')
        ), readers(role) AS (
            VALUES ('funnel_analyst'), ('funnel_metabase'), ('funnel_unmasked')
        )
        SELECT wanted.* FROM (
            SELECT r.role, 'USAGE', 'SCHEMA reporting' FROM readers r
            UNION ALL
            SELECT r.role, 'SELECT', t.name FROM readers r, relation t WHERE schema = 'reporting'
            UNION ALL
            SELECT r.role, 'EXECUTE', 'FUNCTION ' || q.name FROM readers r, question q
            UNION ALL -- a view calls its functions with the rights of its reader
            SELECT r.role, 'EXECUTE', 'FUNCTION mart.price_band(numeric), '
                'mart.revenue_of_day(date), mart.counted_to(), mart.shows_true_ids(), '
                'mart.left_after(text, smallint, bigint, bigint, bigint, bigint, boolean), '
                'mart.stage_rate(boolean, bigint, bigint), '
                'mart.is_breach(numeric, numeric, numeric, numeric, bigint), '
                'processed.session_id(text)'
            FROM readers r
            UNION ALL
            SELECT 'funnel_unmasked', 'SELECT', t.name FROM relation t
            WHERE schema IN ('raw', 'processed', 'mart', 'lake')
                  AND t.name NOT IN ('mart.secret', 'processed.forgotten_users')
            UNION ALL -- DuckDB reads all of them
            SELECT 'funnel_lake', 'SELECT', t.name FROM relation t WHERE schema = 'lake'
            UNION ALL VALUES
            ('funnel_unmasked', 'USAGE', 'SCHEMA raw, processed, mart, lake'),

            ('funnel_analyst', 'USAGE', 'SCHEMA processed, lake'),
            ('funnel_analyst', 'SELECT', 'processed.funnel_aggregates, processed.counts'),
            ('funnel_analyst', 'SELECT (visit_start, visit_end, views, carts, removes, checkouts, '
                'purchases, products, revenue, first_category, last_category, furthest_stage, '
                'drop_off_stage, duration_ms, view_to_cart_ms, view_to_purchase_ms, '
                'view_purchase, view_cart_purchase, final, revision, loaded_at)',
                'processed.session_funnels'),
            -- without the clock, which has user ids; statistics of files have ids too
            ('funnel_analyst', 'SELECT (topic, partition, next_offset, last_record, segment)',
                'lake.positions'),
            ('funnel_analyst', 'SELECT (topic, partition, first_offset, next_offset, rows, '
                'segment, written_at, snapshot)', 'lake.batches'),
            ('funnel_analyst', 'SELECT', 'lake.expired_days'),

            ('funnel_loader', 'USAGE', 'SCHEMA raw, processed, reporting'),
            ('funnel_loader', 'TEMPORARY', 'DATABASE ' || quote_ident(current_database())),
            ('funnel_loader', 'SELECT', 'raw.events, processed.session_funnels'),
            ('funnel_loader', 'SELECT, INSERT', 'raw.event_rows, raw.event_labels, '
                'raw.event_sources, raw.dead_letters, raw.late_events, '
                'processed.segment_controls'),
            ('funnel_loader', 'UPDATE (redriven_at)', 'raw.dead_letters'),
            ('funnel_loader', 'SELECT', 'processed.alerts_to_send'),
            ('funnel_loader', 'SELECT, UPDATE (topic_sent_at, webhook_sent_at, webhook_tries, '
                'webhook_next_at)', 'processed.alert_outbox'),
            ('funnel_loader', 'SELECT, INSERT, UPDATE', 'processed.counts, '
                'processed.funnel_aggregates, processed.loader_offsets, '
                'processed.late_corrections, processed.bronze_loads'),
            ('funnel_loader', 'SELECT, INSERT, UPDATE, DELETE', 'processed.visit_rows'),
            ('funnel_loader', 'SELECT, INSERT', 'processed.load_batches'),
            ('funnel_loader', 'EXECUTE', 'FUNCTION raw.ensure_event_partition(date), '
                'raw.event_label_ids(bigint[], text[], text[]), '
                'raw.event_source_ids(text[], int[]), raw.narrow_events(raw.events[]), '
                'processed.session_id(text), processed.note_events(raw.event_rows[]), '
                'processed.store_events(raw.events[]), '
                'processed.store_visits(processed.session_funnels[]), '
                'processed.stored_now(uuid, date), processed.is_stored(uuid, date), '
                'processed.somebody_forgotten(), processed.forgotten(text[]), '
                'processed.await_forgetting(), raw.forget_in_events(raw.events[]), '
                'processed.forget_in_visits(processed.session_funnels[]), '
                'raw.user_ids_in(bytea), raw.user_ids_of(bytea, bytea, text), '
                'processed.rollup_parts(text), '
                'processed.windows_of(bigint, bigint, text, timestamptz), '
                'processed.group_of(text, text, text, bigint), '
                'processed.stages_reached(text[], text[], timestamptz[]), '
                'processed.stages(), processed.are_stages(text[]), '
                'processed.fold_late(text[]), '
                'reporting.refresh(bigint), reporting.refresh_sums(bigint), '
                'reporting.refresh_slow(bigint), reporting.apply_retention(), reporting.waiting(), '
                'processed.open_alerts()'),

            ('funnel_lake', 'USAGE', 'SCHEMA lake, processed, raw'),
            ('funnel_lake', 'TEMPORARY', 'DATABASE ' || quote_ident(current_database())),
            ('funnel_lake', 'SELECT, INSERT, UPDATE, DELETE', 'lake.positions, lake.batches, '
                'lake.expired_days, lake.file_checksums, '
                'lake.ducklake_metadata, lake.ducklake_snapshot, '
                'lake.ducklake_snapshot_changes, lake.ducklake_data_file, '
                'lake.ducklake_file_column_stats, lake.ducklake_table_stats, '
                'lake.ducklake_table_column_stats, '
                'lake.ducklake_files_scheduled_for_deletion, lake.forgotten_checks'),
            ('funnel_lake', 'EXECUTE', 'FUNCTION lake.lock(), '
                'lake.begin_snapshot(bigint, text, jsonb), lake.table_id(text), '
                'lake.path_in_table(text, text), lake.is_less(text, text, text), '
                'lake.add_file(bigint, bigint, text, text, bigint, bigint, bigint, jsonb), '
                'lake.widen(bigint, bigint), lake.end_file(bigint, text, text), '
                'lake.narrow(bigint), lake.forget_files(timestamptz), '
                'lake.expire_days(integer), lake.forget_in_clocks(text[]), '
                'lake.forget_in_batches(), processed.newest_forget_request(), '
                'processed.somebody_forgotten(), processed.forgotten(text[]), '
                'raw.user_ids_in(bytea), raw.user_ids_of(bytea, bytea, text)'),

            ('funnel_privacy', 'USAGE', 'SCHEMA reporting'),
            ('funnel_privacy', 'SELECT', 'reporting.forget_requests'),
            ('funnel_privacy', 'EXECUTE', 'PROCEDURE '
                'reporting.forget_user(bigint, interval, bigint, jsonb)'),
            ('funnel_privacy', 'EXECUTE', 'FUNCTION '
                'reporting.begin_forgetting(bigint, interval), '
                'reporting.finish_forgetting(bigint, bigint)')
        ) AS wanted(role, rights, objects) JOIN pg_roles ON rolname = role
        UNION ALL -- only pg-loader creates this table; psql does not
        SELECT rolname, 'SELECT', 'processed.schema_migrations' FROM pg_roles
        WHERE rolname = 'funnel_loader' AND to_regclass('processed.schema_migrations') IS NOT NULL
    LOOP
        EXECUTE format('GRANT %s ON %s TO %I', one.rights, one.objects, one.role);
    END LOOP;

    -- Also for objects that an administrator adds to reporting later.
    FOR one IN SELECT rolname FROM pg_roles
               WHERE rolname IN ('funnel_analyst', 'funnel_metabase', 'funnel_unmasked') LOOP
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA reporting GRANT SELECT ON TABLES TO %I',
                       one.rolname);
    END LOOP;
END
$body$;
