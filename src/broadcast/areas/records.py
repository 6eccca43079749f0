"""Writing the difference between what is stored and what ought to be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area, AreaLineage, RegisteredVillage
from broadcast.areas.placement import Registered
from broadcast.areas.tree import Step, Unit
from broadcast.audit import recording
from broadcast.kit import progress
from broadcast.kit.sheets import Action, File, Report, Row, RowErrors

Record = Unit | Step | Registered
R = TypeVar("R", Unit, Step, Registered)
Identity = tuple[Any, ...]

IDENTITIES: dict[type[Record], tuple[str, ...]] = {
    Unit: ("code", "valid_from"),
    Step: ("old_code", "new_code", "effective_on"),
    Registered: ("code", "valid_from"),
}
TABLES: dict[type[Record], type[Area | AreaLineage | RegisteredVillage]] = {
    Unit: Area,
    Step: AreaLineage,
    Registered: RegisteredVillage,
}

DELETED_AT_ONCE = 5_000
"""PostgreSQL takes 32,767 parameters in a statement, three for each record."""


def identity(record: Record) -> Identity:
    """Identity of a record among all of its kind."""
    return tuple(getattr(record, name) for name in IDENTITIES[type(record)])


async def lock(session: AsyncSession) -> None:
    """Keep other changes of the areas out until the transaction ends; readers go on."""
    tables = ", ".join(table.__tablename__ for table in TABLES.values())
    await session.execute(sa.text(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE"))


async def store(
    session: AsyncSession, stored: Iterable[Record], wanted: Iterable[Record], report: Report
) -> None:
    """Make the stored records of one kind the wanted ones; equal ones are not touched."""
    before = {identity(record): record for record in stored}
    after = {identity(record): record for record in wanted}
    gone, new = [], []
    for key in sorted(before.keys() | after.keys()):
        await progress.step()
        old, record = before.get(key), after.get(key)
        what = " ".join(str(value) for value in key)
        action, detail = compare(old, record)
        report.count(action, what, detail)
        if action is Action.UNCHANGED:
            continue
        recording.change(
            session,
            TABLES[type(old or record)].__tablename__,  # type: ignore[index]
            what,
            old and old._asdict(),
            record and record._asdict(),
        )
        if old is not None:
            gone.append(old)
        if record is not None:
            new.append(record)
    for start in range(0, len(gone), DELETED_AT_ONCE):
        some = gone[start : start + DELETED_AT_ONCE]
        table, names = TABLES[type(some[0])], IDENTITIES[type(some[0])]
        key_columns = sa.tuple_(*(getattr(table, name) for name in names))
        await session.execute(
            sa.delete(table).where(key_columns.in_([identity(record) for record in some]))
        )
    if new:
        # With nulls left out, as is the default, every change between them begins a statement.
        await session.execute(
            sa.insert(TABLES[type(new[0])]).execution_options(render_nulls=True),
            [record._asdict() for record in new],
        )


def tell(
    file: File,
    rows: Iterable[Row[R]],
    stored: Iterable[Record],
    errors: RowErrors,
    report: Report,
) -> None:
    """Note what a dry run would make of the rows of a file; count them where some are refused."""
    before = {identity(record): record for record in stored}
    refused = {error.row for error in errors.found if error.file == file.name}
    for row in rows:
        if row.number in refused:
            continue
        key = identity(row.value)
        what = " ".join(str(value) for value in key)
        action, detail = compare(before.get(key), row.value)
        report.tell(file.name, row.number, what, action, detail)
        if errors.found:
            report.count(action, what, detail)


def compare(old: Record | None, new: Record | None) -> tuple[Action, str]:
    """What becomes of a record, and what is new or different of it."""
    if new is None:
        return Action.REMOVED, ""
    if old is None:
        return Action.ADDED, ", ".join(_text(value) for value in new)
    if old == new:
        return Action.UNCHANGED, ""
    return Action.CHANGED, _difference(old, new)


def _text(value: object) -> str:
    return "–" if value is None else str(value)


def _difference(old: Record, new: Record) -> str:
    changed = [
        f"{name}: {_text(before)} → {_text(after)}"
        for name, before, after in zip(old._fields, old, new, strict=True)
        if before != after
    ]
    return "; ".join(changed)
