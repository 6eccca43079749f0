"""Marks of the database, restores, what others hold newer than it, and what was decided."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.kit.db import Base, enum_type


class DatabaseMark(Base):
    """How far this database has come: one row, a number that only grows while it is in use."""

    __tablename__ = "database_marks"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    installation: Mapped[UUID]
    """Made with the first mark; a copy of the database has the same."""
    number: Mapped[int] = mapped_column(sa.BigInteger)
    at: Mapped[datetime]


class Cause(StrEnum):
    """How it was noticed that the database is older than what it once said."""

    COMMAND = "command"
    """`broadcast restore from`, or a person who says so."""
    MARK = "mark"
    """The mark beside the keys is ahead of that in the database."""
    BROKER = "broker"
    """The broker retains documents of ours that the database does not know."""


class Restore(Base):
    """A restore, from when it was noticed; until it is accepted nothing is published."""

    __tablename__ = "restores"
    __table_args__ = (
        sa.Index(
            "uq_restores_open", sa.text("(accepted_at IS NULL)"),
            unique=True, postgresql_where=sa.text("accepted_at IS NULL"),
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    cause: Mapped[Cause] = mapped_column(enum_type(Cause, "restore_cause"))
    found_at: Mapped[datetime]
    lost_since: Mapped[datetime]
    """Last moment of which the database knows: what came after it, until `found_at`, is lost."""
    broker_read_at: Mapped[datetime | None]
    """When all that the broker retains had been read; before, the comparison is not complete."""
    credentials: Mapped[str | None]
    """`listed`: what was revoked after the backup is known and revoked; `ended`: all tokens are,
    because nobody knows; null: not yet done."""
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[int | None] = mapped_column(sa.ForeignKey(Account.id))


class NewerDocument(Base):
    """A document of ours that the broker retains and the database does not know, as published."""

    __tablename__ = "newer_documents"

    restore_id: Mapped[int] = mapped_column(sa.ForeignKey("restores.id"), primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(sa.BigInteger)
    token: Mapped[bytes] = mapped_column(sa.LargeBinary)


class RestoreDecision(Base):
    """What a person decided about one difference."""

    __tablename__ = "restore_decisions"

    restore_id: Mapped[int] = mapped_column(sa.ForeignKey("restores.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    choice: Mapped[str]
    title: Mapped[str]
