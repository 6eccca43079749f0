"""Stations after a merger of communes.

The new commune gets one station, which takes over the plants of the old communes' stations; those
are closed. Where a commune was divided a person decides. Repeating it changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Part
from broadcast.areas.topology import touch
from broadcast.areas.tree import DAY, Lineage
from broadcast.areas.units import load_lineage
from broadcast.audit import recording
from broadcast.kit.codes import likeness
from broadcast.kit.locks import Lock, lock
from broadcast.kit.sheets import Action, Report
from broadcast.stations.model import Plant, PlantState, Station, StationState, StationStatus

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
    """Changes that a merger makes to the stations."""

    successions: list[Succession]
    undecided: list[Undecided]


def plan(stations: Sequence[OpenStation], lineage: Lineage, on: date) -> Plan:
    """Decide what becomes of the open stations on a day. Pure.

    1. A station belongs to the unit that had its commune's code when it was opened. It stays
       while that unit exists, and when nothing but its name or parent changed.
    2. If all of the unit went into one commune, that commune's station takes over.
    3. Otherwise a person decides.

    Before the first day of the register there is nothing to follow.
    """
    if on < lineage.first_day:
        return Plan([], [])
    undecided: list[Undecided] = []
    staying: dict[str, str] = {}
    going: dict[str, list[str]] = {}
    for station in sorted(stations):
        code, since = station.commune_code, max(station.valid_from, lineage.first_day)
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
    await lock(session, Lock.REGISTRY)
    lineage = await load_lineage(session, villages=False)
    stations = {row.code: row for row in await session.scalars(sa.select(Station))}
    open_stations = [
        OpenStation(row.code, row.commune_code, row.valid_from)
        for row in stations.values()
        if row.valid_to is None and row.valid_from <= on
    ]
    decided = plan(open_stations, lineage, on)
    report = Report(dry_run=dry_run)
    async with session.begin_nested() as attempt:
        statuses = await _statuses(session, on)
        heirs: dict[int, Station] = {}
        for succession in decided.successions:
            if succession.successor is None:
                taken = [statuses[code] for code in succession.old if code in statuses]
                heir = await _open(session, succession, lineage, stations.keys(), on, taken)
                report.count(Action.ADDED, f"đài {heir.code}", heir.name)
            else:
                heir = stations[succession.successor]
            heirs |= {stations[code].id: heir for code in succession.old}
        await _move_plants(session, heirs, lineage, on, report)
        for succession in decided.successions:
            for code in succession.old:
                stations[code].valid_to = on - DAY
                report.count(Action.CHANGED, f"đài {code}", f"đến {on - DAY}")
        if decided.successions:
            await touch(session)
        await session.flush()
        if dry_run:
            await attempt.rollback()
            recording.skip(session)
    recording.say(session, on=on, **report.counts())
    log.info(
        "stations.merger.followed",
        on=str(on),
        undecided_count=len(decided.undecided),
        **report.counts(),
    )
    return report, decided.undecided


async def _statuses(session: AsyncSession, on: date) -> dict[str, StationStatus]:
    rows = await session.execute(
        sa.select(Station.code, StationState.status)
        .join(Station, Station.id == StationState.station_id)
        .where(StationState.valid_from <= on)
        .ext(distinct_on(StationState.station_id))
        .order_by(StationState.station_id, StationState.valid_from.desc())
    )
    return dict(rows.all())


async def _open(
    session: AsyncSession,
    succession: Succession,
    lineage: Lineage,
    codes: Collection[str],
    on: date,
    statuses: Sequence[StationStatus],
) -> Station:
    """The new station of a commune, in the best of these statuses."""
    commune = lineage.tree_on(on)[succession.commune_code]
    code = f"DTT-{commune.code}"
    used = {likeness(each) for each in codes}
    station = Station(
        code=code if likeness(code) not in used else f"{code}-{on:%Y%m%d}",
        name=f"Đài truyền thanh {commune.name[:1].lower()}{commune.name[1:]}",
        commune_code=commune.code,
        valid_from=on,
        valid_to=None,
    )
    session.add(station)
    await session.flush()
    if statuses:
        state = StationState(
            station_id=station.id,
            valid_from=on,
            status=min(statuses, key=BEST_FIRST.index),
            cause=f"kế thừa {', '.join(succession.old)}",
            document=_act(lineage, commune.code, on),
        )
        session.add(state)
    return station


async def _move_plants(
    session: AsyncSession,
    heirs: Mapping[int, Station],
    lineage: Lineage,
    on: date,
    report: Report,
) -> None:
    """Give plants to other stations from a day on; `heirs` is by the id of the station before."""
    in_force: dict[int, PlantState] = {}
    later: list[PlantState] = []
    for state in await session.scalars(sa.select(PlantState).order_by(PlantState.valid_from)):
        if state.valid_from <= on:
            in_force[state.plant_id] = state
        else:
            later.append(state)
    codes = dict((await session.execute(sa.select(Plant.id, Plant.code))).all())
    for plant_id, state in sorted(in_force.items()):
        heir = heirs.get(state.station_id)
        if heir is None:
            continue
        if state.valid_from == on:
            state.station_id = heir.id
        else:
            moved = PlantState(
                plant_id=plant_id,
                valid_from=on,
                station_id=heir.id,
                technologies=state.technologies,
                status=state.status,
                document=_act(lineage, heir.commune_code, on),
            )
            session.add(moved)
        report.count(Action.CHANGED, f"hệ thống {codes[plant_id]}", f"về đài {heir.code} từ {on}")
    # What was already entered for later days must not lead back to a closed station.
    for state in later:
        if state.station_id in heirs:
            state.station_id = heirs[state.station_id].id


def _act(lineage: Lineage, commune_code: str, on: date) -> str:
    acts = [
        step
        for step in lineage.acts(commune_code)
        if step.new_code == commune_code and step.effective_on <= on
    ]
    return acts[-1].legal_act if acts else ""
