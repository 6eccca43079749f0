"""The drill calendar on pages: what is planned, a new drill, and what became of one."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Form, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.alerts import drills
from broadcast.alerts.drill_schemas import DrillIn, DrillOut
from broadcast.alerts.model import Drill
from broadcast.areas.units import load_tree
from broadcast.auth.caller import Authoriser, ContentReader
from broadcast.auth.people import people
from broadcast.auth.permissions import Permission
from broadcast.console.alert_words import WORDS, checked
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.places import communes_of
from broadcast.kit import clock
from broadcast.kit.clock import LOCAL
from broadcast.web.rest import Session

router = PageRouter()


@router.get("/drills")
async def list_drills(request: Request, session: Session, caller: ContentReader) -> Response:
    """The drill calendar, the newest first, and the form of a new one."""
    found = await listed(session)
    communes = await communes_of(
        session, caller, Permission.EMERGENCY_WRITE, await load_tree(session, clock.today())
    )
    return page(
        request, caller, "emergency/drills.html", drills=found, communes=communes,
        tomorrow=clock.today() + timedelta(days=1), **WORDS,
    )  # fmt: skip


@router.post("/drills", summary="Thêm đợt diễn tập")
async def create_drill(
    request: Request,
    session: Session,
    caller: Authoriser,
    title: Annotated[str, Form(max_length=500)],
    area_code: Annotated[str, Form(max_length=64)],
    day: Annotated[date, Form()],
    begin: Annotated[time, Form()],
    end: Annotated[time, Form()],
    mode: Annotated[str, Form(max_length=32)] = "exercise",
) -> Response:
    """Only while it is on may alerts of it sound."""
    starts_at, ends_at = (datetime.combine(day, at, LOCAL) for at in (begin, end))
    given = {
        "title": title, "area_code": area_code, "mode": mode, "starts_at": starts_at,
        "ends_at": ends_at,
    }  # fmt: skip
    drill = await drills.create(session, checked(DrillIn, given), caller, clock.now())
    return redirect(request, f"/drills/{drill.id}")


@router.get("/drills/{drill_id}")
async def show_drill(
    request: Request, session: Session, caller: ContentReader, drill_id: UUID
) -> Response:
    """What became of a drill."""
    drill = await drills.get_drill(session, drill_id)
    shown = DrillOut.of(drill, await people(session, [drill.created_by]))
    report = await drills.report(session, drill, caller, clock.now())
    return page(request, caller, "emergency/drill.html", drill=shown, report=report, **WORDS)


async def listed(session: AsyncSession) -> list[DrillOut]:
    """The newest hundred."""
    rows = list(
        await session.scalars(
            drills.select_drills().order_by(Drill.starts_at.desc(), Drill.id).limit(100)
        )
    )
    known = await people(session, (row.created_by for row in rows))
    return [DrillOut.of(row, known) for row in rows]
