"""NOTIFY of PostgreSQL: wakes whoever has work; polling guarantees that it is done."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession


class Channel(StrEnum):
    """Channels of NOTIFY."""

    DISPATCH = "broadcast_outbox"
    PREPARE = "broadcast_preparations"


async def notify(session: AsyncSession, channel: Channel) -> None:
    """Wake the listeners of a channel when the transaction has been committed."""
    await session.execute(sa.text(f"NOTIFY {channel}"))


async def listen(connection: AsyncConnection, channel: Channel, wake: Callable[[], None]) -> None:
    """Have `wake` called at every notification, as long as the connection lasts."""
    raw: Any = (await connection.get_raw_connection()).driver_connection
    await raw.add_listener(channel.value, lambda *_: wake())
