"""Emergencies: one person proposes, another authorises on a device of their own; then the board.

Three actions for the first (template or words, places, hold to propose), two for the second.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import Depends, Form, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.alerts import board, queries, steps, templates
from broadcast.alerts.board import BoardVillageOut
from broadcast.alerts.model import Alert, AlertEvent, AlertTemplate
from broadcast.alerts.schemas import MOST_MINUTES, USUAL_MINUTES, AlertIn, ReplacementIn
from broadcast.alerts.state import AlertKind
from broadcast.areas import scope
from broadcast.areas.units import load_tree
from broadcast.auth.caller import Authoriser, Caller, ContentReader, LoneAuthoriser, Proposer
from broadcast.auth.permissions import Permission
from broadcast.bulletins import drafts
from broadcast.bulletins.draft_schemas import SoundOut
from broadcast.console import drills
from broadcast.console.alert_words import WORDS, checked
from broadcast.console.maker import sound_of
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.places import communes_of
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.kit.text import Line as Words
from broadcast.kit.text import folded
from broadcast.web.rest import AppSettings, Session
from broadcast.wire.fields import AlertMode

router = PageRouter()

MINUTES = (15, 30, 60, 120, 360)
"""To choose from; usually those of the template."""


class Wish(NamedTuple):
    """The form of an alert, as it was filled in."""

    template: str = ""
    headline: str = ""
    event: str = AlertEvent.FLOOD.value
    text: str = ""
    place: tuple[str, ...] = ()
    drill: str = ""
    minutes: int = 0
    """0: as long as the template says."""


def _wish(
    template: Annotated[str, Form(max_length=36)] = "",
    headline: Annotated[str, Form(max_length=500)] = "",
    event: Annotated[str, Form(max_length=32)] = AlertEvent.FLOOD.value,
    text: Annotated[str, Form(max_length=30_000)] = "",
    place: Annotated[list[str] | None, Form(max_length=500)] = None,
    drill: Annotated[str, Form(max_length=36)] = "",
    minutes: Annotated[int, Form(ge=0, le=MOST_MINUTES)] = 0,
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
    place: tuple[str, ...] = ()
    if template:
        # Where its station speaks; the next page reads it back.
        place = ((await templates.get_template(session, _id(template))).area_code,)
    wish = Wish(template=template, drill=drill, place=place)
    return await _form(request, session, settings.province, caller, wish)


@router.post("/emergency/new", summary="Soạn một cảnh báo khẩn cấp")
async def prepare(
    request: Request, session: Session, settings: AppSettings, caller: Proposer, wish: Given
) -> Response:
    """Prepare it; the next page reads back where it will sound, and proposes it."""
    if not wish.place:
        raise InvalidInput("place", "hãy chọn ít nhất một nơi")
    body = checked(
        AlertIn,
        {
            **await _said(session, caller, wish),
            "targets": [{"area": code} for code in wish.place],
            "drill_id": wish.drill or None,
            "valid_minutes": wish.minutes or None,
        },
    )
    alert = await steps.prepare(session, body, caller, settings, clock.now())
    return redirect(request, f"/emergency/{alert.id}")


async def _said(session: AsyncSession, caller: Caller, wish: Wish) -> dict[str, Any]:
    if not wish.template:
        spoken = await spoken_or_written(session, caller, wish.text)
        if not spoken.get("recording") and not wish.text.strip():
            raise InvalidInput("text", "hãy gõ lời sẽ đọc, ghi âm hoặc tải tệp lên")
        return {"headline": wish.headline, "event": wish.event, **spoken}
    template = await templates.get_template(session, _id(wish.template))
    headline = wish.headline.strip() or template.title
    return {"headline": headline, "event": template.event, "template_id": template.id}


async def spoken_or_written(session: AsyncSession, caller: Caller, text: str) -> dict[str, Any]:
    """What is said in a form: the recording where there is one, and then the text is shown."""
    draft = await drafts.find(session, caller, drafts.ALERT)
    if draft is None or draft.source_file is None:
        return {"text": text or None}
    return {"recording": True, "translations": {"vi": text} if text.strip() else {}}


async def recorder(session: AsyncSession, caller: Caller) -> dict[str, Any]:
    """What the caller has recorded for an alert, as `maker/_sound.html` shows it."""
    draft = await drafts.find(session, caller, drafts.ALERT)
    found = None if draft is None else await drafts.get(session, caller, drafts.ALERT)
    return sound_of(drafts.ALERT, None if found is None else SoundOut.of(found))


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput("template", "hãy chọn một mẫu trong danh sách") from None


async def _form(
    request: Request, session: AsyncSession, province: str, caller: Caller, wish: Wish
) -> Response:
    today = clock.today()
    tree = await load_tree(session, today)
    communes = await communes_of(session, caller, Permission.EMERGENCY_PROPOSE, tree)
    ready = [each for each in await _templates(session) if each.is_ready]
    is_whole = scope.is_whole(caller, Permission.EMERGENCY_PROPOSE) and province in tree
    now = clock.now()
    open_drills = [each for each in await drills.listed(session) if each.ends_at > now]
    return page(
        request, caller, "emergency/form.html", wish=wish, communes=communes, templates=ready,
        province=(province, tree[province].called) if is_whole else None,
        drills=[each for each in open_drills if each.cancelled_at is None], minutes=MINUTES,
        usual_minutes=USUAL_MINUTES, **await recorder(session, caller), **WORDS,
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
    request: Request,
    session: Session,
    caller: ContentReader,
    alert_id: UUID,
    words: Annotated[Words, Query(alias="q")] = "",
) -> Response:
    """The villages where nobody has heard it, with whom to call; for the printer."""
    now = clock.now()
    found = await queries.detail(session, await queries.get_alert(session, alert_id), now)
    villages = []
    if found.occurrence_id is not None:
        villages = (await board.board(session, alert_id, caller)).villages
    to_call = [each for each in villages if each.stage in board.TO_CALL]
    return page(
        request, caller, "emergency/calls.html", alert=found, words=words, all=to_call,
        rows=[each for each in to_call if answers_to(words, each)],
    )  # fmt: skip


def answers_to(words: str, village: BoardVillageOut) -> bool:
    """Tell whether each word occurs in a village's line of the call list, accents aside.

    A telephone number is found by any of its digits together.
    """
    contact = village.contact
    told = [village.code, village.name, village.commune]
    if contact is not None:
        told += [contact.name, contact.phone, contact.phone.replace(" ", "")]
    line = folded(" ".join(told))
    return all(word in line for word in folded(words).split())


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


@router.get("/emergency/{alert_id}/replace")
async def ask_replacement(
    request: Request, session: Session, caller: Proposer, alert_id: UUID
) -> Response:
    """The form of what takes its place; a page of its own, since that of the alert changes."""
    alert = await queries.get_alert(session, alert_id)
    found = await queries.detail(session, alert, clock.now())
    return page(
        request, caller, "emergency/replacement.html", alert=found,
        places=await _places(session, alert), may=await _may(session, caller, alert),
        minutes=MINUTES, usual_minutes=USUAL_MINUTES,
        templates=[each for each in await _templates(session) if each.is_ready],
        **await recorder(session, caller), **WORDS,
    )  # fmt: skip


@router.post("/emergency/{alert_id}/replace", summary="Soạn tin cập nhật hoặc báo yên")
async def replace(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Proposer,
    alert_id: UUID,
    wish: Given,
    kind: Annotated[AlertKind, Form()],
    tone: Annotated[bool, Form()] = False,
) -> Response:
    """What takes its place once it is proposed and authorised itself."""
    said = await _said(session, caller, wish)
    del said["event"]  # of the alert whose place it takes
    body = checked(
        ReplacementIn, {**said, "kind": kind, "tone": tone, "valid_minutes": wish.minutes or None}
    )
    alert = await queries.get_alert(session, alert_id, lock=True)
    new = await steps.replace(session, alert, body, caller, settings, clock.now())
    return redirect(request, f"/emergency/{new.id}")
