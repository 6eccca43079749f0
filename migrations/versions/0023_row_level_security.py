"""Row-level security: policies from the table of places, for transactions of a part of the province.

They are made by `env.py` at the end of every migration, from the code that it leads to
(`broadcast.visibility.policies`); going back, they end here.
"""

from __future__ import annotations

from alembic import op

from broadcast.visibility import policies

revision = "0023"
down_revision = "0024"


def upgrade() -> None:
    pass


def downgrade() -> None:
    policies.remove(op.get_bind())
