"""Bulletins (bản tin) and their immutable revisions."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.db import Base, enum_type
from broadcast.wire.fields import BulletinClass, Codec


class RevisionState(StrEnum):
    """Draft → submitted → approved | returned → withdrawn; only `approved` goes on air."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    RETURNED = "returned"
    WITHDRAWN = "withdrawn"


class SourceKind(StrEnum):
    """Where the sound came from."""

    UPLOAD = "upload"
    TEXT = "text"


class Bulletin(Base):
    """A piece of content; what it says is in its revisions."""

    __tablename__ = "bulletins"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    class_: Mapped[BulletinClass] = mapped_column("class", enum_type(BulletinClass))
    language: Mapped[str] = mapped_column(default="vi")
    """BCP 47."""
    area_code: Mapped[str]
    """Area whose station speaks: the province or a commune."""
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(index=True)


class Revision(Base):
    """One immutable version of a bulletin's sound; only its approval state moves."""

    __tablename__ = "bulletin_revisions"

    bulletin_id: Mapped[UUID] = mapped_column(sa.ForeignKey("bulletins.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[RevisionState] = mapped_column(enum_type(RevisionState))
    source_kind: Mapped[SourceKind] = mapped_column(enum_type(SourceKind))
    source_name: Mapped[str] = mapped_column(default="")
    text: Mapped[str | None]
    spoken: Mapped[str | None]
    """Script of `speech.script` that the sound was made of; None of an upload, or before 0013."""
    seconds: Mapped[float]
    loudness_lufs: Mapped[float]
    true_peak_dbtp: Mapped[float]
    facts: Mapped[dict[str, Any]]
    """What preparation measured and did."""
    created_by: Mapped[str]
    created_at: Mapped[datetime]


class LexiconEntry(Base):
    """How the station of a unit says a word; a commune's entry comes before the province's."""

    __tablename__ = "lexicon_entries"

    area_code: Mapped[str] = mapped_column(primary_key=True)
    written: Mapped[str] = mapped_column(primary_key=True)
    spoken: Mapped[str]
    changed_by: Mapped[str]
    changed_at: Mapped[datetime]


class Rendition(Base):
    """One encoding of a revision, by the SHA-256 of its bytes."""

    __tablename__ = "renditions"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["bulletin_id", "revision"],
            ["bulletin_revisions.bulletin_id", "bulletin_revisions.number"],
            name="fk_renditions_revision",
        ),
        sa.Index("ix_renditions_sha256", "sha256"),
    )

    bulletin_id: Mapped[UUID] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    codec: Mapped[Codec] = mapped_column(enum_type(Codec), primary_key=True)
    sha256: Mapped[str]
    size_bytes: Mapped[int]
    seconds: Mapped[float]


class ApprovalStep(Base):
    """Who moved a revision to which state, when and why."""

    __tablename__ = "approval_steps"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["bulletin_id", "revision"],
            ["bulletin_revisions.bulletin_id", "bulletin_revisions.number"],
            name="fk_approval_steps_revision",
        ),
        sa.Index("ix_approval_steps_revision", "bulletin_id", "revision"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    bulletin_id: Mapped[UUID]
    revision: Mapped[int]
    state: Mapped[RevisionState] = mapped_column(enum_type(RevisionState))
    actor: Mapped[str]
    at: Mapped[datetime]
    note: Mapped[str] = mapped_column(default="")
