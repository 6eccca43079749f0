"""Stations, plants, clusters and the baseline list from CSV files: all or nothing.

The engine serves every kind of file that has a `Kind`; devices bring theirs from their own layer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.topology import touch
from broadcast.audit import recording
from broadcast.kit import progress, sheets
from broadcast.kit.errors import InvalidInput
from broadcast.kit.sheets import Action, File, Report, Row, RowErrors, Sheet
from broadcast.stations.baseline import put_baseline
from broadcast.stations.clusters import put_cluster, serve
from broadcast.stations.plants import put_plant
from broadcast.stations.registry import Registry, merge
from broadcast.stations.schemas import BaselineRow, ClusterRow, NewPlantIn, StationRow
from broadcast.stations.stations import put_station

log = structlog.get_logger()

R = TypeVar("R", bound=BaseModel)
C = TypeVar("C")


@dataclass(frozen=True)
class Kind(Generic[R, C]):
    """A kind of file, and the functions that store its rows."""

    sheet: Sheet[R]
    load: Callable[[AsyncSession, Sequence[R]], Awaitable[C]]
    """Loads the stored rows that those of the file are checked against."""
    passes: Sequence[Callable[[C, R], Awaitable[tuple[Action, str]]]]
    """Each goes over all rows before the next begins; new rows have their ids by then."""


async def import_files(
    session: AsyncSession,
    files: Sequence[File],
    kinds: Sequence[Kind[Any, Any]],
    *,
    dry_run: bool = False,
) -> Report:
    """Store files, each known by its header, in the order of `kinds`.

    Args:
        session: Transaction that all happens in.
        files: Any number, of any of the kinds, in any order.
        kinds: Kinds that are taken; a kind needs those before it.
        dry_run: Report what would change, and change nothing.

    Raises:
        InvalidInput: With `errors`, or when a header fits no kind; nothing is changed. A dry run
            tells of refused rows in its report instead, and of the others as if those were right.
        TooLarge: A file exceeds `sheets.MAX_BYTES`.
    """
    ordered = sorted(((_kind_of(file, kinds), file) for file in files), key=lambda pair: pair[0])
    report = Report(dry_run=dry_run)
    errors = RowErrors()
    async with session.begin_nested() as attempt:
        for place, file in ordered:
            await _import(session, file, kinds[place], report, errors)
        if report.changes:
            await touch(session)
        await session.flush()
        if dry_run:
            await attempt.rollback()
            recording.skip(session)
    report.refuse(errors)
    recording.say(session, files=[file.facts() for file in files], **report.counts())
    log.info("stations.files.imported", files=[file.name for file in files], **report.counts())
    return report


def _kind_of(file: File, kinds: Sequence[Kind[Any, Any]]) -> int:
    for place, kind in enumerate(kinds):
        if sheets.fits(kind.sheet, file):
            return place
    known = "; ".join(f"{kind.sheet.kind}: {','.join(kind.sheet.names)}" for kind in kinds)
    raise InvalidInput(
        file.name, f"dòng đầu không khớp loại tệp nào. Các cột của mỗi loại: {known}"
    )


async def _import(
    session: AsyncSession, file: File, kind: Kind[Any, Any], report: Report, errors: RowErrors
) -> None:
    rows = sheets.read(kind.sheet, file, errors)
    if not report.dry_run:
        errors.raise_if_any()
    context = await kind.load(session, [row.value for row in rows])
    outcomes: dict[int, tuple[Action, str]] = {}
    refused: set[int] = set()
    for put in kind.passes:
        for row in rows:
            if put is kind.passes[-1]:
                await progress.step()
            if row.number in refused:
                continue
            try:
                outcome = await put(context, row.value)
            except InvalidInput as error:
                errors.add(file.name, row.number, error.field, error.reason)
                refused.add(row.number)
                continue
            before = outcomes.get(row.number)
            outcomes[row.number] = merge(before, outcome) if before else outcome
        if not report.dry_run:
            errors.raise_if_any()
        await session.flush()
    for row in rows:
        if row.number in refused:
            continue
        action, said = outcomes[row.number]
        what = f"{kind.sheet.kind} {_name(kind.sheet, row)}"
        report.count(action, what, said)
        report.tell(file.name, row.number, what, action, said)


def _name(sheet: Sheet[Any], row: Row[Any]) -> str:
    return " ".join(str(getattr(row.value, name)) for name in sheet.key)


# --- the kinds -----------------------------------------------------------------------------------


async def _registry(session: AsyncSession, rows: Sequence[object]) -> Registry:
    codes = [row.code for row in rows if isinstance(row, ClusterRow)]
    return await Registry.load(session, clusters=codes)


async def _plant(registry: Registry, row: NewPlantIn) -> tuple[Action, str]:
    return await put_plant(registry, row.code, row.name, row.valid_from, row)


async def _cluster(registry: Registry, row: ClusterRow) -> tuple[Action, str]:
    return put_cluster(registry, row.code, row, row.villages)


async def _villages(registry: Registry, row: ClusterRow) -> tuple[Action, str]:
    if row.villages is None:
        return Action.UNCHANGED, ""
    cluster = registry.clusters[row.code]
    return await serve(registry, cluster, row.villages, row.villages_from or row.installed_on)


async def _baseline(registry: Registry, row: BaselineRow) -> tuple[Action, str]:
    return await put_baseline(registry, row.station_code, row)


KINDS: Sequence[Kind[Any, Any]] = (
    Kind(Sheet("stations", StationRow, key=("code",)), _registry, [put_station]),
    Kind(Sheet("plants", NewPlantIn, key=("code", "valid_from")), _registry, [_plant]),
    Kind(Sheet("clusters", ClusterRow, key=("code",)), _registry, [_cluster, _villages]),
    Kind(Sheet("baseline", BaselineRow, key=("station_code",)), _registry, [_baseline]),
)
"""Kinds of file of this room, in the order in which they need one another."""
