"""Outlines of units as the province has imported them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.kit.db import Base


class Boundary(Base):
    """The outline of the unit that has a code.

    The audit tells of the import with the file and of each unit that it has changed the number of
    points (`imports.py`), not of the points.
    """

    __tablename__ = "boundaries"
    __table_args__ = (sa.CheckConstraint("jsonb_typeof(polygons) = 'array'", name="polygons"),)
    is_recorded = False

    area_code: Mapped[str] = mapped_column(primary_key=True)
    polygons: Mapped[list[Any]] = mapped_column(JSONB)
    """Polygons → rings → longitude and latitude in degrees, five digits; neighbours share
    theirs."""
    file: Mapped[str]
    """Name of the file."""
    imported_at: Mapped[datetime]
