"""What people do about an incident: take it on, hand it over, note, close, reopen.

Each step locks the incident, so that it and the pass that finds losses of contact (`rows.py`) come
one after the other. A decision may name the version that it was made from.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.auth.caller import Caller, HeldRole
from broadcast.auth.model import Account, AccountKind, AccountState, Grant
from broadcast.auth.people import PersonOut
from broadcast.auth.permissions import Permission, roles_with
from broadcast.incidents import queries
from broadcast.incidents.model import (
    ClosingReason,
    Incident,
    IncidentLoss,
    IncidentStep,
    StepKind,
)
from broadcast.incidents.schemas import CloseIn, IncidentOut
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.stations.places import villages_of

_WRITE = Permission.INCIDENT_WRITE


# --- who may -------------------------------------------------------------------------------------


async def places_of(session: AsyncSession, incident_id: int) -> set[str]:
    """Villages of the clusters that an incident has lost."""
    clusters = await session.scalars(
        sa.select(IncidentLoss.cluster_id)
        .where(IncidentLoss.incident_id == incident_id)
        .distinct()
    )
    return await villages_of(session, list(clusters))


async def handlers(session: AsyncSession, incident_id: int, now: datetime) -> list[PersonOut]:
    """People who may see to an incident today, in all of its places, by name.

    Raises:
        NotFound: There is no such incident.
    """
    await queries.get(session, incident_id)
    async with scope.whole(session):
        places = await places_of(session, incident_id)
        return await _handlers(session, places, now)


async def _handlers(
    session: AsyncSession, places: Collection[str], now: datetime
) -> list[PersonOut]:
    today = now.astimezone(LOCAL).date()
    rows = await session.execute(
        sa.select(Account.id, Account.name, Grant)
        .join(Grant, Grant.account_id == Account.id)
        .where(
            Account.kind == AccountKind.PERSON,
            Account.state != AccountState.DISABLED,
            Grant.role.in_(roles_with(_WRITE)),
            Grant.revoked_at.is_(None),
            Grant.valid_from <= today,
            sa.or_(Grant.valid_until.is_(None), Grant.valid_until >= today),
        )
        .order_by(Account.name, Account.id)
    )
    held: dict[int, Caller] = {}
    for account_id, name, grant in rows:
        role = HeldRole(grant.role, grant.area_code, grant.meant_on)
        known = held.get(account_id, Caller(account_id, name, "", ()))
        held[account_id] = known._replace(roles=(*known.roles, role))
    territory = await scope.territory_of(session)
    return [
        PersonOut(id=account_id, name=account.name)
        for account_id, account in held.items()
        if _covers(scope.changeable(account, _WRITE, territory), places)
    ]


def _covers(where: scope.Scope, places: Collection[str]) -> bool:
    return where.is_whole or (bool(places) and all(place in where for place in places))


async def may_handle(session: AsyncSession, caller: Caller, incident_id: int) -> bool:
    """Tell whether a caller may decide about an incident that he sees."""
    if _WRITE not in caller.permissions:
        return False
    if scope.is_whole(caller, _WRITE):
        return True
    async with scope.whole(session):
        places = await places_of(session, incident_id)
    return _covers(scope.changeable(caller, _WRITE, await scope.territory_of(session)), places)


async def _held(session: AsyncSession, caller: Caller, incident_id: int) -> Incident:
    """The incident, locked, for who may decide about it in all of its places."""
    incident = await _lock(session, incident_id)
    places = await places_of(session, incident_id)
    thing = sa.select(Incident.id).where(Incident.id == incident_id)
    await scope.require(session, caller, _WRITE, places, thing, queries.not_found(incident_id))
    return incident


async def _lock(session: AsyncSession, incident_id: int) -> Incident:
    incident: Incident | None = await session.scalar(
        sa.select(Incident)
        .where(Incident.id == incident_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if incident is None:
        raise queries.not_found(incident_id)
    return incident


def _check(incident: Incident, seen: int | None) -> None:
    """Refuse a decision about what is over, or has changed since it was looked at."""
    if incident.superseded:
        by = incident.superseded_by
        where = f"; hãy xử lý ở sự cố số {by}" if by is not None else ""
        raise Conflict(f"Sự cố này đã được gộp{where}.")
    if incident.closed_at is not None:
        raise Conflict("Sự cố đã đóng vì mọi cụm loa đã trở lại; chỉ còn ghi chú được.")
    if seen is not None and seen != incident.version:
        raise Conflict("Sự cố vừa thay đổi; hãy tải lại trang, xem lại rồi làm tiếp.")


async def _take_step(
    session: AsyncSession,
    caller: Caller,
    incident: Incident,
    kind: StepKind,
    now: datetime,
    *,
    assignee_id: int | None = None,
    reason: ClosingReason | None = None,
    note: str = "",
) -> IncidentOut:
    incident.version += 1
    session.add(
        IncidentStep(
            incident_id=incident.id, kind=kind, at=now, actor_id=caller.account_id,
            assignee_id=assignee_id, reason=reason, note=note,
        )
    )  # fmt: skip
    await session.flush()
    return await queries.show_one(session, incident.id, now.astimezone(LOCAL).date())


# --- what --------------------------------------------------------------------------------------


async def assign(
    session: AsyncSession,
    caller: Caller,
    incident_id: int,
    account_id: int,
    now: datetime,
    seen: int | None = None,
) -> IncidentOut:
    """Have somebody see to an incident; whoever did so before does not any more.

    Args:
        session: Transaction.
        caller: Who assigns; himself, if it is his account.
        incident_id: What is to be seen to.
        account_id: Who is to do it.
        now: The present.
        seen: Version that this was decided from; None: whatever it is.

    Raises:
        NotFound: There is no such incident in the caller's places.
        Forbidden: The caller may not decide about it in all of its places.
        Conflict: It is over, or has changed since.
        InvalidInput: Who is assigned could not see to it.
    """
    incident = await _held(session, caller, incident_id)
    _check(incident, seen)
    if account_id == incident.assignee_id:
        return await queries.show_one(session, incident_id, now.astimezone(LOCAL).date())
    if account_id != caller.account_id:
        # Held, so that it is not disabled at the same time.
        held = sa.select(Account.id).where(Account.id == account_id).with_for_update(read=True)
        await session.execute(held)
        able = await _handlers(session, await places_of(session, incident_id), now)
        if account_id not in {each.id for each in able}:
            raise InvalidInput(
                "account_id",
                "người này không được xử lý sự cố ở địa bàn đó; chọn một người trong danh sách",
            )
    incident.assignee_id = account_id
    return await _take_step(
        session, caller, incident, StepKind.ASSIGNED, now, assignee_id=account_id
    )


async def release(
    session: AsyncSession, caller: Caller, incident_id: int, now: datetime, seen: int | None = None
) -> IncidentOut:
    """Have nobody see to an incident any more.

    Raises:
        NotFound, Forbidden: As `assign`.
        Conflict: As `assign`, or nobody does.
    """
    incident = await _held(session, caller, incident_id)
    _check(incident, seen)
    if incident.assignee_id is None:
        raise Conflict("Chưa có ai phụ trách sự cố này; hãy tải lại trang.")
    incident.assignee_id = None
    return await _take_step(session, caller, incident, StepKind.RELEASED, now)


async def note(
    session: AsyncSession, caller: Caller, incident_id: int, text: str, now: datetime
) -> IncidentOut:
    """Write down what somebody found or did, also when the incident is over.

    Whoever may decide about incidents in one of its places may do so.

    Raises:
        NotFound: As `assign`.
        Forbidden: The caller may not in any of its places.
    """
    incident = await _lock(session, incident_id)
    places = await places_of(session, incident_id)
    if not scope.is_whole(caller, _WRITE):
        own = scope.changeable(caller, _WRITE, await scope.territory_of(session))
        places = {each for each in places if each in own} or places
    thing = sa.select(Incident.id).where(Incident.id == incident_id)
    await scope.require(session, caller, _WRITE, places, thing, queries.not_found(incident_id))
    return await _take_step(session, caller, incident, StepKind.NOTED, now, note=text)


async def close(
    session: AsyncSession,
    caller: Caller,
    incident_id: int,
    body: CloseIn,
    now: datetime,
    seen: int | None = None,
) -> IncidentOut:
    """Close an incident, until more devices are lost.

    Raises:
        NotFound, Forbidden: As `assign`.
        Conflict: As `assign`, or it is closed already.
        InvalidInput: Another reason, and no words for it.
    """
    incident = await _held(session, caller, incident_id)
    _check(incident, seen)
    if incident.closed_by_hand_at is not None:
        raise Conflict("Sự cố đã có người đóng; hãy tải lại trang.")
    if body.reason is ClosingReason.OTHER and not body.note:
        raise InvalidInput("note", "ghi rõ lý do khi chọn “lý do khác”")
    incident.closed_by_hand_at = now
    return await _take_step(
        session, caller, incident, StepKind.CLOSED, now, reason=body.reason, note=body.note
    )


async def reopen(
    session: AsyncSession, caller: Caller, incident_id: int, now: datetime, seen: int | None = None
) -> IncidentOut:
    """Take back that a person has closed an incident.

    Raises:
        NotFound, Forbidden: As `assign`.
        Conflict: As `assign`, or nobody has closed it.
    """
    incident = await _held(session, caller, incident_id)
    _check(incident, seen)
    if incident.closed_by_hand_at is None:
        raise Conflict("Sự cố đang mở, không cần mở lại.")
    incident.closed_by_hand_at = None
    return await _take_step(session, caller, incident, StepKind.REOPENED, now)
