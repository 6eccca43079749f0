"""The inbox: what was sent to a commune from above, to hear, to pick, to decline or to order."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, time, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Form, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.units import load_tree
from broadcast.auth.caller import Caller, ContentReader, Scheduler
from broadcast.auth.people import people
from broadcast.auth.permissions import Permission
from broadcast.bulletins import details, revisions
from broadcast.bulletins.places import require_at_bulletin
from broadcast.bulletins.revisions import newest_approved
from broadcast.bulletins.schemas import RevisionOut
from broadcast.config import Rules
from broadcast.console.bulletin_words import WORDS
from broadcast.console.library import Blank, area_names
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.places import areas_of, communes_of
from broadcast.console.timetable import moment_of
from broadcast.console.words import N_
from broadcast.grid.model import AirSession
from broadcast.grid.sessions import select_sessions
from broadcast.inbox import answers, items, orders, sending
from broadcast.inbox.items import State
from broadcast.inbox.model import InboxItem, OrderChoice
from broadcast.inbox.orders import Settled
from broadcast.inbox.routes import counted
from broadcast.inbox.schemas import ItemOut, OrdersOut
from broadcast.kit import clock
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.kit.text import Note
from broadcast.kit.times import Day
from broadcast.schedules.rrule import parse
from broadcast.schedules.schemas import MOST_TARGETS
from broadcast.web.fields import Code
from broadcast.web.rest import AppSettings, Paging, Session, paged

router = PageRouter()

PER_PAGE = 50

LAST_MINUTE = time(23, 59)
USEFUL = timedelta(days=7)
"""For which the form proposes that a bulletin is of use."""

STATES = {
    State.PLACING: ("partial", N_("chờ xếp giờ")),
    State.WAITING: ("partial", N_("chờ xã chọn")),
    State.PICKED: ("ok", N_("đã nhận phát")),
    State.DECLINED: ("plain", N_("đã từ chối")),
    State.PLACED: ("ok", N_("đã xếp giờ")),
    State.EXPIRED: ("unknown", N_("để quá hạn")),
    State.WITHDRAWN: ("plain", N_("đã rút")),
}
"""Look and word of how an item stands (`ui.state`)."""

Cursor = Annotated[str | None, Blank, Query()]


@router.get("/inbox")
async def show(
    request: Request, session: Session, caller: ContentReader, cursor: Cursor = None
) -> Response:
    """What was sent to the caller's communes, the newest first."""
    return await _list(request, session, caller, cursor, "inbox/index.html")


@router.get("/inbox/list")
async def show_list(
    request: Request, session: Session, caller: ContentReader, cursor: Cursor = None
) -> Response:
    """The list without its frame, for an open page."""
    return await _list(request, session, caller, cursor, "inbox/_list.html")


async def _list(
    request: Request, session: AsyncSession, caller: Caller, cursor: str | None, template: str
) -> Response:
    now = clock.now()
    statement = await items.select_items(session, now)
    key = [InboxItem.sent_at, InboxItem.id]
    rows = await paged(session, statement, key, Paging(cursor, PER_PAGE), backwards=True)
    known = await people(
        session, (id_ for row in rows.rows for id_ in (row[0].sent_by, row[0].answered_by))
    )
    found = rows.page(lambda *row: ItemOut.of(*row[:3], people=known))
    return page(
        request, caller, template,
        found=found,
        waiting=await items.waiting_count(session, now),
        open_orders=await orders.open_ids(session, now),
        areas=await area_names(
            session, (code for each in found.items for code in (each.from_area, each.commune_code))
        ),
        states=STATES,
        **WORDS,
    )  # fmt: skip


@router.get("/inbox/count")
async def show_count(request: Request, session: Session, caller: ContentReader) -> Response:
    """How many wait, for the menu."""
    return page(
        request, caller, "inbox/_count.html",
        waiting=await items.to_answer(session, caller, clock.now()),
    )  # fmt: skip


@router.get("/inbox/compliance")
async def show_compliance(
    request: Request,
    session: Session,
    caller: ContentReader,
    since: Annotated[Day | None, Blank, Query(alias="from")] = None,
    until: Annotated[Day | None, Blank, Query(alias="to")] = None,
) -> Response:
    """What communes did with what was sent on some days."""
    found = await counted(session, since, until)
    return page(request, caller, "inbox/compliance.html", found=found)


@router.get("/bulletins/{bulletin_id}/send")
async def show_sending(
    request: Request, session: Session, caller: Scheduler, bulletin_id: UUID
) -> Response:
    """To which communes an approved bulletin goes, until when, and what came of it."""
    await require_at_bulletin(session, caller, Permission.SCHEDULE_WRITE, bulletin_id)
    now = clock.now()
    bulletin = await revisions.get_bulletin(session, bulletin_id)
    tree = await load_tree(session, now.astimezone(LOCAL).date())
    inside = sending.communes_of(tree, bulletin.area_code) if bulletin.area_code in tree else ()
    communes = [
        each
        for each in await communes_of(session, caller, Permission.SCHEDULE_WRITE, tree)
        if each.code in inside
    ]
    return page(
        request, caller, "inbox/send.html",
        bulletin=bulletin,
        communes=communes,
        chosen=(),
        until=(now.astimezone(LOCAL) + USEFUL).date(),
        areas=await area_names(session, [bulletin.area_code]),
        **await _sent(session, bulletin_id, now),
        **WORDS,
    )  # fmt: skip


@router.get("/bulletins/{bulletin_id}/sent")
async def show_sent(
    request: Request, session: Session, caller: Scheduler, bulletin_id: UUID
) -> Response:
    """How far a bulletin is placed, for the open page of its sending."""
    await require_at_bulletin(session, caller, Permission.SCHEDULE_WRITE, bulletin_id)
    bulletin = await revisions.get_bulletin(session, bulletin_id)
    found = await _sent(session, bulletin_id, clock.now())
    return page(request, caller, "inbox/_sent.html", bulletin=bulletin, **found)


async def _sent(session: AsyncSession, bulletin_id: UUID, now: datetime) -> dict[str, Any]:
    """How the items of a bulletin stand, and at which communes no time was found."""
    unplaced = await items.not_placed(session, bulletin_id, now)
    return {
        "sent": await items.counts_of(session, bulletin_id, now),
        "unplaced": unplaced,
        "names": await area_names(session, (each.commune_code for each in unplaced)),
        "states": STATES,
    }


@router.post("/bulletins/{bulletin_id}/send", summary="Gửi đến hộp tin của các xã")
async def send(
    request: Request,
    session: Session,
    caller: Scheduler,
    bulletin_id: UUID,
    useful_until: Annotated[Day, Form()],
    place: Annotated[list[Code] | None, Form(max_length=5000)] = None,
) -> Response:
    """As `POST /inbox-items` of REST; to all of the station's area where no village is chosen."""
    bulletin = await revisions.get_bulletin(session, bulletin_id)
    until = datetime.combine(useful_until, LAST_MINUTE, LOCAL)
    areas = areas_of(await load_tree(session, clock.today()), place or ())
    if len(areas) > MOST_TARGETS:
        raise InvalidInput("areas", f"nhiều nhất {MOST_TARGETS} nơi; hãy chọn cả xã")
    await sending.send(
        session, bulletin_id, areas or [bulletin.area_code], until, caller, clock.now()
    )
    return redirect(request, f"/bulletins/{bulletin_id}/send")


@router.get("/inbox/{item_id}")
async def show_item(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: ContentReader,
    item_id: UUID,
) -> Response:
    """One item: its sound and words, and what can be done with it."""
    now = clock.now()
    item, bulletin, state = await items.get(session, item_id, now)
    shown = ItemOut.of(
        item, bulletin, state, people=await people(session, [item.sent_by, item.answered_by])
    )
    revision = await newest_approved(session, item.bulletin_id)
    commune = await items.commune_of(session, item)
    proposed = None
    if state in {State.PLACING, State.WAITING} and commune is not None:
        with suppress(Conflict):  # its villages are gone: whoever picks it is told
            targets = await items.targets_of(session, [item], commune)
            proposed = await answers.propose(session, item, targets, settings.rules, now)
    return page(
        request, caller, "inbox/show.html",
        item=shown,
        revision=None if revision is None
        else RevisionOut.of(await details.of_revision(session, revision)),
        proposed=None if proposed is None else proposed.astimezone(LOCAL),
        sessions=await _sessions(session, commune)
        if proposed is not None and not item.villages
        else [],
        order=await _order(session, item_id, settings.rules, now),
        may_answer=await items.is_of_commune(session, caller, item),
        Settled=Settled,
        areas=await area_names(
            session, [shown.from_area, shown.commune_code, *shown.villages]
        ),
        states=STATES,
        **WORDS,
    )  # fmt: skip


async def _sessions(session: AsyncSession, commune: str | None) -> list[AirSession]:
    """Sessions of a commune's grid."""
    statement = await select_sessions(session, commune)
    return list(await session.scalars(statement.order_by(AirSession.starts_at).limit(PER_PAGE)))


async def _order(
    session: AsyncSession, item_id: UUID, rules: Rules, now: datetime
) -> OrdersOut | None:
    """The choice about an item; None where there is none, or nothing of it is planned any more."""
    if await session.get(OrderChoice, item_id) is None:
        return None
    try:
        found = await orders.orders(session, item_id, rules, now)
    except Conflict:
        return None
    return OrdersOut.of(found, await people(session, [found.choice.decided_by]))


@router.post("/inbox/{item_id}/pick", summary="Nhận phát: xếp lịch ở xã")
async def pick(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    item_id: UUID,
    day: Annotated[str, Form(max_length=10)] = "",
    at: Annotated[str, Form(alias="time", max_length=8)] = "",
    daily: Annotated[bool, Form()] = False,
    air_session: Annotated[UUID | None, Form()] = None,
) -> Response:
    """As `POST …/pick` of REST, wherever it was sent to."""
    columns: dict[str, object] = {}
    if air_session is not None:
        columns["air_session"] = air_session
    if day or at:
        columns["starts_at"] = moment_of(day, at)
    if daily:
        columns["rrule"] = str(parse("FREQ=DAILY", LOCAL))
    _, schedule, _ = await answers.pick(
        session, item_id, columns, caller, settings.rules, clock.now()
    )
    return redirect(request, f"/schedule/{schedule.id}")


@router.post("/inbox/{item_id}/decline", summary="Từ chối, kèm lý do")
async def decline(
    request: Request,
    session: Session,
    caller: Scheduler,
    item_id: UUID,
    reason: Annotated[Note, Form()] = "",
) -> Response:
    """As `POST …/decline` of REST."""
    await answers.decline(session, item_id, reason, caller, clock.now())
    return redirect(request, "/inbox")


@router.post("/inbox/{item_id}/order", summary="Xã chọn thứ tự phát")
async def order(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    item_id: UUID,
    source_first: Annotated[bool, Form()],
) -> Response:
    """As `PUT …/order` of REST."""
    await orders.decide(
        session, item_id, caller, settings.rules, clock.now(), source_first=source_first
    )
    return redirect(request, f"/inbox/{item_id}")
