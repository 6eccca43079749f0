"""REST of the indicators and of the villages that do not count."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from broadcast.accounts.auth import Admin, CallerDep
from broadcast.accounts.routing import Router
from broadcast.indicators import exclusions
from broadcast.indicators.cache import Memory
from broadcast.indicators.figures import compute
from broadcast.indicators.representations import IndicatorsView, RestatementView, ResultView
from broadcast.indicators.restatements import restated, restatements
from broadcast.kit import clock
from broadcast.kit.errors import NotFound
from broadcast.kit.text import Reference
from broadcast.kit.times import Day
from broadcast.web.fields import Code
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Body, Session

router = Router(prefix="/api/v1", tags=["coverage"])

AsOf = Annotated[
    Day | None,
    Query(
        description="ngày hỏi, theo đơn vị hành chính của ngày đó; mặc định hôm nay",
        examples=["2024-12-31"],
    ),
]
Scope = Annotated[
    str | None,
    Query(description="mã tỉnh, huyện hoặc xã; mặc định cả tỉnh", examples=["51"]),
]


def _memory(request: Request) -> Memory:
    """What this process remembers between two figures."""
    state = request.app.state
    if not hasattr(state, "indicators"):
        state.indicators = Memory()
    memory: Memory = state.indicators
    return memory


Remembered = Annotated[Memory, Depends(_memory)]


@router.get("/indicators", summary="Chỉ tiêu 1.1 và 1.2, mọi cách tính")
async def list_indicators(
    session: Session,
    settings: AppSettings,
    caller: CallerDep,
    memory: Remembered,
    as_of: AsOf = None,
    scope: Scope = None,
) -> IndicatorsView:
    """All variants with their evidence and the year's target, computed for the day."""
    now = clock.now()
    on, unit = as_of or clock.today(), scope or settings.province
    results = await compute(session, on, unit, now, memory)
    restated_at = await restated(session, on) if on < clock.today() else None
    return IndicatorsView.of(results, on, unit, restated_at)


@router.get("/indicators/restatements", summary="Số liệu ngày cũ đã được tính lại")
async def list_restatements(
    session: Session,
    caller: CallerDep,
    as_of: Annotated[
        Day | None,
        Query(description="chỉ những gì đổi chỉ tiêu của ngày này sau khi ngày đó đã qua"),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="số dòng, mới nhất trước")] = 100,
) -> list[RestatementView]:
    """Past days of which later evidence changed what is known; the newest first."""
    rows = await restatements(session, as_of, limit)
    return [RestatementView.of(row) for row in rows]


@router.get("/indicators/{code}/{variant}", summary="Một chỉ tiêu với danh sách")
async def show_indicator(
    session: Session,
    settings: AppSettings,
    caller: CallerDep,
    memory: Remembered,
    code: Annotated[str, Path(examples=["1.1"])],
    variant: Annotated[str, Path(examples=["TH"])],
    as_of: AsOf = None,
    scope: Scope = None,
) -> ResultView:
    """One variant with numerator, denominator and excluded units, each with its reason."""
    now = clock.now()
    on, unit = as_of or clock.today(), scope or settings.province
    results = await compute(session, on, unit, now, memory)
    result = results.get(code, {}).get(variant)
    if result is None:
        known = ", ".join(f"{c}/{v}" for c, variants in results.items() for v in variants)
        raise NotFound(f"Không có chỉ tiêu {code}/{variant}; các chỉ tiêu: {known}.")
    return ResultView.with_lists(result, on, unit)


class VillageExclusionView(BaseModel):
    """A village without homes, left out by a document."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": {
                "village_code": "21034-007",
                "valid_from": "2025-09-01",
                "valid_to": None,
                "document": "Công văn 12/UBND ngày 28/8/2025",
                "declared_by": "Nguyễn Thị Lan",
            }
        },
    )

    village_code: str
    valid_from: Day
    valid_to: Day | None
    """Last day, inclusive."""
    document: str
    declared_by: str


class NewVillageExclusion(Body):
    """Which village, from when, by which document."""

    village_code: Code
    valid_from: Day
    valid_to: Day | None = None
    document: Reference = Field(description="văn bản xác nhận", examples=["Công văn 12/UBND"])


class EndOfExclusion(Body):
    """Last day on which the village does not count."""

    valid_to: Day


@router.get("/village-exclusions", summary="Thôn không tính trong ngày")
async def list_exclusions(
    session: Session, caller: CallerDep, as_of: AsOf = None
) -> list[VillageExclusionView]:
    """Villages without homes on a day, by code."""
    rows = await exclusions.exclusions_on(session, as_of or clock.today())
    return [VillageExclusionView.model_validate(row) for row in rows]


@router.post(
    "/village-exclusions",
    status_code=201,
    response_model=VillageExclusionView,
    summary="Loại trừ một thôn không có hộ dân",
)
async def add_exclusion(
    session: Session, caller: Admin, body: NewVillageExclusion, once: Annotated[Once, Depends()]
) -> Response:
    """Leave a village out of 1.1 from a day on; needs the document that says so."""

    async def make() -> Created:
        row = await exclusions.exclude(
            session,
            body.village_code,
            body.valid_from,
            body.valid_to,
            body.document,
            caller.person,
        )
        location = f"/api/v1/village-exclusions/{row.village_code}/{row.valid_from}"
        return Created(location, VillageExclusionView.model_validate(row))

    return await once.run(session, caller.credential, make)


@router.get("/village-exclusions/{village_code}/{valid_from}", summary="Một lần loại trừ một thôn")
async def show_exclusion(
    session: Session, caller: CallerDep, village_code: str, valid_from: Day
) -> VillageExclusionView:
    """One exclusion."""
    return VillageExclusionView.model_validate(
        await exclusions.get(session, village_code, valid_from)
    )


@router.patch(
    "/village-exclusions/{village_code}/{valid_from}", summary="Kết thúc việc loại trừ một thôn"
)
async def end_exclusion(
    session: Session,
    caller: Admin,
    village_code: str,
    valid_from: Day,
    body: EndOfExclusion,
) -> VillageExclusionView:
    """Set the last day on which the village does not count; it counts again from the next."""
    row = await exclusions.get(session, village_code, valid_from)
    await exclusions.end(session, row, body.valid_to)
    return VillageExclusionView.model_validate(row)
