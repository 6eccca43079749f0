"""REST of inboxes: what is sent to communes, what they do with it, and how they keep to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.auth.caller import Caller, ContentReader, Scheduler, require
from broadcast.auth.people import people
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.inbox import answers, compliance, items, orders, sending
from broadcast.inbox.items import State
from broadcast.inbox.model import InboxItem
from broadcast.inbox.schemas import (
    AuthorityOrderIn,
    AuthorityOrderOut,
    ComplianceOut,
    CountsOut,
    DeclineIn,
    ItemOut,
    OrderIn,
    OrdersOut,
    PickedOut,
    PickIn,
    SendIn,
)
from broadcast.inbox.sheet import sheet
from broadcast.kit import clock
from broadcast.kit.times import Day
from broadcast.schedules import authority
from broadcast.schedules.schemas import PlannedScheduleOut
from broadcast.web import rest
from broadcast.web.fields import Code
from broadcast.web.rest import AppSettings, Page, PageQuery, Session
from broadcast.wire.fields import BulletinClass

router = Router(prefix="/api/v1", tags=["inbox"])

Commander = Annotated[Caller, Depends(require(Permission.EMERGENCY_WRITE))]

DAYS = timedelta(days=29)
"""Before the last day, where no first one is named."""


async def shown(session: AsyncSession, item_id: UUID) -> ItemOut:
    """An item as REST shows it."""
    item, bulletin, state = await items.get(session, item_id, clock.now())
    known = await people(session, [item.sent_by, item.answered_by])
    return ItemOut.of(item, bulletin, state, people=known)


# --- sending ------------------------------------------------------------------------------------


@router.post("/inbox-items", summary="Gửi một bản tin vào hộp tin đến của các xã")
async def send(session: Session, caller: Scheduler, body: SendIn) -> list[ItemOut]:
    """Normal: each commune picks it or declines. Priority: it is placed in each commune's day.

    Placing is done afterwards, one commune after the other: `state` of an item tells how far it
    is. Repeating it sends nothing twice; other villages of a commune join those it is for already.
    """
    sent = await sending.send(
        session, body.bulletin_id, body.areas, body.useful_until, caller, clock.now()
    )
    statement = await items.select_items(session, clock.now(), bulletin=body.bulletin_id)
    rows = await session.execute(
        statement.where(InboxItem.id.in_([each.id for each in sent])).order_by(
            InboxItem.commune_code
        )
    )
    found = rows.all()
    known = await people(
        session, (id_ for row in found for id_ in (row[0].sent_by, row[0].answered_by))
    )
    return [ItemOut.of(*row, people=known) for row in found]


# --- the inbox ----------------------------------------------------------------------------------


@router.get("/inbox-items", summary="Hộp tin đến")
async def list_items(
    session: Session,
    caller: ContentReader,
    paging: PageQuery,
    state: State | None = None,
    class_: Annotated[BulletinClass | None, Query(alias="class")] = None,
    bulletin: UUID | None = None,
    area: Annotated[Code | None, Query(description="xã nhận, theo đơn vị hôm nay")] = None,
) -> Page[ItemOut]:
    """The newest first."""
    statement = await items.select_items(
        session, clock.now(), state_is=state, class_=class_, bulletin=bulletin, commune=area
    )
    key = [InboxItem.sent_at, InboxItem.id]
    found = await rest.paged(session, statement, key, paging, backwards=True)
    known = await people(
        session, (id_ for row in found.rows for id_ in (row[0].sent_by, row[0].answered_by))
    )
    return found.page(lambda *row: ItemOut.of(*row[:3], people=known))


@router.get("/inbox-items/{item_id}", summary="Một tin đến")
async def get_item(session: Session, caller: ContentReader, item_id: UUID) -> ItemOut:
    """An item by id."""
    return await shown(session, item_id)


@router.post("/inbox-items/{item_id}/pick", summary="Nhận phát: xếp lịch ở xã")
async def pick(
    session: Session, settings: AppSettings, caller: Scheduler, item_id: UUID, body: PickIn
) -> PickedOut:
    """Make a schedule of it in the commune; without a time at the one that is proposed."""
    _, schedule, plan = await answers.pick(
        session, item_id, body.columns(), caller, settings.rules, clock.now()
    )
    known = await people(session, [schedule.created_by])
    return PickedOut(
        item=await shown(session, item_id),
        schedule=PlannedScheduleOut.with_plan(schedule, plan, known),
    )


@router.post("/inbox-items/{item_id}/decline", summary="Từ chối, kèm lý do")
async def decline(session: Session, caller: Scheduler, item_id: UUID, body: DeclineIn) -> ItemOut:
    """Nothing of it sounds in the commune; the sender sees why."""
    await answers.decline(session, item_id, body.reason, caller, clock.now())
    return await shown(session, item_id)


@router.get("/inbox-items/{item_id}/order", summary="Hai thứ tự khi trùng tin ưu tiên của xã")
async def get_order(
    session: Session, settings: AppSettings, caller: ContentReader, item_id: UUID
) -> OrdersOut:
    """What each of the two orders sounds like, and which one holds."""
    found = await orders.orders(session, item_id, settings.rules, clock.now())
    return OrdersOut.of(found, await people(session, [found.choice.decided_by]))


@router.put("/inbox-items/{item_id}/order", summary="Xã chọn thứ tự phát")
async def put_order(
    session: Session, settings: AppSettings, caller: Scheduler, item_id: UUID, body: OrderIn
) -> OrdersOut:
    """Until five minutes before; without a word the source comes first."""
    await orders.decide(
        session, item_id, caller, settings.rules, clock.now(), source_first=body.source_first
    )
    found = await orders.orders(session, item_id, settings.rules, clock.now())
    return OrdersOut.of(found, await people(session, [found.choice.decided_by]))


# --- how communes keep to it ---------------------------------------------------------------------


async def counted(
    session: AsyncSession, first_on: Day | None, last_on: Day | None
) -> ComplianceOut:
    """The counts of some days, as REST shows them: the last thirty, where none is named."""
    last = last_on or clock.today()
    first = first_on or last - DAYS
    found = await compliance.compliance(session, first, last, clock.now())
    return ComplianceOut(
        first_on=first,
        last_on=last,
        total=CountsOut.of(found.total),
        communes=[CountsOut.of(each) for each in found.communes],
    )


From = Annotated[Day | None, Query(alias="from", description="ngày gửi; mặc định 30 ngày")]
To = Annotated[Day | None, Query(alias="to", description="mặc định hôm nay")]


@router.get("/inbox-compliance", summary="Các xã thực hiện tin của cấp trên")
async def get_compliance(
    session: Session, caller: ContentReader, since: From = None, until: To = None
) -> ComplianceOut:
    """Of what was sent on these days: picked, declined, left; placed, on time, ordered."""
    return await counted(session, since, until)


@router.get(
    "/inbox-compliance.csv",
    summary="Như trên, tệp CSV",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}},
)
async def export_compliance(
    session: Session, caller: ContentReader, since: From = None, until: To = None
) -> Response:
    """The figures of `inbox-compliance`, a line for each commune."""
    found = await counted(session, since, until)
    name = f"tin-den-{found.first_on}-{found.last_on}.csv"
    return Response(
        sheet(found),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


# --- the order of authorities -------------------------------------------------------------------


@router.get("/authority-orders", summary="Thứ tự ưu tiên giữa các cấp")
async def list_orders(session: Session, _: ContentReader) -> list[AuthorityOrderOut]:
    """What was chosen, oldest first; without any, the province before district and commune."""
    return [AuthorityOrderOut.of(row) for row in await authority.orders(session)]


@router.put("/authority-orders/{valid_from}", summary="Chọn thứ tự các cấp, từ một ngày sau này")
async def put_authority_order(
    session: Session, caller: Commander, valid_from: Day, body: AuthorityOrderIn
) -> AuthorityOrderOut:
    """For what is scheduled from then on; schedules keep the priority that they have."""
    scope.require_whole(session, caller, Permission.EMERGENCY_WRITE)
    row = await authority.choose(session, valid_from, body.levels, caller.account_id, clock.now())
    return AuthorityOrderOut.of(row)
