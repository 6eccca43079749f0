"""The revision of the topology: areas, stations, plants, clusters, and the devices on them."""

from __future__ import annotations

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Topology
from broadcast.kit.notify import Channel, notify

TOUCHED = "topology.touched"
"""Key of `session.info`: this transaction has changed it, and what it reads nobody else sees."""


async def touch(session: AsyncSession) -> None:
    """Record that areas, plants, clusters or devices changed, in the caller's transaction."""
    statement = insert(Topology).values(id=1, revision=1, applied_revision=0)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[Topology.id], set_={"revision": Topology.revision + 1}
        )
    )
    session.info[TOUCHED] = True
    await notify(session, Channel.DISPATCH)
