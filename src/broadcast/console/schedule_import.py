"""A calendar file as schedules: what each event would become, and then the import itself.

Nothing is kept between the two: the browser sends the file again, and what is stored must be what
was shown.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import File, Form, Request, Response, UploadFile

from broadcast.auth.caller import Scheduler
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import changes_nothing
from broadcast.console.admin.calendars import places_of
from broadcast.console.admin.imports import FATES
from broadcast.console.page import PageRouter, page
from broadcast.kit import clock
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.kit.sheets import Fate
from broadcast.schedules.ics_import import MOST_WRITTEN, import_calendar
from broadcast.schedules.ics_routes import CalendarImportOut, CalendarRowOut
from broadcast.web.fields import Code
from broadcast.web.files import received
from broadcast.web.rest import AppSettings, Session

router = PageRouter()

SHOWN = 300
"""Events on the page; all are counted, what is left out first."""

Given = Annotated[UploadFile, File()]
Area = Annotated[Code, Form()]


@router.get("/schedule/import")
async def ask(
    request: Request, session: Session, caller: Scheduler, area: str | None = None
) -> Response:
    """Ask for the file, and where it is for."""
    places = await places_of(session, caller, Permission.SCHEDULE_WRITE, clock.today())
    return page(
        request, caller, "schedule/import.html", places=places, area=area, most=MOST_WRITTEN
    )


@router.post("/schedule/import/preview")
@changes_nothing
async def preview(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    calendar: Given,
    area: Area,
) -> Response:
    """What each event would become; nothing is written."""
    found = await _imported(session, settings, caller, calendar, area, dry_run=True)
    return page(
        request, caller, "schedule/_import_preview.html",
        found=found, rows=_shown(found), fates=FATES,
    )  # fmt: skip


@router.post("/schedule/import", summary="Nhập lịch phát từ tệp lịch đã xem trước")
async def store(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    calendar: Given,
    area: Area,
    digest: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Store what was previewed, if it still comes to the same."""
    found = await _imported(session, settings, caller, calendar, area, dry_run=False)
    if found.digest != digest:
        raise Conflict(
            "Tệp hoặc lịch phát không còn như lúc xem trước, nên chưa ghi gì; hãy xem trước lại."
        )
    return page(request, caller, "schedule/_import_done.html", found=found)


async def _imported(
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    calendar: UploadFile,
    area: str,
    *,
    dry_run: bool,
) -> CalendarImportOut:
    if not calendar.filename:
        raise InvalidInput("calendar", "hãy chọn tệp lịch (.ics)")
    rows = await import_calendar(
        session, await received(calendar), area, caller, settings.rules, clock.now(),
        dry_run=dry_run,
    )  # fmt: skip
    return CalendarImportOut.of(rows, dry_run=dry_run)


def _shown(found: CalendarImportOut) -> list[CalendarRowOut]:
    order = [Fate.REFUSED, Fate.ADDED, Fate.CHANGED, Fate.UNCHANGED]
    return sorted(found.rows, key=lambda row: order.index(row.fate))[:SHOWN]
