"""Tables of the indicators: villages that do not count, and past days rolled up."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.kit.db import Base


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
    declared_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))


class ClusterDay(Base):
    """The evidence on a cluster of a past local day, rolled up: a cache, to be dropped at will.

    A change of the evidence leaves an `Invalidation` (by trigger); `rollup.py` applies it.
    """

    __tablename__ = "cluster_days"

    day: Mapped[date] = mapped_column(primary_key=True)
    cluster_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    expected: Mapped[int] = mapped_column(sa.SmallInteger)
    """Minutes of the day in which it was to be online."""
    online: Mapped[int] = mapped_column(sa.SmallInteger)
    """Those of them in which its device reported."""
    completed_at: Mapped[datetime | None]
    """End of the first completed play among those that started on the day."""
    due_at: Mapped[datetime | None]
    """Latest end of the first broadcast due on the day."""


class RolledUpDay(Base):
    """A day whose evidence is, or is about to be, in `cluster_days`.

    From the commit of this row on, a change of the day's evidence leaves an invalidation.
    Transactions that were running then may not have seen the row, so the day is rolled up only
    when they are over.
    """

    __tablename__ = "folded_days"

    day: Mapped[date] = mapped_column(primary_key=True)
    hours: Mapped[str]
    """Broadcast hours of the rule by which the minutes were counted."""
    horizon: Mapped[int | None] = mapped_column(sa.BigInteger)
    """Transactions from this number on see the row."""
    folded_at: Mapped[datetime | None]
    revision: Mapped[UUID] = mapped_column(server_default=sa.text("gen_random_uuid()"))
    """Another one whenever a row of the day changes."""


class Invalidation(Base):
    """The evidence of a rolled-up day changed, or the register did. Written by triggers."""

    __tablename__ = "evidence_marks"

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    cause: Mapped[str]
    """Table that was written."""
    day: Mapped[date | None] = mapped_column(index=True)
    """None: the register."""
    device_id: Mapped[int | None]
    cluster_id: Mapped[int | None]
    """Neither device nor cluster: every cluster."""


class RegisterState(Base):
    """One row: the revision of the register, another one with each invalidation of it."""

    __tablename__ = "register_state"
    __table_args__ = (sa.CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    revision: Mapped[UUID] = mapped_column(server_default=sa.text("gen_random_uuid()"))


class Restatement(Base):
    """Cluster-days of a past day that later evidence changed, by the day on which that was."""

    __tablename__ = "restatements"

    day: Mapped[date] = mapped_column(primary_key=True)
    restated_on: Mapped[date] = mapped_column(primary_key=True)
    cause: Mapped[str] = mapped_column(primary_key=True)
    """Tables that were written, by name, joined with commas."""
    first_at: Mapped[datetime]
    restated_at: Mapped[datetime]
    """The last time."""
    cluster_days: Mapped[int]
    """Number of changes, each time counted."""
