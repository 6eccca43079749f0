"""Versions of bulletins in other languages, and the sounds that several of them make together.

A version is a bulletin of its own (`Bulletin.version_of`), so that it is recorded, heard, approved
and withdrawn as any other.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.kit.db import Base, enum_type
from broadcast.wire.fields import Codec


class VersionMatch(Base):
    """A revision of a version says what a revision of the original says.

    By being made for it, or because somebody who understands both has confirmed it.
    """

    __tablename__ = "version_matches"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["bulletin_id", "revision"],
            ["bulletin_revisions.bulletin_id", "bulletin_revisions.number"],
            name="fk_version_matches_revision",
        ),
    )

    bulletin_id: Mapped[UUID] = mapped_column(primary_key=True)
    """Of the version."""
    revision: Mapped[int] = mapped_column(primary_key=True)
    original_revision: Mapped[int] = mapped_column(primary_key=True)
    matched_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    matched_at: Mapped[datetime]


class VersionRequest(Base):
    """Somebody is asked to read a bulletin in their language until a moment."""

    __tablename__ = "version_requests"
    __table_args__ = (
        sa.Index("ix_version_requests_version", "version_id"),
        sa.Index("ix_version_requests_reader", "reader_id", "due_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version_id: Mapped[UUID] = mapped_column(sa.ForeignKey("bulletins.id"))
    original_revision: Mapped[int]
    """Revision of the original that is to be said."""
    reader_id: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    due_at: Mapped[datetime]
    note: Mapped[str] = mapped_column(default="")
    asked_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    asked_at: Mapped[datetime]
    cancelled_at: Mapped[datetime | None]


class Mix(Base):
    """One sound of several languages of a revision, one after the other, for places of both.

    Made by the leader for the lists of languages that there are (`languages.mixing`). Its sounds
    are kept for the ledger, which knows by them what was heard where.
    """

    __tablename__ = "mixes"
    is_recorded = False
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["bulletin_id", "revision"],
            ["bulletin_revisions.bulletin_id", "bulletin_revisions.number"],
            name="fk_mixes_revision",
        ),
        sa.UniqueConstraint("bulletin_id", "revision", "parts_key"),
    )

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    bulletin_id: Mapped[UUID]
    """Of the original."""
    revision: Mapped[int]
    languages: Mapped[list[str]]
    """In the order in which they are heard."""
    parts: Mapped[list[dict[str, Any]]]
    """`bulletin_id` and `revision` of each."""
    parts_key: Mapped[str]
    """`parts` as one word, so that the same is made once."""
    preparation_id: Mapped[int | None] = mapped_column(sa.ForeignKey("preparations.id"))
    """None of one language, whose sound is there already."""
    seconds: Mapped[float | None]
    """None until its sound is ready."""
    is_current: Mapped[bool] = mapped_column(default=False)
    """Documents carry it."""
    trouble: Mapped[str] = mapped_column(default="")
    """Why it does not sound, and what to do; empty where nothing is in the way."""
    made_at: Mapped[datetime]


class MixSound(Base):
    """One encoding of a mix, by the SHA-256 of its bytes."""

    __tablename__ = "mix_sounds"
    is_recorded = False
    __table_args__ = (sa.Index("ix_mix_sounds_sha256", "sha256"),)

    mix_id: Mapped[int] = mapped_column(
        sa.BigInteger, sa.ForeignKey("mixes.id"), primary_key=True, autoincrement=False
    )
    codec: Mapped[Codec] = mapped_column(enum_type(Codec), primary_key=True)
    sha256: Mapped[str]
    size_bytes: Mapped[int]
    seconds: Mapped[float]
