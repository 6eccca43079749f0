"""REST of the indicators and of the villages that do not count."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response

from broadcast.areas import scope as places
from broadcast.auth.caller import AreaEditor, Reader
from broadcast.auth.people import people
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.indicators import answers, exclusions
from broadcast.indicators.answers import Question
from broadcast.indicators.comparison import Order
from broadcast.indicators.detail_schemas import (
    ClusterOperationOut,
    ComparisonOut,
    NeedsOut,
    TrendOut,
    WhyOut,
)
from broadcast.indicators.figures import Cache
from broadcast.indicators.restatements import restatements
from broadcast.indicators.schemas import (
    EndOfExclusionIn,
    IndicatorsOut,
    RestatementOut,
    ResultOut,
    VillageExclusionIn,
    VillageExclusionOut,
)
from broadcast.indicators.trend import Interval
from broadcast.kit import clock
from broadcast.kit.times import Day
from broadcast.web.fields import AsOf
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Session

router = Router(prefix="/api/v1", tags=["indicators"])

Scope = Annotated[
    str | None,
    Query(description="mã tỉnh, huyện hoặc xã; mặc định địa bàn của tài khoản", examples=["51"]),
]


def _cache(request: Request) -> Cache:
    """The cache of this process, made for the first request."""
    state = request.app.state
    if not hasattr(state, "indicators"):
        state.indicators = Cache()
    cache: Cache = state.indicators
    return cache


CacheDep = Annotated[Cache, Depends(_cache)]


def _question(
    session: Session,
    settings: AppSettings,
    caller: Reader,
    cache: CacheDep,
    as_of: AsOf = None,
    scope: Scope = None,
) -> Question:
    return Question(session, caller, cache, settings.province, as_of, scope)


Asked = Annotated[Question, Depends(_question)]
"""Day and scope of a request, and who asks."""

Code = Annotated[str, Path(examples=["1.1"])]
Variant = Annotated[str, Path(examples=["TH"])]
Since = Annotated[
    Day | None, Query(alias="from", description="ngày đầu; mặc định một năm trước `as_of`")
]
SortedBy = Annotated[Order, Query(alias="sort", description="thứ tự các xã")]


@router.get("/indicators", summary="Các chỉ tiêu, mọi cách tính")
async def list_indicators(asked: Asked) -> IndicatorsOut:
    """All variants with their evidence and the year's target, computed for the day."""
    return await answers.all_figures(asked)


@router.get("/indicators/restatements", summary="Số liệu ngày cũ đã được tính lại")
async def list_restatements(
    session: Session,
    caller: Reader,
    as_of: Annotated[
        Day | None,
        Query(description="chỉ những gì đổi chỉ tiêu của ngày này sau khi ngày đó đã qua"),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="số dòng, mới nhất trước")] = 100,
) -> list[RestatementOut]:
    """Past days of which later evidence changed what is known; the newest first."""
    places.require_whole(session, caller, Permission.READ)
    rows = await restatements(session, as_of, limit)
    return [RestatementOut.of(row) for row in rows]


@router.get("/indicators/{code}/compare", summary="Các xã cạnh nhau")
async def compare_communes(
    asked: Asked, code: Code, order: SortedBy = Order.WORST
) -> ComparisonOut:
    """Communes of the scope by every variant, with villages reached and clusters operating."""
    return (await answers.answer(asked)).comparison(code, order)


@router.get("/indicators/{code}/{variant}", summary="Một chỉ tiêu với danh sách")
async def show_indicator(asked: Asked, code: Code, variant: Variant) -> ResultOut:
    """One variant with numerator, denominator and excluded units, each with its reason."""
    return (await answers.answer(asked)).figure(code, variant)


@router.get("/indicators/{code}/{variant}/trend", summary="Một chỉ tiêu theo thời gian")
async def show_trend(
    asked: Asked,
    code: Code,
    variant: Variant,
    since: Since = None,
    interval: Annotated[Interval, Query(description="mỗi ngày, tuần hay tháng")] = Interval.MONTH,
) -> TrendOut:
    """Each value is that of its day, under the units and the definition of that day.

    `breaks` are the days on which communes were merged: values before and after count other units.
    """
    return await answers.over_time(asked, code, variant, since, interval)


@router.get(
    "/indicators/{code}/{variant}/needs", summary="Cần làm gì để đạt mục tiêu, việc lợi nhất trước"
)
async def show_needs(asked: Asked, code: Code, variant: Variant) -> NeedsOut:
    """The fewest changes that the record knows of; prices are not on record.

    A repaired cluster counts again once it was online for the required share of the window.
    """
    return (await answers.answer(asked)).needs(code, variant)


@router.get(
    "/indicators/{code}/{variant}/why/{unit}", summary="Vì sao một xã, thôn, đài (không) được tính"
)
async def explain_unit(asked: Asked, code: Code, variant: Variant, unit: str) -> WhyOut:
    """From the unit to its villages and clusters; a cluster's days are at its `address`."""
    return (await answers.answer(asked)).why(code, variant, unit)


@router.get(
    "/clusters/{cluster}/operation", summary="Cụm loa có hoạt động không, xét theo từng ngày"
)
async def show_operation(
    session: Session,
    settings: AppSettings,
    caller: Reader,
    cache: CacheDep,
    cluster: str,
    as_of: AsOf = None,
) -> ClusterOperationOut:
    """As indicator 1.1 judges it: minutes online, broadcasts due and completed on each day."""
    asked = Question(session, caller, cache, settings.province, as_of, None)
    return await answers.cluster_operation(asked, cluster)


@router.get("/village-exclusions", summary="Thôn không tính trong ngày")
async def list_exclusions(
    session: Session, caller: Reader, as_of: AsOf = None
) -> list[VillageExclusionOut]:
    """Villages without homes on a day, by code."""
    rows = await exclusions.exclusions_on(session, as_of or clock.today())
    known = await people(session, (row.declared_by for row in rows))
    return [VillageExclusionOut.of(row, known) for row in rows]


@router.post(
    "/village-exclusions",
    status_code=201,
    response_model=VillageExclusionOut,
    summary="Loại trừ một thôn không có hộ dân",
)
async def add_exclusion(
    session: Session,
    caller: AreaEditor,
    body: VillageExclusionIn,
    once: Annotated[Once, Depends()],
) -> Response:
    """Leave a village out of 1.1 from a day on; needs the document that says so."""

    async def make() -> Created:
        places.require_whole(session, caller, Permission.AREA_WRITE)
        row = await exclusions.exclude(
            session,
            body.village_code,
            body.valid_from,
            body.valid_to,
            body.document,
            caller.account_id,
        )
        location = f"/api/v1/village-exclusions/{row.village_code}/{row.valid_from}"
        known = await people(session, [row.declared_by])
        return Created(location, VillageExclusionOut.of(row, known))

    return await once.run(session, caller.account_id, make)


@router.get("/village-exclusions/{village_code}/{valid_from}", summary="Một lần loại trừ một thôn")
async def show_exclusion(
    session: Session, caller: Reader, village_code: str, valid_from: Day
) -> VillageExclusionOut:
    """One exclusion."""
    row = await exclusions.get(session, village_code, valid_from)
    return VillageExclusionOut.of(row, await people(session, [row.declared_by]))


@router.patch(
    "/village-exclusions/{village_code}/{valid_from}", summary="Kết thúc việc loại trừ một thôn"
)
async def end_exclusion(
    session: Session,
    caller: AreaEditor,
    village_code: str,
    valid_from: Day,
    body: EndOfExclusionIn,
) -> VillageExclusionOut:
    """Set the last day on which the village does not count; it counts again from the next."""
    places.require_whole(session, caller, Permission.AREA_WRITE)
    row = await exclusions.get(session, village_code, valid_from, lock=True)
    await exclusions.end(session, row, body.valid_to)
    return VillageExclusionOut.of(row, await people(session, [row.declared_by]))
