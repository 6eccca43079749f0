"""Clusters that are heard together: a small plan of each group, and how far apart they began."""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple

from fastapi import Form, Query, Request, Response

from broadcast.auth.caller import Reader, RegisterEditor
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.words import N_
from broadcast.earshot import answers, corrections
from broadcast.earshot.groups import EARTH_METRES
from broadcast.earshot.schemas import GroupOut, PairIn
from broadcast.earshot.spread import Verdict
from broadcast.kit import clock
from broadcast.kit.text import Line
from broadcast.web.fields import Code
from broadcast.web.rest import AppSettings, Session

router = PageRouter()

LOOKS = {Verdict.IN: "ok", Verdict.UNSURE: "unknown", Verdict.OUT: "bad"}
"""Of `ui.state`."""

PER_PAGE = 50

WIDTH, HEIGHT, MARGIN = 600, 360, 44

BARS = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
"""Metres that a scale may show."""

SAID = {
    "true": N_("nghe chung một nơi"),
    "false": N_("không nghe chung"),
    "": N_("tính theo khoảng cách"),
}
"""What a person may say of a pair."""


class Dot(NamedTuple):
    """A cluster on the plan."""

    number: int
    code: str
    name: str
    x: float
    y: float
    kind: str
    """Of `ui.state`."""


class Stroke(NamedTuple):
    """Two clusters that are heard at one place."""

    x1: float
    y1: float
    x2: float
    y2: float


class Plan(NamedTuple):
    """A drawing of a group, north at the top."""

    dots: list[Dot]
    strokes: list[Stroke]
    bar_metres: int
    bar_width: float


def plan_of(group: GroupOut) -> Plan:
    """Draw the clusters whose place is known; each has the number that it has in the list."""
    latest = group.spreads[0].starts if group.spreads else []
    kinds = {each.cluster: LOOKS[each.verdict] for each in latest}
    placed = {
        each.code: (number, each, each.latitude, each.longitude)
        for number, each in enumerate(group.clusters, start=1)
        if each.latitude is not None and each.longitude is not None
    }
    if not placed:
        return Plan([], [], BARS[0], 0)
    south = min(latitude for _, _, latitude, _ in placed.values())
    north = max(latitude for _, _, latitude, _ in placed.values())
    west = min(longitude for *_, longitude in placed.values())
    east = max(longitude for *_, longitude in placed.values())
    narrow = math.cos(math.radians((south + north) / 2))
    degree = math.radians(1) * EARTH_METRES
    wide, high = (east - west) * narrow * degree, (north - south) * degree
    scale = min(
        (WIDTH - 2 * MARGIN) / max(wide, BARS[0]), (HEIGHT - 2 * MARGIN) / max(high, BARS[0])
    )
    left, top = (WIDTH - wide * scale) / 2, (HEIGHT - high * scale) / 2
    dots = {
        code: Dot(
            number,
            code,
            each.name,
            round(left + (longitude - west) * narrow * degree * scale, 1),
            round(top + (north - latitude) * degree * scale, 1),
            kinds.get(code, "plain"),
        )
        for code, (number, each, latitude, longitude) in placed.items()
    }
    strokes = [
        Stroke(*dots[each.cluster][3:5], *dots[each.other][3:5])
        for each in group.links
        if each.heard and each.cluster in dots and each.other in dots
    ]
    bar = max((each for each in BARS if each * scale <= WIDTH / 4), default=BARS[0])
    return Plan(list(dots.values()), strokes, bar, round(bar * scale, 1))


@router.get("/earshot")
async def show(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Reader,
    number: Annotated[int, Query(alias="page", ge=1, le=1000)] = 1,
) -> Response:
    """Every group of the caller's places, and whether it began together the last time."""
    reach = settings.rules.earshot_metres
    found = await answers.list_groups(session, reach, clock.now())
    pages_count = max(1, -(-len(found) // PER_PAGE))
    number = min(number, pages_count)
    return page(
        request,
        caller,
        "earshot/index.html",
        groups=found[(number - 1) * PER_PAGE : number * PER_PAGE],
        groups_count=len(found),
        number=number,
        pages_count=pages_count,
        reach=reach,
        looks=LOOKS,
    )


@router.get("/earshot/{cluster}")
async def show_group(
    request: Request, session: Session, settings: AppSettings, caller: Reader, cluster: Code
) -> Response:
    """One group: the plan, its starts, who was out and why, and the pairs."""
    reach = settings.rules.earshot_metres
    group = await answers.group_of(session, cluster, reach, clock.now())
    return page(
        request,
        caller,
        "earshot/group.html",
        group=group,
        of=cluster,
        plan=plan_of(group),
        reach=reach,
        looks=LOOKS,
        said=SAID,
    )


@router.post("/earshot/{cluster}/pairs", summary="Đặt tay: hai cụm loa có nghe chung không")
async def set_pair(
    request: Request,
    session: Session,
    caller: RegisterEditor,
    cluster: Code,
    one: Annotated[Code, Form()],
    other: Annotated[Code, Form()],
    heard: Annotated[Literal["true", "false", ""], Form()] = "",
    note: Annotated[Line, Form()] = "",
) -> Response:
    """Correct one pair, or go by the distance again."""
    if heard:
        body = PairIn(heard=heard == "true", note=note)
        await corrections.say(session, one, other, body, caller, clock.now())
    else:
        await corrections.forget(session, one, other, caller)
    return redirect(request, f"/earshot/{cluster}")
