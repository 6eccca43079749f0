"""What people know better than distances: pairs that are heard at one place, or are not."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.kit.db import Base


class EarshotPair(Base):
    """Two clusters of which a person has said whether they are heard at one place."""

    __tablename__ = "earshot_pairs"
    __table_args__ = (sa.CheckConstraint("cluster_id < other_id", name="ordered"),)

    cluster_id: Mapped[int] = mapped_column(sa.ForeignKey("clusters.id"), primary_key=True)
    other_id: Mapped[int] = mapped_column(
        sa.ForeignKey("clusters.id"), primary_key=True, index=True
    )
    heard: Mapped[bool]
    """Whether somebody hears both."""
    note: Mapped[str] = mapped_column(default="", server_default="")
    set_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    set_at: Mapped[datetime]
