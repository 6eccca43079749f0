"""Answers kept so that a repeated creation is answered, not repeated."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.kit.db import Base


class IdempotencyKey(Base):
    """First answer to a creation request that carried `Idempotency-Key`."""

    __tablename__ = "idempotency_keys"
    is_recorded = False

    key: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id"), primary_key=True)
    request_sha256: Mapped[str]
    """Of method, path and body: the same key on another request is a mistake of the caller."""
    status: Mapped[int | None]
    """None while the first request is still under way."""
    location: Mapped[str | None]
    body: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime] = mapped_column(index=True)
