"""Commands to devices and what came of them."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.commands.state import CommandKind
from broadcast.kit.db import Base, enum_type


class Command(Base):
    """Something that a person ordered a device to do once; the dispatcher publishes it."""

    __tablename__ = "commands"
    __table_args__ = (
        sa.CheckConstraint("(kind = 'volume') = (volume IS NOT NULL)", name="volume"),
        sa.Index("ix_commands_device", "device_id", "kind", "id"),
        sa.Index(
            "ix_commands_unpublished", "not_after",
            postgresql_where=sa.text("published_at IS NULL"),
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    """Order in which they were given."""
    command_id: Mapped[str] = mapped_column(unique=True)
    """Its id on the wire, which no restored backup may give again."""
    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"))
    kind: Mapped[CommandKind] = mapped_column(enum_type(CommandKind, "kind"))
    volume: Mapped[int | None] = mapped_column(sa.SmallInteger)
    """Percent, of `volume` only."""
    ordered_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    ordered_at: Mapped[datetime]
    not_after: Mapped[datetime]
    """Until when the device may obey; it is not published later either."""
    published_at: Mapped[datetime | None]
    """Time at which the broker had confirmed it."""


class CommandResult(Base):
    """Result of a command, as the device reports it."""

    __tablename__ = "command_results"
    __table_args__ = (
        sa.Index(
            "ix_command_results_self_test", "device_id", "sent_at",
            postgresql_where=sa.text("kind = 'self_test'"),
        ),
    )  # fmt: skip

    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"), primary_key=True)
    command_id: Mapped[str] = mapped_column(primary_key=True)
    result: Mapped[str]
    detail: Mapped[str] = mapped_column(default="")
    sent_at: Mapped[datetime]
    received_at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(default="")
    """Kind of the command; empty when the device does not say."""
    heard: Mapped[str] = mapped_column(default="")
    """Of a self-test: what noticed its tone; empty for nothing."""
