"""REST of what people say of clusters: declared outages, and attestations that they work."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response

from broadcast.auth.caller import Attester, OutageEditor, Reader
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.kit.times import Moment
from broadcast.stations import attestations, outages
from broadcast.stations.places import require_at
from broadcast.stations.schemas import AttestationIn, AttestationOut, OutageIn, OutageOut
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import Id, Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["stations"])


@router.get("/outages", summary="Bảo trì và cắt điện đã khai báo")
async def list_outages(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    since: Annotated[Moment | None, Query(description="kết thúc sau lúc này")] = None,
    until: Annotated[Moment | None, Query(description="bắt đầu trước lúc này")] = None,
    cluster: Annotated[str | None, Query(description="mã cụm loa")] = None,
    area: Annotated[str | None, Query(description="mã đơn vị, kể cả các cấp dưới")] = None,
) -> Page[OutageOut]:
    """Declared outages in the order they were declared."""
    return await outages.list_outages(
        session, paging, clock.today(), since=since, until=until, cluster=cluster, area=area
    )


@router.get("/outages/{outage_id}", summary="Một lần ngừng")
async def show_outage(session: Session, caller: Reader, outage_id: Id) -> OutageOut:
    """One declared outage."""
    return await outages.show_outage(session, outage_id)


@router.post("/outages", status_code=201, summary="Khai báo ngừng", response_model=OutageOut)
async def declare_outage(
    request: Request, session: Session, caller: OutageEditor, body: OutageIn
) -> Response:
    """Declare a time in which clusters are not expected to be online."""

    async def make() -> Created:
        await require_at(
            session, caller, Permission.OUTAGE_WRITE, body.cluster_code, body.area_code
        )
        outage = await outages.declare_outage(session, body, caller)
        return Created(f"/api/v1/outages/{outage.id}", outage)

    return await Once(request).run(session, caller.account_id, make)


@router.put("/outages/{outage_id}", summary="Sửa lần ngừng")
async def change_outage(
    session: Session, caller: OutageEditor, outage_id: Id, body: OutageIn
) -> OutageOut:
    """Correct an outage, for example its end."""
    await outages.require_at_outage(session, caller, outage_id)
    await require_at(session, caller, Permission.OUTAGE_WRITE, body.cluster_code, body.area_code)
    return await outages.change_outage(session, outage_id, body, caller)


@router.delete("/outages/{outage_id}", status_code=204, summary="Bỏ lần ngừng khai nhầm")
async def delete_outage(session: Session, caller: OutageEditor, outage_id: Id) -> Response:
    """Delete an outage that did not happen."""
    await outages.require_at_outage(session, caller, outage_id)
    await outages.delete_outage(session, outage_id)
    return Response(status_code=204)


# --- attestations --------------------------------------------------------------------------------


@router.get("/attestations", summary="Xác nhận hoạt động của cụm loa không có thiết bị báo cáo")
async def list_attestations(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    cluster: Annotated[str | None, Query(description="mã cụm loa")] = None,
) -> Page[AttestationOut]:
    """Attestations in the order they were made."""
    return await attestations.list_attestations(session, paging, cluster=cluster)


@router.get("/attestations/{attestation_id}", summary="Một xác nhận")
async def show_attestation(session: Session, caller: Reader, attestation_id: Id) -> AttestationOut:
    """One attestation."""
    return await attestations.show_attestation(session, attestation_id)


@router.post(
    "/attestations", status_code=201, summary="Xác nhận cụm loa", response_model=AttestationOut
)
async def attest(
    request: Request, session: Session, caller: Attester, body: AttestationIn
) -> Response:
    """Attest that a cluster without telemetry works. It counts for 30 days."""

    async def make() -> Created:
        await require_at(session, caller, Permission.ATTESTATION_WRITE, body.cluster_code, None)
        attestation = await attestations.attest(session, body, caller, clock.now())
        return Created(f"/api/v1/attestations/{attestation.id}", attestation)

    return await Once(request).run(session, caller.account_id, make)


@router.delete("/attestations/{attestation_id}", status_code=204, summary="Bỏ xác nhận nhập nhầm")
async def delete_attestation(session: Session, caller: Attester, attestation_id: Id) -> Response:
    """Delete an attestation that was entered by mistake."""
    await attestations.require_at_attestation(session, caller, attestation_id)
    await attestations.delete_attestation(session, attestation_id)
    return Response(status_code=204)
