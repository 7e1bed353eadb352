-- Run once by the postgres image, as the superuser, when the volume is empty.
-- What belongs to the database rather than to the application; tables are made by the back end's migrations.

-- Nobody but the owner makes tables.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- Times are UTC, and nothing that was forgotten holds locks for ever.
SELECT format('ALTER DATABASE %I SET timezone TO %L', current_database(), 'UTC') \gexec
SELECT format('ALTER DATABASE %I SET statement_timeout TO %L', current_database(), '30s') \gexec
SELECT format('ALTER DATABASE %I SET idle_in_transaction_session_timeout TO %L', current_database(), '60s') \gexec
