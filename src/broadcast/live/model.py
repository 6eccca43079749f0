"""Live sessions: who spoke where, from when until when."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.kit.db import Base, enum_type
from broadcast.live.state import LiveEnd, LiveState, state_at
from broadcast.wire.fields import BulletinClass


class LiveSession(Base):
    """One person speaks to some places. Begun, it has an occurrence and a bulletin of its id."""

    __tablename__ = "live_sessions"
    __table_args__ = (
        sa.CheckConstraint("(begun_at IS NULL) = (occurrence_id IS NULL)", name="begun"),
        sa.CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="ended"),
        sa.Index("ix_live_sessions_created_at", "created_at", "id"),
        sa.Index(
            "ix_live_sessions_open", "begun_at",
            postgresql_where=sa.text("begun_at IS NOT NULL AND kept_at IS NULL"),
        ),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    class_: Mapped[BulletinClass] = mapped_column("class", enum_type(BulletinClass))
    area_code: Mapped[str]
    """Smallest unit that holds all targets: its station speaks."""
    targets: Mapped[list[dict[str, Any]]]
    """As of a schedule."""
    targets_on: Mapped[date]
    volume: Mapped[int | None] = mapped_column(sa.SmallInteger)
    most_minutes: Mapped[int] = mapped_column(sa.SmallInteger)
    created_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    """Who prepared it, and alone may speak."""
    created_at: Mapped[datetime]
    begun_at: Mapped[datetime | None]
    ends_by: Mapped[datetime | None]
    """End of its longest duration."""
    heard_at: Mapped[datetime | None]
    """When something last came from the microphone, to within two seconds."""
    seconds: Mapped[float] = mapped_column(default=0.0, server_default="0")
    """What was spoken, to within two seconds while it goes on."""
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[int | None] = mapped_column(sa.ForeignKey(Account.id))
    end_reason: Mapped[LiveEnd | None] = mapped_column(enum_type(LiveEnd, "end_reason"))
    kept_at: Mapped[datetime | None]
    """When its recording was kept, as the sound of its bulletin."""
    occurrence_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("occurrences.id"))

    def state_at(self, now: datetime) -> LiveState:
        """State at a moment."""
        return state_at(now, self.created_at, self.begun_at, self.ended_at)
