"""Who is enrolled, remembered: device ids of the wire → keys of the telemetry rows."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.devices.model import Device

KNOWN_FOR = timedelta(minutes=1)
"""How long a retired device may still be heard."""
UNKNOWN_FOR = timedelta(seconds=5)
"""How long a device stays unknown after it has been enrolled; a flood of unknown ids asks the
database once in this time."""
UNKNOWN_AT_MOST = 20_000


class Roll:
    """Remembers who is enrolled; one statement a batch at most, whoever knocks."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._unknown: set[str] = set()
        self._known_until: datetime | None = None
        self._unknown_until: datetime | None = None

    def get(self, code: str) -> int | None:
        """Key of an enrolled device, as far as remembered."""
        return self._known.get(code)

    def __contains__(self, code: str) -> bool:
        return code in self._known

    async def look_up(self, session: AsyncSession, codes: Set[str], now: datetime) -> None:
        """Remember those of these devices that are enrolled and not retired."""
        if self._known_until is None or now >= self._known_until:
            self._known.clear()
            self._known_until = now + KNOWN_FOR
        full = len(self._unknown) >= UNKNOWN_AT_MOST
        if self._unknown_until is None or now >= self._unknown_until or full:
            self._unknown.clear()
            self._unknown_until = now + UNKNOWN_FOR
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
