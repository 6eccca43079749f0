"""Whom to call in a village: its head, as of today; kept apart from the register of villages."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Annotated

import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.model import VillageContact
from broadcast.areas.units import require_unit
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import NotFound
from broadcast.kit.text import Person
from broadcast.web.fields import example
from broadcast.web.rest import Body

Phone = Annotated[str, Field(pattern=r"^\+?[0-9][0-9 .]{6,18}[0-9]$", description="số điện thoại")]


class ContactIn(Body):
    """Whom to call."""

    model_config = example(name="Đinh Văn Thôn", phone="0905 123 456")

    name: Person
    phone: Phone


class ContactOut(BaseModel):
    """Whom to call."""

    name: str
    phone: str


async def contacts(session: AsyncSession, codes: Collection[str]) -> dict[str, ContactOut]:
    """Whom to call in these villages, by code."""
    rows = await session.scalars(
        sa.select(VillageContact).where(VillageContact.village_code.in_(codes))
    )
    return {row.village_code: ContactOut(name=row.name, phone=row.phone) for row in rows}


async def contact_of(session: AsyncSession, code: str) -> ContactOut:
    """Whom to call in a village.

    Raises:
        NotFound: Nobody is on record.
    """
    found = await contacts(session, [code])
    if code not in found:
        raise NotFound(f"Thôn “{code}” chưa ghi người liên hệ.")
    return found[code]


async def put_contact(
    session: AsyncSession, code: str, body: ContactIn, caller: Caller, now: datetime
) -> ContactOut:
    """Note whom to call in a village.

    Raises:
        InvalidInput: There is no such unit today.
        Forbidden: The caller may not there.
    """
    await require_unit(session, "code", code, now.astimezone(LOCAL).date())
    await scope.require(session, caller, Permission.OUTAGE_WRITE, [code])
    row = await session.get(VillageContact, code, with_for_update=True)
    if row is None:
        row = VillageContact(village_code=code)
        session.add(row)
    row.name, row.phone = body.name, body.phone
    row.changed_by, row.changed_at = caller.account_id, now
    await session.flush()
    return ContactOut(name=row.name, phone=row.phone)
