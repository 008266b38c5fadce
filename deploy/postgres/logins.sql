-- The database `funnel`, and one login for each part that uses it. Run it as the superuser, in the
-- database `postgres`. It can be run again: it sets the passwords and attributes as they are here.
--
--   login         rights                         used by
--   funnel_owner  owns the database              the job that migrates; administrators
--   loader        of the role funnel_loader      pg-loader
--   lake          of the role funnel_lake        the lake
--   dashboards    of the role funnel_metabase    Metabase, to read reporting
--   analyst       of the role funnel_analyst     people
--
-- sql/rights.sql has the rights of the roles. The roles are created here, so no login needs the
-- right to create roles. Passwords are psql variables (owner_password and so on): a command line
-- would show them to all users of the machine.

-- The log of the server must not show a failed statement with a password.
SET log_min_error_statement = panic;
SET client_min_messages = warning;

SELECT format('CREATE ROLE %I %s', name, login) FROM (VALUES
    ('funnel_owner', 'LOGIN'), ('loader', 'LOGIN'), ('lake', 'LOGIN'), ('dashboards', 'LOGIN'),
    ('analyst', 'LOGIN'), ('funnel_loader', 'NOLOGIN'), ('funnel_lake', 'NOLOGIN'), ('funnel_metabase', 'NOLOGIN'), ('funnel_analyst', 'NOLOGIN'),
    ('funnel_unmasked', 'NOLOGIN'), ('funnel_privacy', 'NOLOGIN')
) AS wanted(name, login) WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

ALTER ROLE funnel_owner NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS
    PASSWORD :'owner_password';
ALTER ROLE loader NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS
    PASSWORD :'loader_password';
ALTER ROLE lake NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS
    PASSWORD :'lake_password';
ALTER ROLE dashboards NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS
    PASSWORD :'dashboards_password';
ALTER ROLE analyst NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS
    PASSWORD :'analyst_password';
GRANT funnel_loader TO loader;
GRANT funnel_lake TO lake;
GRANT funnel_metabase TO dashboards;
GRANT funnel_analyst TO analyst;

SELECT 'CREATE DATABASE funnel OWNER funnel_owner'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'funnel')
\gexec
REVOKE CONNECT, TEMPORARY ON DATABASE funnel, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE funnel
    TO funnel_loader, funnel_lake, funnel_metabase, funnel_analyst, funnel_unmasked, funnel_privacy;
-- A second barrier: the role has no right to write anything.
ALTER ROLE dashboards SET default_transaction_read_only = on;
