"""Finding entries of the audit."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area
from broadcast.areas.units import codes_under
from broadcast.audit.entry import Outcome
from broadcast.audit.model import AuditEntry
from broadcast.auth.model import Account
from broadcast.web.rest import require_known


async def select_entries(
    session: AsyncSession,
    today: date,
    since: datetime,
    until: datetime,
    *,
    account: int | None = None,
    name: str | None = None,
    action: str | None = None,
    object_: str | None = None,
    area: str | None = None,
    outcome: Outcome | None = None,
) -> sa.Select[AuditEntry]:
    """Statement for the entries of a time; the transaction finds those of the caller's places.

    Args:
        session: Transaction.
        today: Day under whose units `area` is meant.
        since: Entries from then on.
        until: Entries before then.
        account: Who did it.
        name: Who did it, as they were called then.
        action: A part of the action, such as `/withdraw` or `POST`.
        object_: Address that was asked for, or table and key of what was changed.
        area: A unit that it concerned, or a unit above it.
        outcome: What came of it.

    Raises:
        Unknown: There is no such account or unit.
    """
    statement = sa.select(AuditEntry).where(
        AuditEntry.seq.is_not(None), AuditEntry.at >= since, AuditEntry.at < until
    )
    if area is not None:
        await require_known(session, "area", Area.code, area)
        statement = statement.where(await _concerns(session, area, today))
    if account is not None:
        await require_known(session, "account", Account.id, account)
        statement = statement.where(AuditEntry.account_id == account)
    if name is not None:
        statement = statement.where(AuditEntry.name == name)
    if action is not None:
        statement = statement.where(AuditEntry.action.contains(action, autoescape=True))
    if object_ is not None:
        statement = statement.where(AuditEntry.objects.contains([object_]))
    if outcome is not None:
        statement = statement.where(AuditEntry.outcome == outcome)
    return statement


async def _concerns(session: AsyncSession, area: str, on: date) -> sa.ColumnElement[bool]:
    """Condition that an entry concerns a unit, or one below it."""
    # The unit itself, too: one that is no more has no day on which it is found.
    codes = {area, *await session.scalars(codes_under(area, on))}
    found: sa.ColumnElement[bool] = AuditEntry.areas.bool_op("&&")(sorted(codes))
    return found
