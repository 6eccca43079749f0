"""The library: subject and tags of bulletins, and words by which they are found without accents.

`folded` is `broadcast.kit.text.folded`: both sides of a comparison must fold alike. It names its
collation, so that an index on it holds on every machine.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0029"

SUBJECTS = (
    "administration", "security", "disaster", "health", "agriculture", "economy", "environment",
    "education", "culture", "law", "other",
)  # fmt: skip


def upgrade() -> None:
    op.execute(r"""
        CREATE FUNCTION folded(text text) RETURNS text
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT lower(
                translate(
                    regexp_replace(normalize(text, NFD), '[\u0300-\u036f]', '', 'g'), 'đĐ', 'dd'
                ) COLLATE "C"
            )
        $$
    """)
    op.execute("""
        CREATE FUNCTION folded_words(text text, tags text[]) RETURNS tsvector
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT to_tsvector(
                'pg_catalog.simple'::regconfig,
                regexp_replace(
                    public.folded(coalesce(text, '') || ' ' || coalesce(tags::text, '')),
                    '[^[:alnum:]]+', ' ', 'g'
                )
            )
        $$
    """)
    op.add_column(
        "bulletins",
        sa.Column(
            "subject",
            sa.Enum(*SUBJECTS, native_enum=False, length=32),
            server_default="other",
            nullable=False,
        ),
    )
    op.create_check_constraint(
        op.f("ck_bulletins_subject"), "bulletins", sa.column("subject").in_(SUBJECTS)
    )
    op.add_column(
        "bulletins",
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    op.create_index(
        "ix_bulletins_words",
        "bulletins",
        [sa.text("folded_words(title, tags)")],
        postgresql_using="gin",
    )
    op.create_index(
        "ix_bulletin_revisions_words",
        "bulletin_revisions",
        [sa.text("folded_words(text, NULL)")],
        postgresql_using="gin",
    )


def downgrade() -> None:
    op.drop_index("ix_bulletin_revisions_words", "bulletin_revisions")
    op.drop_index("ix_bulletins_words", "bulletins")
    op.drop_column("bulletins", "tags")
    op.drop_column("bulletins", "subject")
    op.execute("DROP FUNCTION folded_words(text, text[])")
    op.execute("DROP FUNCTION folded(text)")
