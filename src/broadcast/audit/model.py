"""The audit as it is stored. Triggers chain its entries and refuse to change them (0017)."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.audit.entry import Outcome
from broadcast.kit.db import Base, enum_type


class AuditEntry(Base):
    """One entry; `seq` and `hash` are made at the commit."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        sa.Index("ix_audit_entries_account", "account_id", "seq"),
        sa.Index("ix_audit_entries_objects", "objects", postgresql_using="gin"),
        sa.Index("ix_audit_entries_areas", "areas", postgresql_using="gin"),
    )

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    seq: Mapped[int | None] = mapped_column(sa.BigInteger, unique=True)
    hash: Mapped[str | None]
    entry: Mapped[str]
    """The line, exactly as it was hashed; all that follows is in it."""
    at: Mapped[datetime] = mapped_column(index=True)
    account_id: Mapped[int | None]
    name: Mapped[str]
    outcome: Mapped[Outcome] = mapped_column(enum_type(Outcome, "outcome"))
    action: Mapped[str]
    objects: Mapped[list[str]]
    areas: Mapped[list[str]]


class AuditCheckpoint(Base):
    """A hash of the chain, signed with a key that the database does not have."""

    __tablename__ = "audit_checkpoints"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 1, without gaps."""
    seq: Mapped[int] = mapped_column(sa.BigInteger)
    hash: Mapped[str]
    is_cut: Mapped[bool]
    """Entries up to here have had their time and are deleted."""
    at: Mapped[datetime]
    signature: Mapped[str]
    """JWS compact over all of the above."""
