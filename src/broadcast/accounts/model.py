"""API tokens, stored as hashes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.kit.db import Base, enum_type


class Role(StrEnum):
    """Role of the bearer of a token; each role may also do what `monitor` may."""

    ADMIN = "admin"
    BROADCASTER = "broadcaster"
    APPROVER = "approver"
    TECHNICIAN = "technician"
    MONITOR = "monitor"


class ApiToken(Base):
    """A person's or a system's key to the REST interface."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    token_sha256: Mapped[str] = mapped_column(unique=True)
    person: Mapped[str]
    """Name that approvals, schedules and changes are signed with."""
    role: Mapped[Role] = mapped_column(enum_type(Role))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
