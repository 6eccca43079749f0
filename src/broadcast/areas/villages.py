"""The village register: in which commune a village lies from a day on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import placement, records
from broadcast.areas.model import Area, Level, RegisteredVillage
from broadcast.areas.placement import Registered, Unplaced
from broadcast.areas.schemas import VillageIn, VillageOut, VillageRow, village_code
from broadcast.areas.topology import touch
from broadcast.areas.tree import Lineage, Unit
from broadcast.areas.units import COLUMNS, load_lineage, missing
from broadcast.audit import recording
from broadcast.kit import cells, sheets
from broadcast.kit.codes import KnownCodes
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.kit.sheets import File, Report, Row, RowErrors, Sheet

log = structlog.get_logger()

VILLAGES = Sheet(kind="villages", model=VillageRow, key=("code", "valid_from"))


async def import_villages(
    session: AsyncSession, file: File, *, replace: bool = False, dry_run: bool = False
) -> Report:
    """Store the register rows of a file, and derive where these villages lie on every day.

    Args:
        session: Transaction that all happens in.
        file: `villages.csv`.
        replace: Rows that the file does not contain are removed.
        dry_run: Report what would change, and change nothing.

    Raises:
        InvalidInput: With `errors`; nothing is changed. A dry run tells of them in its report.
        TooLarge: The file exceeds `sheets.MAX_BYTES`.
    """
    errors = RowErrors()
    rows = [
        Row(row.number, Registered(**dict(row.value)))
        for row in sheets.read(VILLAGES, file, errors)
    ]
    if not dry_run:
        errors.raise_if_any()
    await records.lock(session)
    stored = {records.identity(row): row for row in await load_register(session)}
    wanted = ({} if replace else stored) | {records.identity(row.value): row.value for row in rows}
    _refuse_similar(file, rows, {row.code for row in stored.values()}, errors, replace=replace)
    lineage = await load_lineage(session, villages=False)
    numbers = {records.identity(row.value): row.number for row in rows}
    for record, column, detail in findings(wanted.values(), lineage):
        errors.add(file.name, numbers.get(records.identity(record)), column, detail)
    report = Report(dry_run=dry_run)
    if dry_run:
        records.tell(file, rows, stored.values(), errors, report)
        report.refuse(errors)
        if errors.found:
            return report
    errors.raise_if_any()
    async with session.begin_nested() as attempt:
        await records.store(session, stored.values(), wanted.values(), report)
        report.notes += await derive(session, lineage)
        await touch(session)
        if dry_run:
            await attempt.rollback()
            recording.skip(session)
    recording.say(session, files=[file.facts()], **report.counts())
    log.info("areas.villages.imported", file=file.name, **report.counts())
    return report


def _refuse_similar(
    file: File,
    rows: Iterable[Row[Registered]],
    stored: set[str],
    errors: RowErrors,
    *,
    replace: bool,
) -> None:
    """Find new codes that resemble others; a file that replaces all may change every code."""
    known = stored & {row.value.code for row in rows} if replace else stored
    codes = KnownCodes("thôn", known)
    for row in rows:
        if row.value.code not in known:
            try:
                codes.admit(row.value.code)
            except InvalidInput as error:
                errors.add(file.name, row.number, "code", error.reason)


async def list_rows(session: AsyncSession, code: str) -> list[VillageOut]:
    """Rows of one village, oldest first.

    Raises:
        NotFound: There is none.
    """
    rows = sorted(await load_register(session, [code]))
    if not rows:
        raise NotFound(f"Sổ thôn không có mã “{code}”.")
    return [VillageOut(**row._asdict()) for row in rows]


async def show_row(session: AsyncSession, code: str, valid_from: date) -> VillageOut:
    """One row of the register.

    Raises:
        NotFound: There is no such row.
    """
    for row in await load_register(session, [code]):
        if row.valid_from == valid_from:
            return VillageOut(**row._asdict())
    raise _no_row(code, valid_from)


def _no_row(code: str, valid_from: date) -> NotFound:
    return NotFound(f"Sổ thôn không có dòng {code} từ ngày {valid_from}.")


async def put_row(
    session: AsyncSession, code: str, valid_from: date, body: VillageIn
) -> VillageOut:
    """Store a row of the register.

    Raises:
        InvalidInput: As `register`.
    """
    row = Registered(code=code, valid_from=valid_from, **body.model_dump())
    await register(session, row)
    return VillageOut(**row._asdict())


async def register(session: AsyncSession, row: Registered) -> None:
    """Store one row of the register, in place of one from the same day.

    Raises:
        InvalidInput: The commune takes no villages on that day, the dates clash, or a new code
            resembles another.
    """
    try:
        cells.code(village_code(row.code))
    except ValueError as error:
        raise InvalidInput("code", str(error)) from None
    await records.lock(session)
    stored = await load_register(session, [row.code])
    if not stored:
        (await _known_codes(session)).admit(row.code)
    wanted = [other for other in stored if other.valid_from != row.valid_from] + [row]
    await _change(session, row.code, stored, wanted)


async def _known_codes(session: AsyncSession) -> KnownCodes:
    codes = sa.select(RegisteredVillage.code).distinct()
    return KnownCodes("thôn", await session.scalars(codes))


async def withdraw(session: AsyncSession, code: str, valid_from: date) -> None:
    """Remove a row of the register; the row before it holds again.

    Raises:
        NotFound: There is no such row.
    """
    await records.lock(session)
    stored = await load_register(session, [code])
    wanted = [row for row in stored if row.valid_from != valid_from]
    if len(wanted) == len(stored):
        raise _no_row(code, valid_from)
    await _change(session, code, stored, wanted)


async def _change(
    session: AsyncSession, code: str, stored: list[Registered], wanted: list[Registered]
) -> None:
    lineage = await load_lineage(session, villages=False)
    for _, column, detail in findings(wanted, lineage):
        raise InvalidInput(column, detail)
    await records.store(session, stored, wanted, Report())
    await derive(session, lineage, [code])
    await touch(session)
    log.info("areas.village.registered", village=code, row_count=len(wanted))


def findings(rows: Iterable[Registered], lineage: Lineage) -> list[tuple[Registered, str, str]]:
    """Errors in rows of the register: row, column, remedy."""
    found = []
    for village in placement.by_village(rows).values():
        for index, row in enumerate(village):
            after = village[index + 1] if index + 1 < len(village) else None
            if row.valid_to is not None and row.valid_to < row.valid_from:
                detail = f"{row.valid_to} trước ngày bắt đầu {row.valid_from}; đổi lại hai ngày"
                found.append((row, "valid_to", detail))
            elif (
                after is not None and row.valid_to is not None and row.valid_to >= after.valid_from
            ):
                detail = f"dòng sau của {row.code} bắt đầu {after.valid_from}; để trống hoặc sửa"
                found.append((row, "valid_to", detail))
            if not lineage.tree_on(row.valid_from).takes_villages(row.commune_code):
                found.append((row, "commune_code", _not_a_commune(row, lineage)))
    return found


def _not_a_commune(row: Registered, lineage: Lineage) -> str:
    unit = lineage.unit(row.commune_code, row.valid_from)
    if unit is None:
        return missing(lineage, row.commune_code, row.valid_from)[0]
    return f"{unit.name} không phải cấp xã; ghi mã xã, phường, thị trấn hoặc đặc khu"


async def load_register(
    session: AsyncSession, codes: Collection[str] | None = None
) -> list[Registered]:
    """Rows of the register, of some villages or of all."""
    columns = [getattr(RegisteredVillage, name) for name in Registered._fields]
    statement = sa.select(*columns)
    if codes is not None:
        statement = statement.where(RegisteredVillage.code.in_(codes))
    return [Registered(*row) for row in await session.execute(statement)]


async def derive(
    session: AsyncSession, lineage: Lineage, codes: Collection[str] | None = None
) -> list[str]:
    """Bring the units of level village in line with the register and the communes' lineage.

    Returns:
        What a person should know of it.

    Raises:
        InvalidInput: A register row names a commune that is none on its day.
    """
    register_rows = await load_register(session, codes)
    for row, column, detail in findings(register_rows, lineage):
        raise InvalidInput(column, f"thôn {row.code} trong sổ từ {row.valid_from}: {detail}")
    villages = placement.by_village(register_rows)
    spans = {code: placement.placed(rows, lineage) for code, rows in villages.items()}
    wanted = [span.unit for each in spans.values() for span in each]
    statement = sa.select(*COLUMNS).where(Area.level == Level.VILLAGE)
    if codes is not None:
        statement = statement.where(Area.code.in_(codes))
    stored = [Unit(*row) for row in await session.execute(statement)]
    report = Report()
    await records.store(session, stored, wanted, report)
    notes = []
    if report.changes:
        notes.append(
            f"thôn theo xã: {report.added} đoạn mở, {report.changed} sửa, {report.removed} bỏ"
        )
    for day in lineage.days(date.min, None):
        count = len(placement.unplaced(villages, lineage, day))
        if count:
            notes.append(f"ngày {day}: {count} thôn chưa xếp được (areas unplaced --on {day})")
    return notes


async def unplaced(session: AsyncSession, on: date) -> list[Unplaced]:
    """Villages of a day that a person has to place."""
    lineage = await load_lineage(session, villages=False)
    return placement.unplaced(placement.by_village(await load_register(session)), lineage, on)
