"""REST of portals of communes."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Query, Request, Response

from broadcast.areas import scope
from broadcast.auth.caller import AreaEditor, Author, Reader, RegisterEditor
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router, changes_nothing
from broadcast.config import Settings
from broadcast.kit import clock
from broadcast.kit.errors import Unavailable
from broadcast.kit.times import Day
from broadcast.portals import register
from broadcast.portals.checking import Source, look
from broadcast.portals.reading import Rule
from broadcast.portals.schemas import (
    CheckOut,
    DecisionIn,
    FoundItemOut,
    ItemOut,
    PortalIn,
    PortalOut,
    SourceIn,
    StandingsOut,
    TrialOut,
    UpdateRuleIn,
    UpdateRuleOut,
)
from broadcast.portals.standing import standings
from broadcast.web.fields import Code
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Id, Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["portals"])

SHOWN = 10
"""Items of a trial."""


@router.get("/portals", summary="Trang thông tin điện tử của các xã")
async def list_portals(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    area: Annotated[Code | None, Query(description="mã xã")] = None,
    ended: Annotated[bool | None, Query(description="đã ngừng, hoặc chưa")] = None,
) -> Page[PortalOut]:
    """In the order in which they were entered, each with the last look at it."""
    return await register.list_portals(session, paging, area=area, ended=ended)


@router.get("/portals/{portal_id}", summary="Một trang thông tin điện tử")
async def show(session: Session, caller: Reader, portal_id: Id) -> PortalOut:
    """One portal, with the last look at it."""
    return await register.show(session, portal_id)


@router.post(
    "/portals", status_code=201, response_model=PortalOut, summary="Thêm trang thông tin điện tử"
)
async def create(
    request: Request, session: Session, caller: RegisterEditor, body: PortalIn
) -> Response:
    """It is looked at within minutes, and again every six hours."""

    async def make() -> Created:
        made = await register.create(session, body, caller, clock.now())
        return Created(f"/api/v1/portals/{made.id}", made)

    return await Once(request).run(session, caller.account_id, make)


@router.put("/portals/{portal_id}", summary="Sửa trang thông tin điện tử")
async def change(
    session: Session, caller: RegisterEditor, portal_id: Id, body: PortalIn
) -> PortalOut:
    """It is looked at anew; one that has ended counts again."""
    return await register.change(session, portal_id, body, caller, clock.now())


@router.delete(
    "/portals/{portal_id}", status_code=204, summary="Ngừng theo dõi trang thông tin điện tử"
)
async def end(session: Session, caller: RegisterEditor, portal_id: Id) -> Response:
    """It counts up to today."""
    await register.end(session, portal_id, caller, clock.now())
    return Response(status_code=204)


@router.get("/portals/{portal_id}/checks", summary="Các lần đọc một trang")
async def list_checks(
    session: Session, caller: Reader, portal_id: Id, paging: PageQuery
) -> Page[CheckOut]:
    """The newest first."""
    return await register.list_checks(session, portal_id, paging)


@router.get("/portals/{portal_id}/items", summary="Các tin của một trang")
async def list_items(
    session: Session,
    caller: Reader,
    portal_id: Id,
    paging: PageQuery,
    counts: Annotated[bool | None, Query(description="chỉ tin thiết yếu, hoặc tin khác")] = None,
) -> Page[ItemOut]:
    """Those that were found last first."""
    return await register.list_items(session, portal_id, paging, counts=counts)


@router.put(
    "/portals/{portal_id}/items/{portal_item_id}", summary="Tin này có là thông tin thiết yếu"
)
async def decide(
    session: Session, caller: Author, portal_id: Id, portal_item_id: Id, body: DecisionIn
) -> ItemOut:
    """A person's word goes before the tags of the portal."""
    return await register.decide(session, portal_id, portal_item_id, body, caller, clock.now())


@router.post("/portals/trials", summary="Thử đọc một trang, chưa ghi gì")
@changes_nothing
async def try_out(
    session: Session, settings: AppSettings, caller: RegisterEditor, body: SourceIn
) -> TrialOut:
    """What a look finds now."""
    await scope.require_somewhere(session, caller, Permission.REGISTER_WRITE)
    register.require_readable_rule(body)
    await session.rollback()  # no connection is held while a stranger takes its time
    return await trial(body, settings)


_TRYING = asyncio.Semaphore(3)
"""People of one process who try at once: each takes two minutes of a stranger at the most."""


async def trial(body: SourceIn, settings: Settings) -> TrialOut:
    """Look at a source as a portal would be looked at.

    Raises:
        Unavailable: Too many try already.
    """
    if _TRYING.locked():
        raise Unavailable("Đang có nhiều người thử đọc; hãy thử lại sau ít giây.")
    async with _TRYING:
        rule = Rule(body.item_class, body.date_class)
        found = await look(Source(body.source_url, body.kind, rule), settings.portals)
    items = [
        FoundItemOut(
            url=each.url, title=each.title, published_at=each.published_at, tags=list(each.tags)
        )
        for each in found.items[:SHOWN]
    ]
    return TrialOut(
        outcome=found.outcome, detail=found.detail, listed=len(found.items), items=items
    )


@router.get("/portal-standings", summary="Xã nào thường xuyên cập nhật trang thông tin")
async def show_standings(
    session: Session,
    settings: AppSettings,
    caller: Reader,
    as_of: Annotated[Day | None, Query(description="mặc định hôm nay")] = None,
    unit: Annotated[Code | None, Query(alias="scope", description="tỉnh, huyện, xã")] = None,
) -> StandingsOut:
    """Every commune of a unit on a day, with what its portals have published."""
    on = as_of or clock.today()
    unit = unit or await scope.default_unit(session, caller, settings.province)
    await scope.require_readable_unit(session, caller, Permission.READ, unit, on)
    readable = await scope.readable_scope(session, caller, Permission.READ)
    async with scope.whole(session):
        found = await standings(session, on, unit)
    return StandingsOut.of(
        found, on, [each for each in found.undecided if each.area_code in readable]
    )


@router.get("/portal-update-rules", summary="Thế nào là thường xuyên cập nhật")
async def list_rules(session: Session, caller: Reader) -> list[UpdateRuleOut]:
    """The newest first; the last one holds while the province has decided nothing."""
    return await register.rules(session)


@router.put(
    "/portal-update-rules/{valid_from}", summary="Quyết định thế nào là thường xuyên cập nhật"
)
async def put_rule(
    session: Session, caller: AreaEditor, valid_from: Day, body: UpdateRuleIn
) -> UpdateRuleOut:
    """From that day on."""
    return await register.put_rule(session, valid_from, body, caller, clock.now())


@router.delete(
    "/portal-update-rules/{valid_from}", status_code=204, summary="Bỏ một quy định nhập nhầm"
)
async def delete_rule(session: Session, caller: AreaEditor, valid_from: Day) -> Response:
    """The one before it holds again."""
    await register.delete_rule(session, valid_from, caller)
    return Response(status_code=204)
