"""Enrolled devices, in memory: device code of the wire → key of the telemetry rows.

The cache holds for one revision of the topology, which enrolling and retiring change: a device is
taken with the first batch after it was enrolled, and not any more once it is retired.
"""

from __future__ import annotations

from collections.abc import Set

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Topology
from broadcast.devices.model import Device

UNKNOWN_AT_MOST = 20_000


class EnrolmentCache:
    """Device code → key. A flood of unknown codes asks the database once for each."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._unknown: set[str] = set()
        self._revision: int | None = None

    def get(self, device_code: str) -> int | None:
        """Key of an enrolled device, as far as it is in memory."""
        return self._known.get(device_code)

    def __contains__(self, device_code: object) -> bool:
        return device_code in self._known

    async def load(self, session: AsyncSession, codes: Set[str]) -> None:
        """Read those of these devices that are not in memory; retired ones are not enrolled."""
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
