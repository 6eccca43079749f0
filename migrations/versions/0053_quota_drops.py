"""Items of sessions that are left out because a quota of a Quy chế would be exceeded."""

from __future__ import annotations

from alembic import op

revision = "0053"
down_revision = "0052"

BEFORE = "'no_time', 'quiet_hours', 'relay'"


def upgrade() -> None:
    _reasons(f"{BEFORE}, 'quota'")


def downgrade() -> None:
    op.execute("DELETE FROM air_drops WHERE reason = 'quota'")
    _reasons(BEFORE)


def _reasons(known: str) -> None:
    op.drop_constraint(op.f("ck_air_drops_reason"), "air_drops")
    op.create_check_constraint(op.f("ck_air_drops_reason"), "air_drops", f"reason IN ({known})")
