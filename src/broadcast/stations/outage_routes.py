"""REST of what people say of clusters: declared outages, and attestations that they work."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from fastapi import Query, Request, Response
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.auth import CallerDep, Staff
from broadcast.accounts.routing import Router
from broadcast.areas.units import require_unit
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput, NotFound, Unknown
from broadcast.kit.text import Note, Reference
from broadcast.kit.times import Moment
from broadcast.stations.clusters import find_cluster
from broadcast.stations.model import Attestation, Cluster, Evidence, Outage, OutageKind
from broadcast.stations.spans import Days, area_over, days_with, during
from broadcast.web.fields import Code, Name, Text, example
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import Body, Id, Page, PageQuery, Session, paged, require_known

router = Router()


class OutageBody(Body):
    """A declared maintenance or power cut of one cluster, or of all clusters of an area."""

    model_config = example(
        kind="power_cut",
        area_code="21034",
        starts_at="2025-08-01T07:00:00+07:00",
        ends_at="2025-08-01T11:30:00+07:00",
        document="Thông báo của Điện lực",
    )

    kind: OutageKind
    cluster_code: Code | None = None
    area_code: Code | None = None
    starts_at: Moment
    ends_at: Moment
    document: Text = ""


class OutageView(OutageBody):
    """An outage with who declared it."""

    document: str
    id: int
    declared_by: str


async def _outage_facts(session: AsyncSession, body: OutageBody) -> dict[str, object]:
    if (body.cluster_code is None) == (body.area_code is None):
        raise InvalidInput("cluster_code", "ghi mã cụm loa hoặc mã đơn vị, một trong hai")
    if body.ends_at <= body.starts_at:
        raise InvalidInput("ends_at", "phải sau lúc bắt đầu")
    cluster_id = None
    if body.area_code is not None:
        on = body.starts_at.astimezone(clock.LOCAL).date()
        await require_unit(session, "area_code", body.area_code, on)
    elif body.cluster_code is not None:
        cluster_id = (await _cluster(session, body.cluster_code)).id
    facts = body.model_dump(exclude={"cluster_code"})
    return facts | {"cluster_id": cluster_id}


async def _cluster(session: AsyncSession, code: str) -> Cluster:
    cluster = await find_cluster(session, code)
    if cluster is None:
        raise Unknown("cluster_code", f"không có cụm loa mã “{code}”")
    return cluster


def _outages() -> sa.Select[Outage, str | None]:
    return sa.select(Outage, Cluster.code).outerjoin(Cluster, Cluster.id == Outage.cluster_id)


def _outage_view(outage: Outage, cluster_code: str | None) -> OutageView:
    return OutageView(
        id=outage.id,
        kind=outage.kind,
        cluster_code=cluster_code,
        area_code=outage.area_code,
        starts_at=outage.starts_at,
        ends_at=outage.ends_at,
        document=outage.document,
        declared_by=outage.declared_by,
    )


async def _outage(session: AsyncSession, outage_id: int) -> tuple[Outage, OutageView]:
    row = (await session.execute(_outages().where(Outage.id == outage_id))).one_or_none()
    if row is None:
        raise NotFound(f"Không có lần ngừng số {outage_id}.")
    return row[0], _outage_view(*row)


@router.get("/outages", summary="Bảo trì và cắt điện đã khai báo")
async def list_outages(
    session: Session,
    caller: CallerDep,
    paging: PageQuery,
    since: Annotated[Moment | None, Query(description="kết thúc sau lúc này")] = None,
    until: Annotated[Moment | None, Query(description="bắt đầu trước lúc này")] = None,
    cluster: Annotated[str | None, Query(description="mã cụm loa")] = None,
    area: Annotated[str | None, Query(description="mã đơn vị, kể cả các cấp dưới")] = None,
) -> Page[OutageView]:
    """Declared outages in the order they were declared."""
    statement = _outages()
    if since is not None:
        statement = statement.where(Outage.ends_at > since)
    if until is not None:
        statement = statement.where(Outage.starts_at < until)
    if cluster is not None:
        await require_known(session, "cluster", Cluster.code, cluster)
        statement = statement.where(Cluster.code == cluster)
    if area is not None:
        # Under the units of the day on which it began, however long it lasts.
        found = await area_over(
            session, "area", area, await days_with(session, Outage.starts_at, clock.today())
        )
        named = {Days(*each.stretch[:2]): each.inside() for each in found}
        statement = statement.where(
            during(
                named,
                Outage.starts_at,
                lambda codes: Outage.area_code == sa.any_(sa.literal(codes, ARRAY(sa.Text()))),
            )
        )
    rows, following = await paged(session, statement, [Outage.id], paging)
    return Page(items=[_outage_view(*row) for row in rows], next=following)


@router.get("/outages/{outage_id}", summary="Một lần ngừng")
async def show_outage(session: Session, caller: CallerDep, outage_id: Id) -> OutageView:
    """One declared outage."""
    return (await _outage(session, outage_id))[1]


@router.post("/outages", status_code=201, summary="Khai báo ngừng", response_model=OutageView)
async def declare_outage(
    request: Request, session: Session, caller: Staff, body: OutageBody
) -> Response:
    """Declare a time in which clusters are not expected to be online."""

    async def make() -> Created:
        facts = await _outage_facts(session, body)
        outage = Outage(**facts, declared_by=caller.person)
        session.add(outage)
        await session.flush()
        return Created(f"/api/v1/outages/{outage.id}", _outage_view(outage, body.cluster_code))

    return await Once(request).run(session, caller.credential, make)


@router.put("/outages/{outage_id}", summary="Sửa lần ngừng")
async def change_outage(
    session: Session, caller: Staff, outage_id: Id, body: OutageBody
) -> OutageView:
    """Correct an outage, for example its end."""
    outage, _ = await _outage(session, outage_id)
    for name, value in (await _outage_facts(session, body)).items():
        setattr(outage, name, value)
    outage.declared_by = caller.person
    await session.flush()
    return _outage_view(outage, body.cluster_code)


@router.delete("/outages/{outage_id}", status_code=204, summary="Bỏ lần ngừng khai nhầm")
async def delete_outage(session: Session, caller: Staff, outage_id: Id) -> Response:
    """Delete an outage that did not happen."""
    outage, _ = await _outage(session, outage_id)
    await session.delete(outage)
    return Response(status_code=204)


# --- attestations --------------------------------------------------------------------------------


class AttestationBody(Body):
    """Somebody's word that a cluster without telemetry works, with photo or recording."""

    model_config = example(
        cluster_code="CL-00017",
        attested_at="2025-08-01T05:10:00+07:00",
        attested_by="Trưởng thôn Phú Bình",
        reference="anh/2025-08-01/CL-00017.jpg",
    )

    cluster_code: Code
    attested_at: Moment
    attested_by: Name
    reference: Reference
    note: Note = ""


class AttestationView(AttestationBody):
    """An attestation."""

    attested_by: str
    reference: str
    note: str
    id: int


def _attestation_view(attestation: Attestation, cluster_code: str) -> AttestationView:
    return AttestationView(
        id=attestation.id,
        cluster_code=cluster_code,
        attested_at=attestation.attested_at,
        attested_by=attestation.attested_by,
        reference=attestation.reference,
        note=attestation.note,
    )


def _attestations() -> sa.Select[Attestation, str]:
    return sa.select(Attestation, Cluster.code).join(Cluster, Cluster.id == Attestation.cluster_id)


async def _attestation(
    session: AsyncSession, attestation_id: int
) -> tuple[Attestation, AttestationView]:
    found = await session.execute(_attestations().where(Attestation.id == attestation_id))
    row = found.one_or_none()
    if row is None:
        raise NotFound(f"Không có xác nhận số {attestation_id}.")
    return row[0], _attestation_view(*row)


@router.get("/attestations", summary="Xác nhận hoạt động của cụm loa không có thiết bị báo cáo")
async def list_attestations(
    session: Session,
    caller: CallerDep,
    paging: PageQuery,
    cluster: Annotated[str | None, Query(description="mã cụm loa")] = None,
) -> Page[AttestationView]:
    """Attestations in the order they were made."""
    statement = _attestations()
    if cluster is not None:
        await require_known(session, "cluster", Cluster.code, cluster)
        statement = statement.where(Cluster.code == cluster)
    rows, following = await paged(session, statement, [Attestation.id], paging)
    return Page(items=[_attestation_view(*row) for row in rows], next=following)


@router.get("/attestations/{attestation_id}", summary="Một xác nhận")
async def show_attestation(
    session: Session, caller: CallerDep, attestation_id: Id
) -> AttestationView:
    """One attestation."""
    return (await _attestation(session, attestation_id))[1]


@router.post(
    "/attestations", status_code=201, summary="Xác nhận cụm loa", response_model=AttestationView
)
async def attest(
    request: Request, session: Session, caller: Staff, body: AttestationBody
) -> Response:
    """Attest that a cluster without telemetry works. It counts for 30 days."""

    async def make() -> Created:
        cluster = await _cluster(session, body.cluster_code)
        if cluster.evidence is not Evidence.ATTESTED:
            raise InvalidInput(
                "cluster_code",
                f"cụm {cluster.code} ghi evidence={cluster.evidence.value}; chỉ cụm ghi attested "
                "mới chứng minh bằng xác nhận",
            )
        if body.attested_at > clock.now():
            raise InvalidInput("attested_at", "ở tương lai; ghi lúc đã nghe")
        facts = body.model_dump(exclude={"cluster_code"})
        attestation = Attestation(cluster_id=cluster.id, **facts)
        session.add(attestation)
        await session.flush()
        view = _attestation_view(attestation, cluster.code)
        return Created(f"/api/v1/attestations/{attestation.id}", view)

    return await Once(request).run(session, caller.credential, make)


@router.delete("/attestations/{attestation_id}", status_code=204, summary="Bỏ xác nhận nhập nhầm")
async def delete_attestation(session: Session, caller: Staff, attestation_id: Id) -> Response:
    """Delete an attestation that was entered by mistake."""
    attestation, _ = await _attestation(session, attestation_id)
    await session.delete(attestation)
    return Response(status_code=204)
