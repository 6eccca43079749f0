"""Quy chế as people entered them. None is changed: a new one takes the place of the last."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.kit.db import Base, enum_type
from broadcast.regulations.rules import Weekend

_WINDOWS = JSONB(none_as_null=True)


class RegulationRow(Base):
    """The Quy chế of a unit, from a day on; every provision that is NULL is inherited."""

    __tablename__ = "regulations"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    area_code: Mapped[str] = mapped_column(index=True)
    """As it is a unit on `valid_from`."""
    clusters: Mapped[list[str]] = mapped_column(ARRAY(sa.Text()), server_default="{}")
    """Codes of the clusters that it is for, sorted; none: all of the unit."""
    number: Mapped[str]
    """Of the document, as people cite it."""
    signed_on: Mapped[date]
    valid_from: Mapped[date]
    silent: Mapped[list[dict[str, Any]] | None] = mapped_column(_WINDOWS)
    """`{"from": "22:00", "until": "05:00"}`."""
    limited: Mapped[list[dict[str, Any]] | None] = mapped_column(_WINDOWS)
    """The same with `volume`, per cent."""
    weekend: Mapped[Weekend | None] = mapped_column(enum_type(Weekend))
    sessions_per_day: Mapped[int | None]
    minutes_per_session: Mapped[int | None]
    minutes_per_day: Mapped[int | None]
    warns_repeats: Mapped[bool | None]
    entered_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    entered_at: Mapped[datetime]
    withdrawn_by: Mapped[int | None] = mapped_column(sa.ForeignKey(Account.id))
    withdrawn_at: Mapped[datetime | None]
