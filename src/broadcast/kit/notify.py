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
    INBOX = "broadcast_inbox"
    """Bulletins are to be placed (`inbox.placement`)."""
    LIVE = "broadcast_live"
    """Its payload is the topic that changed (`console.live`)."""


async def notify(session: AsyncSession, channel: Channel) -> None:
    """Wake the listeners of a channel when the transaction has been committed."""
    await session.execute(sa.text(f"NOTIFY {channel}"))


async def listen(
    connection: AsyncConnection, channel: Channel, wake: Callable[[str], None]
) -> Any:
    """Have `wake` called with the payload of every notification, as long as the connection lasts.

    Returns the connection of asyncpg.
    """
    raw: Any = (await connection.get_raw_connection()).driver_connection
    await raw.add_listener(channel.value, lambda *called: wake(called[-1]))
    return raw
