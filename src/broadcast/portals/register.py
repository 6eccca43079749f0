"""The register of portals, what was found of each, and what people decide about items."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from broadcast.areas import scope
from broadcast.areas.model import Area, Level
from broadcast.areas.units import require_unit
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput, NotFound
from broadcast.kit.text import folded
from broadcast.portals.model import (
    Portal,
    PortalCheck,
    PortalItem,
    PortalKind,
    UpdateRule,
)
from broadcast.portals.published import proof
from broadcast.portals.schemas import (
    CheckOut,
    DecisionIn,
    ItemOut,
    PortalIn,
    PortalOut,
    SourceIn,
    UpdateRuleIn,
    UpdateRuleOut,
)
from broadcast.portals.standing import rules as decided_rules
from broadcast.portals.updating import FIRST_RULE
from broadcast.web.rest import Page, Paging, paged, require_known

MOST_IN_AREA = 10
"""Portals of one commune that have not ended."""


# --- portals -------------------------------------------------------------------------------------


async def list_portals(
    session: AsyncSession, paging: Paging, *, area: str | None = None, ended: bool | None = None
) -> Page[PortalOut]:
    """Portals in the order in which they were entered.

    Raises:
        Unknown: There never was such a unit.
    """
    statement = _rows()
    if area is not None:
        await require_known(session, "area", Area.code, area)
        statement = statement.where(Portal.area_code == area)
    if ended is not None:
        is_ended = Portal.ended_on.is_not(None)
        statement = statement.where(is_ended if ended else ~is_ended)
    return (await paged(session, statement, [Portal.id], paging)).page(_out)


async def show(session: AsyncSession, id_: int) -> PortalOut:
    """One portal.

    Raises:
        NotFound: There is none.
    """
    found = (await session.execute(_rows().where(Portal.id == id_))).one_or_none()
    if found is None:
        raise _none(id_)
    return _out(found[0], found[1])


async def create(
    session: AsyncSession, body: PortalIn, caller: Caller, now: datetime
) -> PortalOut:
    """Enter a portal; it is looked at within minutes.

    Raises:
        Forbidden: The commune is none of the caller's places.
        InvalidInput: The unit or the rule of a list; `field` says which.
        Conflict: The commune has this portal already, or too many.
    """
    await _require(session, body, caller)
    row = Portal(
        entered_by=caller.account_id, entered_at=now, source_since=now, ended_on=None,
        folded_tags=[*map(folded, body.tags)], **body.model_dump(),
    )  # fmt: skip
    await _refuse_another(session, row)
    session.add(row)
    await session.flush()
    return await show(session, row.id)


async def change(
    session: AsyncSession, id_: int, body: PortalIn, caller: Caller, now: datetime
) -> PortalOut:
    """Correct a portal, or take up one again that has ended; it is looked at anew.

    Raises:
        NotFound: There is none.
        BroadcastError: As `create`.
    """
    row = await _held(session, id_, caller)
    await _require(session, body, caller)
    if any(getattr(row, name) != getattr(body, name) for name in SourceIn.model_fields):
        row.source_since = now
    for name, value in body.model_dump().items():
        setattr(row, name, value)
    row.folded_tags = [*map(folded, body.tags)]
    row.entered_by, row.entered_at, row.ended_on = caller.account_id, now, None
    with session.no_autoflush:
        await _refuse_another(session, row)
    await session.flush()
    return await show(session, id_)


async def end(session: AsyncSession, id_: int, caller: Caller, now: datetime) -> None:
    """Count a portal up to today and no longer. Repeating it changes nothing.

    Raises:
        NotFound: There is none.
        Forbidden: Its commune is none of the caller's places.
    """
    row = await _held(session, id_, caller)
    today = now.astimezone(LOCAL).date()
    if row.ended_on is None:
        row.ended_on = max(today, row.valid_from)
        await session.flush()


async def _held(
    session: AsyncSession,
    id_: int,
    caller: Caller,
    permission: Permission = Permission.REGISTER_WRITE,
) -> Portal:
    """A portal that the caller may change, locked.

    Raises:
        NotFound: There is none, or its commune is none that the caller may see.
        Forbidden: Its commune is none of the caller's places.
    """
    row = await session.get(Portal, id_, with_for_update=True)
    if row is None:
        raise _none(id_)
    own = sa.select(Portal.id).where(Portal.id == id_)
    await scope.require(session, caller, permission, [row.area_code], own, _none(id_))
    return row


def require_readable_rule(body: SourceIn) -> None:
    """Refuse a list without a rule, and a rule without a list.

    Raises:
        InvalidInput: It is so.
    """
    is_list = body.kind is PortalKind.LIST
    if is_list and not body.item_class:
        raise InvalidInput("item_class", "trang danh sách cần tên lớp (class) của mỗi tin")
    if not is_list and (body.item_class or body.date_class):
        raise InvalidInput("item_class", "chỉ trang danh sách mới cần tên lớp; hãy bỏ trống")


async def _require(session: AsyncSession, body: PortalIn, caller: Caller) -> None:
    await scope.require(session, caller, Permission.REGISTER_WRITE, [body.area_code])
    unit = await require_unit(session, "area_code", body.area_code, body.valid_from)
    if unit.level is not Level.COMMUNE:
        raise InvalidInput("area_code", "trang thông tin là của cấp xã; hãy chọn một xã, phường")
    require_readable_rule(body)


async def _refuse_another(session: AsyncSession, row: Portal) -> None:
    others = list(
        await session.scalars(
            sa.select(Portal).where(
                Portal.area_code == row.area_code,
                Portal.ended_on.is_(None),
                Portal.id.is_distinct_from(row.id),
            )
        )
    )
    if any(each.source_url == row.source_url for each in others):
        raise Conflict("Xã này đã có trang đọc tin ở địa chỉ đó; hãy mở trang đó để sửa.")
    if len(others) >= MOST_IN_AREA:
        raise Conflict(
            f"Xã này đã có {MOST_IN_AREA} trang; hãy ngừng một trang không dùng nữa trước."
        )


def _rows() -> sa.Select[Portal, PortalCheck]:
    newest = (
        sa.select(PortalCheck)
        .where(PortalCheck.portal_id == Portal.id)
        .order_by(PortalCheck.checked_at.desc())
        .limit(1)
        .lateral()
    )
    return sa.select(Portal, aliased(PortalCheck, newest)).outerjoin(newest, sa.true())


def _out(row: Portal, check: PortalCheck | None) -> PortalOut:
    columns = {each: getattr(row, each) for each in PortalOut.model_fields if each != "last_check"}
    return PortalOut(**columns, last_check=None if check is None else _check_out(check))


def _check_out(row: PortalCheck) -> CheckOut:
    return CheckOut.model_validate(row, from_attributes=True)


def _none(id_: int) -> NotFound:
    return NotFound(f"Không có trang thông tin {id_}; chọn lại ở danh sách.")


# --- looks, and what they found ------------------------------------------------------------------


async def list_checks(session: AsyncSession, id_: int, paging: Paging) -> Page[CheckOut]:
    """Looks at a portal, the newest first.

    Raises:
        NotFound: There is no such portal.
    """
    await show(session, id_)
    statement = sa.select(PortalCheck).where(PortalCheck.portal_id == id_)
    found = await paged(session, statement, [PortalCheck.checked_at], paging, backwards=True)
    return found.page(_check_out)


async def list_items(
    session: AsyncSession, id_: int, paging: Paging, *, counts: bool | None = None
) -> Page[ItemOut]:
    """Items of a portal, those that were found last first.

    Args:
        session: Transaction.
        id_: Of the portal.
        paging: Page.
        counts: Only essential information, or only what is none.

    Raises:
        NotFound: There is no such portal.
    """
    await show(session, id_)
    statement = _items().where(PortalItem.portal_id == id_)
    if counts is not None:
        is_essential = proof().is_not(None)
        statement = statement.where(is_essential if counts else ~is_essential)
    found = await paged(session, statement, [PortalItem.id], paging, backwards=True)
    return found.page(_item_out)


async def decide(
    session: AsyncSession, id_: int, item_id: int, body: DecisionIn, caller: Caller, now: datetime
) -> ItemOut:
    """Say whether an item is essential information; a person's word goes before its tags.

    Raises:
        NotFound: There is no such portal or item.
        Conflict: Nobody knows its day: it never counts.
        Forbidden: The commune is none of the caller's places.
    """
    await _held(session, id_, caller, Permission.BULLETIN_WRITE)
    row = await session.get(PortalItem, item_id)
    if row is None or row.portal_id != id_:
        raise NotFound(f"Trang này không có tin {item_id}; hãy tải lại danh sách.")
    if row.is_old and body.is_essential is not None:
        raise Conflict("Không rõ tin này đăng ngày nào nên không tính được; hãy chọn tin khác.")
    row.is_essential = body.is_essential
    is_decided = body.is_essential is not None
    row.decided_by = caller.account_id if is_decided else None
    row.decided_at = now if is_decided else None
    await session.flush()
    found = await session.execute(_items().where(PortalItem.id == item_id))
    return _item_out(*found.one())


def _items() -> sa.Select[PortalItem, str | None]:
    return sa.select(PortalItem, proof()).join(Portal, Portal.id == PortalItem.portal_id)


def _published_on(row: PortalItem) -> date | None:
    """Local day of an item: as it says, else of the first look; None: nobody knows."""
    if row.is_old:
        return None
    return (row.published_at or row.seen_at).astimezone(LOCAL).date()


def _item_out(row: PortalItem, by: str | None) -> ItemOut:
    return ItemOut(
        id=row.id, url=row.url, title=row.title, tags=row.tags, published_on=_published_on(row),
        is_dated=row.published_at is not None, is_essential=row.is_essential,
        counts=by is not None, seen_at=row.seen_at,
    )  # fmt: skip


# --- what counts as regularly updated ------------------------------------------------------------


async def rules(session: AsyncSession) -> list[UpdateRuleOut]:
    """Every rule, the newest first, and last what holds while the province has decided nothing."""
    rows = await decided_rules(session)
    found = [
        UpdateRuleOut(valid_from=each.valid_from, document=each.document, **each.rule._asdict())
        for each in rows
    ]
    first = UpdateRuleOut(valid_from=None, document="", **FIRST_RULE._asdict())
    return [*found, first]


async def put_rule(
    session: AsyncSession, valid_from: date, body: UpdateRuleIn, caller: Caller, now: datetime
) -> UpdateRuleOut:
    """Decide from which day on how much counts as regularly updated.

    Raises:
        Forbidden: The caller does not decide for the whole province.
    """
    scope.require_whole(session, caller, Permission.AREA_WRITE)
    row = await session.get(UpdateRule, valid_from, with_for_update=True)
    if row is None:
        row = UpdateRule(valid_from=valid_from)
        session.add(row)
    row.items, row.days, row.document = body.items, body.days, body.document
    row.decided_by, row.decided_at = caller.account_id, now
    await session.flush()
    return UpdateRuleOut.model_validate(row, from_attributes=True)


async def delete_rule(session: AsyncSession, valid_from: date, caller: Caller) -> None:
    """Take a rule back that was entered by mistake; the one before it holds again.

    Raises:
        Forbidden: The caller does not decide for the whole province.
        NotFound: There is none from that day.
    """
    scope.require_whole(session, caller, Permission.AREA_WRITE)
    row = await session.get(UpdateRule, valid_from, with_for_update=True)
    if row is None:
        raise NotFound(f"Không có quy định nào từ ngày {valid_from:%d/%m/%Y}; hãy tải lại.")
    await session.delete(row)
    await session.flush()
