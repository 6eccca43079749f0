"""Updating the stored incidents to the devices that are down: one pass after every sweep."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.config import Rules
from broadcast.incidents import rows
from broadcast.incidents.grouping import Group, Limits
from broadcast.incidents.lifecycle import DownDevice, advance
from broadcast.incidents.places import Places, load_places, operator_name
from broadcast.kit.clock import LOCAL
from broadcast.telemetry.heartbeats import presence_thresholds
from broadcast.telemetry.sweep import listening


def limits_of(rules: Rules) -> Limits:
    """Limits within which losses count as one outage, from the settings."""
    return Limits(
        window=rules.incident_window,
        devices=rules.incident_devices,
        share=rules.incident_share,
        # One loss of a device in each window, whatever the settings say.
        calm=max(rules.incident_calm, rules.incident_window),
        hold=timedelta(seconds=rules.heartbeat_seconds) * 1.5,
    )


class _Mismatch(NamedTuple):
    """A device that is down and in no incident, or in one and not down."""

    device_id: int
    presence: str | None
    """None when it is not down, or not in use any more."""
    last_seen_at: datetime | None


_DOWN = """
    SELECT p.device_id, p.presence, p.last_seen_at
    FROM device_presence AS p
    JOIN devices AS d ON d.id = p.device_id AND d.retired_at IS NULL
    JOIN installations AS i ON i.device_id = p.device_id AND i.removed_at IS NULL
    WHERE p.presence IN ('silent', 'offline')
"""

_MISMATCHES = sa.text(f"""
    SELECT COALESCE(down.device_id, known.device_id), down.presence, down.last_seen_at
    FROM ({_DOWN}) AS down
    FULL JOIN (SELECT device_id FROM incident_falls WHERE returned_at IS NULL) AS known
        ON known.device_id = down.device_id
    WHERE down.device_id IS NULL OR known.device_id IS NULL
""")  # noqa: S608 — a constant of this module

_OVER = sa.text("""
    SELECT EXISTS (
        SELECT FROM incidents
        WHERE closed_at IS NULL AND recovered_at + CAST(:calm AS interval) <= :known_until
          AND noticed_at + CAST(:calm AS interval) <= :now
    )
""")

_RETURNED = sa.text("""
    SELECT f.device_id, p.since
    FROM incident_falls AS f
    JOIN device_presence AS p ON p.device_id = f.device_id AND p.presence = 'online'
    WHERE f.returned_at IS NULL
    UNION ALL
    SELECT f.device_id, max(c.happened_at)
    FROM incident_falls AS f
    JOIN device_presence AS p ON p.device_id = f.device_id
        AND p.presence IN ('silent', 'offline') AND p.last_seen_at > f.fell_at
    JOIN presence_changes AS c ON c.device_id = f.device_id
        AND c.presence = 'online' AND c.happened_at > f.fell_at
    WHERE f.returned_at IS NULL
    GROUP BY f.device_id
""")
"""Returns of devices; also of those that were lost again between two passes."""

_OPERATORS = sa.text("SELECT device_id, operator FROM device_presence")


class Watch:
    """Finds correlated outages. Remembers only what saves work: everything else is stored."""

    def __init__(self, rules: Rules) -> None:
        self._limits = limits_of(rules)
        self._thresholds = presence_thresholds(rules)
        self._places: Places | None = None
        self._pending: set[_Mismatch] | None = None
        """Devices that the last pass left alone: silent on their own, not yet offline."""
        self._held_until: datetime | None = None

    async def judge(self, session: AsyncSession, now: datetime) -> bool:
        """Open, extend and close incidents; return whether there was anything to do.

        Nothing happens while the server has never listened: then nobody is known to be down.
        """
        span = await listening(session)
        if span is None:
            return False
        known_until = span.until - self._thresholds.silent
        mismatches = {_Mismatch(*row) for row in await session.execute(_MISMATCHES)}
        if (
            mismatches == self._pending
            and (self._held_until is None or known_until < self._held_until)
            and not await self._is_over(session, known_until, now)
        ):
            return False
        self._places = await load_places(session, now.astimezone(LOCAL).date(), self._places)
        stored = await rows.load(session)
        down_devices = {
            device_id: DownDevice(device_id, last_seen_at, presence == "offline")
            for device_id, presence, last_seen_at in await session.execute(sa.text(_DOWN))
            if device_id in self._places.devices
        }
        groups = await _groups(session, self._places)
        changes = advance(
            stored.open,
            down_devices,
            dict(list(await session.execute(_RETURNED))),
            groups,
            self._limits,
            now=now,
            known_until=known_until,
            offline=self._thresholds.offline,
        )
        await rows.store(session, stored, changes, self._places, now)
        self._held_until = changes.held_until
        down = {each.device_id for update in changes.open for each in update.losses}
        self._pending = {each for each in mismatches if each.device_id not in down}
        await rows.measure(session)
        return True

    async def _is_over(self, session: AsyncSession, known_until: datetime, now: datetime) -> bool:
        parameters = {"calm": self._limits.calm, "known_until": known_until, "now": now}
        return bool(await session.scalar(_OVER, parameters))


async def _groups(session: AsyncSession, places: Places) -> dict[int, tuple[Group, ...]]:
    """Groups of every device in use: those that ever sent a heartbeat."""
    return {
        device_id: places.devices[device_id].groups_with(operator_name(operator))
        for device_id, operator in await session.execute(_OPERATORS)
        if device_id in places.devices
    }
