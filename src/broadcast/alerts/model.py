"""Alerts, what they are prepared from, and drills."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.alerts.state import AlertKind, AlertState, AlertStep, allowed, state_at
from broadcast.auth.model import Account
from broadcast.kit.db import Base, enum_type
from broadcast.wire.fields import AlertMode


class AlertEvent(StrEnum):
    """What an alert is about."""

    STORM = "storm"
    FLOOD = "flood"
    DAM_RELEASE = "dam_release"
    LANDSLIDE = "landslide"
    TSUNAMI = "tsunami"
    EARTHQUAKE = "earthquake"
    FIRE = "fire"
    EPIDEMIC = "epidemic"
    SECURITY = "security"
    OTHER = "other"


class Drill(Base):
    """A time in which alerts of a drill may sound, announced beforehand."""

    __tablename__ = "drills"
    __table_args__ = (
        sa.UniqueConstraint("id", "mode"),
        sa.CheckConstraint("mode <> 'actual'", name="never_actual"),
        sa.CheckConstraint("ends_at > starts_at", name="span"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    mode: Mapped[AlertMode] = mapped_column(enum_type(AlertMode, "mode"))
    """`exercise` for people, `test` of the equipment."""
    area_code: Mapped[str]
    """Where; alerts of it lie within."""
    starts_at: Mapped[datetime] = mapped_column(index=True)
    ends_at: Mapped[datetime]
    reserve_on: Mapped[date | None]
    """Day on which it is held if the weather forbids it."""
    note: Mapped[str] = mapped_column(default="")
    created_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    created_at: Mapped[datetime]
    cancelled_at: Mapped[datetime | None]


class AlertTemplate(Base):
    """An alert that is prepared ahead: its sound is a bulletin, approved as every one is.

    Once that is approved the devices of its area fetch it, before anybody needs it.
    """

    __tablename__ = "alert_templates"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    event: Mapped[AlertEvent] = mapped_column(enum_type(AlertEvent, "event"))
    area_code: Mapped[str]
    """Unit whose station speaks."""
    texts: Mapped[dict[str, Any]]
    """What is said, by language."""
    languages: Mapped[list[str]]
    """In which it is said, in this order (BCP 47)."""
    tone: Mapped[bool]
    repeats: Mapped[int] = mapped_column(sa.SmallInteger)
    valid_minutes: Mapped[int] = mapped_column(sa.SmallInteger)
    bulletin_id: Mapped[UUID] = mapped_column(sa.ForeignKey("bulletins.id"))
    created_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    created_at: Mapped[datetime] = mapped_column(index=True)
    withdrawn_at: Mapped[datetime | None]


class Alert(Base):
    """One message of an emergency or a drill, with who has done what for it, and when.

    An update or an all-clear is an alert of its own, which takes the place of another. Once it is
    authorised there is an occurrence of the same id, which the ledger and the documents follow.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        # A drill can never sound as an actual alert, nor the reverse: its mode is that of its
        # drill, agrees with what its sound says, and is that of the occurrence.
        sa.ForeignKeyConstraint(["drill_id", "mode"], ["drills.id", "drills.mode"],
                                name="fk_alerts_drill"),
        sa.ForeignKeyConstraint(
            ["bulletin_id", "bulletin_revision", "is_drill"],
            ["bulletin_revisions.bulletin_id", "bulletin_revisions.number",
             "bulletin_revisions.is_drill"],
            name="fk_alerts_revision",
        ),
        sa.ForeignKeyConstraint(["occurrence_id", "mode"],
                                ["occurrences.id", "occurrences.alert_mode"],
                                name="fk_alerts_occurrence"),
        sa.CheckConstraint("(mode = 'actual') = (drill_id IS NULL)", name="drill"),
        sa.CheckConstraint("is_drill = (mode <> 'actual')", name="sound"),
        sa.CheckConstraint("is_alone OR authorised_by <> proposed_by", name="two_people"),
        sa.CheckConstraint(
            "(authorised_by IS NULL) = (occurrence_id IS NULL)"
            " AND (authorised_by IS NULL) = (ends_by IS NULL)", name="authorised"
        ),
        sa.CheckConstraint(
            "state NOT IN ('active', 'expired')", name="stored_state"
        ),
        sa.Index("ix_alerts_created_at", "created_at", "id"),
        sa.Index("ix_alerts_replaces", "replaces_id"),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[AlertKind] = mapped_column(enum_type(AlertKind, "kind"))
    replaces_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("alerts.id"))
    """Whose place it takes, of an update or an all-clear."""
    mode: Mapped[AlertMode] = mapped_column(enum_type(AlertMode, "mode"))
    drill_id: Mapped[UUID | None]
    event: Mapped[AlertEvent] = mapped_column(enum_type(AlertEvent, "event"))
    headline: Mapped[str]
    texts: Mapped[dict[str, Any]]
    """What is said, by language."""
    area_code: Mapped[str]
    """Smallest unit that holds all targets: its station speaks."""
    targets: Mapped[list[dict[str, Any]]]
    """As of a schedule."""
    targets_on: Mapped[date]
    template_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("alert_templates.id"))
    bulletin_id: Mapped[UUID]
    bulletin_revision: Mapped[int]
    is_drill: Mapped[bool]
    """Its sound says that it is a drill."""
    tone: Mapped[bool]
    repeats: Mapped[int] = mapped_column(sa.SmallInteger)
    priority: Mapped[int] = mapped_column(sa.SmallInteger)
    volume: Mapped[int | None] = mapped_column(sa.SmallInteger)
    starts_at: Mapped[datetime | None]
    """When it begins; None: when it is authorised."""
    valid_minutes: Mapped[int] = mapped_column(sa.SmallInteger)
    not_after: Mapped[datetime | None]
    """When the warning of another authority expires of which it was made."""
    ends_by: Mapped[datetime | None]
    """When it ends by itself, once it is authorised."""
    state: Mapped[AlertState] = mapped_column(enum_type(AlertState, "state"))
    """By the last step; `state_at` tells the present one."""
    occurrence_id: Mapped[UUID | None]
    created_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    created_at: Mapped[datetime]
    proposed_by: Mapped[int | None] = mapped_column(sa.ForeignKey(Account.id))
    proposed_at: Mapped[datetime | None]
    authorised_by: Mapped[int | None] = mapped_column(sa.ForeignKey(Account.id))
    authorised_at: Mapped[datetime | None]
    is_alone: Mapped[bool] = mapped_column(default=False)
    """One person issued it."""
    alone_reason: Mapped[str] = mapped_column(default="")
    ended_by: Mapped[int | None] = mapped_column(sa.ForeignKey(Account.id))
    """Who cancelled it, or authorised what took its place."""
    ended_at: Mapped[datetime | None]
    end_note: Mapped[str] = mapped_column(default="")
    debriefed_by: Mapped[int | None] = mapped_column(sa.ForeignKey(Account.id))
    debriefed_at: Mapped[datetime | None]
    debrief: Mapped[str] = mapped_column(default="")

    def state_at(self, now: datetime) -> AlertState:
        """State at a moment."""
        return state_at(
            self.state,
            now,
            proposed_at=self.proposed_at,
            starts_at=self.starts_at,
            ends_by=self.ends_by,
        )

    def allowed_at(self, now: datetime) -> list[AlertStep]:
        """Steps that it permits at a moment, of anybody; nothing takes back what never sounded."""
        taking_place = {AlertStep.UPDATE, AlertStep.CLEAR} if self.authorised_at is None else set()
        return [step for step in allowed(self.state_at(now)) if step not in taking_place]
