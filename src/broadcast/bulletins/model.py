"""Bulletins (bản tin) and their immutable revisions."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.kit.db import Base, enum_type
from broadcast.wire.fields import BulletinClass, Codec


class RevisionState(StrEnum):
    """Draft → submitted → approved | returned → withdrawn; only `approved` goes on air."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    RETURNED = "returned"
    WITHDRAWN = "withdrawn"


class SourceKind(StrEnum):
    """Source of the sound."""

    UPLOAD = "upload"
    TEXT = "text"
    LIVE = "live"
    """What was spoken live, recorded by the server."""


class Subject(StrEnum):
    """What a bulletin is about (lĩnh vực), as people look for it; the list of 2455 is not out."""

    ADMINISTRATION = "administration"
    SECURITY = "security"
    DISASTER = "disaster"
    HEALTH = "health"
    AGRICULTURE = "agriculture"
    ECONOMY = "economy"
    ENVIRONMENT = "environment"
    EDUCATION = "education"
    CULTURE = "culture"
    LAW = "law"
    OTHER = "other"


class PhraseKind(StrEnum):
    """What a phrase of the bank is for."""

    OPENING = "opening"
    CLOSING = "closing"
    NUMBER = "number"
    PLACE = "place"
    HAZARD = "hazard"
    OTHER = "other"


class PreparationState(StrEnum):
    """Waiting → running → done, refused (the source is at fault) or failed (we are); cancelled."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Bulletin(Base):
    """A piece of content; what it says is in its revisions."""

    __tablename__ = "bulletins"
    __table_args__ = (
        sa.Index(
            "ix_bulletins_words", sa.text("folded_words(title, tags)"), postgresql_using="gin"
        ),
        sa.UniqueConstraint("version_of", "language"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    class_: Mapped[BulletinClass] = mapped_column("class", enum_type(BulletinClass))
    language: Mapped[str] = mapped_column(default="vi")
    """BCP 47."""
    area_code: Mapped[str]
    """Area whose station speaks: the province or a commune."""
    subject: Mapped[Subject] = mapped_column(
        enum_type(Subject, "subject"), default=Subject.OTHER, server_default=Subject.OTHER.value
    )
    tags: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    """What people look for it by, besides its words; in small letters, sorted."""
    kept_ready: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Devices of its area hold its newest approved revision before anything needs it."""
    version_of: Mapped[UUID | None] = mapped_column(sa.ForeignKey("bulletins.id"), index=True)
    """The bulletin that this one says in another language; None of an original."""
    phrase: Mapped[PhraseKind | None] = mapped_column(enum_type(PhraseKind, "phrase"))
    """Kind of a phrase of the bank (câu mẫu), to be put before or after recordings."""
    created_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    created_at: Mapped[datetime] = mapped_column(index=True)


class Preparation(Base):
    """The work of making a source ready for air: a row of the queue, one per content and settings.

    A worker has it until `locked_until`; after that another one may take it.
    """

    __tablename__ = "preparations"
    is_recorded = False
    __table_args__ = (
        sa.Index(
            "ix_preparations_queue",
            sa.text("priority DESC"),
            "id",
            postgresql_where=sa.text("state IN ('waiting', 'running')"),
        ),
    )

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    content_sha256: Mapped[str] = mapped_column(unique=True)
    """Of the source, and of all settings that change what comes out."""
    source_file: Mapped[str | None]
    """Name of the uploaded file among the kept sources; None for a text, or once it is done."""
    text: Mapped[str | None]
    """The script that is read aloud."""
    framing: Mapped[dict[str, Any] | None]
    """`audio.prepared.Framing` of an alert; None of what is no alert."""
    trim_start_seconds: Mapped[float | None]
    trim_end_seconds: Mapped[float | None]
    """Part of the source that is used; both null: all of it."""
    settings: Mapped[dict[str, Any]]
    """`config.Audio` of the moment in which it was requested."""
    priority: Mapped[int] = mapped_column(sa.SmallInteger)
    """The highest of all bulletins that wait for it: 2 emergency, 1 priority, 0 normal."""
    state: Mapped[PreparationState] = mapped_column(
        enum_type(PreparationState, check="preparation_state")
    )
    percent: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    detail: Mapped[str] = mapped_column(default="")
    """Why it was refused, has failed, or is tried again, and what to do."""
    attempts_count: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    due_at: Mapped[datetime]
    """Not to be begun earlier: a failed attempt is repeated later and later."""
    locked_by: Mapped[UUID | None]
    locked_until: Mapped[datetime | None]
    asked_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None]
    """`audio.Prepared`, once it is done."""


class Revision(Base):
    """One immutable version of a bulletin's sound; only its approval state moves."""

    __tablename__ = "bulletin_revisions"
    __table_args__ = (
        sa.CheckConstraint(
            "state IN ('draft', 'withdrawn') OR seconds IS NOT NULL", name="prepared"
        ),
        sa.UniqueConstraint("bulletin_id", "number", "is_drill"),
        sa.Index("ix_bulletin_revisions_preparation", "preparation_id"),
        sa.Index(
            "ix_bulletin_revisions_words",
            sa.text("folded_words(text, NULL)"),
            postgresql_using="gin",
        ),
    )

    bulletin_id: Mapped[UUID] = mapped_column(sa.ForeignKey("bulletins.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[RevisionState] = mapped_column(enum_type(RevisionState))
    source_kind: Mapped[SourceKind] = mapped_column(enum_type(SourceKind))
    source_name: Mapped[str] = mapped_column(default="")
    text: Mapped[str | None]
    spoken: Mapped[str | None]
    """Script of `speech.script` that the sound was made of; None of an upload, or before 0013."""
    preparation_id: Mapped[int | None] = mapped_column(sa.ForeignKey("preparations.id"))
    trim_start_seconds: Mapped[float | None]
    trim_end_seconds: Mapped[float | None]
    """Part of the uploaded recording that is used; both null: all of it."""
    is_drill: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Its sound says that it is a drill. It never changes, and an alert must agree with it."""
    # Null until the sound is prepared; whatever was submitted has them, which a CHECK keeps.
    seconds: Mapped[float] = mapped_column(nullable=True)
    loudness_lufs: Mapped[float] = mapped_column(nullable=True)
    true_peak_dbtp: Mapped[float] = mapped_column(nullable=True)
    longest_seconds: Mapped[float | None]
    """Of what is heard of it where several languages follow one another; None: `seconds`."""
    facts: Mapped[dict[str, Any]]
    """Measurements and corrections of the preparation."""
    created_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    created_at: Mapped[datetime]

    @property
    def air_seconds(self) -> float:
        """Time that it takes on the air, wherever it is heard."""
        return max(self.seconds or 0.0, self.longest_seconds or 0.0)

    @staticmethod
    def air_seconds_sql() -> sa.ColumnElement[float]:
        """`air_seconds` in SQL."""
        return sa.func.greatest(Revision.seconds, Revision.longest_seconds)


class Draft(Base):
    """A form that somebody has begun, with its sound; theirs alone, until it becomes a revision.

    A revision and its sound cannot be changed; a draft is what is changed before.
    """

    __tablename__ = "bulletin_drafts"
    is_recorded = False

    account_id: Mapped[int] = mapped_column(sa.ForeignKey(Account.id), primary_key=True)
    page: Mapped[str] = mapped_column(primary_key=True)
    """`new`, the bulletin that gets a new revision, or the form of where and when a revision is to
    sound (`schedules.form_drafts`)."""
    form: Mapped[dict[str, Any]]
    """Fields as they were typed."""
    source_file: Mapped[str | None]
    """Name of the uploaded recording among the kept sources, whole however it is trimmed."""
    source_sha256: Mapped[str | None]
    source_name: Mapped[str] = mapped_column(default="")
    preparation_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("preparations.id"), index=True
    )
    """Of the recording, or of the text read aloud."""
    before: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    """Phrases (their bulletins) that are said before the recording, in their order."""
    after: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    saved_at: Mapped[datetime]


class ApprovalRule(Base):
    """A station's choice whether its normal bulletins need a second person, from a day on."""

    __tablename__ = "approval_rules"

    area_code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    second_person: Mapped[bool]
    set_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    set_at: Mapped[datetime]


class LexiconEntry(Base):
    """Reading of a word by a unit's station; a commune's entry comes before the province's."""

    __tablename__ = "lexicon_entries"

    area_code: Mapped[str] = mapped_column(primary_key=True)
    written: Mapped[str] = mapped_column(primary_key=True)
    spoken: Mapped[str]
    changed_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
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
    """A step of the approval: account, state, time and reason."""

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
    actor: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    at: Mapped[datetime]
    note: Mapped[str] = mapped_column(default="")
