"""REST of the ledger."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from broadcast.auth.caller import ContentReader, Reader
from broadcast.auth.routing import Router, exports
from broadcast.bulletins.revisions import get_bulletin
from broadcast.kit import clock
from broadcast.kit.times import Moment
from broadcast.plays.certificate import certificate
from broadcast.plays.clashes import clashes
from broadcast.plays.coming import forecast_of
from broadcast.plays.days import occurrences_between
from broadcast.plays.explain import explain
from broadcast.plays.forecast_schemas import ForecastOut
from broadcast.plays.model import Play, PlayState
from broadcast.plays.queries import plays_statement, span
from broadcast.plays.results import result_of
from broadcast.plays.schemas import (
    ClashOut,
    ExplanationOut,
    OccurrenceCountsOut,
    OccurrenceResultOut,
    PlayOut,
    SummaryOut,
)
from broadcast.plays.settle import Grade, Reason
from broadcast.plays.summary import summary
from broadcast.plays.withdrawn import WithdrawnOut, withdrawn_starts
from broadcast.web.rest import AppSettings, Page, PageQuery, Session, paged

router = Router(prefix="/api/v1", tags=["plays"])

From = Annotated[
    Moment | None,
    Query(alias="from", description="giờ phát từ, mặc định 24 giờ trước `to`"),
]
To = Annotated[Moment | None, Query(alias="to", description="giờ phát trước, mặc định bây giờ")]


@router.get("/plays", summary="Sổ phát: từng buổi phát ở từng cụm loa")
async def list_plays(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    since: From = None,
    until: To = None,
    occurrence: Annotated[UUID | None, Query(description="một buổi phát, ở mọi cụm")] = None,
    cluster: Annotated[str | None, Query(description="mã cụm loa")] = None,
    area: Annotated[str | None, Query(description="mã đơn vị, địa giới của từng ngày")] = None,
    state: Annotated[list[PlayState] | None, Query(description="một hay nhiều trạng thái")] = None,
    reason: Annotated[Reason | None, Query(description="một lý do", examples=["offline"])] = None,
    evidence: Annotated[list[Grade] | None, Query(description="một hay nhiều bậc")] = None,
) -> Page[PlayOut]:
    """Plays by planned start. With `occurrence` the span of time may be left out."""
    statement = await plays_statement(
        session,
        since,
        until,
        clock.now(),
        occurrence=occurrence,
        cluster=cluster,
        area=area,
        states=state,
        reason=reason,
        evidence=evidence,
    )
    key = [Play.starts_at, Play.occurrence_id, Play.cluster_id]
    found = await paged(session, statement, key, paging)
    return found.page(PlayOut.of)


@router.get("/plays/clashes", summary="Buổi phát sắp tới trùng giờ, cùng mức ưu tiên")
async def show_clashes(session: Session, settings: AppSettings, caller: Reader) -> list[ClashOut]:
    """Of the days that are planned (eight), by start; empty when all is well."""
    now = clock.now()
    return await clashes(session, now, now + settings.rules.horizon)


@router.get("/plays/occurrences", summary="Các buổi phát, mỗi buổi đã phát ở bao nhiêu cụm loa")
async def list_occurrence_counts(
    session: Session, caller: Reader, since: From = None, until: To = None
) -> list[OccurrenceCountsOut]:
    """By start, at most two thousand; the span may lie ahead, as far as is planned."""
    return await occurrences_between(session, *span(since, until, clock.now()))


@router.get("/plays/summary", summary="Sổ phát tóm tắt: bao nhiêu đã phát, không phát vì sao")
async def plays_summary(
    session: Session, caller: Reader, since: From = None, until: To = None
) -> SummaryOut:
    """Figures of the plays that were to start in a span of time."""
    return await summary(session, *span(since, until, clock.now()))


@router.get(
    "/plays/{occurrence_id}/{cluster}/explain", summary="Vì sao đã hoặc không phát ở cụm loa này"
)
async def explain_play(
    session: Session, caller: Reader, occurrence_id: UUID, cluster: str
) -> ExplanationOut:
    """Everything known of a play: planned, published, received, ready, sounded, faults."""
    return await explain(session, occurrence_id, cluster)


@router.get(
    "/occurrences/{occurrence_id}/result",
    summary="Đã phát ở bao nhiêu thôn; chỗ nào không, vì sao, và cần làm gì",
)
async def show_result(
    session: Session, caller: Reader, occurrence_id: UUID
) -> OccurrenceResultOut:
    """Of the caller's places: a commune sees its own part of what the province broadcasts."""
    return await result_of(session, occurrence_id, caller)


@router.get(
    "/occurrences/{occurrence_id}/forecast",
    summary="Trước giờ phát: sẵn sàng ở bao nhiêu cụm loa; nơi nào sẽ không phát, vì sao",
)
async def show_forecast(
    session: Session, settings: AppSettings, caller: Reader, occurrence_id: UUID
) -> ForecastOut:
    """By what devices reported: what happens if nothing changes until then. Empty afterwards."""
    return await forecast_of(session, occurrence_id, settings.rules, clock.now())


@router.get(
    "/bulletins/{bulletin_id}/withdrawn-starts",
    summary="Buổi phát đã rút: ở cụm loa nào chắc chắn không phát, bằng chứng gì",
)
async def list_withdrawn_starts(
    session: Session, caller: ContentReader, bulletin_id: UUID
) -> list[WithdrawnOut]:
    """The latest ten starts that were withdrawn with the bulletin or its schedule."""
    await get_bulletin(session, bulletin_id)
    return await withdrawn_starts(session, bulletin_id)


PDF = {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}


@router.get(
    "/occurrences/{occurrence_id}/certificate",
    summary="Giấy xác nhận phát (PDF) để ký và lưu",
    response_class=Response,
    responses={200: {"content": PDF}},
)
@exports
async def show_certificate(
    session: Session, caller: ContentReader, occurrence_id: UUID
) -> Response:
    """What sounded when and where, the SHA-256 of the sound, the proof of each cluster."""
    pdf = await certificate(session, occurrence_id, caller, clock.now())
    name = f"giay-xac-nhan-{occurrence_id}.pdf"
    return Response(
        pdf,
        media_type="application/pdf",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
