"""Accounts, their grants, and their API tokens (stored as hashes)."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.permissions import Role
from broadcast.kit.clock import LOCAL
from broadcast.kit.db import Base, enum_type


class AccountKind(StrEnum):
    """A person, or another system."""

    PERSON = "person"
    SERVICE = "service"


class AccountState(StrEnum):
    """Life of an account. None is deleted: what it did keeps its name."""

    INVITED = "invited"
    """It has no credential of its own yet."""
    ACTIVE = "active"
    DISABLED = "disabled"


class Account(Base):
    """Somebody who can be held responsible: what is done refers to the id, never to a name."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    login: Mapped[str | None] = mapped_column(unique=True)
    """What is typed to sign in, in lower case; None where nobody can by password."""
    name: Mapped[str]
    """Shown wherever the account did something."""
    kind: Mapped[AccountKind] = mapped_column(enum_type(AccountKind))
    state: Mapped[AccountState] = mapped_column(enum_type(AccountState))
    created_at: Mapped[datetime]
    languages: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    """That this person speaks and understands beside Vietnamese (BCP 47), sorted."""


class Grant(Base):
    """A role in an area for a span of local days."""

    __tablename__ = "grants"
    __table_args__ = (
        sa.CheckConstraint("valid_until IS NULL OR valid_until >= valid_from", name="span"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id"), index=True)
    role: Mapped[Role] = mapped_column(enum_type(Role))
    area_code: Mapped[str | None]
    """The area and all below it; None is the whole province."""
    valid_from: Mapped[date]
    valid_until: Mapped[date | None]
    """Last day, inclusive."""
    granted_by: Mapped[int | None] = mapped_column(sa.ForeignKey("accounts.id"))
    """None where the command line did."""
    granted_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    @property
    def meant_on(self) -> date:
        """Day under whose units `area_code` is meant: it was checked when it was granted."""
        return max(self.valid_from, self.granted_at.astimezone(LOCAL).date())


class ApiToken(Base):
    """A program's key to the REST interface, on behalf of an account."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    token_sha256: Mapped[str] = mapped_column(unique=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id"), index=True)
    label: Mapped[str] = mapped_column(default="")
    """For what it is used; shown in the list of tokens."""
    scope: Mapped[list[str] | None] = mapped_column(ARRAY(sa.Text()))
    """Permissions to which it is narrowed; None is all that the account has."""
    has_second_factor: Mapped[bool] = mapped_column(default=False)
    """Issued, for approving, by somebody who had shown a second factor."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_on: Mapped[date | None]
    """Local day of the last request with it; None before the first."""
    revoked_at: Mapped[datetime | None]
