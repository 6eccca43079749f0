"""Registers from CSV files, checked row by row and stored all or nothing.

Serves every kind of file that has a `Kind`; each feature brings its own.
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
    named: Callable[[R], str] | None = None
    """What a person calls a row; without it the kind and the key."""
    touches: bool = True
    """A change concerns what devices are sent."""


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
    report = Report(dry_run=dry_run)
    errors = RowErrors()
    async with session.begin_nested() as attempt:
        await put_files(session, files, kinds, report, errors)
        if dry_run:
            await attempt.rollback()
            recording.skip(session)
    report.refuse(errors)
    recording.say(session, files=[file.facts() for file in files], **report.counts())
    log.info("areas.files.imported", files=[file.name for file in files], **report.counts())
    return report


async def put_files(
    session: AsyncSession,
    files: Sequence[File],
    kinds: Sequence[Kind[Any, Any]],
    report: Report,
    errors: RowErrors,
) -> None:
    """As `import_files`; what is wrong with rows of a dry run is added to `errors`."""
    ordered = sorted(((_kind_of(file, kinds), file) for file in files), key=lambda pair: pair[0])
    for place, file in ordered:
        await _import(session, file, kinds[place], report, errors, alone=len(kinds) == 1)
    if report.changes and any(kinds[place].touches for place, _ in ordered):
        await touch(session)
    await session.flush()


def _kind_of(file: File, kinds: Sequence[Kind[Any, Any]]) -> int:
    if len(kinds) == 1:  # what its header lacks is told of each column
        return 0
    for place, kind in enumerate(kinds):
        if sheets.fits(kind.sheet, file):
            return place
    known = "; ".join(f"{kind.sheet.kind}: {','.join(kind.sheet.names)}" for kind in kinds)
    raise InvalidInput(
        file.name, f"dòng đầu không khớp loại tệp nào. Các cột của mỗi loại: {known}"
    )


async def _import(
    session: AsyncSession,
    file: File,
    kind: Kind[Any, Any],
    report: Report,
    errors: RowErrors,
    *,
    alone: bool,
) -> None:
    rows = sheets.read(kind.sheet, file, errors)
    if not report.dry_run and not alone:  # others would be refused for what these lack
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
        what = kind.named(row.value) if kind.named else _name(kind.sheet, row)
        report.count(action, what, said)
        report.tell(file.name, row.number, what, action, said)


def _name(sheet: Sheet[Any], row: Row[Any]) -> str:
    return " ".join([sheet.kind, *(str(getattr(row.value, name)) for name in sheet.key)])


def merge(first: tuple[Action, str], second: tuple[Action, str]) -> tuple[Action, str]:
    """Outcome for a thing of which two rows were stored."""
    if first[0] is Action.ADDED or second[0] is Action.UNCHANGED:
        return first
    said = [text for text in (first[1], second[1]) if text]
    return Action.CHANGED, "; ".join(said)
