"""Accounts as answers name them: the id that everything refers to, and the name for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.model import Account


class PersonOut(BaseModel):
    """An account: who did something."""

    id: int
    name: str


People = Mapping[int, PersonOut]
"""Accounts by id."""


async def people(session: AsyncSession, account_ids: Iterable[int | None]) -> People:
    """Return the accounts with these ids, in one statement; None is nobody."""
    wanted = {each for each in account_ids if each is not None}
    if not wanted:
        return {}
    rows = await session.execute(sa.select(Account.id, Account.name).where(Account.id.in_(wanted)))
    return {row.id: PersonOut(id=row.id, name=row.name) for row in rows}
