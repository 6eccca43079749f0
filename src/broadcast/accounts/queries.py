"""Accounts as people look for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts import grants, tokens
from broadcast.accounts.account_schemas import (
    AccountOut,
    AreaNames,
    GrantOut,
    MeOut,
    TokenOut,
)
from broadcast.accounts.people import get_account
from broadcast.areas.model import Area
from broadcast.auth.caller import Caller
from broadcast.auth.model import Account, AccountState, ApiToken, Grant
from broadcast.auth.people import People, people
from broadcast.auth.permissions import Role
from broadcast.web.rest import Page, Paging, paged, require_known


async def list_accounts(
    session: AsyncSession,
    paging: Paging,
    today: date,
    *,
    state: AccountState | None = None,
    role: Role | None = None,
    area: str | None = None,
) -> Page[AccountOut]:
    """Accounts in the order in which they were made, with their roles.

    Args:
        session: Transaction.
        paging: Page.
        today: The local day.
        state: Those in this state.
        role: Those that have this role today or will have it.
        area: Those that have a role in this very unit today or will have one.

    Raises:
        Unknown: There has never been such a unit.
    """
    statement = sa.select(Account)
    if state is not None:
        statement = statement.where(Account.state == state)
    if area is not None:
        await require_known(session, "area", Area.code, area)
    if role is not None or area is not None:
        wanted = sa.exists().where(Grant.account_id == Account.id, grants.not_over(today))
        if role is not None:
            wanted = wanted.where(Grant.role == role)
        if area is not None:
            wanted = wanted.where(Grant.area_code == area)
        statement = statement.where(wanted)
    found = await paged(session, statement, [Account.id], paging)
    about = await _about(session, [row[0].id for row in found.rows], today)
    return found.page(lambda account: AccountOut.of(account, *about))


async def show_account(session: AsyncSession, account: Account, today: date) -> AccountOut:
    """An account with its roles."""
    (shown,) = await show_accounts(session, [account], today)
    return shown


async def show_accounts(
    session: AsyncSession, accounts: Sequence[Account], today: date
) -> list[AccountOut]:
    """Accounts with the roles that they have or will have, in three statements for all."""
    about = await _about(session, [each.id for each in accounts], today)
    return [AccountOut.of(each, *about) for each in accounts]


async def _about(
    session: AsyncSession, account_ids: Collection[int], today: date
) -> tuple[Mapping[int, Sequence[Grant]], AreaNames, People]:
    """Grants of accounts, and the names of the areas and people that these tell of."""
    of_accounts = Grant.account_id.in_(account_ids)
    rows = (
        await session.scalars(
            sa.select(Grant).where(of_accounts, grants.not_over(today)).order_by(Grant.id)
        )
    ).all()
    roles: defaultdict[int, list[Grant]] = defaultdict(list)
    for row in rows:
        roles[row.account_id].append(row)
    areas = await area_names(session, (row.area_code for row in rows))
    return roles, areas, await people(session, (row.granted_by for row in rows))


async def show_grants(session: AsyncSession, rows: Collection[Grant]) -> list[GrantOut]:
    """Grants with the names of their areas and of who gave them."""
    areas = await area_names(session, (row.area_code for row in rows))
    known = await people(session, (row.granted_by for row in rows))
    return [GrantOut.of(row, areas, known) for row in rows]


async def list_tokens(session: AsyncSession, paging: Paging, now: datetime) -> Page[TokenOut]:
    """Valid tokens of all accounts, oldest first."""
    statement = sa.select(ApiToken).where(tokens.valid(now))
    found = await paged(session, statement, [ApiToken.id], paging)
    return found.page(TokenOut.model_validate)


async def show_me(session: AsyncSession, caller: Caller) -> MeOut:
    """The account of the request, and what it may do today."""
    areas = await area_names(session, (held.area_code for held in caller.roles))
    return MeOut.of(await get_account(session, caller.account_id), caller, areas)


async def area_names(session: AsyncSession, codes: Iterable[str | None]) -> AreaNames:
    """Names of units by code, those of before as they were called last."""
    wanted = {code for code in codes if code is not None}
    if not wanted:
        return {}
    rows = await session.execute(
        sa.select(Area.code, Area.name)
        .where(Area.code.in_(wanted))
        .order_by(Area.code, Area.valid_from)
    )
    return {row.code: row.name for row in rows}
