"""What was sent from above to communes, and what each commune did with it."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.kit.db import Base, enum_type


class Answer(StrEnum):
    """What came of an item; none yet: it waits, or was left until it was of no use any more."""

    PICKED = "picked"  # the commune has made a schedule of it
    DECLINED = "declined"
    PLACED = "placed"  # of class priority: it has its time without being asked for


class InboxItem(Base):
    """A bulletin from above at one commune."""

    __tablename__ = "inbox_items"
    __table_args__ = (
        sa.UniqueConstraint("bulletin_id", "commune_code"),
        sa.Index("ix_inbox_items_commune", "commune_code", "sent_at"),
        sa.CheckConstraint("(answer IS NULL) = (answered_at IS NULL)", name="answered"),
        sa.CheckConstraint(
            "(answer IS NOT DISTINCT FROM 'declined') = (reason <> '')", name="reasoned"
        ),
        sa.CheckConstraint("NOT to_place OR answer IS NULL", name="to_place"),
        sa.Index("ix_inbox_items_to_place", "sent_at", postgresql_where=sa.text("to_place")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    bulletin_id: Mapped[UUID] = mapped_column(sa.ForeignKey("bulletins.id"))
    commune_code: Mapped[str]
    meant_on: Mapped[date]
    """Day under whose units the commune was meant; what became of it follows the lineage."""
    villages: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    """Those of the commune that it is for, as they were on that day; none: all of the commune."""
    useful_until: Mapped[datetime]
    """Afterwards it is of no use: nothing of it starts later."""
    sent_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    sent_at: Mapped[datetime]
    answer: Mapped[Answer | None] = mapped_column(enum_type(Answer, "inbox_answer"))
    answered_by: Mapped[int | None] = mapped_column(sa.ForeignKey(Account.id))
    answered_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(default="", server_default="")
    """Why it was declined."""
    schedule_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("schedules.id"), index=True)
    """What sounds of it, once it was picked or placed."""
    to_place: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Of class priority: the leader is to place it, unless it is answered before."""
    not_placed: Mapped[str] = mapped_column(default="", server_default="")
    """Why no time was found for it, so that the commune is to pick one."""


class OrderChoice(Base):
    """A placed item that met priority items of the commune, which says what comes first.

    Without a choice until the deadline the source comes first, as it was placed.
    """

    __tablename__ = "inbox_orders"

    item_id: Mapped[UUID] = mapped_column(sa.ForeignKey("inbox_items.id"), primary_key=True)
    begins_at: Mapped[datetime]
    """Of the session: when the first of them sounds."""
    deadline_at: Mapped[datetime]
    own: Mapped[list[dict[str, Any]]]
    """Items of the commune that one of the orders moves, as they were planned: `occurrence_id`,
    `title`, `starts_at`, `seconds`, `is_priority`."""
    source_first: Mapped[bool] = mapped_column(default=True)
    decided_by: Mapped[int | None] = mapped_column(sa.ForeignKey(Account.id))
    decided_at: Mapped[datetime | None]
