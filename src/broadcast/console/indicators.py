"""The pages of the indicators: what they are, what they rest on, why, and what would help.

From the province down to the proof of a play, each figure a link to what it is made of.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response

from broadcast.auth.caller import Reader
from broadcast.console.chart import draw
from broadcast.console.page import NEEDS_UNITS, PageRouter, page
from broadcast.console.words import N_
from broadcast.indicators import answers
from broadcast.indicators.comparison import RANKING, Order
from broadcast.indicators.routes import Asked, Code, Since, Variant
from broadcast.indicators.trend import Interval
from broadcast.kit import clock
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import NotFound
from broadcast.kit.times import Day
from broadcast.plays.explain import explain
from broadcast.plays.model import Play, PlayState
from broadcast.plays.queries import plays_statement
from broadcast.plays.schemas import PlayOut
from broadcast.stations.clusters import find_cluster
from broadcast.web.rest import MAX_PAGE, Paging, Session, paged

router = PageRouter()

NAMES = {
    "1.1": N_("Truyền thanh hoạt động đến thôn, bản, tổ dân phố"),
    "1.2": N_("Chuyển đổi sang truyền thanh ứng dụng CNTT-VT"),
    "1.3": N_("Cập nhật thông tin thiết yếu trên trang thông tin điện tử"),
}
"""Indicators of the plan, by code."""

LEVELS = {
    "unit": N_("đơn vị"),
    "village": N_("thôn"),
    "station": N_("đài"),
    "plant": N_("hệ thống thiết bị"),
    "cluster": N_("cụm loa"),
    "portal": N_("trang thông tin"),
}
"""What a sentence of an explanation speaks of."""

OUTCOMES = {
    PlayState.PLANNED: ("unknown", N_("chưa tới giờ")),
    PlayState.PLAYING: ("unknown", N_("đang phát")),
    PlayState.PLAYED: ("ok", N_("đã phát")),
    PlayState.PARTIAL: ("partial", N_("phát một phần")),
    PlayState.PREEMPTED: ("partial", N_("nhường tin khẩn")),
    PlayState.MISSED: ("bad", N_("không phát")),
    PlayState.CANCELLED: ("unknown", N_("đã hủy")),
}
"""Shape and words of each state of a play."""

ORDERS = (
    (Order.WORST, N_("thấp nhất trước")),
    (Order.BEST, N_("cao nhất trước")),
    (Order.CLUSTERS_DOWN, N_("nhiều cụm loa hỏng trước")),
    (Order.NAME, N_("theo tên")),
)

INTERVALS = (
    (Interval.MONTH, N_("theo tháng")),
    (Interval.WEEK, N_("theo tuần")),
    (Interval.DAY, N_("theo ngày")),
)

LENGTHS = {Interval.MONTH: 365, Interval.WEEK: 182, Interval.DAY: 30}
"""Days that a trend shows, by the distance of its points."""

SHOWN = 50
"""Rows of a list at a time."""

FIRST_CHANGES = 10
"""Changes on the page of the figure; all of them are one click away."""

Start = Annotated[int, Query(ge=0, le=100_000)]


@router.get("/indicators", dependencies=NEEDS_UNITS)
async def show_all(request: Request, asked: Asked) -> Response:
    """All variants of every indicator, each in a sentence."""
    found = await answers.all_figures(asked)
    return page(request, asked.caller, "indicators/index.html", found=found, names=NAMES)


@router.get("/indicators/clusters/{code}")
async def show_cluster(request: Request, asked: Asked, code: str) -> Response:
    """Whether a cluster operates, day by day."""
    found = await answers.cluster_operation(asked, code)
    return page(request, asked.caller, "indicators/cluster.html", found=found)


@router.get("/indicators/clusters/{code}/days/{day}")
async def show_day(
    request: Request, session: Session, caller: Reader, code: str, day: Day
) -> Response:
    """What was to sound at a cluster on a day, and what did."""
    if await find_cluster(session, code) is None:
        raise NotFound(f"Không có cụm loa mã “{code}”.")
    begins_at = datetime.combine(day, time(), LOCAL)
    ends_at = begins_at + timedelta(days=1)
    statement = await plays_statement(session, begins_at, ends_at, clock.now(), cluster=code)
    key = [Play.starts_at, Play.occurrence_id, Play.cluster_id]
    found = (await paged(session, statement, key, Paging(None, MAX_PAGE))).page(PlayOut.of)
    return page(
        request, caller, "indicators/day.html", cluster=code, day=day, found=found,
        begins_at=begins_at, ends_at=ends_at, limit=MAX_PAGE, outcomes=OUTCOMES,
    )  # fmt: skip


@router.get("/indicators/clusters/{code}/plays/{occurrence_id}")
async def show_play(
    request: Request, session: Session, caller: Reader, code: str, occurrence_id: UUID
) -> Response:
    """Everything that is known of one play: its proof, or why there is none."""
    found = await explain(session, occurrence_id, code)
    day = found.starts_at.astimezone(LOCAL).date()
    return page(request, caller, "indicators/play.html", found=found, day=day)


@router.get("/indicators/{code}/compare")
async def compare(
    request: Request,
    asked: Asked,
    code: Code,
    order: Annotated[Order, Query(alias="sort")] = Order.WORST,
) -> Response:
    """Communes side by side."""
    found = (await answers.answer(asked)).comparison(code, order)
    return page(
        request, asked.caller, "indicators/compare.html", found=found, names=NAMES, orders=ORDERS,
        variant=RANKING[code],
    )  # fmt: skip


@router.get("/indicators/{code}/{variant}")
async def show_variant(
    request: Request, asked: Asked, code: Code, variant: Variant, start: Start = 0
) -> Response:
    """One figure: its value, what would help, and every unit with a link to why."""
    answer = await answers.answer(asked)
    found = answer.figure(code, variant)
    units = sorted(found.denominator_list, key=lambda each: (each.counted, each.code))
    return page(
        request,
        asked.caller,
        "indicators/variant.html",
        found=found,
        place={each.code: number for number, each in enumerate(found.denominator_list)},
        units=units[start : start + SHOWN],
        start=start,
        more=start + SHOWN if start + SHOWN < len(units) else None,
        needs=answer.needs(code, variant),
        shown=FIRST_CHANGES,
        names=NAMES,
    )


@router.get("/indicators/{code}/{variant}/needs")
async def show_needs(request: Request, asked: Asked, code: Code, variant: Variant) -> Response:
    """Everything that would bring the figure to its target."""
    answer = await answers.answer(asked)
    return page(
        request, asked.caller, "indicators/needs.html",
        found=answer.figure(code, variant), needs=answer.needs(code, variant),
    )  # fmt: skip


@router.get("/indicators/{code}/{variant}/trend")
async def show_trend(
    request: Request,
    asked: Asked,
    code: Code,
    variant: Variant,
    since: Since = None,
    interval: Interval = Interval.MONTH,
) -> Response:
    """The figure over time, drawn and as a table."""
    first_on: date = since or asked.on - timedelta(days=LENGTHS[interval])
    found = await answers.over_time(asked, code, variant, first_on, interval)
    chart = draw(
        [(point.on, point.value) for point in found.points],
        [(point.on, point.target) for point in found.points],
        [each.on for each in found.breaks],
    )
    return page(
        request, asked.caller, "indicators/trend.html",
        found=found, chart=chart, first_on=first_on, on=asked.on, intervals=INTERVALS,
    )  # fmt: skip


@router.get("/indicators/{code}/{variant}/why/{unit}")
async def show_why(
    request: Request, asked: Asked, code: Code, variant: Variant, unit: str
) -> Response:
    """Why a unit counts or does not, down to its clusters."""
    found = (await answers.answer(asked)).why(code, variant, unit)
    return page(request, asked.caller, "indicators/why.html", found=found, levels=LEVELS)
