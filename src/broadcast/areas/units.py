"""Units as they are stored: of one day, under another, and what to say when one is no more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area, AreaLineage, Level
from broadcast.areas.tree import DAY, Lineage, Step, Tree, Unit
from broadcast.kit.errors import Unknown

COLUMNS = (
    Area.code,
    Area.level,
    Area.kind,
    Area.name,
    Area.parent_code,
    Area.valid_from,
    Area.valid_to,
)
"""In the order of `Unit`."""

NAMED_REPLACEMENTS = 8
"""Replacing units named in a message; a district was replaced by up to eleven communes."""


def exists_on(on: date) -> sa.ColumnElement[bool]:
    """Condition that an area row is of this day."""
    return sa.and_(Area.valid_from <= on, sa.or_(Area.valid_to.is_(None), Area.valid_to >= on))


def codes_under(code: str, on: date) -> sa.Select[str]:
    """Codes of a unit of a day and of all units below it, to be used as `IN (…)`."""
    below = (
        sa.select(Area.code).where(Area.code == code, exists_on(on)).cte("below", recursive=True)
    )
    children = sa.select(Area.code).join(below, Area.parent_code == below.c.code)
    below = below.union_all(children.where(exists_on(on)))
    return sa.select(below.c.code)


def units_statement(
    on: date, *, level: Level | None = None, under: str | None = None
) -> sa.Select[Area]:
    """Statement for the units of a day; `under` leaves out that unit itself."""
    statement = sa.select(Area).where(exists_on(on))
    if level is not None:
        statement = statement.where(Area.level == level)
    if under is not None:
        statement = statement.where(Area.code.in_(codes_under(under, on)), Area.code != under)
    return statement


async def units_on(
    session: AsyncSession, on: date, *, level: Level | None = None, under: str | None = None
) -> Sequence[Area]:
    """The units of a day by code, of one level or below one unit."""
    statement = units_statement(on, level=level, under=under)
    return (await session.scalars(statement.order_by(Area.code))).all()


async def find_unit(session: AsyncSession, code: str, on: date) -> Area | None:
    """The unit that has this code on a day."""
    found: Area | None = await session.scalar(
        sa.select(Area).where(Area.code == code, exists_on(on))
    )
    return found


async def require_unit(session: AsyncSession, field: str, code: str, on: date) -> Area:
    """The unit that has this code on a day.

    Raises:
        Unknown: There is none; says which units replaced it (`replaced_by`) or that the
            code is unknown.
    """
    unit = await find_unit(session, code, on)
    if unit is None:
        detail, codes = missing(await load_lineage(session), code, on)
        raise Unknown(field, detail, replaced_by=codes)
    return unit


def missing(lineage: Lineage, code: str, on: date) -> tuple[str, list[str]]:
    """Message for a person who named a unit that does not exist on a day.

    Returns:
        The message, and the codes of the units that replaced it.
    """
    last = lineage.last(code, on)
    if last is None:
        history = lineage.history(code)
        if history:
            first = history[0]
            return f"{first.name} ({code}) chỉ có từ {first.valid_from}; sửa ngày", []
        return f"không có đơn vị nào mang mã “{code}”; kiểm tra lại mã", []
    assert last.valid_to is not None
    said = f"{last.name} ({code}) không còn từ {last.valid_to + DAY}"
    codes = replacements(lineage, last, on)
    if not codes:
        return f"{said}; không có đơn vị thay thế", []
    tree = lineage.tree_on(on)
    named = ", ".join(f"{each} {tree[each].name}" for each in codes[:NAMED_REPLACEMENTS])
    more = len(codes) - NAMED_REPLACEMENTS
    return f"{said}; nay là {named}{f' và {more} đơn vị khác' if more > 0 else ''}", codes


def replacements(lineage: Lineage, unit: Unit, on: date) -> list[str]:
    """Codes of the units of `on` that replaced one that has ended.

    A district that was abolished has no successor of its own: its communes' are meant.
    """
    assert unit.valid_to is not None
    ended = [unit.code]
    if not lineage.successors(unit.code, unit.valid_to, on):
        under = lineage.tree_on(unit.valid_to).under(unit.code, Level.COMMUNE)
        ended = [commune.code for commune in under]
    heirs = (lineage.successors(code, unit.valid_to, on) for code in ended)
    return sorted({heir.code for each in heirs for heir in each})


async def load_tree(session: AsyncSession, on: date) -> Tree:
    """The units of a day."""
    rows = await session.execute(sa.select(*COLUMNS).where(exists_on(on)))
    return Tree(Unit(*row) for row in rows)


async def load_lineage(session: AsyncSession, *, villages: bool = True) -> Lineage:
    """All units of all days and what became of them; with or without the villages."""
    units = sa.select(*COLUMNS)
    if not villages:
        units = units.where(Area.level != Level.VILLAGE)
    return Lineage(
        [Unit(*row) for row in await session.execute(units)],
        await load_steps(session),
    )


async def load_steps(session: AsyncSession) -> list[Step]:
    """All rows of the lineage."""
    columns = (
        AreaLineage.old_code,
        AreaLineage.new_code,
        AreaLineage.effective_on,
        AreaLineage.part,
        AreaLineage.legal_act,
    )
    return [Step(*row) for row in await session.execute(sa.select(*columns))]
