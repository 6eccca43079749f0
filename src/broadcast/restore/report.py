"""The newest restore, for whoever has to decide."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.auth.people import people
from broadcast.kit import clock
from broadcast.kit.errors import NotFound
from broadcast.restore.comparison import compare
from broadcast.restore.model import Restore
from broadcast.restore.schemas import RestoreOut


async def newest(session: AsyncSession, settings: config.Settings) -> RestoreOut:
    """The newest restore, with its comparison while it is open.

    Raises:
        NotFound: There was none.
    """
    restore = await session.scalar(sa.select(Restore).order_by(Restore.id.desc()).limit(1))
    if restore is None:
        raise NotFound("Chưa từng khôi phục; hệ thống đang phát bình thường.")
    named = await people(session, [restore.accepted_by])
    if restore.accepted_at is not None:
        return RestoreOut.of(restore, named)
    comparison = await compare(session, restore, settings, clock.now())
    return RestoreOut.of(restore, named, comparison)
