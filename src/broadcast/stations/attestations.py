"""Attestations: a person's word that a cluster without telemetry works."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.auth.caller import Caller
from broadcast.auth.model import Account
from broadcast.auth.people import PersonOut
from broadcast.auth.permissions import Permission
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.stations.clusters import require_cluster
from broadcast.stations.model import Attestation, Cluster, Evidence
from broadcast.stations.places import villages_of
from broadcast.stations.schemas import AttestationIn, AttestationOut
from broadcast.web.rest import Page, Paging, paged, require_known


def _attestations() -> sa.Select[Attestation, str, str | None]:
    return (
        sa.select(Attestation, Cluster.code, Account.name)
        .join(Cluster, Cluster.id == Attestation.cluster_id)
        .outerjoin(Account, Account.id == Attestation.declared_by)
    )


def _out(attestation: Attestation, cluster_code: str, declarer: str | None) -> AttestationOut:
    by = attestation.declared_by
    return AttestationOut(
        id=attestation.id,
        cluster_code=cluster_code,
        attested_at=attestation.attested_at,
        attested_by=attestation.attested_by,
        reference=attestation.reference,
        note=attestation.note,
        declared_by=None if by is None else PersonOut(id=by, name=declarer or ""),
    )


async def list_attestations(
    session: AsyncSession, paging: Paging, *, cluster: str | None = None
) -> Page[AttestationOut]:
    """Attestations in the order they were made, of all clusters or of one.

    Raises:
        Unknown: There is no such cluster.
    """
    statement = _attestations()
    if cluster is not None:
        await require_known(session, "cluster", Cluster.code, cluster)
        statement = statement.where(Cluster.code == cluster)
    found = await paged(session, statement, [Attestation.id], paging)
    return found.page(_out)


async def _find(session: AsyncSession, attestation_id: int) -> tuple[Attestation, str, str | None]:
    found = await session.execute(_attestations().where(Attestation.id == attestation_id))
    row = found.one_or_none()
    if row is None:
        raise _no_attestation(attestation_id)
    return row[0], row[1], row[2]


async def show_attestation(session: AsyncSession, attestation_id: int) -> AttestationOut:
    """One attestation.

    Raises:
        NotFound: There is none with this number.
    """
    return _out(*await _find(session, attestation_id))


async def require_at_attestation(
    session: AsyncSession, caller: Caller, attestation_id: int
) -> None:
    """Refuse a change of an attestation outside of the caller's places.

    Raises:
        NotFound: The caller cannot see it, or there is none with this number.
        Forbidden: The caller may not attest there.
    """
    attestation, *_ = await _find(session, attestation_id)
    await scope.require(
        session,
        caller,
        Permission.ATTESTATION_WRITE,
        await villages_of(session, [attestation.cluster_id]),
        sa.select(Attestation.id).where(Attestation.id == attestation_id),
        _no_attestation(attestation_id),
    )


def _no_attestation(attestation_id: int) -> NotFound:
    return NotFound(f"Không có xác nhận số {attestation_id}.")


async def attest(
    session: AsyncSession, body: AttestationIn, caller: Caller, now: datetime
) -> AttestationOut:
    """Store an attestation, entered by the caller.

    Raises:
        Unknown: There is no such cluster.
        InvalidInput: The cluster is proven otherwise, or the moment is to come.
    """
    cluster = await require_cluster(session, body.cluster_code)
    if cluster.evidence is not Evidence.ATTESTED:
        raise InvalidInput(
            "cluster_code",
            f"cụm {cluster.code} ghi evidence={cluster.evidence.value}; chỉ cụm ghi attested "
            "mới chứng minh bằng xác nhận",
        )
    if body.attested_at > now:
        raise InvalidInput("attested_at", "ở tương lai; ghi lúc đã nghe")
    facts = body.model_dump(exclude={"cluster_code"})
    attestation = Attestation(cluster_id=cluster.id, **facts, declared_by=caller.account_id)
    session.add(attestation)
    await session.flush()
    return _out(attestation, cluster.code, caller.name)


async def delete_attestation(session: AsyncSession, attestation_id: int) -> None:
    """Delete an attestation that was entered by mistake.

    Raises:
        NotFound: There is none with this number.
    """
    attestation, *_ = await _find(session, attestation_id)
    await session.delete(attestation)
