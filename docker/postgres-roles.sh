#!/bin/sh
# Runs once, when the data folder is made: the owner migrates, the application's role is bound by row-level security.
set -eu
psql -v ON_ERROR_STOP=1 -U postgres -v owner="$OWNER_PASSWORD" -v app="$APP_PASSWORD" -v ingest="$INGEST_PASSWORD" <<'SQL'
CREATE ROLE rl_owner LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'owner';
CREATE ROLE rl_app LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'app';
CREATE ROLE rl_ingest LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'ingest';
CREATE DATABASE ratelimiter OWNER rl_owner;
SQL
