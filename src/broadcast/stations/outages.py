"""Declared outages: maintenance and power cuts of a cluster or of an area."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.units import require_unit
from broadcast.auth.caller import Caller
from broadcast.auth.model import Account
from broadcast.auth.people import PersonOut
from broadcast.auth.permissions import Permission
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.stations.clusters import require_cluster
from broadcast.stations.model import Cluster, Outage
from broadcast.stations.places import villages_of
from broadcast.stations.schemas import OutageIn, OutageOut
from broadcast.stations.spans import Days, area_over, days_with, during
from broadcast.web.rest import Page, Paging, paged, require_known


def _outages() -> sa.Select[Outage, str | None, str]:
    return (
        sa.select(Outage, Cluster.code, Account.name)
        .outerjoin(Cluster, Cluster.id == Outage.cluster_id)
        .join(Account, Account.id == Outage.declared_by)
    )


def _out(outage: Outage, cluster_code: str | None, declarer: str) -> OutageOut:
    return OutageOut(
        id=outage.id,
        kind=outage.kind,
        cluster_code=cluster_code,
        area_code=outage.area_code,
        starts_at=outage.starts_at,
        ends_at=outage.ends_at,
        document=outage.document,
        declared_by=PersonOut(id=outage.declared_by, name=declarer),
    )


async def list_outages(
    session: AsyncSession,
    paging: Paging,
    today: date,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    cluster: str | None = None,
    area: str | None = None,
) -> Page[OutageOut]:
    """Outages in the order they were declared.

    Args:
        session: Transaction.
        paging: Page.
        today: Day on which `area` must be known at the latest.
        since: Those that end after this.
        until: Those that begin before this.
        cluster: Those of a cluster.
        area: Those of a unit and of units below it.

    Raises:
        Unknown: There is no such cluster or unit.
    """
    statement = _outages()
    if since is not None:
        statement = statement.where(Outage.ends_at > since)
    if until is not None:
        statement = statement.where(Outage.starts_at < until)
    if cluster is not None:
        await require_known(session, "cluster", Cluster.code, cluster)
        statement = statement.where(Cluster.code == cluster)
    if area is not None:
        # Under the units of the day on which it began, however long it lasts.
        days = await days_with(session, Outage.starts_at, today)
        found = await area_over(session, "area", area, days)
        named = {Days(*each.interval[:2]): each.inside() for each in found}
        statement = statement.where(
            during(
                named,
                Outage.starts_at,
                lambda codes: Outage.area_code == sa.any_(sa.literal(codes, ARRAY(sa.Text()))),
            )
        )
    rows = await paged(session, statement, [Outage.id], paging)
    return rows.page(_out)


async def _find(session: AsyncSession, outage_id: int) -> tuple[Outage, str | None, str]:
    row = (await session.execute(_outages().where(Outage.id == outage_id))).one_or_none()
    if row is None:
        raise _no_outage(outage_id)
    return row[0], row[1], row[2]


async def show_outage(session: AsyncSession, outage_id: int) -> OutageOut:
    """One outage.

    Raises:
        NotFound: There is none with this number.
    """
    return _out(*await _find(session, outage_id))


async def require_at_outage(session: AsyncSession, caller: Caller, outage_id: int) -> None:
    """Refuse a change of an outage outside of the caller's places.

    Raises:
        NotFound: The caller cannot see it, or there is none with this number.
        Forbidden: The caller may not declare outages there.
    """
    outage, *_ = await _find(session, outage_id)
    if outage.area_code is not None:
        places = {outage.area_code}
    else:
        assert outage.cluster_id is not None
        places = await villages_of(session, [outage.cluster_id])
    thing = sa.select(Outage.id).where(Outage.id == outage_id)
    await scope.require(
        session, caller, Permission.OUTAGE_WRITE, places, thing, _no_outage(outage_id)
    )


def _no_outage(outage_id: int) -> NotFound:
    return NotFound(f"Không có lần ngừng số {outage_id}.")


async def declare_outage(session: AsyncSession, body: OutageIn, caller: Caller) -> OutageOut:
    """Store an outage, declared by the caller.

    Raises:
        InvalidInput: Neither or both of cluster and area, or it ends before it begins.
        Unknown: There is no such cluster or unit.
    """
    outage = Outage(**await _facts(session, body), declared_by=caller.account_id)
    session.add(outage)
    await session.flush()
    return _out(outage, body.cluster_code, caller.name)


async def change_outage(
    session: AsyncSession, outage_id: int, body: OutageIn, caller: Caller
) -> OutageOut:
    """Change an outage.

    Raises:
        NotFound: There is none with this number.
        InvalidInput, Unknown: As `declare_outage`.
    """
    outage, *_ = await _find(session, outage_id)
    for name, value in (await _facts(session, body)).items():
        setattr(outage, name, value)
    outage.declared_by = caller.account_id
    await session.flush()
    return _out(outage, body.cluster_code, caller.name)


async def delete_outage(session: AsyncSession, outage_id: int) -> None:
    """Delete an outage that did not happen.

    Raises:
        NotFound: There is none with this number.
    """
    outage, *_ = await _find(session, outage_id)
    await session.delete(outage)


async def _facts(session: AsyncSession, body: OutageIn) -> dict[str, object]:
    if (body.cluster_code is None) == (body.area_code is None):
        raise InvalidInput("cluster_code", "ghi mã cụm loa hoặc mã đơn vị, một trong hai")
    if body.ends_at <= body.starts_at:
        raise InvalidInput("ends_at", "phải sau lúc bắt đầu")
    cluster_id = None
    if body.area_code is not None:
        on = body.starts_at.astimezone(LOCAL).date()
        await require_unit(session, "area_code", body.area_code, on)
    elif body.cluster_code is not None:
        cluster_id = (await require_cluster(session, body.cluster_code)).id
    return body.model_dump(exclude={"cluster_code"}) | {"cluster_id": cluster_id}
