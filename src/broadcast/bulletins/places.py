"""Places of bulletins: the area whose station speaks."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.model import Area, Level
from broadcast.areas.units import units_on
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.bulletins.model import Bulletin
from broadcast.bulletins.revisions import no_bulletin
from broadcast.kit.text import in_order


async def require_at_bulletin(
    session: AsyncSession, caller: Caller, permission: Permission, bulletin_id: UUID
) -> None:
    """Refuse a change of a bulletin outside of the caller's places.

    Raises:
        NotFound: The caller cannot read it, or there is none.
        Forbidden: The caller has not got the permission there.
    """
    area = sa.select(Bulletin.area_code).where(Bulletin.id == bulletin_id)
    thing = sa.select(Bulletin.id).where(Bulletin.id == bulletin_id)
    codes = list(await session.scalars(area))
    await scope.require(session, caller, permission, codes, thing, no_bulletin(bulletin_id))


async def require_readable_bulletin(
    session: AsyncSession, caller: Caller, bulletin_id: UUID
) -> None:
    """Refuse to use a bulletin that the caller cannot read.

    Raises:
        NotFound: So it is.
    """
    thing = sa.select(Bulletin.id).where(Bulletin.id == bulletin_id)
    await scope.require_visible(
        session, caller, Permission.CONTENT_READ, thing, no_bulletin(bulletin_id)
    )


async def own_stations(session: AsyncSession, caller: Caller, on: date) -> list[Area]:
    """Units of a day for whose stations a caller may write bulletins; the province comes last."""
    own = scope.changeable(caller, Permission.BULLETIN_WRITE, await scope.territory_of(session))
    return [
        unit
        for level in (Level.COMMUNE, Level.PROVINCE)
        for unit in sorted(
            await units_on(session, on, level=level), key=lambda unit: in_order(unit.name)
        )
        if unit.code in own
    ]
