"""The programme grid: sessions of communes, their items in order, and what a week comes to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import Form, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.units import load_tree
from broadcast.auth.caller import Caller, ContentReader, Scheduler
from broadcast.auth.permissions import Permission
from broadcast.bulletins import revisions
from broadcast.bulletins.model import Bulletin, Revision, RevisionState
from broadcast.bulletins.places import require_readable_bulletin
from broadcast.calendars.days import HOLIDAY
from broadcast.config import Rules
from broadcast.console.bulletin_words import WORDS
from broadcast.console.library import Blank, area_names
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.people import forms
from broadcast.console.places import communes_of
from broadcast.console.schedule import WEEKDAY_NAMES
from broadcast.console.timetable import Recurrence, Repeat, moment_of, recurrence_of, rule_text
from broadcast.console.words import N_
from broadcast.grid import play_now, sessions
from broadcast.grid.model import AirSession
from broadcast.grid.planner import Kind
from broadcast.grid.play_now import When
from broadcast.grid.routes import coming_days, shown
from broadcast.grid.schemas import AirItemOut, AirSessionOut
from broadcast.grid.sessions import ItemChange
from broadcast.kit import clock
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.kit.text import FilledLine
from broadcast.kit.times import Day
from broadcast.schedules import rrule
from broadcast.schedules.starts import occurrence_id
from broadcast.streams import register
from broadcast.streams.model import StreamSource
from broadcast.web.fields import Code, LocalTime
from broadcast.web.rest import AppSettings, Session
from broadcast.wire.fields import BulletinClass

router = PageRouter()

KINDS = {
    Kind.SIGNATURE: N_("nhạc hiệu"),
    Kind.RELAY: N_("tiếp âm"),
    Kind.ABOVE: N_("tin cấp trên"),
    Kind.OWN: N_("tin của xã"),
    Kind.CLOSING: N_("lời kết"),
}

SHOWN = 50
"""Sessions of one page, and bulletins that can be chosen."""

DAYS = 7

AreaQuery = Annotated[Code | None, Blank, Query()]


@router.get("/grid")
async def show(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: ContentReader,
    area: AreaQuery = None,
    after: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> Response:
    """The sessions of the caller's communes, with what the coming week comes to."""
    return await _grid(request, session, settings.rules, caller, area, after, "grid/index.html")


@router.get("/grid/sheet")
async def show_sheet(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: ContentReader,
    area: AreaQuery = None,
    after: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> Response:
    """The sessions without the frame, for an open page."""
    return await _grid(request, session, settings.rules, caller, area, after, "grid/_sheet.html")


async def _grid(
    request: Request,
    session: AsyncSession,
    rules: Rules,
    caller: Caller,
    area: str | None,
    after: int,
    template: str,
) -> Response:
    now = clock.now()
    statement = await sessions.select_sessions(session, area)
    order = AirSession.area_code, AirSession.created_at, AirSession.id
    found = list(await session.scalars(statement.order_by(*order).offset(after).limit(SHOWN + 1)))
    airs = [
        (await shown(session, each), await coming_days(session, each, DAYS, rules, now))
        for each in found[:SHOWN]
    ]
    tree = await load_tree(session, now.astimezone(LOCAL).date())
    return page(
        request, caller, template,
        airs=[(air, days, _recurrence(air)) for air, days in airs],
        next=after + SHOWN if len(found) > SHOWN else None,
        area=area, communes=await communes_of(session, caller, Permission.CONTENT_READ, tree),
        areas=await area_names(session, (air.area_code for air, _ in airs)),
        kinds=KINDS, weekday_names=WEEKDAY_NAMES,
    )  # fmt: skip


def _recurrence(air: AirSessionOut) -> Recurrence:
    return recurrence_of(rrule.parse(air.rrule, LOCAL), air.starts_at)


@router.get("/grid/new")
async def show_new(request: Request, session: Session, caller: Scheduler) -> Response:
    """The form of a new session."""
    today = clock.today()
    tree = await load_tree(session, today)
    communes = await communes_of(session, caller, Permission.SCHEDULE_WRITE, tree)
    return page(
        request, caller, "grid/new.html",
        communes=[(each.code, each.name) for each in communes],
        tomorrow=today + timedelta(days=1), weekday_names=WEEKDAY_NAMES,
    )  # fmt: skip


def _columns(
    name: str, day: str, at: str, minutes: int, weekday: Sequence[str], overrun: bool, off: bool
) -> dict[str, Any]:
    if not weekday:
        raise InvalidInput("weekday", "hãy chọn ít nhất một thứ trong tuần")
    repeat = Repeat.DAILY if len(set(weekday)) == 7 else Repeat.WEEKLY
    return {
        "name": name, "starts_at": moment_of(day, at), "seconds": minutes * 60,
        "rrule": rule_text(Recurrence(repeat, tuple(weekday))), "may_overrun": overrun,
        "except_on": [HOLIDAY] if off else [],
    }  # fmt: skip


Minutes = Annotated[int, Form(ge=1, le=120)]
Weekdays = Annotated[list[str] | None, Form()]
Seen = Annotated[str, Form(max_length=40)]


@router.post("/grid/new", summary="Lập buổi phát thanh")
async def create(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    area_code: Annotated[Code, Form()],
    name: Annotated[FilledLine, Form()],
    day: Annotated[str, Form(max_length=10)],
    at: Annotated[str, Form(alias="time", max_length=8)],
    minutes: Minutes,
    weekday: Weekdays = None,
    overrun: Annotated[bool, Form()] = False,
    no_holidays: Annotated[bool, Form()] = False,
) -> Response:
    """As `POST /air-sessions` of REST, without items yet."""
    columns = _columns(name, day, at, minutes, weekday or [], overrun, no_holidays)
    air = await sessions.create(
        session, area_code, columns, [], caller, settings.rules, clock.now()
    )
    return redirect(request, f"/grid/{air.id}")


@router.get("/grid/{air_session_id}")
async def show_session(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: ContentReader,
    air_session_id: UUID,
) -> Response:
    """One session: its items, the coming days, its settings."""
    air = await sessions.get(session, air_session_id)
    return await _editor(request, session, settings.rules, caller, air, "grid/show.html")


async def _editor(
    request: Request,
    session: AsyncSession,
    rules: Rules,
    caller: Caller,
    air: AirSession,
    template: str,
) -> Response:
    now = clock.now()
    today = now.astimezone(LOCAL).date()
    tree = await load_tree(session, today)
    writable = await communes_of(session, caller, Permission.SCHEDULE_WRITE, tree)
    out = await shown(session, air)
    may = air.ended_at is None and air.area_code in {each.code for each in writable}
    return page(
        request, caller, template,
        air=out,
        days=await coming_days(session, air, DAYS, rules, now),
        skipped=[each for each in out.skipped_on if each >= today],
        recurrence=_recurrence(out),
        local=out.starts_at.astimezone(LOCAL),
        may_write=may,
        bulletins=await _choosable(session, air.area_code) if may else [],
        sources=await _relayable(session, air.area_code, now) if may else [],
        kind_options=forms.options(request, KINDS),
        kinds=KINDS, weekday_names=WEEKDAY_NAMES, today=today, HOLIDAY=HOLIDAY,
        areas=await area_names(session, [air.area_code]),
    )  # fmt: skip


async def _choosable(session: AsyncSession, area_code: str) -> list[tuple[str, str]]:
    """The newest approved bulletins of the station."""
    approved = sa.exists().where(
        Revision.bulletin_id == Bulletin.id, Revision.state == RevisionState.APPROVED
    )
    rows = await session.execute(
        sa.select(Bulletin.id, Bulletin.title)
        .where(
            Bulletin.area_code == area_code, approved, Bulletin.class_ != BulletinClass.EMERGENCY
        )
        .order_by(Bulletin.created_at.desc())
        .limit(SHOWN)
    )
    return [(str(id_), title) for id_, title in rows]


async def _held(
    session: AsyncSession, air_session_id: UUID, caller: Caller, seen: str
) -> tuple[AirSession, list[AirItemOut]]:
    """A session to be changed from what a page shows of it.

    Raises:
        Conflict: Somebody else has changed it meanwhile.
        BroadcastError: As `sessions.hold`.
    """
    air = await sessions.hold(session, air_session_id, caller)
    if seen and air.changed_at.isoformat() != seen:
        raise Conflict(
            "Người khác vừa sửa buổi phát này nên chưa lưu; hãy tải lại trang rồi làm lại."
        )
    return air, (await shown(session, air)).items


def _kept(each: AirItemOut) -> ItemChange:
    return ItemChange(each.id, None, each.kind, each.first_on, each.last_on, each.is_speech)


async def _relayable(
    session: AsyncSession, area_code: str, now: datetime
) -> list[tuple[str, str]]:
    """The sources that may be relayed at the station."""
    above = await register.units_above(session, [area_code], now)
    rows = await session.execute(
        sa.select(StreamSource.id, StreamSource.name)
        .where(StreamSource.area_code.in_(above), StreamSource.ended_at.is_(None))
        .order_by(StreamSource.name, StreamSource.id)
        .limit(SHOWN)
    )
    return [(str(id_), name) for id_, name in rows]


@router.post("/grid/{air_session_id}/order", summary="Đổi thứ tự các mục")
async def reorder(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    air_session_id: UUID,
    item: Annotated[list[UUID] | None, Form()] = None,
    seen: Seen = "",
) -> Response:
    """The items in the order of the page; answers the part of the page anew."""
    air, items = await _held(session, air_session_id, caller, seen)
    by_id = {each.id: each for each in items}
    order = item or []
    if sorted(order) != sorted(by_id):
        raise Conflict("Các mục của buổi đã đổi nên chưa lưu; hãy tải lại trang rồi làm lại.")
    changes = [_kept(by_id[each]) for each in order]
    await sessions.change(session, air, {}, changes, caller, settings.rules, clock.now())
    return await _editor(request, session, settings.rules, caller, air, "grid/_session.html")


@router.post("/grid/{air_session_id}/items", summary="Thêm mục vào buổi")
async def add(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    air_session_id: UUID,
    bulletin_id: Annotated[UUID | None, Form()] = None,
    kind: Annotated[Kind, Form()] = Kind.OWN,
    first_on: Annotated[str, Form(max_length=10)] = "",
    last_on: Annotated[str, Form(max_length=10)] = "",
    is_speech: Annotated[bool, Form()] = False,
    relay_source_id: Annotated[int | None, Form(ge=1, le=2**31 - 1)] = None,
    relay_at: Annotated[LocalTime | None, Blank, Form()] = None,
    relay_minutes: Annotated[int | None, Blank, Form(ge=1, le=120)] = None,
    seen: Seen = "",
) -> Response:
    """A bulletin of the station, or a relay, before the closing words."""
    air, items = await _held(session, air_session_id, caller, seen)
    first, last = forms.day("first_on", first_on), forms.day("last_on", last_on)
    new = ItemChange(
        None, bulletin_id, kind, first, last, is_speech, relay_source_id,
        None if relay_at is None else time.fromisoformat(relay_at),
        None if relay_minutes is None else 60 * relay_minutes,
    )  # fmt: skip
    at = len(items)
    if kind is Kind.SIGNATURE:
        at = 0
    elif kind is not Kind.CLOSING:
        while at and items[at - 1].kind is Kind.CLOSING:
            at -= 1
    changes = [_kept(each) for each in items]
    changes.insert(at, new)
    await sessions.change(session, air, {}, changes, caller, settings.rules, clock.now())
    return redirect(request, f"/grid/{air_session_id}")


@router.post("/grid/{air_session_id}/items/{item_id}/relay", summary="Đổi giờ của mục tiếp âm")
async def change_relay(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    air_session_id: UUID,
    item_id: UUID,
    relay_at: Annotated[LocalTime, Form()],
    relay_minutes: Annotated[int, Form(ge=1, le=120)],
    seen: Seen = "",
) -> Response:
    """The relay begins at another hour or lasts longer; answers the part of the page anew."""
    air, items = await _held(session, air_session_id, caller, seen)
    if item_id not in {each.id for each in items}:
        raise Conflict("Mục này không còn trong buổi nên chưa lưu; hãy tải lại trang.")
    at, seconds = time.fromisoformat(relay_at), 60 * relay_minutes
    changes = [
        _kept(each)._replace(relay_at=at, relay_seconds=seconds)
        if each.id == item_id
        else _kept(each)
        for each in items
    ]
    await sessions.change(session, air, {}, changes, caller, settings.rules, clock.now())
    return await _editor(request, session, settings.rules, caller, air, "grid/_session.html")


@router.post("/grid/{air_session_id}/items/{item_id}/remove", summary="Bỏ mục khỏi buổi")
async def remove(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    air_session_id: UUID,
    item_id: UUID,
    seen: Seen = "",
) -> Response:
    """It sounds no more; what follows comes forward."""
    air, items = await _held(session, air_session_id, caller, seen)
    changes = [_kept(each) for each in items if each.id != item_id]
    await sessions.change(session, air, {}, changes, caller, settings.rules, clock.now())
    return redirect(request, f"/grid/{air_session_id}")


@router.post("/grid/{air_session_id}/settings", summary="Sửa buổi phát thanh")
async def change(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    air_session_id: UUID,
    name: Annotated[FilledLine, Form()],
    day: Annotated[str, Form(max_length=10)],
    at: Annotated[str, Form(alias="time", max_length=8)],
    minutes: Minutes,
    weekday: Weekdays = None,
    overrun: Annotated[bool, Form()] = False,
    no_holidays: Annotated[bool, Form()] = False,
    seen: Seen = "",
) -> Response:
    """As `PATCH /air-sessions/…` of REST."""
    air, _ = await _held(session, air_session_id, caller, seen)
    columns = _columns(name, day, at, minutes, weekday or [], overrun, no_holidays)
    await sessions.change(session, air, columns, None, caller, settings.rules, clock.now())
    return redirect(request, f"/grid/{air_session_id}")


@router.post("/grid/{air_session_id}/skip", summary="Bỏ cả buổi của một ngày, hoặc phát lại")
async def skip(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    air_session_id: UUID,
    day: Annotated[Day, Form()],
    skipped: Annotated[bool, Form()] = True,
) -> Response:
    """The session of one day is left out, or is not any more."""
    air, _ = await _held(session, air_session_id, caller, "")
    days = {*air.skipped_on, day} if skipped else {*air.skipped_on} - {day}
    columns = {"skipped_on": sorted(days)}
    await sessions.change(session, air, columns, None, caller, settings.rules, clock.now())
    return redirect(request, f"/grid/{air_session_id}")


@router.post("/grid/{air_session_id}/end", summary="Kết thúc buổi phát thanh")
async def end(
    request: Request, session: Session, caller: Scheduler, air_session_id: UUID
) -> Response:
    """It begins no more."""
    air, _ = await _held(session, air_session_id, caller, "")
    await sessions.end(session, air, caller, clock.now())
    return redirect(request, "/grid")


# --- play now -----------------------------------------------------------------------------------


@router.get("/bulletins/{bulletin_id}/play-now")
async def show_play_now(
    request: Request, session: Session, caller: Scheduler, bulletin_id: UUID
) -> Response:
    """Where an approved bulletin is to sound now."""
    await require_readable_bulletin(session, caller, bulletin_id)
    bulletin = await revisions.get_bulletin(session, bulletin_id)
    tree = await load_tree(session, clock.today())
    return page(
        request, caller, "grid/play_now.html",
        bulletin=bulletin,
        revision=await revisions.newest_approved(session, bulletin_id),
        communes=await communes_of(session, caller, Permission.SCHEDULE_WRITE, tree),
        When=When,
        **WORDS,
    )  # fmt: skip


@router.post("/bulletins/{bulletin_id}/play-now", summary="Phát ngay một bản tin")
async def play(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    bulletin_id: UUID,
    when: Annotated[When, Form()] = When.AFTER,
    place: Annotated[list[Code] | None, Form()] = None,
) -> Response:
    """As `POST /play-now` of REST; then the page on which its plays appear."""
    if not place:
        raise InvalidInput("place", "hãy chọn ít nhất một thôn")
    targets = [{"area": code} for code in place]
    schedule, _ = await play_now.play(
        session, bulletin_id, targets, when, None, caller, settings.rules, clock.now()
    )
    return redirect(request, f"/plays/{occurrence_id(schedule.id, schedule.starts_at)}")
