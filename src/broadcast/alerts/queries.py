"""Alerts as people look for them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.alerts import sound
from broadcast.alerts.model import Alert
from broadcast.alerts.places import no_alert, reach
from broadcast.alerts.schemas import AlertDetailOut, AlertOut
from broadcast.alerts.state import PROPOSAL_VALID, AlertState
from broadcast.auth.people import people
from broadcast.kit.clock import LOCAL

RECENT = timedelta(days=1)
"""How long what is over stays in front of people."""


async def get_alert(session: AsyncSession, alert_id: UUID, *, lock: bool = False) -> Alert:
    """An alert; `lock` holds its row until the end of the transaction.

    Raises:
        NotFound: There is none.
    """
    alert = await session.get(Alert, alert_id, with_for_update=lock, populate_existing=lock)
    if alert is None:
        raise no_alert(alert_id)
    return alert


def select_alerts(
    *, drill_id: UUID | None = None, awaits_debrief: bool = False
) -> sa.Select[Alert]:
    """The statement of the alerts that both filters leave."""
    statement = sa.select(Alert)
    if drill_id is not None:
        statement = statement.where(Alert.drill_id == drill_id)
    if awaits_debrief:
        statement = statement.where(Alert.is_alone, Alert.debriefed_at.is_(None))
    return statement


async def current(session: AsyncSession, now: datetime) -> list[AlertOut]:
    """What concerns people now: proposed, sounding, over since a day; the newest first."""
    rows = await session.scalars(
        sa.select(Alert)
        .where(
            sa.or_(
                sa.and_(
                    Alert.state == AlertState.PROPOSED, Alert.proposed_at > now - PROPOSAL_VALID
                ),
                Alert.ends_by > now - RECENT,
                sa.and_(Alert.is_alone, Alert.debriefed_at.is_(None)),
            )
        )
        .order_by(Alert.created_at.desc(), Alert.id)
        .limit(100)
    )
    return await shown(session, rows, now)


async def shown(session: AsyncSession, alerts: Iterable[Alert], now: datetime) -> list[AlertOut]:
    """Alerts as answers show them."""
    rows = list(alerts)
    known = await people(
        session,
        (
            who
            for row in rows
            for who in (
                row.created_by, row.proposed_by, row.authorised_by, row.ended_by, row.debriefed_by,
            )
        ),
    )  # fmt: skip
    keys = {(row.bulletin_id, row.bulletin_revision) for row in rows}
    sounds = await sound.sounds(session, keys)
    replaced = await session.execute(
        sa.select(Alert.replaces_id, Alert.id)
        .where(Alert.replaces_id.in_(row.id for row in rows), Alert.authorised_at.is_not(None))
        .order_by(Alert.authorised_at)
    )
    by: dict[UUID | None, UUID] = dict(replaced.all())
    return [
        AlertOut.of(
            row, sounds[row.bulletin_id, row.bulletin_revision], by.get(row.id), known, now
        )
        for row in rows
    ]


async def detail(session: AsyncSession, alert: Alert, now: datetime) -> AlertDetailOut:
    """An alert with where it sounds."""
    [found] = await shown(session, [alert], now)
    on = (alert.starts_at or now).astimezone(LOCAL).date()
    reached = await reach(session, alert.targets, alert.targets_on, on)
    return AlertDetailOut(**dict(found), reach=reached)
