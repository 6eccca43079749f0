"""Live speech: where it is to be heard, the microphone, and who listens."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Form, Request, Response
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.units import load_tree
from broadcast.auth.caller import Caller, ContentReader, Speaker
from broadcast.auth.permissions import Permission
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.places import communes_of
from broadcast.console.words import N_
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.kit.validation import invalid
from broadcast.live import queries, steps
from broadcast.live.schemas import LiveIn
from broadcast.live.state import LiveEnd, LiveState
from broadcast.web.rest import AppSettings, Session
from broadcast.wire.fields import BulletinClass

router = PageRouter()

STATES = {
    LiveState.PREPARED: ("waiting", N_("Chưa bắt đầu")),
    LiveState.SPEAKING: ("partial", N_("Đang nói")),
    LiveState.ENDED: ("ok", N_("Đã kết thúc")),
    LiveState.LAPSED: ("unknown", N_("Không bắt đầu")),
}
ENDS = {
    LiveEnd.STOPPED: N_("Đã dừng lúc"),
    LiveEnd.ABANDONED: N_("Tự dừng vì không còn tiếng từ micro, lúc"),
    LiveEnd.TOO_LONG: N_("Tự dừng vì hết thời gian, lúc"),
}
WORDS: dict[str, Any] = {"states": STATES, "ends": ENDS}
MINUTES = (5, 10, 15, 30, 60)
SHOWN = 20


@router.get("/live")
async def index(
    request: Request, session: Session, settings: AppSettings, caller: ContentReader
) -> Response:
    """Who speaks, and how to begin."""
    province = settings.province
    tree = await load_tree(session, clock.today())
    is_whole = scope.is_whole(caller, Permission.LIVE_SPEAK) and province in tree
    return page(
        request, caller, "live/index.html", sessions=await _recent(session),
        communes=await communes_of(session, caller, Permission.LIVE_SPEAK, tree),
        province=(province, tree[province].called) if is_whole else None,
        minutes=MINUTES, **WORDS,
    )  # fmt: skip


@router.get("/live/now")
async def now_part(request: Request, session: Session, caller: ContentReader) -> Response:
    """The part of it that changes."""
    return page(request, caller, "live/_now.html", sessions=await _recent(session), **WORDS)


async def _recent(session: AsyncSession) -> list[Any]:
    return [*await queries.shown(session, await queries.recent(session, SHOWN), clock.now())]


@router.post("/live", summary="Soạn một buổi phát trực tiếp")
async def prepare(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Speaker,
    title: Annotated[str, Form(max_length=500)] = "",
    place: Annotated[list[str] | None, Form(max_length=500)] = None,
    minutes: Annotated[int, Form(ge=1, le=60)] = 15,
    emergency: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Nothing sounds yet: the next page tries the microphone, and begins."""
    if not place:
        raise InvalidInput("targets", "hãy chọn ít nhất một nơi")
    try:
        body = LiveIn.model_validate(
            {
                "title": title,
                "targets": [{"area": code} for code in place],
                "class": BulletinClass.EMERGENCY if emergency else BulletinClass.PRIORITY,
                "most_minutes": minutes,
            }
        )
    except ValidationError as error:
        raise invalid(error.errors()) from None
    live = await steps.prepare(session, body, caller, settings, clock.now())
    return redirect(request, f"/live/{live.id}")


@router.get("/live/{live_id}")
async def show(
    request: Request, session: Session, caller: ContentReader, live_id: UUID
) -> Response:
    """The microphone for who is to speak; how it stands for everybody."""
    return await _live(request, session, caller, live_id, "show.html")


@router.get("/live/{live_id}/now")
async def show_part(
    request: Request, session: Session, caller: ContentReader, live_id: UUID
) -> Response:
    """The part of it that changes."""
    return await _live(request, session, caller, live_id, "_live.html")


@router.post("/live/{live_id}/end", summary="Dừng buổi phát trực tiếp")
async def stop(request: Request, session: Session, caller: Speaker, live_id: UUID) -> Response:
    """Loudspeakers fall silent within seconds."""
    live = await queries.get_session(session, live_id, lock=True)
    await steps.stop(session, live, caller, clock.now())
    return await _live(request, session, caller, live_id, "_live.html")


async def _live(
    request: Request, session: AsyncSession, caller: Caller, live_id: UUID, template: str
) -> Response:
    now = clock.now()
    live = await queries.get_session(session, live_id)
    tree = await load_tree(session, live.targets_on)
    held = await scope.permissions_at(session, caller, live.area_code)
    is_open = live.state_at(now) in {LiveState.PREPARED, LiveState.SPEAKING}
    is_own = live.created_by == caller.account_id
    return page(
        request, caller, f"live/{template}", live=await queries.detail(session, live, now),
        places=[
            tree[target["area"]].called if target.get("area") in tree else str(*target.values())
            for target in live.targets
        ],
        may_speak=is_open and is_own and Permission.LIVE_SPEAK in held,
        may_stop=Permission.LIVE_SPEAK in held, **WORDS,
    )  # fmt: skip
