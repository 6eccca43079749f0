"""What happened with an incident: losses and returns, steps of people, and commands meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.people import People, people
from broadcast.commands.model import Command
from broadcast.commands.schemas import CommandOut
from broadcast.commands.status import CommandStatus, statuses
from broadcast.incidents import queries, texts
from broadcast.incidents.model import Incident, IncidentLoss, IncidentStep, StepKind
from broadcast.incidents.schemas import EventKind, HistoryOut, IncidentEventOut
from broadcast.web.rest import Page, Paging, paged

SHOWN = 200
"""Events of an incident that are listed."""


async def show_history(session: AsyncSession, incident_id: int, on: date) -> HistoryOut:
    """Everything that happened with an incident, the newest first.

    Raises:
        NotFound: There is none with this id.
    """
    incident = await queries.get(session, incident_id)
    losses = await session.execute(
        sa.select(
            sa.func.greatest(IncidentLoss.noticed_at, incident.noticed_at).label("at"),
            sa.func.count(IncidentLoss.device_id),
        )
        .where(IncidentLoss.incident_id == incident_id)
        .group_by(sa.text("at"))
    )
    steps = (
        await session.scalars(
            sa.select(IncidentStep)
            .where(IncidentStep.incident_id == incident_id)
            .order_by(IncidentStep.id)
        )
    ).all()
    named = [*(each.actor_id for each in steps), *(each.assignee_id for each in steps)]
    accounts = await people(session, named)
    events = [
        *(_lost(incident, at, count) for at, count in losses),
        *(_step(each, accounts) for each in steps),
        *_ended(incident, on),
    ]
    events.sort(key=lambda event: event.at)  # of one moment, in this order
    newest_first = events[::-1]
    return HistoryOut(items=newest_first[:SHOWN], left_out=max(0, len(events) - SHOWN))


def _lost(incident: Incident, at: datetime, count: int) -> IncidentEventOut:
    if at > incident.noticed_at:
        kind, text = EventKind.MORE_LOST, texts.more_lost(count)
    else:
        kind, text = EventKind.NOTICED, texts.noticed(count)
    return IncidentEventOut(kind=kind, at=at, by=None, text=text)


def _step(step: IncidentStep, accounts: People) -> IncidentEventOut:
    by = None if step.actor_id is None else accounts[step.actor_id]
    text = texts.STEPS[step.kind]
    if step.kind is StepKind.ASSIGNED and step.assignee_id is not None:
        is_own = step.assignee_id == step.actor_id
        text = texts.assigned(accounts[step.assignee_id].name, is_own=is_own, by_server=by is None)
    elif step.reason is not None:
        text = f"{text}: {texts.REASONS[step.reason]}"
    elif step.devices_count is not None:
        text = f"{text}: {texts.more_lost(step.devices_count)}"
    kind = EventKind(step.kind.value)
    return IncidentEventOut(kind=kind, at=step.at, by=by, text=text, note=step.note)


def _ended(incident: Incident, on: date) -> Iterable[IncidentEventOut]:
    if incident.closed_at is not None:
        text = texts.advice(incident, on) if incident.superseded else texts.STAYED_BACK
        yield IncidentEventOut(kind=EventKind.ENDED, at=incident.closed_at, by=None, text=text)
    elif incident.recovered_at is not None:
        yield IncidentEventOut(
            kind=EventKind.RECOVERED, at=incident.recovered_at, by=None, text=texts.ALL_BACK
        )


async def list_commands(
    session: AsyncSession, incident_id: int, paging: Paging, now: datetime
) -> Page[CommandOut]:
    """Commands that its devices were given since an incident began, the newest first.

    Raises:
        NotFound: There is none with this id.
    """
    incident = await queries.get(session, incident_id)
    devices = sa.select(IncidentLoss.device_id).where(IncidentLoss.incident_id == incident_id)
    until = incident.closed_at or now
    statement = statuses().where(
        Command.device_id.in_(devices),
        Command.ordered_at.between(incident.opened_at, until),
    )
    found = await paged(session, statement, [Command.id], paging, backwards=True)
    return found.page(lambda *row: CommandStatus(*row).out(now))
