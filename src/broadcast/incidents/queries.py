"""Reading incidents for people: found by a filter, and one with its losses and its like."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area
from broadcast.areas.units import exists_on
from broadcast.auth.people import People, people
from broadcast.devices.places import code_of
from broadcast.incidents import texts
from broadcast.incidents.causes import Cause
from broadcast.incidents.grouping import Kind
from broadcast.incidents.model import (
    ClosingReason,
    Incident,
    IncidentLoss,
    IncidentStep,
    StepKind,
)
from broadcast.incidents.schemas import (
    Assigned,
    ClosingOut,
    ContactLossOut,
    EarlierOut,
    IncidentDetailOut,
    IncidentOut,
    RecurrenceOut,
    SilentVillageOut,
    WorkState,
)
from broadcast.incidents.silence import silence
from broadcast.kit.errors import NotFound
from broadcast.stations.model import Cluster
from broadcast.stations.spans import area_over, clusters_over, days_with, heard_by
from broadcast.web.rest import Page, Paging, paged

RECURRENCE_DAYS = 30
"""How far before an incident others of the same are counted."""

EARLIER = 20
"""How many of them are listed."""


class IncidentFilter(NamedTuple):
    """What somebody asks for; None asks for nothing."""

    is_open: bool | None = None
    """Not closed, neither by returns nor by a person; False: closed."""
    state: WorkState | None = None
    area: str | None = None
    """Code of a unit in which a cluster was lost, under the units of that day."""
    kind: Kind | None = None
    cause: Cause | None = None
    since: datetime | None = None
    """Began at this time or later."""
    before: datetime | None = None
    """Began at this time or earlier."""
    assigned: Assigned | None = None
    account_id: int | None = None
    """Who asks, for `assigned`."""


def not_found(incident_id: int) -> NotFound:
    """There is no incident with this id."""
    return NotFound(f"Không có sự cố số {incident_id}.")


async def get(session: AsyncSession, incident_id: int) -> Incident:
    """One incident.

    Raises:
        NotFound: There is none with this id.
    """
    incident = await session.get(Incident, incident_id)
    if incident is None:
        raise not_found(incident_id)
    return incident


async def incidents_statement(
    session: AsyncSession, on: date, wanted: IncidentFilter
) -> sa.Select[Incident]:
    """Select incidents; those that others took over are left out.

    Raises:
        InvalidInput: No such area on any day up to this one.
    """
    statement = sa.select(Incident).where(~Incident.superseded, *_conditions(wanted))
    if wanted.area is not None:
        days = await days_with(session, IncidentLoss.fell_at, on)
        inside = await clusters_over(session, await area_over(session, "area", wanted.area, days))
        touched = sa.select(IncidentLoss.incident_id).where(
            heard_by(inside, IncidentLoss.cluster_id, IncidentLoss.fell_at)
        )
        statement = statement.where(Incident.id.in_(touched))
    return statement


def _conditions(wanted: IncidentFilter) -> Iterable[sa.ColumnElement[bool]]:
    if wanted.is_open is not None:
        is_open = sa.and_(Incident.closed_at.is_(None), Incident.closed_by_hand_at.is_(None))
        yield is_open if wanted.is_open else ~is_open
    if wanted.state is not None:
        is_down = Incident.recovered_at.is_(None)
        yield is_down if wanted.state is WorkState.OPEN else ~is_down
    if wanted.kind is not None:
        yield Incident.kind == wanted.kind
    if wanted.cause is not None:
        yield Incident.cause == wanted.cause
    if wanted.since is not None:
        yield Incident.opened_at >= wanted.since
    if wanted.before is not None:
        yield Incident.opened_at <= wanted.before
    if wanted.assigned is Assigned.ME:
        yield Incident.assignee_id == wanted.account_id
    elif wanted.assigned is not None:
        is_nobodys = Incident.assignee_id.is_(None)
        yield is_nobodys if wanted.assigned is Assigned.NOBODY else ~is_nobodys


async def list_incidents(
    session: AsyncSession,
    paging: Paging,
    on: date,
    wanted: IncidentFilter,
    *,
    newest_first: bool = False,
) -> Page[IncidentOut]:
    """Incidents in the order in which they were noticed, or backwards.

    Raises:
        InvalidInput: As `incidents_statement`.
    """
    statement = await incidents_statement(session, on, wanted)
    found = await paged(session, statement, [Incident.id], paging, backwards=newest_first)
    show = await describe(session, [incident for (incident,) in found.rows], on)
    return found.page(show)


async def describe(
    session: AsyncSession, incidents: Iterable[Incident], on: date
) -> Callable[[Incident], IncidentOut]:
    """A function that shows these incidents, with who sees to them and who closed them."""
    known = list(incidents)
    by_hand = [each.id for each in known if each.closed_by_hand_at is not None]
    closed = {}
    if by_hand:
        steps = await session.execute(
            sa.select(
                IncidentStep.incident_id,
                IncidentStep.actor_id,
                IncidentStep.at,
                IncidentStep.note,
                sa.type_coerce(IncidentStep.reason, sa.String).label("reason"),
            )
            .where(IncidentStep.incident_id.in_(by_hand), IncidentStep.kind == StepKind.CLOSED)
            .order_by(IncidentStep.id)
        )
        closed = {each.incident_id: each for each in steps}
    accounts = await people(
        session,
        [*(each.assignee_id for each in known), *(each.actor_id for each in closed.values())],
    )

    def show(incident: Incident) -> IncidentOut:
        step = closed.get(incident.id)
        assignee = incident.assignee_id
        return IncidentOut.of(
            incident,
            on,
            None if assignee is None else accounts[assignee],
            None if step is None else _closing(step, accounts),
        )

    return show


def _closing(step: Any, accounts: People) -> ClosingOut:
    reason = ClosingReason(step.reason)
    return ClosingOut(
        reason=reason,
        reason_text=texts.REASONS[reason],
        note=step.note,
        closed_by=accounts[step.actor_id],
        closed_at=step.at,
    )


# --- one -----------------------------------------------------------------------------------------


async def show_one(session: AsyncSession, incident_id: int, on: date) -> IncidentOut:
    """One incident.

    Raises:
        NotFound: There is none with this id.
    """
    incident = await get(session, incident_id)
    return (await describe(session, [incident], on))(incident)


async def show_incident(
    session: AsyncSession, incident_id: int, paging: Paging, on: date
) -> IncidentDetailOut:
    """One incident with its losses, by device, and with others of the same.

    Raises:
        NotFound: There is none with this id.
    """
    incident = await get(session, incident_id)
    key = [IncidentLoss.device_id, IncidentLoss.fell_at]
    found = await paged(session, _losses(incident_id), key, paging)
    shown = (await describe(session, [incident], on))(incident)
    return IncidentDetailOut(
        **dict(shown),
        silent_villages=await _silent_villages(session, incident, on),
        recurrence=await recurrence(session, incident, on),
        falls=found.page(ContactLossOut.of),
    )


def _losses(incident_id: int) -> sa.Select[IncidentLoss, str, str, str]:
    return (
        sa.select(IncidentLoss, code_of(IncidentLoss.device_id), Cluster.code, Cluster.name)
        .join(Cluster, Cluster.id == IncidentLoss.cluster_id)
        .where(IncidentLoss.incident_id == incident_id)
    )


async def _silent_villages(
    session: AsyncSession, incident: Incident, on: date
) -> list[SilentVillageOut]:
    if not incident.down_count:
        return []
    found = (await silence(session, on, incident.id)).get(incident.id, {})
    units = await session.execute(
        sa.select(Area.code, Area.kind, Area.name).where(Area.code.in_(found), exists_on(on))
    )
    names = {code: f"{kind} {name}" for code, kind, name in units}
    return [
        SilentVillageOut(code=code, name=names.get(code, code), silent_since=since)
        for code, since in sorted(found.items(), key=lambda each: (each[1], each[0]))
    ]


async def recurrence(session: AsyncSession, incident: Incident, on: date) -> RecurrenceOut:
    """How often the same has happened in the days before an incident.

    The same is what has the same in common; of a single device, what befell its cluster alone,
    whichever box hung there.
    """
    if incident.kind is Kind.DEVICE:
        of_this = sa.select(IncidentLoss.cluster_id).where(IncidentLoss.incident_id == incident.id)
        there = sa.select(IncidentLoss.incident_id).where(IncidentLoss.cluster_id.in_(of_this))
        same: sa.ColumnElement[bool] = Incident.id.in_(there)
    else:
        same = sa.and_(Incident.code == incident.code, Incident.within == incident.within)
    earlier = sa.and_(
        ~Incident.superseded,
        Incident.kind == incident.kind,
        same,
        Incident.id != incident.id,
        Incident.opened_at < incident.opened_at,
        Incident.opened_at >= incident.opened_at - timedelta(days=RECURRENCE_DAYS),
    )
    count = 1 + (await session.scalar(sa.select(sa.func.count(Incident.id)).where(earlier)) or 0)
    listed = await session.scalars(
        sa.select(Incident).where(earlier).order_by(Incident.opened_at.desc()).limit(EARLIER)
    )
    return RecurrenceOut(
        count=count,
        days=RECURRENCE_DAYS,
        text=texts.recurrence(incident.kind, count, RECURRENCE_DAYS),
        earlier=[
            EarlierOut(
                id=each.id,
                title=texts.title(each, on),
                opened_at=each.opened_at,
                closed_at=each.closed_at or each.closed_by_hand_at,
            )
            for each in listed
        ],
    )
