"""The roles of the database beside the owner of the tables, and their privileges.

`ROLE` is what a transaction takes on to be limited by row-level security. It may read tables,
through whose policies it goes (`visibility/policies.py`), but none of their partitions, which have
no policies of their own. `WEB_ROLE`, where there is one, is what the REST interface logs in as: it
changes rows, but no table. Roles belong to the whole server: where ours may make none, an
administrator does (docs/operations.md).
"""

from __future__ import annotations

ROLE = "broadcast_limited"
WEB_ROLE = "broadcast_web"

GRANT = f"""
DO $$
DECLARE
    found record;
BEGIN
    IF to_regrole('{ROLE}') IS NULL
        AND (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user)
    THEN
        BEGIN
            CREATE ROLE {ROLE} NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- by the migration of another database, this moment
        END;
        EXECUTE format('GRANT {ROLE} TO %I', current_user);
    END IF;
    FOR found IN
        SELECT rolname AS role, class.oid::regclass AS name, CASE
            WHEN class.relkind = 'S' THEN 'USAGE, SELECT'
            WHEN rolname = '{ROLE}' THEN 'SELECT'
            ELSE 'SELECT, INSERT, UPDATE, DELETE' END AS rights,
            CASE WHEN class.relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
        FROM pg_class AS class, pg_roles
        WHERE relnamespace = current_schema()::regnamespace AND NOT relispartition
            AND (relkind IN ('r', 'p') AND rolname IN ('{ROLE}', '{WEB_ROLE}')
                OR relkind = 'S' AND rolname = '{WEB_ROLE}')
    LOOP
        EXECUTE format(
            'GRANT %s ON %s %s TO %I', found.rights, found.kind, found.name, found.role
        );
    END LOOP;
END
$$;
"""  # noqa: S608 — a constant
"""Statement that makes `ROLE`, where it may, and gives both what they need; may be repeated."""
