-- Which database a session is in.

-- name: with_cluster
SELECT d.datname AS name, d.oid::text AS number, c.system_identifier::text AS cluster
FROM pg_database d, pg_control_system() c WHERE d.datname = current_database();

-- name: without_cluster
SELECT datname AS name, oid::text AS number, '' AS cluster FROM pg_database WHERE datname = current_database();
