"""Entering Quy chế, withdrawing them, and reading them.

None is changed: a correction is entered in place of the last one, and a withdrawal can be taken
back, so that what once held can always be read. What it does to schedules is asked first
(`schedules.regulation_effects`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from broadcast.areas import scope
from broadcast.areas.model import Area
from broadcast.areas.topology import touch
from broadcast.areas.tree import Lineage
from broadcast.areas.units import load_tree, require_unit
from broadcast.auth.caller import Caller
from broadcast.auth.model import Account
from broadcast.auth.permissions import Permission
from broadcast.calendars.days import Marks
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput, NotFound
from broadcast.regulations.model import RegulationRow
from broadcast.regulations.places import Followed, PlaceRules
from broadcast.regulations.rules import Regulation, Weekend
from broadcast.regulations.schemas import (
    RegulationIn,
    RegulationOut,
    columns_of,
    is_readable,
    provisions_of,
)
from broadcast.stations.model import Cluster, ClusterVillage
from broadcast.web.rest import Page, Paging, paged, require_known

NEEDED = Permission.BULLETIN_APPROVE
"""Who decides what a place hears decides when it does."""


async def list_all(session: AsyncSession, paging: Paging, area: str | None) -> Page[RegulationOut]:
    """In the order in which they were entered, withdrawn ones too.

    Args:
        session: Transaction.
        paging: Page.
        area: Only those of this unit itself.

    Raises:
        Unknown: There is no such unit.
    """
    statement = _rows()
    if area is not None:
        await require_known(session, "area", Area.code, area)
        statement = statement.where(RegulationRow.area_code == area)
    return (await paged(session, statement, [RegulationRow.id], paging)).page(RegulationOut.of_row)


async def show(session: AsyncSession, id_: int) -> RegulationOut:
    """One of them.

    Raises:
        NotFound: There is none.
    """
    found = (await session.execute(_rows().where(RegulationRow.id == id_))).one_or_none()
    if found is None:
        raise _none(id_)
    return RegulationOut.of_row(found[0], found[1], found[2])


async def enter(
    session: AsyncSession, body: RegulationIn, caller: Caller, now: datetime
) -> RegulationRow:
    """A new Quy chế of a unit, or of some of its clusters.

    Raises:
        Forbidden: The unit is none of the caller's places.
        InvalidInput: The unit, the day or a cluster; `field` says which.
        Conflict: Another one was entered meanwhile.
    """
    await scope.require(session, caller, NEEDED, [body.area_code])
    await require_unit(session, "area_code", body.area_code, body.valid_from)
    if body.valid_from < now.astimezone(LOCAL).date():
        raise InvalidInput("valid_from", "đã qua; hãy chọn hôm nay hoặc một ngày sau")
    await _require_clusters(session, body)
    last = await newest(session, body.area_code, body.clusters)
    if (last and last.id) != body.replaces:
        raise Conflict(
            "Địa bàn này đã có Quy chế mới hơn; hãy tải lại, xem rồi nhập tiếp.",
            regulation_id=last and last.id,
        )
    row = RegulationRow(
        area_code=body.area_code, clusters=body.clusters, number=body.number,
        signed_on=body.signed_on, valid_from=body.valid_from, entered_by=caller.account_id,
        entered_at=now, **columns_of(body),
    )  # fmt: skip
    session.add(row)
    await touch(session)
    await session.flush()
    return row


async def withdraw(
    session: AsyncSession, row: RegulationRow, caller: Caller, now: datetime
) -> None:
    """What was in force before holds again; repeating it changes nothing."""
    if row.withdrawn_at is None:
        row.withdrawn_by, row.withdrawn_at = caller.account_id, now
        await touch(session)
        await session.flush()


async def reinstate(session: AsyncSession, row: RegulationRow) -> None:
    """Undo a withdrawal; repeating it changes nothing."""
    if row.withdrawn_at is not None:
        row.withdrawn_by = row.withdrawn_at = None
        await touch(session)
        await session.flush()


async def held(session: AsyncSession, id_: int, caller: Caller) -> RegulationRow:
    """One that the caller may change, locked.

    Raises:
        NotFound: There is none.
        Forbidden: Its unit is none of the caller's places.
    """
    row = await session.get(RegulationRow, id_, with_for_update=True, populate_existing=True)
    if row is None:
        raise _none(id_)
    thing = sa.select(RegulationRow.id).where(RegulationRow.id == id_)
    await scope.require(session, caller, NEEDED, [row.area_code], thing, _none(id_))
    return row


async def newest(
    session: AsyncSession, area_code: str, clusters: list[str]
) -> RegulationRow | None:
    """The last that was entered for exactly this place, and not withdrawn."""
    found: RegulationRow | None = await session.scalar(
        sa.select(RegulationRow)
        .where(
            RegulationRow.area_code == area_code,
            RegulationRow.clusters == clusters,
            RegulationRow.withdrawn_at.is_(None),
        )
        .order_by(RegulationRow.id.desc())
        .limit(1)
    )
    return found


async def place_rules(
    session: AsyncSession,
    lineage: Lineage,
    marks: Marks,
    marked_clusters: set[str],
    changes: list[date],
    followed: Followed,
) -> PlaceRules:
    """The rules of clusters, as this transaction reads them.

    Args:
        session: Transaction.
        lineage: Of the units.
        marks: Days of calendars.
        marked_clusters: Codes that the marks name.
        changes: Days from which something about places is different.
        followed: What clusters follow on a day.
    """
    rows = await session.scalars(
        sa.select(RegulationRow).where(
            RegulationRow.withdrawn_at.is_(None),
            # one that a later release knows must not stop planning (docs/decisions/0032)
            sa.or_(
                RegulationRow.weekend.is_(None),
                sa.cast(RegulationRow.weekend, sa.Text).in_([each.value for each in Weekend]),
            ),
        )
    )
    found = []
    for row in rows:
        unit = lineage.unit(row.area_code, row.valid_from)
        if unit is not None and is_readable(row):
            found.append(
                Regulation(
                    row.id, row.area_code, unit.level, row.valid_from, provisions_of(row),
                    tuple(row.clusters),
                )
            )  # fmt: skip
    asked = found or marks.with_hours
    named = marked_clusters.union(*(each.clusters for each in found)) if asked else set()
    ids: Mapping[str, int] = {}
    if named:
        pairs = sa.select(Cluster.code, Cluster.id).where(Cluster.code.in_(named))
        ids = dict((await session.execute(pairs)).all())
    return PlaceRules(lineage, found, marks, ids, changes, followed)


async def _require_clusters(session: AsyncSession, body: RegulationIn) -> None:
    if not body.clusters:
        return
    tree = await load_tree(session, body.valid_from)
    inside = {body.area_code, *tree.villages(body.area_code)}
    known = await session.scalars(
        sa.select(Cluster.code)
        .join(ClusterVillage, ClusterVillage.cluster_id == Cluster.id)
        .where(Cluster.code.in_(body.clusters), ClusterVillage.village_code.in_(inside))
    )
    unknown = sorted({*body.clusters} - {*known})
    if unknown:
        raise InvalidInput(
            "clusters", f"không có cụm loa mã “{unknown[0]}” ở địa bàn này; kiểm tra lại mã"
        )


def _rows() -> sa.Select[RegulationRow, str, str | None]:
    by, withdrawn_by = aliased(Account), aliased(Account)
    return (
        sa.select(RegulationRow, by.name, withdrawn_by.name)
        .join(by, by.id == RegulationRow.entered_by)
        .outerjoin(withdrawn_by, withdrawn_by.id == RegulationRow.withdrawn_by)
    )


def _none(id_: int) -> NotFound:
    return NotFound(f"Không có Quy chế số {id_} trong hệ thống.")
