"""Until when what a commune has picked is of use, where its schedule is changed, too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0058"
down_revision = "0059"


def upgrade() -> None:
    op.add_column(
        "schedules", sa.Column("useful_until", sa.DateTime(timezone=True), nullable=True)
    )
    op.execute(
        """
        UPDATE schedules SET useful_until = i.useful_until
        FROM inbox_items i WHERE i.schedule_id = schedules.id AND NOT schedules.of_session
        """
    )


def downgrade() -> None:
    op.drop_column("schedules", "useful_until")
