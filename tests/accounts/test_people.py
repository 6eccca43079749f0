"""Making accounts and giving them roles."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts import grants, people, tokens
from broadcast.areas.model import Area, Level
from broadcast.auth.caller import HeldRole, caller_of_token
from broadcast.auth.model import Account, AccountState, Grant
from broadcast.auth.permissions import PERMISSIONS, Permission, Role
from broadcast.kit.errors import InvalidInput, Unauthenticated

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)
UNITS = [
    ("51", Level.PROVINCE, None),
    ("21196", Level.COMMUNE, "51"),
    ("t1", Level.VILLAGE, "21196"),
]


@pytest.fixture
async def account(session: AsyncSession) -> Account:
    session.add_all(
        Area(
            code=code, level=level, kind="x", name=code, parent_code=parent,
            valid_from=date(2025, 7, 1), valid_to=None,
        )
        for code, level, parent in UNITS
    )  # fmt: skip
    return await people.create_account(session, "Hồ Thị Đài", NOW)


@pytest.mark.parametrize(
    ("role", "area"),
    [
        (Role.PROVINCE_EDITOR, "51"),
        (Role.PROVINCE_EDITOR, "21196"),
        (Role.COMMUNE_BROADCASTER, None),
        (Role.COMMUNE_BROADCASTER, "t1"),
        (Role.VILLAGE_HEAD, "21196"),
        (Role.TECHNICIAN, "99999"),
    ],
)
async def test_a_role_goes_with_the_level_of_its_area(
    session: AsyncSession, account: Account, role: Role, area: str | None
) -> None:
    with pytest.raises(InvalidInput, match="area_code"):
        await grants.grant(session, account.id, role, area, NOW)


async def test_a_token_has_the_roles_that_its_account_has_today(
    session: AsyncSession, account: Account
) -> None:
    token = (await tokens.issue(session, account.id, NOW)).secret
    await grants.grant(session, account.id, Role.COMMUNE_BROADCASTER, "21196", NOW)
    ended = await grants.grant(session, account.id, Role.TECHNICIAN, None, NOW)
    later = await grants.grant(session, account.id, Role.AUDITOR, None, NOW)
    revoked = await grants.grant(session, account.id, Role.VILLAGE_HEAD, "t1", NOW)
    ended.valid_from, ended.valid_until = date(2026, 11, 1), date(2026, 11, 27)
    later.valid_from = date(2026, 11, 29)
    revoked.revoked_at = NOW
    found = await caller_of_token(session, token, NOW)
    assert (found.account_id, found.name) == (account.id, "Hồ Thị Đài")
    assert found.roles == (HeldRole(Role.COMMUNE_BROADCASTER, "21196", NOW.date()),)
    assert found.permissions == PERMISSIONS[Role.COMMUNE_BROADCASTER]


async def test_a_token_can_do_less_than_its_account_but_never_more(
    session: AsyncSession, account: Account
) -> None:
    await grants.grant(session, account.id, Role.TECHNICIAN, None, NOW)
    scope = {Permission.READ, Permission.BULLETIN_WRITE}
    token = (await tokens.issue(session, account.id, NOW, scope=scope)).secret
    assert (await caller_of_token(session, token, NOW)).permissions == {Permission.READ}


async def test_a_disabled_account_has_no_token(session: AsyncSession, account: Account) -> None:
    token = (await tokens.issue(session, account.id, NOW)).secret
    account.state = AccountState.DISABLED
    with pytest.raises(Unauthenticated):
        await caller_of_token(session, token, NOW)


async def test_two_people_of_one_name_are_two_accounts(
    session: AsyncSession, account: Account
) -> None:
    other = await people.create_account(session, "Hồ Thị Đài", NOW)
    await grants.grant(session, other.id, Role.AUDITOR, None, NOW)
    assert other.id != account.id
    assert list(await session.scalars(sa.select(Grant.account_id))) == [other.id]
