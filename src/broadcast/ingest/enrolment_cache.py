"""Who is enrolled, remembered: device ids of the wire → keys of the telemetry rows.

What is remembered holds for one revision of the topology, which enrolling and retiring change: a
device is heard with the first batch after it was enrolled, and not any more once it is retired.
"""

from __future__ import annotations

from collections.abc import Set

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Topology
from broadcast.devices.model import Device

UNKNOWN_AT_MOST = 20_000


class Roll:
    """Remembers who is enrolled; a flood of unknown ids asks the database once for each."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._unknown: set[str] = set()
        self._revision: int | None = None

    def get(self, code: str) -> int | None:
        """Key of an enrolled device, as far as remembered."""
        return self._known.get(code)

    def __contains__(self, code: str) -> bool:
        return code in self._known

    async def look_up(self, session: AsyncSession, codes: Set[str]) -> None:
        """Remember those of these devices that are enrolled and not retired."""
        revision = await session.scalar(sa.select(Topology.revision))
        if revision != self._revision:
            self._known.clear()
            self._unknown.clear()
            self._revision = revision
        if len(self._unknown) >= UNKNOWN_AT_MOST:
            self._unknown.clear()
        missing = [code for code in codes - self._known.keys() if code not in self._unknown]
        if not missing:
            return
        enrolled = sa.select(Device.code, Device.id).where(
            Device.code == sa.any_(sa.bindparam("codes", missing, sa.ARRAY(sa.Text))),
            Device.retired_at.is_(None),
        )
        found = {row.code: row.id for row in await session.execute(enrolled)}
        self._known |= found
        self._unknown |= set(missing) - found.keys()
