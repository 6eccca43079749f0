"""What only the indicators need to know: which villages do not count."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.db import Base


class VillageExclusion(Base):
    """A village without homes (resettled, evacuated), left out by a document."""

    __tablename__ = "village_exclusions"
    __table_args__ = (
        sa.CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="span"),
        sa.CheckConstraint("document <> ''", name="documented"),
    )

    village_code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    """Last day, inclusive."""
    document: Mapped[str]
    declared_by: Mapped[str]
