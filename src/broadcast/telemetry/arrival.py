"""A decoded message with the device that sent it: what the inbound path hands to the features."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

M = TypeVar("M")


class Arrival(NamedTuple, Generic[M]):
    """One message of an enrolled device."""

    device_id: int
    code: str
    message: M
    body: bytes = b""
    """Of a heartbeat that was read from the broker: its JSON as it is stored, without `held`."""
