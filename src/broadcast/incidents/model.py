"""Incidents and the losses of contact that they consist of."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.incidents.causes import Cause, Evidence
from broadcast.incidents.grouping import Kind
from broadcast.kit.db import Base, enum_type


class StepKind(StrEnum):
    """What was done about an incident."""

    ASSIGNED = "assigned"
    RELEASED = "released"
    """Nobody is assigned any more."""
    NOTED = "noted"
    CLOSED = "closed"
    REOPENED = "reopened"
    """By a person, or by the server: devices were lost after it had been closed."""


class ClosingReason(StrEnum):
    """Why a person closes an incident."""

    REPAIRED = "repaired"
    OTHERS = "others"
    """The electricity company or the operator is at it; nothing to do here."""
    PLANNED = "planned"
    REMOVED = "removed"
    FALSE_ALARM = "false_alarm"
    OTHER = "other"


class Incident(Base):
    """One event by which devices lost contact: what they have in common, and the likely cause."""

    __tablename__ = "incidents"
    __table_args__ = (
        sa.Index("ix_incidents_open", "id", postgresql_where=sa.text("closed_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    kind: Mapped[Kind] = mapped_column(enum_type(Kind, "kind"))
    code: Mapped[str]
    """Of the area, power feed, operator or device."""
    within: Mapped[str] = mapped_column(default="")
    """Commune, for an operator there."""
    name: Mapped[str]
    """Name for people, as of the day it was noticed."""
    cause: Mapped[Cause] = mapped_column(enum_type(Cause, "cause"))
    opened_at: Mapped[datetime]
    """Time at which the first of its devices was last heard of."""
    noticed_at: Mapped[datetime]
    recovered_at: Mapped[datetime | None]
    """Time at which the last of its devices returned; None while one is down."""
    closed_at: Mapped[datetime | None]
    """The same, once it stayed so; of an incident that others took over, when they did."""
    superseded: Mapped[bool] = mapped_column(default=False)
    """Its devices proved to be part of another incident, or no incident at all."""
    superseded_by: Mapped[int | None] = mapped_column(sa.ForeignKey("incidents.id"))
    devices_count: Mapped[int]
    """Devices lost so far."""
    down_count: Mapped[int]
    """Of these, those that are down now."""
    villages_count: Mapped[int]
    communes_count: Mapped[int]
    assignee_id: Mapped[int | None] = mapped_column(sa.ForeignKey(Account.id))
    """Who sees to it."""
    closed_by_hand_at: Mapped[datetime | None]
    """Time at which a person closed it; None where nobody did, or where it lapsed since."""
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    """Grows with every step of a person and whenever more devices are lost: a decision names the
    version that it was made from."""


class IncidentLoss(Base):
    """One absence of one device; it belongs to one incident."""

    __tablename__ = "incident_falls"
    __table_args__ = (
        sa.Index(
            "uq_incident_falls_down", "device_id",
            unique=True, postgresql_where=sa.text("returned_at IS NULL"),
        ),
    )  # fmt: skip

    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"), primary_key=True)
    fell_at: Mapped[datetime] = mapped_column(primary_key=True)
    """Time at which it was last heard of before."""
    incident_id: Mapped[int] = mapped_column(sa.ForeignKey("incidents.id"), index=True)
    cluster_id: Mapped[int] = mapped_column(sa.ForeignKey("clusters.id"), index=True)
    noticed_at: Mapped[datetime]
    returned_at: Mapped[datetime | None]
    evidence: Mapped[Evidence] = mapped_column(enum_type(Evidence, "evidence"))


class IncidentStep(Base):
    """What somebody did about an incident, or the server when a closing lapsed."""

    __tablename__ = "incident_steps"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    incident_id: Mapped[int] = mapped_column(sa.ForeignKey("incidents.id"), index=True)
    kind: Mapped[StepKind] = mapped_column(enum_type(StepKind, "kind"))
    at: Mapped[datetime]
    actor_id: Mapped[int | None] = mapped_column(sa.ForeignKey(Account.id))
    """None: the server."""
    assignee_id: Mapped[int | None] = mapped_column(sa.ForeignKey(Account.id))
    """Of `assigned`."""
    reason: Mapped[ClosingReason | None] = mapped_column(enum_type(ClosingReason, "reason"))
    """Of `closed`."""
    note: Mapped[str] = mapped_column(default="")
    devices_count: Mapped[int | None]
    """Of `reopened` by the server: devices that were lost."""
