"""Callers of use cases, in tests that are about something else than accounts."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import FOR_EVER, Caller, HeldRole
from broadcast.auth.model import Account, AccountKind, AccountState
from broadcast.auth.permissions import Role

LAN, HUNG, MAI, TAM, TESTER = range(1_000_001, 1_000_006)
"""Ids far from those that a database gives itself."""

PEOPLE = {"Lan": LAN, "Hùng": HUNG, "Mai": MAI, "Tâm": TAM, "Người thử": TESTER}
"""Accounts of every database that `conftest.postgres` makes: who stands in rows. No grants."""


def caller(name: str, role: Role, area_code: str | None = None) -> Caller:
    """A caller with one role, who has shown a second factor; the same name is the same account.

    Only one of `PEOPLE` has an account, so only they can sign rows.
    """
    account_id = PEOPLE.get(name) or zlib.crc32(name.encode()) % 2**31
    roles = (HeldRole(role, area_code),)
    return Caller(account_id, name, f"token/{account_id}", roles, None, FOR_EVER)


async def add_people(session: AsyncSession) -> None:
    """Store the accounts of `PEOPLE`, unless they are there."""
    if await session.get(Account, LAN) is not None:
        return
    since = datetime(2020, 1, 1, tzinfo=UTC)
    session.add_all(
        Account(
            id=id_, login=None, name=name, kind=AccountKind.PERSON, state=AccountState.ACTIVE,
            created_at=since,
        )
        for name, id_ in PEOPLE.items()
    )  # fmt: skip
    await session.flush()
