"""Languages of villages and people, versions of bulletins, and the sounds that they make together.

What sounded before was in the language of its bulletin: `plays.languages` stays null there
(docs/decisions/0072).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0046"
down_revision = "0043"

EVENTS = {"insert": "NEW", "update": "NEW", "delete": "OLD"}


def upgrade() -> None:
    op.create_table(
        "village_languages",
        sa.Column("village_code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column(
            "languages", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("changed_by", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["changed_by"], ["accounts.id"], name=op.f("fk_village_languages_changed_by_accounts")
        ),
        sa.PrimaryKeyConstraint("village_code", "valid_from", name=op.f("pk_village_languages")),
    )
    op.create_table(
        "version_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("original_revision", sa.Integer(), nullable=False),
        sa.Column("reader_id", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["asked_by"], ["accounts.id"], name=op.f("fk_version_requests_asked_by_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["reader_id"], ["accounts.id"], name=op.f("fk_version_requests_reader_id_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["bulletins.id"], name=op.f("fk_version_requests_version_id_bulletins")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_version_requests")),
    )
    op.create_index(
        "ix_version_requests_reader", "version_requests", ["reader_id", "due_at"], unique=False
    )
    op.create_index(
        "ix_version_requests_version", "version_requests", ["version_id"], unique=False
    )
    op.create_table(
        "mixes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("bulletin_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("languages", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "parts", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("parts_key", sa.Text(), nullable=False),
        sa.Column("preparation_id", sa.BigInteger(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["bulletin_id", "revision"],
            ["bulletin_revisions.bulletin_id", "bulletin_revisions.number"],
            name="fk_mixes_revision",
        ),
        sa.ForeignKeyConstraint(
            ["preparation_id"],
            ["preparations.id"],
            name=op.f("fk_mixes_preparation_id_preparations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mixes")),
        sa.UniqueConstraint(
            "bulletin_id",
            "revision",
            "parts_key",
            name=op.f("uq_mixes_bulletin_id_revision_parts_key"),
        ),
    )
    op.create_table(
        "version_matches",
        sa.Column("bulletin_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("original_revision", sa.Integer(), nullable=False),
        sa.Column("matched_by", sa.Integer(), nullable=False),
        sa.Column("matched_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["bulletin_id", "revision"],
            ["bulletin_revisions.bulletin_id", "bulletin_revisions.number"],
            name="fk_version_matches_revision",
        ),
        sa.ForeignKeyConstraint(
            ["matched_by"], ["accounts.id"], name=op.f("fk_version_matches_matched_by_accounts")
        ),
        sa.PrimaryKeyConstraint(
            "bulletin_id", "revision", "original_revision", name=op.f("pk_version_matches")
        ),
    )
    op.create_table(
        "mix_sounds",
        sa.Column("mix_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "codec",
            sa.Enum(
                "opus", "mp3", name="codec", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["mix_id"], ["mixes.id"], name=op.f("fk_mix_sounds_mix_id_mixes")),
        sa.PrimaryKeyConstraint("mix_id", "codec", name=op.f("pk_mix_sounds")),
    )
    op.create_index("ix_mix_sounds_sha256", "mix_sounds", ["sha256"], unique=False)
    op.add_column(
        "accounts",
        sa.Column("languages", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    op.add_column(
        "bulletin_drafts",
        sa.Column("before", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    op.add_column(
        "bulletin_drafts",
        sa.Column("after", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    op.add_column("bulletin_revisions", sa.Column("longest_seconds", sa.Double(), nullable=True))
    op.add_column("bulletins", sa.Column("version_of", sa.Uuid(), nullable=True))
    op.add_column(
        "bulletins",
        sa.Column(
            "phrase",
            sa.Enum(
                "opening",
                "closing",
                "number",
                "place",
                "hazard",
                "other",
                name="phrase",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
    )
    op.create_index(op.f("ix_bulletins_version_of"), "bulletins", ["version_of"], unique=False)
    op.create_unique_constraint(
        op.f("uq_bulletins_version_of_language"), "bulletins", ["version_of", "language"]
    )
    op.create_foreign_key(
        op.f("fk_bulletins_version_of_bulletins"), "bulletins", "bulletins", ["version_of"], ["id"]
    )
    op.add_column("plays", sa.Column("languages", sa.Text(), nullable=True))
    for table in ("version_requests", "version_matches", "mixes"):
        for event, rows in EVENTS.items():
            op.execute(
                f"CREATE TRIGGER tell_{event} AFTER {event.upper()} ON {table}"
                f" REFERENCING {rows} TABLE AS changed"
                " FOR EACH STATEMENT EXECUTE FUNCTION tell_topic('bulletins')"
            )


def downgrade() -> None:
    op.drop_column("plays", "languages")
    op.drop_constraint(op.f("fk_bulletins_version_of_bulletins"), "bulletins", type_="foreignkey")
    op.drop_constraint(op.f("uq_bulletins_version_of_language"), "bulletins", type_="unique")
    op.drop_index(op.f("ix_bulletins_version_of"), table_name="bulletins")
    op.drop_column("bulletins", "phrase")
    op.drop_column("bulletins", "version_of")
    op.drop_column("bulletin_revisions", "longest_seconds")
    op.drop_column("bulletin_drafts", "after")
    op.drop_column("bulletin_drafts", "before")
    op.drop_column("accounts", "languages")
    op.drop_index("ix_mix_sounds_sha256", table_name="mix_sounds")
    op.drop_table("mix_sounds")
    op.drop_table("version_matches")
    op.drop_table("mixes")
    op.drop_index("ix_version_requests_version", table_name="version_requests")
    op.drop_index("ix_version_requests_reader", table_name="version_requests")
    op.drop_table("version_requests")
    op.drop_table("village_languages")
