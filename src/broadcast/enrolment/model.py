"""Claim codes, certificates, passwords, and what the broker must know. No row holds a secret."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.kit.db import Base, enum_type


class Claim(Base):
    """A code by which one box may ask for its certificate, once and soon."""

    __tablename__ = "device_claims"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"), index=True)
    code_sha256: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    key_sha256: Mapped[str | None]
    """Public key of the box that has used it: it may ask again, where the answer was lost."""


class Because(StrEnum):
    """Why a certificate was revoked."""

    SUPERSEDED = "superseded"
    """The device was enrolled anew."""
    RETIRED = "retired"
    ORDERED = "ordered"
    """Somebody said so: the box was stolen, or its key is known."""


class Certificate(Base):
    """A client certificate of a device."""

    __tablename__ = "device_certificates"

    serial: Mapped[str] = mapped_column(primary_key=True)
    """Hexadecimal, as openssl prints it."""
    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"), index=True)
    claim_id: Mapped[int | None] = mapped_column(sa.ForeignKey("device_claims.id"), index=True)
    key_sha256: Mapped[str]
    pem: Mapped[str]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoked_because: Mapped[Because | None] = mapped_column(enum_type(Because))


class Password(Base):
    """Password of a box that cannot make a key, as a hash that the broker checks."""

    __tablename__ = "device_passwords"

    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"), primary_key=True)
    hash: Mapped[str]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class RenewalRequest(Base):
    """The newest request of a device for its next certificate, sent over MQTT."""

    __tablename__ = "renewal_requests"

    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"), primary_key=True)
    csr: Mapped[str]
    received_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]


class RevocationList(Base):
    """The certificate revocation lists of devices; the one with the highest number counts."""

    __tablename__ = "revocation_lists"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    pem: Mapped[str]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
