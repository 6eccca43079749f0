"""Stations after a merger of communes.

The new commune gets one station, which takes over the plants of the old communes' stations; those
are closed. Where a commune was divided a person decides. Repeating it changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Part
from broadcast.areas.sheets import Action, Report
from broadcast.areas.topology import touch
from broadcast.areas.tree import DAY, Lineage
from broadcast.areas.units import load_lineage
from broadcast.stations.model import Plant, PlantState, Station, StationState, StationStatus
from broadcast.stations.registry import LOCK

log = structlog.get_logger()

BEST_FIRST = (
    StationStatus.OPERATING,
    StationStatus.DEGRADED,
    StationStatus.TRIAL,
    StationStatus.INSTALLING,
    StationStatus.OUT_OF_SERVICE,
    StationStatus.PLANNED,
    StationStatus.DECOMMISSIONED,
)
"""A successor is in the best state of those it takes over: it has all their plants."""


class OpenStation(NamedTuple):
    """A station that has not been closed."""

    code: str
    commune_code: str
    valid_from: date


class Succession(NamedTuple):
    """The station of a new commune, and those it takes over."""

    commune_code: str
    successor: str | None
    """Code of the station that the new commune has already."""
    old: tuple[str, ...]


class Undecided(NamedTuple):
    """A station whose commune was divided, or ended without a successor on record."""

    code: str
    commune_code: str
    candidates: tuple[str, ...]
    """Communes that its plants may go to."""


class Plan(NamedTuple):
    """What a merger does to the stations."""

    successions: list[Succession]
    undecided: list[Undecided]


def plan(stations: Sequence[OpenStation], lineage: Lineage, on: date) -> Plan:
    """Decide what becomes of the open stations on a day. Pure.

    1. A station belongs to the unit that had its commune's code when it was opened. It stays
       while that unit exists, and when nothing but its name or parent changed.
    2. If all of the unit went into one commune, that commune's station takes over.
    3. Otherwise a person decides.
    """
    undecided: list[Undecided] = []
    staying: dict[str, str] = {}
    going: dict[str, list[str]] = {}
    for station in sorted(stations):
        code, since = station.commune_code, max(station.valid_from, lineage.first_day())
        heirs = lineage.successors(code, since, on)
        if _stays(code, since, lineage, on):
            staying[code] = station.code
        elif [heir.part for heir in heirs] == [Part.WHOLE]:
            going.setdefault(heirs[0].code, []).append(station.code)
        else:
            candidates = tuple(heir.code for heir in heirs)
            undecided.append(Undecided(station.code, code, candidates))
    successions = [
        Succession(commune, staying.get(commune), tuple(old))
        for commune, old in sorted(going.items())
    ]
    return Plan(successions, undecided)


def _stays(code: str, since: date, lineage: Lineage, on: date) -> bool:
    unit = lineage.unit(code, on)
    if unit is None or unit.valid_from <= since:
        return unit is not None
    return [origin.code for origin in lineage.origins(code, on, since)] == [code]


async def follow(
    session: AsyncSession, on: date, *, dry_run: bool = False
) -> tuple[Report, list[Undecided]]:
    """Carry out `plan` for a day: open successors, move plants, close the old stations.

    Returns:
        What was done, and the stations that a person has to decide about.
    """
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    lineage = await load_lineage(session, villages=False)
    open_on = sa.and_(Station.valid_to.is_(None), Station.valid_from <= on)
    stations = {row.code: row for row in await session.scalars(sa.select(Station).where(open_on))}
    decided = plan(
        [OpenStation(row.code, row.commune_code, row.valid_from) for row in stations.values()],
        lineage,
        on,
    )
    report = Report(dry_run=dry_run)
    async with session.begin_nested() as attempt:
        for succession in decided.successions:
            old = [stations[code] for code in succession.old]
            await _succeed(session, lineage, on, succession, old, report)
        if decided.successions:
            await touch(session)
        await session.flush()
        if dry_run:
            await attempt.rollback()
    log.info("stations.merger.followed", on=str(on), undecided_count=len(decided.undecided),
             **report.counts())  # fmt: skip
    return report, decided.undecided


async def _succeed(
    session: AsyncSession,
    lineage: Lineage,
    on: date,
    succession: Succession,
    old: Sequence[Station],
    report: Report,
) -> None:
    document = _act(lineage, succession.commune_code, on)
    names = ", ".join(station.code for station in old)
    if succession.successor is not None:
        successor = await session.scalar(
            sa.select(Station).where(Station.code == succession.successor)
        )
        assert successor is not None
    else:
        commune = lineage.tree_on(on)[succession.commune_code]
        successor = Station(
            code=await _free_code(session, commune.code, on),
            name=f"Đài truyền thanh {commune.name[:1].lower()}{commune.name[1:]}",
            commune_code=commune.code,
            valid_from=on,
            valid_to=None,
        )
        session.add(successor)
        await session.flush()
        report.count(Action.ADDED, f"đài {successor.code}", f"{successor.name}, kế thừa {names}")
        status = await _best_status(session, old, on)
        if status is not None:
            session.add(
                StationState(
                    station_id=successor.id,
                    valid_from=on,
                    status=status,
                    cause=f"kế thừa {names}",
                    document=document,
                )
            )
    await _move_plants(session, old, successor, on, document, report)
    for station in old:
        station.valid_to = on - DAY
        report.count(Action.CHANGED, f"đài {station.code}", f"đến {on - DAY}")


async def _move_plants(
    session: AsyncSession,
    old: Sequence[Station],
    successor: Station,
    on: date,
    document: str,
    report: Report,
) -> None:
    ids = {station.id for station in old}
    in_force = (
        sa.select(PlantState, Plant.code)
        .join(Plant, Plant.id == PlantState.plant_id)
        .where(PlantState.valid_from <= on)
        .ext(distinct_on(PlantState.plant_id))
        .order_by(PlantState.plant_id, PlantState.valid_from.desc())
    )
    for state, code in (await session.execute(in_force)).all():
        if state.station_id not in ids:
            continue
        if state.valid_from == on:
            state.station_id = successor.id
        else:
            session.add(
                PlantState(
                    plant_id=state.plant_id,
                    valid_from=on,
                    station_id=successor.id,
                    technologies=state.technologies,
                    status=state.status,
                    document=document,
                )
            )
        report.count(Action.CHANGED, f"hệ thống {code}", f"về đài {successor.code} từ {on}")
    # What was already entered for later days must not lead back to a closed station.
    await session.execute(
        sa.update(PlantState)
        .where(PlantState.valid_from > on, PlantState.station_id.in_(ids))
        .values(station_id=successor.id)
    )


async def _best_status(
    session: AsyncSession, old: Sequence[Station], on: date
) -> StationStatus | None:
    in_force = (
        sa.select(StationState.status)
        .where(
            StationState.station_id.in_([station.id for station in old]),
            StationState.valid_from <= on,
        )
        .ext(distinct_on(StationState.station_id))
        .order_by(StationState.station_id, StationState.valid_from.desc())
    )
    return min(await session.scalars(in_force), key=BEST_FIRST.index, default=None)


async def _free_code(session: AsyncSession, commune_code: str, on: date) -> str:
    code = f"DTT-{commune_code}"
    taken = await session.scalar(sa.select(Station.id).where(Station.code == code))
    return code if taken is None else f"{code}-{on:%Y%m%d}"


def _act(lineage: Lineage, commune_code: str, on: date) -> str:
    acts = [
        step
        for step in lineage.acts(commune_code)
        if step.new_code == commune_code and step.effective_on <= on
    ]
    return acts[-1].legal_act if acts else ""
