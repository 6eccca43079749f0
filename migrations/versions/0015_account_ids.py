"""Who did something is an account's id, no longer a name."""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0018"

SIGNED = [
    ("bulletins", "created_by"),
    ("bulletin_revisions", "created_by"),
    ("lexicon_entries", "changed_by"),
    ("approval_steps", "actor"),
    ("schedules", "created_by"),
    ("schedule_exceptions", "changed_by"),
    ("outages", "declared_by"),
    ("village_exclusions", "declared_by"),
    ("commands", "ordered_by"),
]
"""Columns that hold the name of whoever sent the request."""


def upgrade() -> None:
    _accounts_of_names()
    # By a function, so that no row is updated: triggers take an update for new evidence.
    op.execute(
        "CREATE FUNCTION pg_temp.account_of(text) RETURNS integer LANGUAGE sql STABLE AS"
        " 'SELECT account_id FROM pg_temp.account_names WHERE name = $1'"
    )
    for table, column in SIGNED:
        op.alter_column(
            table, column, type_=sa.Integer(), postgresql_using=f"pg_temp.account_of({column})"
        )
        _refer(table, column)
    op.add_column("attestations", sa.Column("declared_by", sa.Integer(), nullable=True))
    _refer("attestations", "declared_by")
    _idempotency_keys()
    op.execute("DROP FUNCTION pg_temp.account_of(text)")
    op.execute("DROP TABLE pg_temp.account_names")


def _refer(table: str, column: str) -> None:
    op.create_foreign_key(
        op.f(f"fk_{table}_{column}_accounts"), table, "accounts", [column], ["id"]
    )


def _accounts_of_names() -> None:
    """Fill `account_names`: the account of each name, however it was typed.

    Where several accounts have the name, the oldest: four eyes took them for one so far. Where
    none has it, a disabled one is made: whoever it was has no access, and what they did keeps
    their name.
    """
    connection = op.get_bind()
    accounts: dict[str, int] = {}
    for row in connection.execute(sa.text("SELECT id, name FROM accounts ORDER BY id")):
        accounts.setdefault(_plain(row.name), row.id)
    op.execute("CREATE TEMPORARY TABLE account_names (name text PRIMARY KEY, account_id integer)")
    union = " UNION ".join(
        f"SELECT {column} AS name FROM {table}"  # noqa: S608
        for table, column in SIGNED
    )
    for (name,) in connection.execute(sa.text(f"{union} ORDER BY name")).all():
        if _plain(name) not in accounts:
            accounts[_plain(name)] = connection.execute(
                sa.text(
                    "INSERT INTO accounts (name, kind, state, created_at)"
                    " VALUES (:name, 'person', 'disabled', now()) RETURNING id"
                ),
                {"name": name},
            ).scalar_one()
        connection.execute(
            sa.text("INSERT INTO account_names VALUES (:name, :account)"),
            {"name": name, "account": accounts[_plain(name)]},
        )


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _idempotency_keys() -> None:
    """A key was of a token (`token/12`); of two tokens of one account the newer answer stays."""
    op.add_column("idempotency_keys", sa.Column("account_id", sa.Integer(), nullable=True))
    op.execute(
        "UPDATE idempotency_keys k SET account_id = t.account_id"
        " FROM api_tokens t WHERE k.caller = 'token/' || t.id"
    )
    op.execute(
        "DELETE FROM idempotency_keys k WHERE account_id IS NULL OR EXISTS ("
        " SELECT FROM idempotency_keys newer WHERE newer.key = k.key"
        " AND newer.account_id = k.account_id"
        " AND (newer.created_at, newer.caller) > (k.created_at, k.caller))"
    )
    op.drop_constraint(op.f("pk_idempotency_keys"), "idempotency_keys")
    op.drop_column("idempotency_keys", "caller")
    op.create_primary_key(op.f("pk_idempotency_keys"), "idempotency_keys", ["key", "account_id"])
    _refer("idempotency_keys", "account_id")


def downgrade() -> None:
    op.execute("DELETE FROM idempotency_keys")
    op.drop_constraint(op.f("pk_idempotency_keys"), "idempotency_keys")
    op.drop_column("idempotency_keys", "account_id")
    op.add_column("idempotency_keys", sa.Column("caller", sa.Text(), nullable=False))
    op.create_primary_key(op.f("pk_idempotency_keys"), "idempotency_keys", ["key", "caller"])
    op.drop_column("attestations", "declared_by")
    op.execute(
        "CREATE FUNCTION pg_temp.name_of(integer) RETURNS text LANGUAGE sql STABLE AS"
        " 'SELECT name FROM accounts WHERE id = $1'"
    )
    for table, column in SIGNED:
        op.drop_constraint(op.f(f"fk_{table}_{column}_accounts"), table)
        op.alter_column(
            table, column, type_=sa.Text(), postgresql_using=f"pg_temp.name_of({column})"
        )
    op.execute("DROP FUNCTION pg_temp.name_of(integer)")
