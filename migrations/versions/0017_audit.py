"""The audit: entries that are chained at the commit, and may not be changed.

A chain needs one order, and a hash needs the hash before. Whoever made it when the row is inserted
would hold every other change up until his own commit, and for half a minute if he vanished in
between. So a deferred trigger makes it: within the commit, in the server, after everything that
waits for a client (docs/decisions/0043).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0014"

CHAIN = """
CREATE FUNCTION audit_chain() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    before record;
BEGIN
    PERFORM pg_advisory_xact_lock(11, 0); -- Lock.AUDIT
    -- A new statement, and so a new look: at what was committed while this one waited.
    SELECT seq, hash INTO before FROM audit_entries
        WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1;
    IF before IS NULL THEN
        SELECT seq, hash INTO before FROM audit_checkpoints
            WHERE is_cut ORDER BY number DESC LIMIT 1;
    END IF;
    UPDATE audit_entries SET
        seq = coalesce(before.seq, 0) + 1,
        hash = encode(sha256(convert_to(
            coalesce(before.hash, repeat('0', 64)) || ' ' || (coalesce(before.seq, 0) + 1)::text
            || ' ' || entry, 'UTF8')), 'hex')
        WHERE id = NEW.id;
    RETURN NULL;
END
$$
"""

GUARD = """
CREATE FUNCTION audit_guard() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'audit_entries' THEN
        IF OLD.seq IS NULL THEN
            RETURN NEW;
        END IF;
    ELSIF TG_OP = 'DELETE' THEN
        -- What is signed as cut off has had its time; the signature itself stays.
        IF OLD.seq < (SELECT max(seq) FROM audit_checkpoints WHERE is_cut)
                + (TG_TABLE_NAME = 'audit_entries')::int THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit is append-only: % on %', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$
"""

TABLES = ("audit_entries", "audit_checkpoints")


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("hash", sa.Text(), nullable=True),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "outcome",
            sa.Enum(
                "done",
                "refused",
                name="outcome",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("objects", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("areas", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
        sa.UniqueConstraint("seq", name=op.f("uq_audit_entries_seq")),
    )
    op.create_index(op.f("ix_audit_entries_at"), "audit_entries", ["at"])
    op.create_index("ix_audit_entries_account", "audit_entries", ["account_id", "seq"])
    for column in ("objects", "areas"):
        op.create_index(
            f"ix_audit_entries_{column}", "audit_entries", [column], postgresql_using="gin"
        )
    op.create_table(
        "audit_checkpoints",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("is_cut", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_checkpoints")),
    )
    op.execute(CHAIN)
    op.execute(GUARD)
    op.execute(
        "CREATE CONSTRAINT TRIGGER audit_chained AFTER INSERT ON audit_entries"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_chain()"
    )
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION audit_guard()"
        )
        op.execute(
            f"CREATE TRIGGER audit_kept_whole BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit_guard()"
        )


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.execute("DROP FUNCTION audit_chain")
    op.execute("DROP FUNCTION audit_guard")
