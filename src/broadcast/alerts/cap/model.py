"""CAP messages as they came, and what became of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.alerts.cap.judge import Action
from broadcast.auth.model import Account
from broadcast.kit.db import Base, enum_type


class CapFeed(Base):
    """A feed of `BROADCAST_CAP__FILE`: when it was read, and what is known of it since."""

    __tablename__ = "cap_feeds"
    is_recorded = False

    url: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    account_id: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    """As who its messages are handed in."""
    read_at: Mapped[datetime | None]
    succeeded_at: Mapped[datetime | None]
    error: Mapped[str]
    """What was wrong the last time; empty: nothing."""
    etag: Mapped[str]
    modified: Mapped[str]
    """`Last-Modified`, as the server wrote it."""
    seen: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    """Keys (`index.Entry`) of what the index lists and was taken."""


class CapMessage(Base):
    """A document that was received, whatever it was, with the verdict on it.

    What it says is in the verdict's columns, for lists; the document is kept to prove it. The
    audit tells who handed it in and what became of it, not the document.
    """

    __tablename__ = "cap_messages"
    __table_args__ = (
        sa.Index("ix_cap_messages_received_at", "received_at", "id"),
        sa.Index("ix_cap_messages_name", "sender", "identifier"),
    )
    is_recorded = False

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    sha256: Mapped[str] = mapped_column(unique=True)
    document: Mapped[bytes]
    received_at: Mapped[datetime]
    received_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    """Who handed it in."""
    sender: Mapped[str | None]
    """None, as the next three: it is no valid message."""
    identifier: Mapped[str | None]
    sent_at: Mapped[datetime | None]
    status: Mapped[str | None]
    action: Mapped[Action] = mapped_column(enum_type(Action, "action"))
    reasons: Mapped[list[str]] = mapped_column(JSONB)
    issuer: Mapped[str]
    event: Mapped[str]
    texts: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    """Language, headline and body; in the order in which the province wants them."""
    area_codes: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    ends: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    """Identifiers of messages of the same sender that it puts an end to, there or not yet."""
    alert_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("alerts.id"), index=True)
    """The alert that it was made."""
    ended_by_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("cap_messages.id", ondelete="SET NULL"), index=True
    )
    """The message that has put an end to this one."""
