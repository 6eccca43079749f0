"""Administrative units from files: the province's CSVs, or the package `vietnam-provinces`.

All or nothing, and harmless to repeat. A row is identified by (code, valid_from), a lineage row
by (old_code, new_code, effective_on).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from importlib import resources

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import checks, records, villages
from broadcast.areas.model import Area, Level
from broadcast.areas.schemas import StepRow, UnitRow
from broadcast.areas.topology import touch
from broadcast.areas.tree import Lineage, Step, Unit
from broadcast.areas.units import COLUMNS, load_steps
from broadcast.audit import recording
from broadcast.kit import sheets
from broadcast.kit.codes import KnownCodes
from broadcast.kit.errors import InvalidInput
from broadcast.kit.sheets import File, Report, Row, RowErrors, Sheet

log = structlog.get_logger()

AREAS = Sheet(kind="areas", model=UnitRow, key=("code", "valid_from"))
LINEAGE = Sheet(kind="lineage", model=StepRow, key=("old_code", "new_code", "effective_on"))


def read_units(file: File, errors: RowErrors) -> list[Row[Unit]]:
    """Units of areas.csv; what cannot be read is added to `errors`."""
    rows = sheets.read(AREAS, file, errors)
    return [Row(row.number, Unit(**dict(row.value))) for row in rows]


def read_steps(file: File, errors: RowErrors) -> list[Row[Step]]:
    """Acts of lineage.csv; what cannot be read is added to `errors`."""
    rows = sheets.read(LINEAGE, file, errors)
    return [Row(row.number, Step(**dict(row.value))) for row in rows]


TWO_TIERS_FROM = date(2025, 7, 1)
"""First day of the present units everywhere (Luật 72/2025/QH15): what `vietnam-provinces` has."""


def official_files() -> tuple[File, File]:
    """The units of Quảng Ngãi and Kon Tum since 2020, as they come with this package."""
    data = resources.files("broadcast.areas") / "data"
    return (
        File("areas.csv", (data / "areas.csv").read_bytes()),
        File("lineage.csv", (data / "lineage.csv").read_bytes()),
    )


async def import_areas(
    session: AsyncSession,
    areas: File | None,
    lineage: File | None,
    *,
    replace: bool = False,
    dry_run: bool = False,
) -> Report:
    """Store the units and the lineage of two files; the villages follow.

    1. Read both files.
    2. Join them with what is stored: a row of a file takes the place of the stored row with its
       identity, and of later rows that say nothing new. The lineage of a unit on a day is
       replaced as a whole.
    3. Check the joined set.
    4. Write the differences, derive the villages' communes again, and tell the dispatcher.

    Args:
        session: Transaction that all happens in.
        areas: `areas.csv`, or None to leave the units as they are.
        lineage: `lineage.csv`, or None likewise.
        replace: What a given file does not contain is removed.
        dry_run: Report what would change, and change nothing.

    Raises:
        InvalidInput: With `errors`; nothing is changed. A dry run tells of them in its report.
        TooLarge: A file exceeds `sheets.MAX_BYTES`.
    """
    recording.say(session, files=[file.facts() for file in (areas, lineage) if file])
    errors = RowErrors()
    units = read_units(areas, errors) if areas else []
    steps = read_steps(lineage, errors) if lineage else []
    if not dry_run:
        errors.raise_if_any()
    await records.lock(session)
    stored_units, stored_steps = await _stored(session)
    if areas:
        _refuse_similar(areas, units, [] if replace else stored_units, errors)
    wanted_units = _joined_units(
        [] if areas and replace else stored_units, [row.value for row in units]
    )
    wanted_steps = _joined_steps(
        [] if lineage and replace else stored_steps, [row.value for row in steps]
    )
    places = {records.identity(row.value): (areas, row.number) for row in units} | {
        records.identity(row.value): (lineage, row.number) for row in steps
    }
    for where, column, detail in checks.findings(wanted_units, wanted_steps):
        file, number = places.get(records.identity(where), (areas or lineage, None))
        assert file is not None
        what = "" if number else f"dòng đã lưu {' '.join(map(str, records.identity(where)))}: "
        errors.add(file.name, number, column, what + detail)
    if not dry_run:
        errors.raise_if_any()
        return await _store(session, wanted_units, wanted_steps, dry_run)
    report = (
        Report(dry_run=True)
        if errors.found
        else await _store(session, wanted_units, wanted_steps, dry_run)
    )
    if areas:
        records.tell(areas, units, stored_units, errors, report)
    if lineage:
        records.tell(lineage, steps, stored_steps, errors, report)
    report.refuse(errors)
    return report


def _refuse_similar(
    file: File, rows: Iterable[Row[Unit]], stored: Iterable[Unit], errors: RowErrors
) -> None:
    """Find new codes that resemble another of their level: `00123` and `123` of a spreadsheet.

    Of other levels they may: a province `01`, a district `001` and a commune `00001` are three.
    """
    used: dict[Level, set[str]] = {level: set() for level in Level}
    for unit in stored:
        used[unit.level].add(unit.code)
    known = {level: KnownCodes("đơn vị", codes) for level, codes in used.items()}
    for row in rows:
        unit = row.value
        if unit.code in used[unit.level]:
            continue
        try:
            known[unit.level].admit(unit.code)
        except InvalidInput as error:
            errors.add(file.name, row.number, "code", error.reason)


def _joined_units(stored: Iterable[Unit], rows: Sequence[Unit]) -> list[Unit]:
    """Stored units and those of a file, which also take the place of what they merely repeat."""
    named = {records.identity(row) for row in rows}
    by_code: dict[str, list[Unit]] = {}
    for row in rows:
        by_code.setdefault(row.code, []).append(row)
    kept = [
        unit
        for unit in stored
        if records.identity(unit) not in named
        and not any(
            row[:5] == unit[:5] and row.exists(unit.valid_from)
            for row in by_code.get(unit.code, ())
        )
    ]
    return [*kept, *rows]


def _joined_steps(stored: Iterable[Step], rows: Sequence[Step]) -> list[Step]:
    named = {(row.old_code, row.effective_on) for row in rows}
    return [step for step in stored if (step.old_code, step.effective_on) not in named] + [*rows]


async def load_current(session: AsyncSession, province: str, *, dry_run: bool = False) -> Report:
    """Store the present communes of a province, from the package `vietnam-provinces`.

    Units on record stay as they are; the report notes where the package says otherwise.

    Raises:
        InvalidInput: No province has this code.
    """
    current = current_units(province)
    await records.lock(session)
    units, steps = await _stored(session)
    tree = Lineage(units, steps).tree_on(TWO_TIERS_FROM)
    new = [unit for unit in current if unit.code not in tree]
    for where, column, detail in checks.findings(units + new, steps):
        raise InvalidInput(column, f"{where[0]}: {detail}")
    report = await _store(session, units + new, steps, dry_run)
    for unit in current:
        if unit.code in tree and tree[unit.code].name != unit.name:
            report.notes.append(f"{unit.code}: lưu “{tree[unit.code].name}”, gói “{unit.name}”")
    codes = {unit.code for unit in current}
    for unit in tree.under(province, Level.COMMUNE):
        if unit.code not in codes:
            report.notes.append(f"{unit.code}: “{unit.name}” không có trong gói")
    return report


def current_units(province: str) -> list[Unit]:
    """A province and its communes since 2025-07-01, from the package.

    Raises:
        InvalidInput: No province has this code.
    """
    # Its tables take a twentieth of the time that a server starts.
    from vietnam_provinces import Province, Ward  # noqa: PLC0415

    found = next((p for p in Province.iter_all() if f"{p.code:02d}" == province), None)
    if found is None:
        raise InvalidInput(
            "province", f"không có tỉnh mã “{province}”; mã có 2 chữ số, ví dụ 51 là Quảng Ngãi"
        )
    kind = "thành phố" if found.division_type.value.startswith("thành phố") else "tỉnh"
    name = (
        found.name if found.name.lower().startswith(kind) else f"{kind.capitalize()} {found.name}"
    )
    communes = [
        (f"{ward.code:05d}", Level.COMMUNE, ward.division_type.value, ward.name, province)
        for ward in Ward.iter_by_province(found.code)
    ]
    rows = [(province, Level.PROVINCE, kind, name, None), *communes]
    return [Unit(*row, TWO_TIERS_FROM, None) for row in rows]


async def _stored(session: AsyncSession) -> tuple[list[Unit], list[Step]]:
    rows = await session.execute(sa.select(*COLUMNS).where(Area.level != Level.VILLAGE))
    return [Unit(*row) for row in rows], await load_steps(session)


async def _store(
    session: AsyncSession, units: Sequence[Unit], steps: Sequence[Step], dry_run: bool
) -> Report:
    report = Report(dry_run=dry_run)
    async with session.begin_nested() as attempt:
        stored_units, stored_steps = await _stored(session)
        await records.store(session, stored_units, units, report)
        await records.store(session, stored_steps, steps, report)
        report.notes += await villages.derive(session, Lineage(units, steps))
        await touch(session)
        if dry_run:
            await attempt.rollback()
            recording.skip(session)
    recording.say(session, **report.counts())
    log.info("areas.units.imported", **report.counts())
    return report
