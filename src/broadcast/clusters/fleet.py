"""The fleet: devices in use with what they last said of themselves, found, filtered and counted.

What a device says of signal, power and loudspeaker line is known while it is online; of one that
is not, nobody knows it. Its firmware does not change by being away.
"""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.units import codes_under, require_unit
from broadcast.clusters.schemas import (
    FleetCountOut,
    FleetItemOut,
    FleetSummaryOut,
    Line,
    Power,
    Signal,
)
from broadcast.devices.model import Device, Installation
from broadcast.stations.clusters import serves_on
from broadcast.stations.model import Cluster, ClusterVillage
from broadcast.telemetry import presence_rows
from broadcast.telemetry.model import DevicePresence
from broadcast.telemetry.presence import Presence
from broadcast.web.rest import Page, Paging, paged

GOOD_DBM = -85
"""From here on 4G keeps up with any bulletin (RSSI; GSMA TS.40 calls −85 the limit of “good”)."""
WEAK_DBM = -100
"""Below this, downloads break off."""

NO_FIRMWARE = ""
"""Of a device that has not said any."""


class FleetFilter(NamedTuple):
    """Which devices are meant; None leaves a property open."""

    text: str | None = None
    """Part of a device's code or serial number, or of its cluster's code or name."""
    area: str | None = None
    presence: Presence | None = None
    firmware: str | None = None
    signal: Signal | None = None
    power: Power | None = None
    line: Line | None = None
    installed: bool | None = None


def _select() -> sa.Select[Any]:
    """Query of the devices in use, with the columns of `FleetItemOut`."""
    newest = presence_rows.newest_heartbeat()
    body = sa.cast(newest.selected_columns[0], JSONB).label("body")
    said = newest.with_only_columns(body).lateral("said")
    online = DevicePresence.presence == Presence.ONLINE
    dbm = sa.case((online, sa.cast(said.c.body["network"]["signal_dbm"].astext, sa.Integer)))
    mains = sa.case((online, sa.cast(said.c.body["supply"]["mains"].astext, sa.Boolean)))
    line = sa.case((online, said.c.body["line"].astext))
    columns: dict[str, Any] = {
        "device": Device.code,
        "model": Device.model,
        "serial": Device.serial,
        "cluster_code": Cluster.code,
        "cluster_name": Cluster.name,
        "presence": sa.func.coalesce(
            sa.cast(DevicePresence.presence, sa.Text), Presence.NEVER_SEEN.value
        ),
        "since": DevicePresence.since,
        "last_seen_at": DevicePresence.last_seen_at,
        "firmware": sa.func.coalesce(said.c.body["firmware"].astext, NO_FIRMWARE),
        "signal_dbm": dbm,
        "signal": sa.case(
            (dbm >= GOOD_DBM, Signal.GOOD.value),
            (dbm >= WEAK_DBM, Signal.FAIR.value),
            (dbm < WEAK_DBM, Signal.WEAK.value),
            else_=Signal.UNKNOWN.value,
        ),
        "power": sa.case(
            (mains.is_(True), Power.MAINS.value),
            (mains.is_(False), Power.BATTERY.value),
            else_=Power.UNKNOWN.value,
        ),
        "line": sa.func.coalesce(line, Line.UNKNOWN.value),
        "temperature": sa.case(
            (online, sa.cast(said.c.body["temperature_celsius"].astext, sa.Float))
        ),
    }
    labelled: list[Any] = [column.label(name) for name, column in columns.items()]
    return (
        sa.select(*labelled)
        .select_from(Device)
        .outerjoin(DevicePresence, DevicePresence.device_id == Device.id)
        .outerjoin(said, sa.true())
        .outerjoin(
            Installation,
            sa.and_(Installation.device_id == Device.id, Installation.removed_at.is_(None)),
        )
        .outerjoin(Cluster, Cluster.id == Installation.cluster_id)
        .where(Device.retired_at.is_(None))
    )


async def _filtered(session: AsyncSession, wanted: FleetFilter, on: date) -> sa.Select[Any]:
    statement = _select()
    column = {each.name: each.element for each in statement.selected_columns}
    for name in ("presence", "signal", "power", "line"):
        value = getattr(wanted, name)
        if value is not None:
            statement = statement.where(column[name] == value.value)
    if wanted.firmware is not None:
        statement = statement.where(column["firmware"] == wanted.firmware)
    if wanted.installed is not None:
        is_installed = Installation.device_id.is_not(None)
        statement = statement.where(is_installed if wanted.installed else sa.not_(is_installed))
    if wanted.area is not None:
        await require_unit(session, "area", wanted.area, on)
        served = sa.select(ClusterVillage.cluster_id).where(
            serves_on(on), ClusterVillage.village_code.in_(codes_under(wanted.area, on))
        )
        statement = statement.where(Cluster.id.in_(served))
    if wanted.text:
        searched = (Device.code, Device.serial, Cluster.code, Cluster.name)
        statement = statement.where(
            sa.or_(*(each.icontains(wanted.text, autoescape=True) for each in searched))
        )
    return statement


async def list_fleet(
    session: AsyncSession, paging: Paging, wanted: FleetFilter, on: date
) -> Page[FleetItemOut]:
    """Devices in use, by code.

    Raises:
        Unknown: No unit has the code `area` on that day.
    """
    statement = await _filtered(session, wanted, on)
    names = [each.name for each in statement.selected_columns]
    found = await paged(session, statement, [Device.code], paging)
    return found.page(lambda *row: FleetItemOut(**dict(zip(names, row, strict=True))))


async def find(session: AsyncSession, code: str) -> FleetItemOut | None:
    """One device; None where none in use has this code."""
    statement = _select().where(Device.code == code)
    row = (await session.execute(statement)).mappings().one_or_none()
    return None if row is None else FleetItemOut(**row)


_FACETS = ("presence", "firmware", "signal", "power", "line")


async def summarise(session: AsyncSession, wanted: FleetFilter, on: date) -> FleetSummaryOut:
    """How many of these devices have each presence, firmware, signal, power and line.

    Raises:
        Unknown: No unit has the code `area` on that day.
    """
    found = (await _filtered(session, wanted, on)).subquery("fleet")
    facets = [found.c[name] for name in _FACETS]
    rows = await session.execute(
        sa.select(*facets, sa.func.count())
        .group_by(sa.func.grouping_sets(*facets))
        .order_by(sa.func.count().desc(), *facets)
    )
    counts: dict[str, list[FleetCountOut]] = {name: [] for name in _FACETS}
    for *values, count in rows:
        (facet,) = [index for index, value in enumerate(values) if value is not None]
        counts[_FACETS[facet]].append(FleetCountOut(value=values[facet], count=count))
    total = sum(each.count for each in counts["presence"])
    return FleetSummaryOut(total=total, **counts)
