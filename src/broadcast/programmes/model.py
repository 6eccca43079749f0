"""Retained documents: what the broker must hold, and what it was last given.

The table is the outbox. A cause marks scopes dirty in its own transaction; the dispatcher
compiles, signs and stores; a row with `published_revision` < `revision` is still to be sent.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.kit.db import Base


class DirtyScope(Base):
    """A scope whose documents must be compiled again."""

    __tablename__ = "dirty_scopes"

    scope: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]
    above: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    """Revision that others may hold already, when above 0: the document is issued above it, even
    if it says nothing new."""


class Document(Base):
    """The newest signed document of a scope."""

    __tablename__ = "documents"
    __table_args__ = (
        sa.Index(
            "ix_documents_unpublished", "revision",
            postgresql_where=sa.text("published_revision < revision"),
        ),
    )  # fmt: skip

    scope: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(sa.BigInteger)
    """Milliseconds since 1970 at issue, forced to grow: a restored backup cannot fall behind what
    devices already hold."""
    token: Mapped[bytes] = mapped_column(sa.LargeBinary)
    """JWS as published."""
    issued_at: Mapped[datetime]
    not_after: Mapped[datetime]
    published_revision: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    published_at: Mapped[datetime | None]
    kid: Mapped[str] = mapped_column(server_default="")
    """Key that signed it."""
    key_since: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    """First of the revisions in a row that this key signed."""


class ProgrammeRevision(Base):
    """Occurrences that a revision of a programme, or of alerts, carried; kept to explain plays."""

    __tablename__ = "programme_revisions"
    __table_args__ = (
        sa.Index("ix_programme_revisions_occurrences", "occurrence_ids", postgresql_using="gin"),
    )

    scope: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(
        primary_key=True, default="programme", server_default="programme"
    )
    """`programme`, `alerts` or `live`."""
    revision: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    issued_at: Mapped[datetime] = mapped_column(index=True)
    published_at: Mapped[datetime | None]
    occurrence_ids: Mapped[list[UUID]] = mapped_column(postgresql.ARRAY(sa.Uuid()))


class PublishedContent(Base):
    """An audio file whose blocks the broker holds, or is to hold."""

    __tablename__ = "published_content"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int]
    wanted_until: Mapped[datetime]
    published_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
