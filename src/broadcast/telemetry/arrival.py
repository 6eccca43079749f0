"""A decoded message of a device: what the inbound path hands to the features."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import msgspec

M = TypeVar("M")


class BrokerMessage(Protocol):
    """One message as the broker delivered it."""

    @property
    def topic(self) -> str:
        """With the prefix."""

    @property
    def payload(self) -> bytes:
        """As sent."""

    @property
    def retain(self) -> bool:
        """It was stored at the broker."""

    def ack(self) -> None:
        """Tell the broker that the message need not come again."""


class Arrival(msgspec.Struct, Generic[M]):
    """One message of a device, from its decoding to its commit."""

    device_id: int
    """Key of the device's rows; 0 until the batch has looked it up."""
    device_code: str
    message: M
    kind: str = ""
    """Last level of the topic."""
    body: bytes = b""
    """Of a heartbeat that was read from the broker: its JSON as it is stored, without `held`."""
    rows: int = 0
    """Rows of its own kind that it may make: records of a journal, documents newly held."""
    source: BrokerMessage | None = None
    """To be acknowledged when it is committed."""
