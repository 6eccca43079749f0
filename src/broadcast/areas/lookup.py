"""Units as people look them up: of a day, with what is around them, and through time."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import units
from broadcast.areas.model import Area, Level
from broadcast.areas.schemas import ActOut, AreaDetailOut, AreaOut, LineageOut, SuccessorOut
from broadcast.areas.tree import Lineage, Successor
from broadcast.kit.errors import NotFound
from broadcast.web.rest import Page, Paging, paged


async def list_areas(
    session: AsyncSession,
    paging: Paging,
    on: date,
    *,
    level: Level | None = None,
    under: str | None = None,
) -> Page[AreaOut]:
    """Units of a day by code, of one level or below one unit.

    Raises:
        Unknown: No unit has the code `under` on that day.
    """
    if under is not None:
        await units.require_unit(session, "under", under, on)
    statement = units.units_statement(on, level=level, under=under)
    found = await paged(session, statement, [Area.code], paging)
    return found.page(AreaOut.model_validate)


async def show_area(session: AsyncSession, code: str, on: date) -> AreaDetailOut:
    """A unit of a day, the units above it and the number of units below.

    Raises:
        NotFound: There is none on that day; `replaced_by` names those that replaced it.
    """
    tree = await units.load_tree(session, on)
    if code not in tree:
        detail, codes = units.missing(await units.load_lineage(session), code, on)
        raise NotFound(detail, replaced_by=codes)
    unit, *above = tree.chain(code)
    below = tree.under(code)
    return AreaDetailOut(
        **unit._asdict(),
        chain=[AreaOut.model_validate(each) for each in above],
        counts={
            level: count for level in Level if (count := sum(u.level is level for u in below))
        },
    )


async def show_lineage(
    session: AsyncSession, code: str, on: date, since: date | None, until: date
) -> LineageOut:
    """Origins and successors of the unit that has a code on a day, or had it last.

    Args:
        session: Transaction.
        code: Of the unit.
        on: Day of the unit.
        since: Day of its origins, the first on record when None.
        until: Day of its successors.

    Raises:
        NotFound: No unit has had this code by then.
    """
    lineage = await units.load_lineage(session)
    unit = lineage.last(code, on)
    if unit is None:
        raise NotFound(units.missing(lineage, code, on)[0])
    on = min(on, unit.valid_to or date.max)
    origins_on = min(since or lineage.first_day, on)
    successors_on = max(until, on)
    successors = lineage.successors(code, on, successors_on)
    return LineageOut(
        unit=AreaOut.model_validate(unit),
        origins_on=origins_on,
        origins=_named(lineage, lineage.origins(code, on, origins_on), origins_on),
        successors_on=successors_on,
        successors=_named(lineage, successors, successors_on),
        acts=[ActOut(**step._asdict()) for step in lineage.acts(code)],
    )


def _named(lineage: Lineage, found: list[Successor], on: date) -> list[SuccessorOut]:
    tree = lineage.tree_on(on)
    return [SuccessorOut(code=s.code, name=tree[s.code].name, part=s.part) for s in found]


async def show_history(session: AsyncSession, code: str) -> list[AreaOut]:
    """All units that ever had a code, oldest first.

    Raises:
        NotFound: There is none.
    """
    statement = sa.select(Area).where(Area.code == code).order_by(Area.valid_from)
    rows = (await session.scalars(statement)).all()
    if not rows:
        raise NotFound(f"Không có đơn vị nào mang mã “{code}”.")
    return [AreaOut.model_validate(row) for row in rows]
