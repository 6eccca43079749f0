"""Accounts with grants; a token is of an account, no longer of a name."""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"

NEW_ROLES = {
    "admin": "province_admin",
    "broadcaster": "province_editor",
    "approver": "province_approver",
    "technician": "technician",
    "monitor": "province_monitor",
}
"""Roles of tokens before, all of which held in the whole province."""


KINDS = ["person", "service"]
STATES = ["invited", "active", "disabled"]
ROLES = [
    "province_admin", "province_editor", "province_approver", "duty_officer", "province_monitor",
    "commune_broadcaster", "commune_approver", "commune_monitor", "village_head", "technician",
    "auditor", "service",
]  # fmt: skip


def _one_of(name: str, values: list[str]) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "accounts",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("login", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", _one_of("accountkind", KINDS), nullable=False),
        sa.Column("state", _one_of("accountstate", STATES), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("login", name=op.f("uq_accounts_login")),
    )
    op.create_table(
        "grants",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("role", _one_of("role", ROLES), nullable=False),
        sa.Column("area_code", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("granted_by", sa.Integer(), nullable=True),
        sa.Column("granted_at", moment, nullable=False),
        sa.Column("revoked_at", moment, nullable=True),
        sa.CheckConstraint(
            "valid_until IS NULL OR valid_until >= valid_from", name=op.f("ck_grants_span")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_grants_account_id_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["granted_by"], ["accounts.id"], name=op.f("fk_grants_granted_by_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
    )
    op.create_index(op.f("ix_grants_account_id"), "grants", ["account_id"])
    op.add_column("api_tokens", sa.Column("account_id", sa.Integer(), nullable=True))
    op.add_column("api_tokens", sa.Column("label", sa.Text(), nullable=False, server_default=""))
    op.alter_column("api_tokens", "label", server_default=None)
    op.add_column("api_tokens", sa.Column("scope", postgresql.ARRAY(sa.Text()), nullable=True))
    _accounts_of_tokens()
    op.alter_column("api_tokens", "account_id", nullable=False)
    op.create_foreign_key(
        op.f("fk_api_tokens_account_id_accounts"),
        "api_tokens", "accounts", ["account_id"], ["id"],
    )  # fmt: skip
    op.create_index(op.f("ix_api_tokens_account_id"), "api_tokens", ["account_id"])
    op.drop_column("api_tokens", "person")
    op.drop_column("api_tokens", "role")


def _accounts_of_tokens() -> None:
    """One account per name, however it was typed: four eyes compared names so far.

    A token that is worth something makes the grant of its role; where two tokens of one name had
    different roles the account has both.
    """
    connection = op.get_bind()
    tokens = connection.execute(
        sa.text(
            "SELECT id, person, role, created_at,"
            " revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) AS is_valid"
            " FROM api_tokens ORDER BY id"
        )
    ).all()
    accounts: dict[str, int] = {}
    granted = set()
    for token in tokens:
        key = " ".join(unicodedata.normalize("NFKC", token.person).casefold().split())
        if key not in accounts:
            accounts[key] = connection.execute(
                sa.text(
                    "INSERT INTO accounts (name, kind, state, created_at)"
                    " VALUES (:name, 'person', 'active', :at) RETURNING id"
                ),
                {"name": token.person, "at": token.created_at},
            ).scalar_one()
        connection.execute(
            sa.text("UPDATE api_tokens SET account_id = :account WHERE id = :id"),
            {"account": accounts[key], "id": token.id},
        )
        role = NEW_ROLES[token.role]
        if token.is_valid and (key, role) not in granted:
            granted.add((key, role))
            connection.execute(
                sa.text(
                    "INSERT INTO grants (account_id, role, valid_from, granted_at) VALUES"
                    " (:account, :role, (:at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date, :at)"
                ),
                {"account": accounts[key], "role": role, "at": token.created_at},
            )


def downgrade() -> None:
    op.add_column("api_tokens", sa.Column("person", sa.Text(), nullable=True))
    op.add_column("api_tokens", sa.Column("role", _one_of("role", list(NEW_ROLES)), nullable=True))
    op.execute(
        "UPDATE api_tokens t SET person = a.name, role = 'monitor'"
        " FROM accounts a WHERE a.id = t.account_id"
    )
    op.alter_column("api_tokens", "person", nullable=False)
    op.alter_column("api_tokens", "role", nullable=False)
    op.drop_column("api_tokens", "scope")
    op.drop_column("api_tokens", "label")
    op.drop_column("api_tokens", "account_id")
    op.drop_table("grants")
    op.drop_table("accounts")
