"""Radio streams that loudspeakers may relay, and whether they answer."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.bulletins.model import Bulletin
from broadcast.kit.db import Base, enum_type


class StreamCodec(StrEnum):
    """How a stream is encoded, as the wire contract names it."""

    MP3 = "mp3"
    AAC = "aac"
    OPUS = "opus"


class StreamSource(Base):
    """A station whose programme may be relayed in an area."""

    __tablename__ = "stream_sources"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    name: Mapped[str]
    area_code: Mapped[str] = mapped_column(index=True)
    """Unit in which it may be relayed, with everything inside it."""
    urls: Mapped[list[str]] = mapped_column(ARRAY(sa.Text()))
    """In the order in which devices try them."""
    codec: Mapped[StreamCodec | None] = mapped_column(enum_type(StreamCodec, "codec"))
    """As far as a person knows; None: devices find out."""
    fallback_bulletin_id: Mapped[UUID] = mapped_column(sa.ForeignKey(Bulletin.id))
    """What sounds while it is away, unless a schedule says otherwise."""
    last_day: Mapped[date | None]
    """Of which is known that its addresses end with it; None: no end is known."""
    ended_at: Mapped[datetime | None]
    """No new schedule relays it since."""
    entered_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    entered_at: Mapped[datetime]


class StreamCheck(Base):
    """What the last look at a source found."""

    __tablename__ = "stream_checks"
    is_recorded = False

    source_id: Mapped[int] = mapped_column(
        sa.ForeignKey(StreamSource.id, ondelete="CASCADE"), primary_key=True
    )
    checked_at: Mapped[datetime]
    answers: Mapped[bool]
    since: Mapped[datetime]
    """Time of the first look that found it so."""
    answered_at: Mapped[datetime | None]
    """Time of the last look that found sound."""
    url: Mapped[str | None]
    """Address that answered."""
    codec: Mapped[str | None]
    """What was found there."""
    detail: Mapped[str]
    """Why none answered, for people."""
