"""The wall: a screen for the province that nobody touches, one panel after the other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts import sessions
from broadcast.areas import scope
from broadcast.auth.caller import Caller, Reader
from broadcast.auth.permissions import Permission
from broadcast.auth.session import set_cookie
from broadcast.boundaries.outlines import show_map
from broadcast.console.page import NEEDS_UNITS, PageRouter, page, redirect
from broadcast.incidents.queries import IncidentFilter
from broadcast.incidents.work_list import work_list
from broadcast.indicators.figures import compute
from broadcast.indicators.routes import CacheDep
from broadcast.indicators.schemas import IndicatorsOut
from broadcast.kit import clock
from broadcast.plays.days import occurrences_between
from broadcast.plays.soundings import Sounding
from broadcast.situation import texts
from broadcast.situation.condition import tally
from broadcast.situation.overview import situation
from broadcast.situation.recent import Recent, RecentDep
from broadcast.web.rest import AppSettings, Paging, Session

router = PageRouter()

BEFORE, AHEAD = timedelta(hours=2), timedelta(hours=3)
"""Around now, in which what is on the air began, and what comes next begins."""

SHOWN = 8
"""Lines of a panel: what can be read across a room."""


@router.get("/wall", dependencies=NEEDS_UNITS)
async def show(
    request: Request, session: Session, settings: AppSettings, caller: Reader, recent: RecentDep
) -> Response:
    """The frame, and the map; the other panels come by themselves."""
    scope.require_whole(session, caller, Permission.READ)
    drawn = await show_map(session, settings.province, clock.today())
    return page(
        request,
        caller,
        "wall/index.html",
        map=drawn,
        is_kept=caller.scope is not None,
        limits=settings.sign_in,
        **await _situation(session, caller, settings.province, recent),
    )


@router.post("/wall/keep", summary="Giữ màn hình theo dõi luôn mở")
async def keep(
    request: Request, session: Session, settings: AppSettings, caller: Reader
) -> Response:
    """From now on this session only watches, and is not signed out of after a day's work."""
    scope.require_whole(session, caller, Permission.READ)
    limits = settings.sign_in
    token = await sessions.keep_screen(session, caller, limits, clock.now())
    response = redirect(request, "/wall")
    set_cookie(response, token, limits.screen_longest)
    return response


@router.get("/wall/states")
async def show_states(
    request: Request, session: Session, settings: AppSettings, caller: Reader, recent: RecentDep
) -> Response:
    """How the communes are."""
    scope.require_whole(session, caller, Permission.READ)
    return page(
        request,
        caller,
        "wall/_states.html",
        **await _situation(session, caller, settings.province, recent),
    )


async def _situation(
    session: AsyncSession, caller: Caller, province: str, recent: Recent
) -> dict[str, Any]:
    found = await situation(session, caller, province, clock.now(), recent)
    return {
        "situation": found,
        "communes": {each.code: each for each in found.areas},
        "counts": tally(each.condition for each in found.areas)._asdict(),
        "worst": [each for each in found.areas if each.condition in {"bad", "partial"}][:SHOWN],
        "words": texts.CONDITIONS,
    }


@router.get("/wall/on-air")
async def show_on_air(request: Request, session: Session, caller: Reader) -> Response:
    """What sounds now, and what comes next."""
    scope.require_whole(session, caller, Permission.READ)
    now = clock.now()
    found = await occurrences_between(session, now - BEFORE, now + AHEAD)
    return page(
        request,
        caller,
        "wall/_on_air.html",
        playing=[each for each in found if each.counts.get(Sounding.PLAYING)][:SHOWN],
        coming=[
            each for each in found if each.starts_at > now and each.counts.get(Sounding.WAITING)
        ][:SHOWN],
    )


@router.get("/wall/incidents")
async def show_incidents(request: Request, session: Session, caller: Reader) -> Response:
    """Incidents that are not closed, what hurts most first."""
    scope.require_whole(session, caller, Permission.READ)
    on = clock.today()
    found = await work_list(
        session, Paging(None, SHOWN), IncidentFilter(), caller.account_id, on, clock.now()
    )
    return page(request, caller, "wall/_incidents.html", found=found)


@router.get("/wall/indicators")
async def show_indicators(
    request: Request, session: Session, settings: AppSettings, caller: Reader, cache: CacheDep
) -> Response:
    """The indicators of today, each in the variant that is reported."""
    scope.require_whole(session, caller, Permission.READ)
    on = clock.today()
    async with scope.whole(session):
        results = await compute(session, on, settings.province, clock.now(), cache)
    found = IndicatorsOut.of(results, on, settings.province)
    return page(request, caller, "wall/_indicators.html", indicators=found.indicators)
