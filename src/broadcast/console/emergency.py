"""Emergencies: one person proposes, another authorises on a device of their own; then the board.

Three actions for the first (template or words, places, hold to propose), two for the second.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import Depends, Form, Query, Request, Response
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.alerts import board, drills, queries, steps, templates
from broadcast.alerts.board import Stage
from broadcast.alerts.drill_schemas import DrillIn, DrillOut
from broadcast.alerts.model import Alert, AlertEvent, AlertTemplate, Drill
from broadcast.alerts.schemas import AlertIn, ReplacementIn
from broadcast.alerts.state import AlertKind, AlertState
from broadcast.areas import scope
from broadcast.areas.units import load_tree
from broadcast.auth.caller import Authoriser, Caller, ContentReader, LoneAuthoriser, Proposer
from broadcast.auth.people import people
from broadcast.auth.permissions import Permission
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.places import communes_of
from broadcast.console.words import N_
from broadcast.kit import clock
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.kit.validation import invalid
from broadcast.web.rest import AppSettings, Session
from broadcast.wire.fields import AlertMode

router = PageRouter()

EVENTS = {
    AlertEvent.STORM: N_("Bão, áp thấp nhiệt đới"),
    AlertEvent.FLOOD: N_("Lũ, ngập lụt"),
    AlertEvent.DAM_RELEASE: N_("Xả lũ hồ chứa"),
    AlertEvent.LANDSLIDE: N_("Sạt lở đất"),
    AlertEvent.TSUNAMI: N_("Sóng thần"),
    AlertEvent.EARTHQUAKE: N_("Động đất"),
    AlertEvent.FIRE: N_("Cháy"),
    AlertEvent.EPIDEMIC: N_("Dịch bệnh"),
    AlertEvent.SECURITY: N_("An ninh, trật tự"),
    AlertEvent.OTHER: N_("Việc khẩn cấp khác"),
}
STATES = {
    AlertState.PREPARED: ("waiting", N_("Đang soạn")),
    AlertState.PROPOSED: ("waiting", N_("Chờ người thứ hai cho phép")),
    AlertState.AUTHORISED: ("waiting", N_("Đã cho phép, chưa đến giờ")),
    AlertState.ACTIVE: ("partial", N_("Đang hiệu lực")),
    AlertState.UPDATED: ("ok", N_("Đã thay bằng tin mới")),
    AlertState.ALL_CLEAR: ("ok", N_("Đã báo yên")),
    AlertState.CANCELLED: ("unknown", N_("Đã hủy")),
    AlertState.EXPIRED: ("unknown", N_("Đã hết hiệu lực")),
}
MODES = {
    AlertMode.ACTUAL: N_("Thật"),
    AlertMode.EXERCISE: N_("Diễn tập"),
    AlertMode.TEST: N_("Thử thiết bị"),
}
STAGES = {
    Stage.FINISHED: ("ok", N_("Đã phát xong")),
    Stage.STARTED: ("ok", N_("Đang phát")),
    Stage.RECEIVED: ("waiting", N_("Đã nhận, chưa phát")),
    Stage.NO_ANSWER: ("unknown", N_("Chưa trả lời")),
    Stage.NOT_HEARD: ("bad", N_("Không phát")),
}
STEPS = {
    "prepare": N_("Soạn"),
    "propose": N_("Đề nghị phát"),
    "authorise": N_("Cho phép phát"),
    "authorise_alone": N_("Một mình cho phép phát"),
    "update": N_("Thay bằng tin mới"),
    "clear": N_("Báo yên"),
    "cancel": N_("Hủy"),
    "debrief": N_("Rút kinh nghiệm"),
}
WORDS: dict[str, Any] = {
    "events": EVENTS, "states": STATES, "modes": MODES, "stages": STAGES, "step_names": STEPS,
}  # fmt: skip
MINUTES = (15, 30, 60, 120, 360)


class Wish(NamedTuple):
    """The form of an alert, as it was filled in."""

    template: str = ""
    headline: str = ""
    event: str = AlertEvent.FLOOD.value
    text: str = ""
    place: tuple[str, ...] = ()
    drill: str = ""
    minutes: int = 60


def _wish(
    template: Annotated[str, Form(max_length=36)] = "",
    headline: Annotated[str, Form(max_length=500)] = "",
    event: Annotated[str, Form(max_length=32)] = AlertEvent.FLOOD.value,
    text: Annotated[str, Form(max_length=30_000)] = "",
    place: Annotated[list[str] | None, Form(max_length=500)] = None,
    drill: Annotated[str, Form(max_length=36)] = "",
    minutes: Annotated[int, Form(ge=1, le=360)] = 60,
) -> Wish:
    return Wish(template, headline, event, text, tuple(place or ()), drill, minutes)


Given = Annotated[Wish, Depends(_wish)]
Line = Annotated[str, Form(max_length=2000)]


@router.get("/emergency")
async def index(request: Request, session: Session, caller: ContentReader) -> Response:
    """What is proposed, sounding, or waits for its debrief; and how to begin."""
    ready = await _templates(session)
    return page(
        request, caller, "emergency/index.html",
        alerts=await queries.current(session, clock.now()), templates=ready,
        sees_received=scope.is_whole(caller, Permission.CONTENT_READ), **WORDS,
    )  # fmt: skip


@router.get("/emergency/now")
async def now_part(request: Request, session: Session, caller: ContentReader) -> Response:
    """The part of it that changes."""
    alerts = await queries.current(session, clock.now())
    return page(request, caller, "emergency/_now.html", alerts=alerts, **WORDS)


async def _templates(session: AsyncSession) -> list[Any]:
    statement = templates.select_templates(withdrawn=False).order_by(AlertTemplate.created_at)
    rows = await session.scalars(statement.limit(100))
    return await templates.shown(session, rows)


# --- the form ------------------------------------------------------------------------------------


@router.get("/emergency/new")
async def ask(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Proposer,
    template: Annotated[str, Query(max_length=36)] = "",
    drill: Annotated[str, Query(max_length=36)] = "",
) -> Response:
    """The form of a new alert, empty or with what a template says."""
    wish = Wish(template=template, drill=drill)
    return await _form(request, session, settings.province, caller, wish)


@router.post("/emergency/new", summary="Soạn một cảnh báo khẩn cấp")
async def prepare(
    request: Request, session: Session, settings: AppSettings, caller: Proposer, wish: Given
) -> Response:
    """Prepare it; the next page reads back where it will sound, and proposes it."""
    body = _body(
        AlertIn,
        {
            **await _said(session, wish),
            "targets": [{"area": code} for code in wish.place],
            "drill_id": wish.drill or None,
            "valid_minutes": wish.minutes,
        },
        "place" if not wish.place else "",
    )
    alert = await steps.prepare(session, body, caller, settings, clock.now())
    return redirect(request, f"/emergency/{alert.id}")


async def _said(session: AsyncSession, wish: Wish) -> dict[str, Any]:
    if not wish.template:
        return {"headline": wish.headline, "event": wish.event, "text": wish.text or None}
    template = await templates.get_template(session, _id(wish.template))
    headline = wish.headline.strip() or template.title
    return {"headline": headline, "event": template.event, "template_id": template.id}


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput("template", "hãy chọn một mẫu trong danh sách") from None


def _body(model: Any, given: dict[str, Any], missing: str = "") -> Any:
    if missing == "place":
        raise InvalidInput("place", "hãy chọn ít nhất một nơi")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid(error.errors()) from None


async def _form(
    request: Request, session: AsyncSession, province: str, caller: Caller, wish: Wish
) -> Response:
    today = clock.today()
    tree = await load_tree(session, today)
    communes = await communes_of(session, caller, Permission.EMERGENCY_PROPOSE, tree)
    ready = [each for each in await _templates(session) if each.is_ready]
    is_whole = scope.is_whole(caller, Permission.EMERGENCY_PROPOSE) and province in tree
    now = clock.now()
    open_drills = [each for each in await _drills(session) if each.ends_at > now]
    return page(
        request, caller, "emergency/form.html", wish=wish, communes=communes, templates=ready,
        province=(province, tree[province].called) if is_whole else None,
        drills=[each for each in open_drills if each.cancelled_at is None], minutes=MINUTES,
        **WORDS,
    )  # fmt: skip


# --- one alert -----------------------------------------------------------------------------------


@router.get("/emergency/{alert_id}")
async def show(
    request: Request, session: Session, caller: ContentReader, alert_id: UUID
) -> Response:
    """What will happen where, who has done what, and the board once it sounds."""
    return await _alert(request, session, caller, alert_id, "show.html")


@router.get("/emergency/{alert_id}/now")
async def show_part(
    request: Request, session: Session, caller: ContentReader, alert_id: UUID
) -> Response:
    """The part of it that changes."""
    return await _alert(request, session, caller, alert_id, "_alert.html")


@router.get("/emergency/{alert_id}/calls")
async def calls(
    request: Request, session: Session, caller: ContentReader, alert_id: UUID
) -> Response:
    """The villages where nobody has heard it, with whom to call; for the printer."""
    return await _alert(request, session, caller, alert_id, "calls.html")


async def _alert(
    request: Request, session: AsyncSession, caller: Caller, alert_id: UUID, template: str
) -> Response:
    now = clock.now()
    alert = await queries.get_alert(session, alert_id)
    found = await queries.detail(session, alert, now)
    return page(
        request, caller, f"emergency/{template}", alert=found,
        board=await board.board(session, alert_id, caller) if found.occurrence_id else None,
        places=await _places(session, alert), may=await _may(session, caller, alert),
        to_call=board.TO_CALL, **WORDS,
    )  # fmt: skip


async def _places(session: AsyncSession, alert: Alert) -> list[str]:
    tree = await load_tree(session, alert.targets_on)
    return [
        tree[target["area"]].called if target.get("area") in tree else str(*target.values())
        for target in alert.targets
    ]


async def _may(session: AsyncSession, caller: Caller, alert: Alert) -> dict[str, bool]:
    """What the caller may press; who proposed it does not authorise it."""
    held = await scope.permissions_at(session, caller, alert.area_code)
    is_own = caller.account_id in {alert.created_by, alert.proposed_by}
    return {
        "propose": Permission.EMERGENCY_PROPOSE in held,
        "authorise": Permission.EMERGENCY_WRITE in held and not is_own,
        "alone": Permission.EMERGENCY_ALONE in held and alert.mode is AlertMode.ACTUAL,
        "cancel": (Permission.EMERGENCY_WRITE if alert.authorised_at else
                   Permission.EMERGENCY_PROPOSE) in held,
        "debrief": Permission.EMERGENCY_WRITE in held
        and alert.authorised_by != caller.account_id,
    }  # fmt: skip


@router.post("/emergency/{alert_id}/propose", summary="Đề nghị phát cảnh báo")
async def propose(
    request: Request, session: Session, caller: Proposer, alert_id: UUID
) -> Response:
    """The second person sees it at once."""
    alert = await queries.get_alert(session, alert_id, lock=True)
    await steps.propose(session, alert, caller, clock.now())
    return await _alert(request, session, caller, alert_id, "_alert.html")


@router.post("/emergency/{alert_id}/authorise", summary="Cho phép phát cảnh báo")
async def authorise(
    request: Request, session: Session, caller: Authoriser, alert_id: UUID
) -> Response:
    """It sounds."""
    alert = await queries.get_alert(session, alert_id, lock=True)
    await steps.authorise(session, alert, caller, clock.now())
    return await _alert(request, session, caller, alert_id, "_alert.html")


@router.post("/emergency/{alert_id}/alone", summary="Một mình cho phép phát cảnh báo")
async def authorise_alone(
    request: Request, session: Session, caller: LoneAuthoriser, alert_id: UUID, reason: Line = ""
) -> Response:
    """It sounds for a quarter of an hour."""
    alert = await queries.get_alert(session, alert_id, lock=True)
    await steps.authorise_alone(session, alert, reason, caller, clock.now())
    return await _alert(request, session, caller, alert_id, "_alert.html")


@router.post("/emergency/{alert_id}/cancel", summary="Hủy cảnh báo")
async def cancel(
    request: Request, session: Session, caller: Proposer, alert_id: UUID, reason: Line = ""
) -> Response:
    """Loudspeakers stop."""
    alert = await queries.get_alert(session, alert_id, lock=True)
    await steps.cancel(session, alert, reason, caller, clock.now())
    return await _alert(request, session, caller, alert_id, "_alert.html")


@router.post("/emergency/{alert_id}/debrief", summary="Ghi kết quả rút kinh nghiệm")
async def debrief(
    request: Request, session: Session, caller: Authoriser, alert_id: UUID, debrief: Line = ""
) -> Response:
    """What people found."""
    alert = await queries.get_alert(session, alert_id, lock=True)
    await steps.debrief(session, alert, debrief, caller, clock.now())
    return await _alert(request, session, caller, alert_id, "_alert.html")


@router.post("/emergency/{alert_id}/replace", summary="Soạn tin cập nhật hoặc báo yên")
async def replace(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Proposer,
    alert_id: UUID,
    kind: Annotated[AlertKind, Form()],
    headline: Annotated[str, Form(max_length=500)] = "",
    text: Annotated[str, Form(max_length=30_000)] = "",
) -> Response:
    """What takes its place once it is proposed and authorised itself."""
    body = _body(ReplacementIn, {"kind": kind, "headline": headline, "text": text or None})
    alert = await queries.get_alert(session, alert_id, lock=True)
    new = await steps.replace(session, alert, body, caller, settings, clock.now())
    return redirect(request, f"/emergency/{new.id}")


# --- drills --------------------------------------------------------------------------------------


@router.get("/drills")
async def list_drills(request: Request, session: Session, caller: ContentReader) -> Response:
    """The drill calendar, the newest first, and the form of a new one."""
    found = await _drills(session)
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
    drill = await drills.create(session, _body(DrillIn, given), caller, clock.now())
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


async def _drills(session: AsyncSession) -> list[DrillOut]:
    rows = list(
        await session.scalars(
            drills.select_drills().order_by(Drill.starts_at.desc(), Drill.id).limit(100)
        )
    )
    known = await people(session, (row.created_by for row in rows))
    return [DrillOut.of(row, known) for row in rows]
