"""Locks of those who change schedules: schedules by their ids, then the grid, then a revision."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit.locks import Lock, lock
from broadcast.schedules.model import (
    Schedule,
)


async def lock_schedule_grid(session: AsyncSession) -> None:
    """Let no other transaction add to the grid: two that look at once must not both find room."""
    await lock(session, Lock.SCHEDULES)


async def lock_schedules(
    session: AsyncSession, where: sa.ColumnElement[bool], *, key_share: bool = False
) -> Sequence[Schedule]:
    """Lock schedules until the end of the transaction, in the order of their ids; read anew.

    Args:
        session: Open transaction.
        where: Which.
        key_share: Let others refer to them meanwhile.
    """
    rows = sa.select(Schedule).where(where).order_by(Schedule.id)
    rows = rows.with_for_update(key_share=key_share)
    return (await session.scalars(rows.execution_options(populate_existing=True))).all()
