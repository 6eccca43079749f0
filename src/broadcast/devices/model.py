"""Devices, and the clusters where they are installed.

`Device.code` is the `device_id` of the wire (and the MQTT client id); `Device.id` is the key that
telemetry rows carry, because a day of a device is kept permanently and must cost few bytes.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.kit.db import Base


class Device(Base):
    """An enrolled box."""

    __tablename__ = "devices"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    model: Mapped[str] = mapped_column(default="")
    serial: Mapped[str] = mapped_column(default="")
    codecs: Mapped[list[str]]
    volume: Mapped[int] = mapped_column(default=70)
    alert_volume: Mapped[int] = mapped_column(default=100)
    enrolled_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


class Installation(Base):
    """A device on a cluster for a span of time: a swap closes one row and opens another."""

    __tablename__ = "installations"
    __table_args__ = (
        sa.Index(
            "uq_installations_open_device", "device_id",
            unique=True, postgresql_where=sa.text("removed_at IS NULL"),
        ),
        sa.Index(
            "uq_installations_open_cluster", "cluster_id",
            unique=True, postgresql_where=sa.text("removed_at IS NULL"),
        ),
    )  # fmt: skip

    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"), primary_key=True)
    installed_at: Mapped[datetime] = mapped_column(primary_key=True)
    cluster_id: Mapped[int] = mapped_column(sa.ForeignKey("clusters.id"), index=True)
    removed_at: Mapped[datetime | None]
