"""The map of the province, and every unit with what lies in it: how it is now and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.model import Level
from broadcast.auth.caller import Caller, Reader
from broadcast.auth.permissions import Permission
from broadcast.boundaries.drawing import Frame
from broadcast.boundaries.outlines import show_map
from broadcast.boundaries.schemas import MapOut
from broadcast.console.admin.calendars import units_of
from broadcast.console.page import NEEDS_UNITS, PageRouter, page, redirect
from broadcast.console.shared import SharedDep
from broadcast.kit import clock
from broadcast.schedules.regulations_in_force import in_force
from broadcast.situation import texts
from broadcast.situation.condition import Condition, tally
from broadcast.situation.overview import situation
from broadcast.situation.recent import Recent, RecentDep
from broadcast.situation.schemas import ClusterConditionOut, SituationOut
from broadcast.web.rest import AppSettings, Session

router = PageRouter()

Filter = Annotated[Condition | None, Query(description="những xã ở tình trạng này")]


@router.get("/map", dependencies=NEEDS_UNITS)
async def show(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Reader,
    recent: RecentDep,
    condition: Filter = None,
) -> Response:
    """The communes of the province by how they are; one's own unit, or the choice of it."""
    if not scope.is_whole(caller, Permission.READ):
        own = sorted({held.area_code for held in caller.roles if held.area_code})
        if len(own) == 1:
            return redirect(request, f"/areas/{own[0]}")
        tree = (await scope.territory_of(session)).lineage.tree_on(clock.today())
        return page(
            request, caller, "map/own.html", own=[tree[each] for each in own if each in tree]
        )
    drawn = await show_map(session, settings.province, clock.today())
    states = await _states(session, caller, settings.province, recent, condition)
    return page(request, caller, "map/index.html", map=drawn, **states)


@router.get("/map/states")
async def show_states(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Reader,
    recent: RecentDep,
    shared: SharedDep,
    condition: Filter = None,
) -> Response:
    """How the communes are: the list beside the map, from which its colours are taken."""
    scope.require_whole(session, caller, Permission.READ)

    async def make(anybody: Caller) -> Response:
        kept = Recent() if shared.is_told(request) else recent  # none from before the change
        states = await _states(session, anybody, settings.province, kept, condition)
        return page(request, anybody, "map/_states.html", is_part=True, **states)

    return await shared.answer(request, session, caller, make)


async def _states(
    session: AsyncSession,
    caller: Caller,
    province: str,
    recent: Recent,
    condition: Condition | None,
) -> dict[str, Any]:
    found = await situation(session, caller, province, clock.now(), recent)
    return {
        "situation": found,
        "communes": {each.code: each for each in found.areas},
        "counts": tally(each.condition for each in found.areas)._asdict(),
        "chosen": condition,
        "listed": [each for each in found.areas if condition in {None, each.condition}],
        "words": texts.CONDITIONS,
    }


@router.get("/areas/{code}")
async def show_area(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Reader,
    recent: RecentDep,
    code: str,
) -> Response:
    """A unit: what is down there and what to do, the units below it, its clusters, its Quy chế."""
    today = clock.today()
    found = await situation(session, caller, code, clock.now(), recent)
    rules = await in_force(session, code, today, settings.rules)
    names = dict(await units_of(session, today))
    return await _area(request, session, caller, found, "map/area.html", rules=rules, names=names)


@router.get("/areas/{code}/state")
async def show_area_state(
    request: Request,
    session: Session,
    caller: Reader,
    recent: RecentDep,
    shared: SharedDep,
    code: str,
) -> Response:
    """The part of it that changes."""

    async def make(anybody: Caller) -> Response:
        kept = Recent() if shared.is_told(request) else recent  # none from before the change
        found = await situation(session, anybody, code, clock.now(), kept)
        return await _area(request, session, anybody, found, "map/_area.html")

    return await shared.answer(request, session, caller, make)


async def _area(
    request: Request,
    session: AsyncSession,
    caller: Caller,
    found: SituationOut,
    template: str,
    **more: Any,
) -> Response:
    drawn = None
    if found.level is not Level.VILLAGE:
        drawn = await show_map(session, found.code, clock.today())
    return page(
        request,
        caller,
        template,
        situation=found,
        map=drawn,
        places={each.code: each for each in found.areas} | {found.code: found},
        points=points_of(drawn, found) if drawn else [],
        village_names={each.code: each.name for each in found.areas} | {found.code: found.name},
        urgent=[each for each in found.listed if each.advice],
        opened=_open_pages(request),
        words=texts.CONDITIONS,
        reasons=texts.REASONS,
        advice=texts.ADVICE,
        **more,
    )


class Point(NamedTuple):
    """A cluster in a drawing."""

    cluster: ClusterConditionOut
    x: int
    y: int


def points_of(drawn: MapOut, found: SituationOut) -> Sequence[Point]:
    """Clusters of which the register knows where they stand, in the drawing of their commune."""
    frame = Frame(**drawn.frame.model_dump())
    placed = [
        Point(each, *frame.place((each.longitude, each.latitude)))
        for each in found.listed
        if each.longitude is not None and each.latitude is not None
    ]
    return [each for each in placed if 0 <= each.x <= drawn.width and 0 <= each.y <= drawn.height]


def _open_pages(request: Request) -> frozenset[str]:
    """Pages that a figure can lead to."""
    pages: frozenset[str] = request.app.state.pages
    return pages
