"""What accounts sign in with. Apart from `accounts`, so that no list reads a secret."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.kit.db import Base, enum_type


class Password(Base):
    """The password of an account."""

    __tablename__ = "passwords"

    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id"), primary_key=True)
    password_hash: Mapped[str]
    """Argon2id, with its parameters."""
    changed_at: Mapped[datetime]


class Purpose(StrEnum):
    """For what a one-time link is."""

    SETUP = "setup"
    """The first administrator: it makes an account."""
    INVITE = "invite"
    """An account that has been made for somebody."""
    RESET = "reset"
    """An account whose password or second factor is lost."""


class OneTimeLink(Base):
    """A link that sets a password, once."""

    __tablename__ = "one_time_links"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    purpose: Mapped[Purpose] = mapped_column(enum_type(Purpose))
    account_id: Mapped[int | None] = mapped_column(sa.ForeignKey("accounts.id"), index=True)
    """None where it makes the account."""
    token_sha256: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SignInFailures(Base):
    """Failed attempts in a row with one login; see `lockout`."""

    __tablename__ = "sign_in_failures"
    is_recorded = False

    login_sha256: Mapped[str] = mapped_column(primary_key=True)
    """Hash of what was typed: there is no account of that name, or somebody typed a password."""
    network: Mapped[str] = mapped_column(primary_key=True)
    """Empty: all of them together."""
    attempts: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(index=True)


class TotpSecret(Base):
    """The secret of an authenticator app (RFC 6238)."""

    __tablename__ = "totp_secrets"

    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id"), primary_key=True)
    secret: Mapped[str]
    """Encrypted, where a key is configured."""
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    """None until the app has shown a code."""
    last_counter: Mapped[int | None] = mapped_column(sa.BigInteger)
    """Time step of the code taken last: it and those before it are refused."""


class RecoveryCode(Base):
    """A code for who has lost the authenticator app, good for once."""

    __tablename__ = "recovery_codes"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id"), index=True)
    recovery_sha256: Mapped[str]
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Passkey(Base):
    """A key pair whose private half stays on a person's device (WebAuthn)."""

    __tablename__ = "passkeys"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id"), index=True)
    credential_id: Mapped[bytes] = mapped_column(unique=True)
    public_key: Mapped[bytes]
    """COSE."""
    sign_count: Mapped[int] = mapped_column(sa.BigInteger)
    label: Mapped[str]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class PasskeyChallenge(Base):
    """What a passkey has signed, so that it counts once."""

    __tablename__ = "passkey_challenges"
    is_recorded = False

    challenge: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[int | None] = mapped_column(sa.ForeignKey("accounts.id"))
    """Whose passkey."""
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Identity(Base):
    """A person at an identity provider, bound to an account by an administrator."""

    __tablename__ = "identities"
    __table_args__ = (sa.UniqueConstraint("issuer", "subject"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id"), index=True)
    issuer: Mapped[str]
    subject: Mapped[str]
    bound_at: Mapped[datetime]


class GrantDecision(Base):
    """A person's word on whether a grant holds in a unit that its area went into."""

    __tablename__ = "grant_decisions"

    grant_id: Mapped[int] = mapped_column(sa.ForeignKey("grants.id"), primary_key=True)
    area_code: Mapped[str] = mapped_column(primary_key=True)
    """The successor."""
    is_confirmed: Mapped[bool]
    decided_by: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id"))
    decided_at: Mapped[datetime]
