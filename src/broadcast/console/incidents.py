"""Incidents as a list of work, and one of them: what happened, what to do, who sees to it.

The figures are those of `/api/v1/incidents/work-list` and `/api/v1/incidents/{id}`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import Depends, Form, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.model import Area, Level
from broadcast.areas.units import units_statement
from broadcast.auth.caller import Caller, IncidentEditor, Reader
from broadcast.auth.permissions import Permission
from broadcast.console import formats
from broadcast.console.devices import COMMANDS, OUTCOMES
from broadcast.console.page import PageRouter, page
from broadcast.console.words import N_
from broadcast.incidents import handling, history, queries, work_list
from broadcast.incidents.causes import Cause, Evidence
from broadcast.incidents.grouping import Kind
from broadcast.incidents.model import ClosingReason
from broadcast.incidents.queries import IncidentFilter
from broadcast.incidents.schemas import Assigned, CloseIn, EventKind, WorkState
from broadcast.incidents.texts import State
from broadcast.kit import clock
from broadcast.kit.text import FilledNote, Note
from broadcast.web.rest import Id, Paging, Session

router = PageRouter()

ROWS = 50

STATES = {
    State.OPEN: ("bad", N_("còn cụm mất liên lạc")),
    State.RECOVERED: ("partial", N_("đã trở lại, đang theo dõi")),
    State.CLOSED: ("ok", N_("đã đóng")),
    State.SUPERSEDED: ("unknown", N_("đã gộp")),
}
"""Kind of state and words of each value."""

CAUSES = {
    Cause.POWER: N_("mất điện"),
    Cause.NETWORK: N_("mất mạng"),
    Cause.AREA: N_("chưa rõ, cả một vùng"),
    Cause.DEVICE: N_("tại cụm loa, chưa rõ vì sao"),
}
KINDS = {
    Kind.POWER_FEED: N_("chung tuyến điện"),
    Kind.VILLAGE: N_("chung thôn"),
    Kind.COMMUNE: N_("chung xã"),
    Kind.OPERATOR: N_("chung nhà mạng"),
    Kind.PROVINCE: N_("cả tỉnh"),
    Kind.DEVICE: N_("một cụm loa"),
}
EVIDENCE = {
    Evidence.POWER: N_("thiết bị báo mất điện"),
    Evidence.NETWORK: N_("mất mạng, thiết bị vẫn chạy"),
    Evidence.BOX: N_("thiết bị tự khởi động lại"),
    Evidence.NONE: N_("thiết bị chưa báo gì"),
}
REASONS = {
    ClosingReason.REPAIRED: N_("Đã sửa xong"),
    ClosingReason.OTHERS: N_("Điện lực hoặc nhà mạng đang xử lý"),
    ClosingReason.PLANNED: N_("Cắt điện, bảo trì theo kế hoạch"),
    ClosingReason.REMOVED: N_("Cụm loa đã tháo, không dùng nữa"),
    ClosingReason.FALSE_ALARM: N_("Báo nhầm, loa vẫn phát"),
    ClosingReason.OTHER: N_("Lý do khác (ghi rõ)"),
}
EVENTS = {
    EventKind.NOTICED: "bad",
    EventKind.MORE_LOST: "bad",
    EventKind.REOPENED: "bad",
    EventKind.RECOVERED: "ok",
    EventKind.ENDED: "ok",
    EventKind.CLOSED: "ok",
}
"""Kind of state of an event; the others have none."""

AGES = {
    0: N_("dưới 1 giờ"),
    1: N_("từ 1 giờ"),
    4: N_("từ 4 giờ"),
    24: N_("từ 1 ngày"),
    72: N_("từ 3 ngày"),
}
LISTED = {
    "": N_("Chưa đóng"),
    WorkState.OPEN.value: N_("Còn cụm mất liên lạc"),
    WorkState.RECOVERED.value: N_("Đã trở lại, đang theo dõi"),
    "closed": N_("Đã đóng"),
}
WHOSE = {
    "": N_("Tất cả"),
    Assigned.ME.value: N_("Tôi phụ trách"),
    Assigned.NOBODY.value: N_("Chưa ai phụ trách"),
    Assigned.SOMEBODY.value: N_("Đã có người phụ trách"),
}
WORDS: dict[str, Any] = {
    "state_words": STATES,
    "cause_words": CAUSES,
    "kind_words": KINDS,
    "evidence_words": EVIDENCE,
    "reason_words": REASONS,
    "event_kinds": EVENTS,
    "age_words": AGES,
    "listed_words": LISTED,
    "whose_words": WHOSE,
    "command_words": COMMANDS,
    "outcome_words": OUTCOMES,
}


# --- the list ------------------------------------------------------------------------------------


Query20 = Annotated[str, Query(max_length=20)]


def _query(
    state: Literal["", "open", "recovered", "closed"] = "",
    area: Query20 = "",
    kind: Kind | Literal[""] = "",
    cause: Cause | Literal[""] = "",
    assigned: Assigned | Literal[""] = "",
    hours: Annotated[str, Query(max_length=4, pattern=r"^\d*$")] = "",
) -> dict[str, str]:
    """What a form asks for, whose empty fields ask for nothing; named as in REST."""
    given = {"state": state, "area": area, "kind": kind, "cause": cause, "assigned": assigned,
             "hours": hours}  # fmt: skip
    return {name: str(value) for name, value in given.items() if value}


Asked = Annotated[dict[str, str], Depends(_query)]


async def _list(
    session: AsyncSession, caller: Caller, query: dict[str, str], cursor: str | None
) -> dict[str, Any]:
    now, on = clock.now(), clock.today()
    hours = query.get("hours")
    wanted = IncidentFilter(
        area=query.get("area"),
        kind=Kind(query["kind"]) if "kind" in query else None,
        cause=Cause(query["cause"]) if "cause" in query else None,
        assigned=Assigned(query["assigned"]) if "assigned" in query else None,
        before=None if hours is None else now - timedelta(hours=int(hours)),
        account_id=caller.account_id,
    )
    paging = Paging(cursor, ROWS)
    found: dict[str, Any] = {"query": query, "cursor": cursor, "work": None, "closed": None}
    if query.get("state") == "closed":
        asked = wanted._replace(is_open=False)
        found["closed"] = await queries.list_incidents(
            session, paging, on, asked, newest_first=True
        )
    else:
        state = WorkState(query["state"]) if "state" in query else None
        found["work"] = await work_list.work_list(
            session, paging, wanted._replace(state=state), caller.account_id, on, now
        )
    return {**found, **WORDS}


@router.get("/incidents")
async def show_list(
    request: Request, session: Session, caller: Reader, query: Asked, cursor: str | None = None
) -> Response:
    """Incidents that are not closed, what hurts most first; or the closed ones, newest first."""
    found = await _list(session, caller, query, cursor)
    areas = await _areas(session, caller, query.get("area"))
    return page(request, caller, "incidents/index.html", areas=areas, **found)


async def _areas(
    session: AsyncSession, caller: Caller, chosen: str | None
) -> list[tuple[str, str]]:
    """Units to choose from, by name: all communes, or what lies in the caller's places."""
    where = await scope.readable_scope(session, caller, Permission.READ)
    asked = Area.level == Level.COMMUNE
    if where.codes is not None:
        levels = Area.level.in_((Level.COMMUNE, Level.VILLAGE))
        asked = sa.and_(levels, Area.code.in_(where.codes))
    if chosen is not None:
        asked = sa.or_(asked, Area.code == chosen)
    found = await session.scalars(units_statement(clock.today()).where(asked))
    names = {each.code: f"{each.kind} {each.name}" for each in found}
    if chosen is not None:
        names.setdefault(chosen, chosen)  # it has ended
    return sorted(names.items(), key=lambda each: formats.collated(each[1]))


@router.get("/incidents/list")
async def show_part(
    request: Request, session: Session, caller: Reader, query: Asked, cursor: str | None = None
) -> Response:
    """The part that changes by itself: sentence, counts and list."""
    found = await _list(session, caller, query, cursor)
    return page(request, caller, "incidents/_list.html", **found)


# --- one -----------------------------------------------------------------------------------------


FIRST = Paging(None, ROWS)


async def _incident(session: AsyncSession, incident_id: int) -> dict[str, Any]:
    shown = await queries.show_incident(session, incident_id, FIRST, clock.today())
    return {"incident": shown, **WORDS}


async def _who(session: AsyncSession, caller: Caller, incident_id: int) -> dict[str, Any]:
    may = await handling.may_handle(session, caller, incident_id)
    able = await handling.handlers(session, incident_id, clock.now()) if may else []
    return {"may_handle": may, "handlers": able}


async def _done(session: AsyncSession, incident_id: int) -> dict[str, Any]:
    return {
        "history": await history.show_history(session, incident_id, clock.today()),
        "commands": await history.list_commands(session, incident_id, FIRST, clock.now()),
    }


async def _whole(session: AsyncSession, caller: Caller, incident_id: int) -> dict[str, Any]:
    return {
        **await _incident(session, incident_id),
        **await _who(session, caller, incident_id),
        **await _done(session, incident_id),
    }


@router.get("/incidents/{incident_id}")
async def show_incident(
    request: Request, session: Session, caller: Reader, incident_id: Id
) -> Response:
    """What happened, which villages are silent, what to do, what was done."""
    found = await _whole(session, caller, incident_id)
    return page(request, caller, "incidents/incident.html", **found)


@router.get("/incidents/{incident_id}/state")
async def show_state(
    request: Request, session: Session, caller: Reader, incident_id: Id
) -> Response:
    """The part that says how it is and who sees to it."""
    found = await _incident(session, incident_id)
    who = await _who(session, caller, incident_id)
    return page(request, caller, "incidents/_state.html", **found, **who)


@router.get("/incidents/{incident_id}/more")
async def show_more(
    request: Request, session: Session, caller: Reader, incident_id: Id
) -> Response:
    """The part with its devices, commands, history and its like."""
    found = await _incident(session, incident_id)
    done = await _done(session, incident_id)
    return page(request, caller, "incidents/_more.html", **found, **done)


@router.get("/incidents/{incident_id}/devices")
async def show_devices(
    request: Request, session: Session, caller: Reader, incident_id: Id, cursor: str | None = None
) -> Response:
    """Every cluster that it has lost, a page at a time."""
    incident = await queries.show_incident(
        session, incident_id, Paging(cursor, ROWS), clock.today()
    )
    return page(request, caller, "incidents/devices.html", incident=incident, **WORDS)


# --- what people do ------------------------------------------------------------------------------

Seen = Annotated[int, Form(ge=1, le=2**31 - 1)]
"""The version of the incident that the form was shown with."""


async def _changed(
    request: Request, session: AsyncSession, caller: Caller, incident_id: int
) -> Response:
    """The page without its frame, after a change."""
    found = await _whole(session, caller, incident_id)
    return page(request, caller, "incidents/_page.html", **found)


@router.post("/incidents/{incident_id}/assign", summary="Giao một sự cố cho một người")
async def assign(
    request: Request,
    session: Session,
    caller: IncidentEditor,
    incident_id: Id,
    seen: Seen,
    account_id: Annotated[int | None, Form(ge=1, le=2**31 - 1)] = None,
) -> Response:
    """As `POST /api/v1/incidents/{id}/assign`; without an account, to oneself."""
    chosen = caller.account_id if account_id is None else account_id
    await handling.assign(session, caller, incident_id, chosen, clock.now(), seen)
    return await _changed(request, session, caller, incident_id)


@router.post("/incidents/{incident_id}/release", summary="Thôi giao một sự cố")
async def release(
    request: Request, session: Session, caller: IncidentEditor, incident_id: Id, seen: Seen
) -> Response:
    """As `POST /api/v1/incidents/{id}/release`."""
    await handling.release(session, caller, incident_id, clock.now(), seen)
    return await _changed(request, session, caller, incident_id)


@router.post("/incidents/{incident_id}/notes", summary="Ghi chú vào một sự cố")
async def note(
    request: Request,
    session: Session,
    caller: IncidentEditor,
    incident_id: Id,
    text: Annotated[FilledNote, Form()],
) -> Response:
    """As `POST /api/v1/incidents/{id}/notes`."""
    await handling.note(session, caller, incident_id, text, clock.now())
    return await _changed(request, session, caller, incident_id)


@router.post("/incidents/{incident_id}/close", summary="Đóng một sự cố, kèm lý do")
async def close(
    request: Request,
    session: Session,
    caller: IncidentEditor,
    incident_id: Id,
    seen: Seen,
    reason: Annotated[ClosingReason, Form()],
    note: Annotated[Note, Form()] = "",
) -> Response:
    """As `POST /api/v1/incidents/{id}/close`."""
    body = CloseIn(reason=reason, note=note)
    await handling.close(session, caller, incident_id, body, clock.now(), seen)
    return await _changed(request, session, caller, incident_id)


@router.post("/incidents/{incident_id}/reopen", summary="Mở lại một sự cố")
async def reopen(
    request: Request, session: Session, caller: IncidentEditor, incident_id: Id, seen: Seen
) -> Response:
    """As `POST /api/v1/incidents/{id}/reopen`."""
    await handling.reopen(session, caller, incident_id, clock.now(), seen)
    return await _changed(request, session, caller, incident_id)
