"""Stations, plants, clusters and the baseline list from CSV files: all or nothing.

The engine serves every kind of file that has a `Kind`; devices bring theirs from their own layer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.topology import touch
from broadcast.kit import sheets
from broadcast.kit.errors import InvalidInput
from broadcast.kit.sheets import Action, Column, Faults, File, Report, Row, Sheet
from broadcast.stations.clusters import ClusterRow, put_cluster, serve
from broadcast.stations.entries import (
    BaselineRow,
    PlantRow,
    StationRow,
    put_baseline,
    put_plant,
    put_station,
)
from broadcast.stations.model import Evidence, Grade, PlantStatus, StationStatus, Technology
from broadcast.stations.registry import Registry, merge

log = structlog.get_logger()

R = TypeVar("R")
C = TypeVar("C")


@dataclass(frozen=True)
class Kind(Generic[R, C]):
    """How rows of one kind of file are stored."""

    sheet: Sheet[R]
    load: Callable[[AsyncSession, Sequence[R]], Awaitable[C]]
    """What the rows are checked against."""
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
        InvalidInput: With `errors`, or when a header fits no kind; nothing is changed.
        TooLarge: A file exceeds `sheets.MAX_BYTES`.
    """
    ordered = sorted(((_kind_of(file, kinds), file) for file in files), key=lambda pair: pair[0])
    report = Report(dry_run=dry_run)
    async with session.begin_nested() as attempt:
        for place, file in ordered:
            await _import(session, file, kinds[place], report)
        if report.changes:
            await touch(session)
        await session.flush()
        if dry_run:
            await attempt.rollback()
    log.info("stations.files.imported", files=[file.name for file in files], **report.counts())
    return report


def _kind_of(file: File, kinds: Sequence[Kind[Any, Any]]) -> int:
    for place, kind in enumerate(kinds):
        if sheets.fits(kind.sheet, file):
            return place
    known = "; ".join(
        f"{kind.sheet.kind}: {','.join(column.name for column in kind.sheet.columns)}"
        for kind in kinds
    )
    raise InvalidInput(
        file.name, f"dòng đầu không khớp loại tệp nào. Các cột của mỗi loại: {known}"
    )


async def _import(session: AsyncSession, file: File, kind: Kind[Any, Any], report: Report) -> None:
    faults = Faults()
    rows = sheets.read(kind.sheet, file, faults)
    faults.stop_if_any()
    context = await kind.load(session, [row.value for row in rows])
    outcomes: dict[int, tuple[Action, str]] = {}
    for put in kind.passes:
        for row in rows:
            try:
                outcome = await put(context, row.value)
            except InvalidInput as error:
                faults.add(file.name, row.number, error.field, error.reason)
                continue
            before = outcomes.get(row.number)
            outcomes[row.number] = merge(before, outcome) if before else outcome
        faults.stop_if_any()
        await session.flush()
    for row in rows:
        action, said = outcomes[row.number]
        report.count(action, f"{kind.sheet.kind} {_name(kind.sheet, row)}", said)


def _name(sheet: Sheet[Any], row: Row[Any]) -> str:
    return " ".join(str(getattr(row.value, name)) for name in sheet.key)


# --- the kinds -----------------------------------------------------------------------------------


async def _registry(session: AsyncSession, rows: Sequence[object]) -> Registry:
    codes = [row.code for row in rows if isinstance(row, ClusterRow)]
    return await Registry.load(session, clusters=codes)


async def _cluster(registry: Registry, row: ClusterRow) -> tuple[Action, str]:
    return put_cluster(registry, row)


async def _villages(registry: Registry, row: ClusterRow) -> tuple[Action, str]:
    if row.villages is None:
        return Action.UNCHANGED, ""
    cluster = registry.clusters[row.code]
    return await serve(registry, cluster, row.villages, row.villages_from or row.installed_on)


def villages_served(cell: str) -> dict[str, Grade]:
    """Villages with their grades, `T-0001:primary;T-0002:partial`; primary when none is named."""
    grade_of = sheets.choice(Grade)
    villages: dict[str, Grade] = {}
    for item in filter(None, (item.strip() for item in cell.split(";"))):
        name, _, grade = item.partition(":")
        code = sheets.code(name.strip())
        if code in villages:
            raise ValueError(f"thôn {code} có hai lần; bỏ một")
        villages[code] = grade_of(grade.strip()) if grade else Grade.PRIMARY
    return villages


STATIONS = Kind(
    Sheet(
        kind="stations",
        columns=[
            Column("code", sheets.code),
            Column("name", sheets.name()),
            Column("commune_code", sheets.code),
            Column("valid_from", sheets.day),
            Column("valid_to", sheets.day, required=False),
            Column("status", sheets.choice(StationStatus)),
            Column("status_from", sheets.day, required=False),
            Column("cause", sheets.text(), required=False, default=""),
            Column("document", sheets.text(), required=False, default=""),
        ],
        row=StationRow,
        key=("code",),
    ),
    _registry,
    [put_station],
)

PLANTS = Kind(
    Sheet(
        kind="plants",
        columns=[
            Column("code", sheets.code),
            Column("name", sheets.name()),
            Column("station_code", sheets.code),
            Column("valid_from", sheets.day),
            Column("technologies", sheets.several(Technology)),
            Column(
                "status", sheets.choice(PlantStatus), required=False, default=PlantStatus.OPERATING
            ),
            Column("document", sheets.text(), required=False, default=""),
        ],
        row=PlantRow,
        key=("code", "valid_from"),
    ),
    _registry,
    [put_plant],
)

CLUSTERS = Kind(
    Sheet(
        kind="clusters",
        columns=[
            Column("code", sheets.code),
            Column("name", sheets.name()),
            Column("plant_code", sheets.code),
            # Vietnam with its islands: a swapped pair is noticed.
            Column("latitude", sheets.number(6, 24, whole=False), required=False),
            Column("longitude", sheets.number(102, 118, whole=False), required=False),
            Column("horns_count", sheets.number(1, 99), required=False, default=1),
            Column("watts", sheets.number(1, 9_999), required=False),
            Column("power_feed", sheets.name(), required=False),
            Column(
                "evidence", sheets.choice(Evidence), required=False, default=Evidence.TELEMETRY
            ),
            Column("installed_on", sheets.day),
            Column("removed_on", sheets.day, required=False),
            Column("villages", villages_served, required=False),
            Column("villages_from", sheets.day, required=False),
        ],
        row=ClusterRow,
        key=("code",),
    ),
    _registry,
    [_cluster, _villages],
)

BASELINE = Kind(
    Sheet(
        kind="baseline",
        columns=[
            Column("station_code", sheets.code),
            Column("listed_on", sheets.day),
            Column("technologies", sheets.several(Technology)),
            Column("document", sheets.text(), required=False, default=""),
        ],
        row=BaselineRow,
        key=("station_code",),
    ),
    _registry,
    [put_baseline],
)

KINDS: Sequence[Kind[Any, Any]] = (STATIONS, PLANTS, CLUSTERS, BASELINE)
