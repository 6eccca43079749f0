"""Tables of keys: their public halves only. The private ones lie in a `KeyStore`."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.keys.states import State
from broadcast.kit.db import Base, enum_type


class KnownKey(Base):
    """A key that signs, has signed or will sign for this installation."""

    __tablename__ = "signing_keys"
    __table_args__ = (
        sa.Index(
            "uq_signing_keys_signing", "use",
            unique=True, postgresql_where=sa.text("state = 'signing'"),
        ),
    )  # fmt: skip

    kid: Mapped[str] = mapped_column(primary_key=True)
    """RFC 7638 thumbprint."""
    use: Mapped[str]
    x: Mapped[str]
    """Public half, as devices pin it."""
    state: Mapped[State] = mapped_column(enum_type(State))
    made_at: Mapped[datetime]
    signing_at: Mapped[datetime | None]
    replaced_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]


class DeviceKey(Base):
    """A key that one device needs although all others do without it (`states.OwnKey`)."""

    __tablename__ = "device_keys"

    device_id: Mapped[int] = mapped_column(
        sa.ForeignKey("devices.id"), primary_key=True, autoincrement=False
    )
    kid: Mapped[str] = mapped_column(sa.ForeignKey("signing_keys.kid"))
    signs: Mapped[bool]
    """It signs what is for this device alone; else its config names it, no more."""
    since: Mapped[datetime]


class ConfigKeys(Base):
    """Keys that the config of a device names from a revision on; a row for each change."""

    __tablename__ = "config_keys"

    scope: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    kids: Mapped[list[str]] = mapped_column(postgresql.ARRAY(sa.Text()))
