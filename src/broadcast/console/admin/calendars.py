"""Marking days: holidays, mourning, exams, calendars of one's own, with what that will silence."""

from __future__ import annotations

from datetime import date, time
from typing import Annotated

from fastapi import Depends, Form, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.model import Level
from broadcast.areas.units import load_tree
from broadcast.auth.caller import Caller, Reader, Scheduler
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import changes_nothing
from broadcast.calendars import law, marking
from broadcast.calendars.days import Kind
from broadcast.calendars.lunar import new_year
from broadcast.calendars.schemas import CalendarDayIn
from broadcast.console.formats import collated
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.people import forms
from broadcast.console.words import N_
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.kit.text import clean_filled_line, clean_line
from broadcast.schedules import calendar_effects
from broadcast.schedules.schemas import EffectOut
from broadcast.web.rest import Id, Paging, Session

router = PageRouter()

KINDS = {
    Kind.HOLIDAY: N_("Nghỉ lễ (ngoài các ngày theo luật)"),
    Kind.WORKING: N_("Đi làm bù, hoặc không nghỉ ngày theo luật"),
    Kind.MOURNING: N_("Ngày tang: chỉ phát lời nói, không phát nhạc"),
    Kind.EXAM: N_("Ngày thi: loa im cả ngày, hoặc trong các giờ thi"),
    Kind.OPEN: N_("Được phát cuối tuần (ngoại lệ của Quy chế, có văn bản)"),
    Kind.OWN: N_("Lịch riêng để lịch phát theo hoặc tránh"),
}
NAMES = {
    Kind.HOLIDAY: N_("Nghỉ lễ"),
    Kind.WORKING: N_("Đi làm bù"),
    Kind.MOURNING: N_("Ngày tang"),
    Kind.EXAM: N_("Ngày thi"),
    Kind.OPEN: N_("Được phát cuối tuần"),
    Kind.OWN: N_("Lịch riêng"),
}

SHOWN = 200
"""Markings that are listed."""


@router.get("/admin/calendars")
async def show(request: Request, session: Session, caller: Reader) -> Response:
    """What is marked from today on, the holidays of two years, and the form to mark more."""
    today = clock.today()
    marked = await marking.list_days(session, Paging(None, SHOWN), today)
    places = await places_of(session, caller, Permission.SCHEDULE_WRITE, today)
    years = (today.year, today.year + 1)
    return page(
        request, caller, "admin/calendars.html",
        marked=sorted(marked.items, key=lambda each: (each.first_on, each.id)),
        holidays=[
            each
            for year in years
            for each in law.holidays(year)
            if each.day >= today
        ],
        tet=next(each for each in map(new_year, years) if each > today),
        kinds=forms.options(request, KINDS), names=NAMES,
        places=places, units=dict(await units_of(session, today)), today=today,
    )  # fmt: skip


async def units_of(session: AsyncSession, on: date) -> list[tuple[str, str]]:
    """Provinces and communes of a day, the province first, then by name."""
    found = [
        each
        for each in await load_tree(session, on)
        if each.level in {Level.PROVINCE, Level.COMMUNE}
    ]
    found.sort(key=lambda each: (each.level is not Level.PROVINCE, collated(each.name)))
    return [(each.code, each.name) for each in found]


async def places_of(
    session: AsyncSession, caller: Caller, permission: Permission, on: date
) -> list[tuple[str, str]]:
    """Provinces and communes in which the caller may do something."""
    if permission not in caller.permissions:
        return []
    if scope.is_whole(caller, permission):
        return await units_of(session, on)
    territory = await scope.territory_of(session)
    may = scope.changeable(caller, permission, territory)
    return [each for each in await units_of(session, on) if each[0] in may]


def _given(
    kind: Annotated[Kind, Form()],
    area_code: Annotated[str, Form(max_length=40)],
    name: Annotated[str, Form(max_length=200)] = "",
    first_on: Annotated[str, Form(max_length=10)] = "",
    last_on: Annotated[str, Form(max_length=10)] = "",
    from_time: Annotated[str, Form(max_length=8)] = "",
    until_time: Annotated[str, Form(max_length=8)] = "",
    clusters: Annotated[str, Form(max_length=5000)] = "",
    document: Annotated[str, Form(max_length=200)] = "",
) -> CalendarDayIn:
    first = forms.day("first_on", first_on)
    if first is None or not 2000 <= first.year < 2100:
        raise InvalidInput("first_on", "hãy chọn ngày đầu")
    last = forms.day("last_on", last_on) or first
    try:
        called = clean_filled_line(name)
    except ValueError:
        raise InvalidInput("name", "hãy ghi tên, ví dụ Quốc tang hoặc Thi học kỳ 1") from None
    try:
        source = clean_line(document)
    except ValueError:
        raise InvalidInput("document", "chỉ ghi một dòng chữ") from None
    return CalendarDayIn(
        kind=kind,
        name=called,
        area_code=area_code,
        first_on=first,
        last_on=last,
        from_time=_clock("from_time", from_time),
        until_time=_clock("until_time", until_time),
        clusters=[code for code in clusters.replace(",", " ").split() if code],
        document=source,
    )


def _clock(field: str, given: str) -> str | None:
    """A time of day as a form has it; None where it was left empty."""
    if not given:
        return None
    try:
        return f"{time.fromisoformat(given):%H:%M}"
    except ValueError:
        raise InvalidInput(field, "hãy ghi giờ, ví dụ 05:30") from None


Given = Annotated[CalendarDayIn, Depends(_given)]


@router.post("/admin/calendars/check")
@changes_nothing
async def check(request: Request, session: Session, caller: Scheduler, given: Given) -> Response:
    """What it will silence, with the button that saves it."""
    found = await calendar_effects.of_marking(session, given, None, caller, clock.now())
    return page(
        request, caller, "admin/_calendar_effect.html", effect=EffectOut.model_validate(found)
    )


@router.post("/admin/calendars", summary="Đánh dấu ngày trong lịch")
async def store(request: Request, session: Session, caller: Scheduler, given: Given) -> Response:
    """Mark the days."""
    await marking.mark(session, given, caller, clock.now())
    return redirect(request, "/admin/calendars")


@router.post("/admin/calendars/{day_id}/removal")
@changes_nothing
async def check_removal(
    request: Request, session: Session, caller: Scheduler, day_id: Id
) -> Response:
    """What will sound again, with the button that removes the marking."""
    found = await calendar_effects.of_removal(session, day_id, caller, clock.now())
    return page(
        request, caller, "admin/_calendar_removal.html",
        effect=EffectOut.model_validate(found), day_id=day_id,
    )  # fmt: skip


@router.post("/admin/calendars/{day_id}/remove", summary="Bỏ ngày đánh dấu")
async def remove(request: Request, session: Session, caller: Scheduler, day_id: Id) -> Response:
    """Remove a marking."""
    await marking.remove(session, day_id, caller)
    return redirect(request, "/admin/calendars")
