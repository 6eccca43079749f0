"""Accounts: making and changing them, and what ends with them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts import grants, sessions, tokens
from broadcast.accounts.model import OneTimeLink
from broadcast.auth.model import Account, AccountKind, AccountState, Grant
from broadcast.auth.permissions import Role
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.kit.text import LONGEST_NAME, clean_person


async def create_account(
    session: AsyncSession,
    name: str,
    now: datetime,
    kind: AccountKind = AccountKind.PERSON,
    state: AccountState = AccountState.ACTIVE,
) -> Account:
    """A new account without any role.

    Raises:
        InvalidInput: `name` is empty, too long, or no name (`clean_person`).
    """
    account = Account(login=None, name=_cleaned(name), kind=kind, state=state, created_at=now)
    session.add(account)
    await session.flush()
    return account


def _cleaned(name: str) -> str:
    try:
        cleaned = clean_person(name)
    except ValueError as error:
        raise InvalidInput("name", str(error)) from None
    if len(cleaned) > LONGEST_NAME:
        raise InvalidInput("name", f"dài quá {LONGEST_NAME} ký tự")
    return cleaned


async def create_invited(
    session: AsyncSession, name: str, kind: AccountKind, now: datetime
) -> Account:
    """A new account over REST: a person's is `invited` until it has a password or a token.

    Raises:
        InvalidInput: As `create_account`.
    """
    is_person = kind is AccountKind.PERSON
    state = AccountState.INVITED if is_person else AccountState.ACTIVE
    return await create_account(session, name, now, kind, state)


async def get_account(session: AsyncSession, account_id: int, *, lock: bool = False) -> Account:
    """An account; `lock` holds its row until the end of the transaction.

    Raises:
        NotFound: There is none.
    """
    account = await session.get(Account, account_id, with_for_update=lock)
    if account is None:
        raise NotFound(f"Không có tài khoản số {account_id}.")
    return account


async def change(
    session: AsyncSession, account: Account, name: str, state: AccountState, now: datetime
) -> None:
    """Rename an account, disable it or enable it again.

    Disabling it ends all its tokens, sessions and one-time links at once, for good.

    Raises:
        InvalidInput: No name, or a state that nobody can set.
        Conflict: It is the last administrator.
    """
    account.name = _cleaned(name)
    if state is not account.state:
        if account.state is AccountState.INVITED and state is AccountState.ACTIVE:
            raise InvalidInput("state", "thành active khi người này đặt mật khẩu hoặc có mã")
        if state is AccountState.INVITED:
            raise InvalidInput("state", "chỉ tài khoản mới là invited; hãy ghi active")
        if state is AccountState.DISABLED:
            today = now.astimezone(LOCAL).date()
            await grants.require_administrator_besides(
                session, Grant.account_id == account.id, today
            )
            await tokens.revoke_all(session, account.id, now)
            await sessions.end_all(session, account.id, now)
            await session.execute(
                sa.update(OneTimeLink)
                .where(OneTimeLink.account_id == account.id, OneTimeLink.expires_at > now)
                .values(expires_at=now)
            )
        account.state = state
    await session.flush()


async def create_with_token(
    session: AsyncSession,
    name: str,
    role: Role,
    now: datetime,
    expires_at: datetime | None = None,
    *,
    area_code: str | None = None,
    second_factor: bool = False,
) -> str:
    """A new account with one role, and a token of it; see `tokens.issue`.

    Raises:
        InvalidInput: The name is none, or the role does not go with the area.
    """
    kind = AccountKind.SERVICE if role is Role.SERVICE else AccountKind.PERSON
    account = await create_account(session, name, now, kind)
    await grants.grant(session, account.id, role, area_code, now)
    issued = await tokens.issue(session, account.id, now, expires_at, second_factor=second_factor)
    return issued.secret


async def put_languages(session: AsyncSession, account: Account, languages: Iterable[str]) -> None:
    """Note which languages somebody knows; Vietnamese goes without saying."""
    account.languages = sorted(set(languages) - {"vi"})
    await session.flush()
