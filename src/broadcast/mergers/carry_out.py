"""A merger of communes: units, stations, schedules, grants and indicators, before and after.

What it will do is found by doing it, with the functions that do it, in a transaction that is
rolled back; so the forecast cannot differ from the deed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts import proposals
from broadcast.areas.imports import import_areas
from broadcast.areas.model import Level
from broadcast.areas.records import lock as lock_areas
from broadcast.areas.tree import DAY, Lineage
from broadcast.areas.units import load_lineage
from broadcast.audit import recording
from broadcast.indicators import figures
from broadcast.indicators.results import Results
from broadcast.indicators.schemas import FigureOut
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.kit.sheets import File
from broadcast.mergers.schemas import (
    FigureChangeOut,
    GrantOut,
    MergerOut,
    ReachOut,
    UnitOut,
)
from broadcast.schedules.model import Schedule, ScheduleState
from broadcast.schedules.targets import TargetResolver, target_resolver
from broadcast.stations import succession
from broadcast.stations.schemas import UndecidedOut

log = structlog.get_logger()


async def carry_out(
    session: AsyncSession,
    areas: File | None,
    lineage: File | None,
    on: date,
    province: str,
    now: datetime,
    *,
    dry_run: bool,
) -> MergerOut:
    """Store the units of a merger and give its communes their stations.

    Args:
        session: Transaction that all happens in.
        areas: `areas.csv`, or None where the units are on record.
        lineage: `lineage.csv`, likewise.
        on: Day of the merger.
        province: Code of the province whose indicators are compared.
        now: The present, whose evidence both figures are of.
        dry_run: Tell what would change, and change nothing.

    Raises:
        InvalidInput: As `import_areas`; or nothing is rearranged on that day.
    """
    await lock_areas(session)
    old = await load_lineage(session)
    if on <= old.first_day:
        raise InvalidInput("on", f"sổ đơn vị bắt đầu {old.first_day}; chọn ngày sau đó")
    reach_before = await _reach(session, on - DAY)
    figures_before = await figures.foresee(session, on - DAY, province, now)
    report = None
    async with session.begin_nested() as attempt:
        if areas is not None or lineage is not None:
            report = await import_areas(session, areas, lineage)
        new = await load_lineage(session)
        dissolved, created = rearranged(old, new, on)
        if not dissolved and not created:
            raise InvalidInput(
                "on", f"ngày {on} không có xã nào thành lập hay chấm dứt; kiểm tra ngày hoặc tệp"
            )
        followed, undecided = await succession.follow(session, on)
        await session.flush()
        reach_after = await _reach(session, on)
        figures_after = await figures.foresee(session, on, province, now)
        granted = await proposals.proposals(session, datetime.combine(on, time(12), LOCAL))
        grants = [
            GrantOut(
                account=each.account,
                role=each.held.role,
                area_code=str(each.held.area_code),
                successor_code=each.area_code,
                successor_name=each.area_name,
                part=each.part,
            )
            for each in granted
            if each.since == on
        ]
        if dry_run:
            await attempt.rollback()
            recording.skip(session)
            session.info.pop(TargetResolver, None)
    log.info("mergers.merger.carried_out", on=str(on), dry_run=dry_run, created=len(created))
    return MergerOut(
        on=on,
        dry_run=dry_run,
        units=report,
        dissolved=dissolved,
        created=created,
        stations=followed,
        undecided=[UndecidedOut(**each._asdict()) for each in undecided],
        schedules=_changed(reach_before, reach_after),
        grants=grants,
        indicators=_compared(figures_before, figures_after),
    )


def rearranged(old: Lineage, new: Lineage, on: date) -> tuple[list[UnitOut], list[UnitOut]]:
    """Communes that end before a day and those that begin on it. Pure."""
    before, after = old.tree_on(on - DAY), new.tree_on(on)

    def same(code: str) -> bool:
        return code in before and code in after and new.is_same(code, on - DAY, on)

    dissolved = [
        UnitOut(
            code=unit.code,
            name=unit.name,
            of=[heir.code for heir in new.successors(unit.code, on - DAY, on)],
        )
        for unit in sorted(before)
        if unit.level is Level.COMMUNE and not same(unit.code)
    ]
    created = [
        UnitOut(
            code=unit.code,
            name=unit.name,
            of=[origin.code for origin in new.origins(unit.code, on, on - DAY)],
        )
        for unit in sorted(after)
        if unit.level is Level.COMMUNE and not same(unit.code)
    ]
    return dissolved, created


Reach = dict[Any, tuple[str, list[str], frozenset[int]]]


async def _reach(session: AsyncSession, on: date) -> Reach:
    """Title, documents and clusters of each active schedule on a day."""
    resolver = await target_resolver(session)
    schedules = await session.scalars(
        sa.select(Schedule).where(Schedule.state == ScheduleState.ACTIVE).order_by(Schedule.id)
    )
    found: Reach = {}
    for schedule in schedules:
        reached = await resolver.reach(schedule, on)
        found[schedule.id] = (schedule.title, reached.scopes, reached.cluster_ids)
    return found


def _changed(before: Reach, after: Reach) -> list[ReachOut]:
    """Schedules that other documents carry, or that sound elsewhere."""
    return [
        ReachOut(
            schedule_id=id_,
            title=title,
            scopes_before=scopes,
            scopes_after=after[id_][1],
            clusters_before=len(clusters),
            clusters_after=len(after[id_][2]),
            lost=len(clusters - after[id_][2]),
            gained=len(after[id_][2] - clusters),
        )
        for id_, (title, scopes, clusters) in before.items()
        if id_ in after and (scopes, clusters) != after[id_][1:]
    ]


def _compared(before: Results, after: Results) -> list[FigureChangeOut]:
    """Each variant that is in force after the merger."""
    known = {(each.code, each.variant): each for each in _figures(before)}
    found = []
    for each in _figures(after):
        old = known.get((each.code, each.variant))
        found.append(
            FigureChangeOut(
                code=each.code,
                variant=each.variant,
                title=each.title,
                before=None if old is None else old.value,
                after=each.value,
            )
        )
    return found


def _figures(results: Results) -> Iterator[FigureOut]:
    for variants in results.values():
        yield from map(FigureOut.of, variants.values())
