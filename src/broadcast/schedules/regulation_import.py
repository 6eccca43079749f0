"""Quy chế of many communes from a file, with what they would silence together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.row_imports import Kind, import_files, put_files
from broadcast.audit import recording
from broadcast.auth.caller import Caller
from broadcast.kit import sheets
from broadcast.kit.clock import LOCAL
from broadcast.kit.sheets import Action, File, RowErrors
from broadcast.regulations import entering
from broadcast.regulations.schemas import columns_of
from broadcast.regulations.sheet import SHEET, RegulationLine
from broadcast.schedules import regulation_effects
from broadcast.schedules.calendar_effects import MOST_DAYS, compare
from broadcast.schedules.expansion import DAY
from broadcast.schedules.locking import lock_schedule_grid
from broadcast.schedules.schemas import EffectOut, RegulationsReport


async def import_rows(
    session: AsyncSession,
    file: File,
    caller: Caller,
    now: datetime,
    *,
    silences: bool = False,
    dry_run: bool = False,
) -> RegulationsReport:
    """Enter the Quy chế of `regulations.csv`, all or nothing, each in place of the last there.

    One that is as the last of its place stays, whenever it came into force.

    Args:
        session: Transaction that all happens in.
        file: `regulations.csv`.
        caller: Who enters them; may in the whole province.
        now: Present.
        silences: Planned starts may fall silent.
        dry_run: Report what would change, and change nothing.

    Raises:
        Forbidden: The caller may in a part of the province only.
        InvalidInput: With `errors`; nothing is changed. A dry run tells of them in its report.
        Conflict: They would silence planned starts, and nobody agreed to that.
        TooLarge: The file exceeds `sheets.MAX_BYTES`.
    """
    scope.require_whole(session, caller, entering.NEEDED)
    kinds = [_kind(caller, now)]
    if not dry_run:
        await lock_schedule_grid(session)
    if dry_run or not silences:
        tried, errors = RegulationsReport(dry_run=True), RowErrors()
        today = now.astimezone(LOCAL).date()
        days = {max(row.value.valid_from, today) for row in sheets.read(SHEET, file, RowErrors())}
        spans = [(day, day + (MOST_DAYS - 1) * DAY) for day in days]
        trial = put_files(session, [file], kinds, tried, errors)
        effect = await compare(session, spans, trial, now)
        if dry_run:
            tried.effect = EffectOut.model_validate(effect)
            tried.refuse(errors)
            recording.skip(session)
            return tried
        errors.raise_if_any()
        regulation_effects.refuse(effect)
    report = await import_files(session, [file], kinds)
    return RegulationsReport(**report.model_dump())


def _kind(caller: Caller, now: datetime) -> Kind[RegulationLine, AsyncSession]:
    async def load(session: AsyncSession, _: Sequence[RegulationLine]) -> AsyncSession:
        return session

    async def put(session: AsyncSession, line: RegulationLine) -> tuple[Action, str]:
        last = await entering.newest(session, line.area_code, list(line.clusters))
        body = line.entered(None if last is None else last.id)
        said = f"{line.number} ({line.valid_from})"
        if last is None:
            await entering.enter(session, body, caller, now)
            return Action.ADDED, said
        columns = {
            "number": body.number, "signed_on": body.signed_on, "valid_from": body.valid_from,
        } | columns_of(body)  # fmt: skip
        if all(getattr(last, name) == value for name, value in columns.items()):
            return Action.UNCHANGED, said
        before = f"{last.number} ({last.valid_from})"
        await entering.enter(session, body, caller, now)
        return Action.CHANGED, f"{before} → {said}"

    return Kind(SHEET, load, [put], _name)


def _name(line: RegulationLine) -> str:
    return " ".join([line.area_code, *line.clusters])
