"""Counting changes of who hangs where, and waking the dispatcher."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Topology

CHANNEL = "broadcast_outbox"
"""NOTIFY channel that wakes the dispatcher; its polling guarantees."""


async def touch(session: AsyncSession) -> None:
    """Record that areas, plants, clusters or devices changed, in the caller's transaction."""
    statement = insert(Topology).values(id=1, revision=1, applied_revision=0)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[Topology.id], set_={"revision": Topology.revision + 1}
        )
    )
    await wake(session)


async def wake(session: AsyncSession) -> None:
    """Tell the dispatcher, with the commit, that there is work."""
    await session.execute(sa.text(f"NOTIFY {CHANNEL}"))
