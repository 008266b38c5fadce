#!/bin/bash
# The postgres image runs this once, if its data folder is empty. It creates a database and an owner for the
# funnel, the schema registry and Metabase each, and the logins of analysts and dashboards. pg-loader creates the
# tables.
set -eu

# Passwords come from the environment (\getenv), because every process can see arguments.
psql -X -q -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv owner_password FUNNEL_OWNER_PASSWORD
\getenv registry_password REGISTRY_DB_PASSWORD
\getenv metabase_password METABASE_DB_PASSWORD
\getenv analyst_password ANALYST_PASSWORD
\getenv dashboards_password DASHBOARDS_PASSWORD

-- CREATEROLE: migrations grant rights to roles, and create missing roles.
CREATE ROLE funnel_owner LOGIN CREATEROLE PASSWORD :'owner_password';
CREATE ROLE registry LOGIN PASSWORD :'registry_password';
CREATE ROLE metabase LOGIN PASSWORD :'metabase_password';
CREATE ROLE funnel_analyst NOLOGIN;
CREATE ROLE analyst LOGIN IN ROLE funnel_analyst PASSWORD :'analyst_password';
CREATE ROLE funnel_metabase NOLOGIN;
CREATE ROLE dashboards LOGIN IN ROLE funnel_metabase PASSWORD :'dashboards_password';

CREATE DATABASE funnel OWNER funnel_owner;
CREATE DATABASE registry OWNER registry;
CREATE DATABASE metabase OWNER metabase;
REVOKE CONNECT, TEMPORARY ON DATABASE funnel, registry, metabase FROM PUBLIC;
GRANT CONNECT ON DATABASE funnel TO funnel_analyst, funnel_metabase;
SQL
