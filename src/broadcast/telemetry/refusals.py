"""Refusals: documents and commands that devices would not accept."""

from __future__ import annotations

import sqlalchemy as sa

from broadcast.devices.model import Device
from broadcast.telemetry.model import Refusal


def select_refusals(device_code: str | None) -> sa.Select[Refusal, str]:
    """Query of refusals with the codes of their devices, of one device where it is given."""
    statement = sa.select(Refusal, Device.code).join(Device, Device.id == Refusal.device_id)
    if device_code is not None:
        statement = statement.where(Device.code == device_code)
    return statement
