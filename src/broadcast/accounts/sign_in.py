"""Signing in by login and password."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.accounts import logins, passwords, second_factor, sessions, setup
from broadcast.accounts.model import Password
from broadcast.accounts.secret_key import SecretKey
from broadcast.accounts.sessions import Started
from broadcast.audit.entry import Origin, Who
from broadcast.auth.caller import Caller
from broadcast.auth.model import Account, AccountState
from broadcast.auth.session import Method
from broadcast.kit import db
from broadcast.kit.errors import Unauthenticated


class WrongPassword(Unauthenticated):
    """Login and password do not go together.

    Attributes:
        who: Whose login it is, for the audit alone; None where it is nobody's.
    """

    def __init__(self, known: _Known | None) -> None:
        super().__init__("Tên đăng nhập hoặc mật khẩu không đúng.")
        self.who = None if known is None else Who(known.account.name, known.account.id)


class _Known(NamedTuple):
    account: Account
    password_hash: str


async def by_password(
    engine: AsyncEngine,
    session: AsyncSession,
    login: str,
    password: str,
    code: str | None,
    key: SecretKey,
    origin: Origin,
    limits: config.SignIn,
    now: datetime,
) -> Started:
    """A new session, for who knows login and password.

    Who does not learns nothing else, and as late: whether there is such a login, whether it may
    sign in by password.

    Args:
        engine: For a first look; no transaction waits while the password is hashed.
        session: Transaction of the sign-in.
        login: As typed.
        password: As typed.
        code: Of the authenticator app, or a recovery code; None: none was sent.
        key: For what is stored encrypted.
        origin: From where.
        limits: How long a session lasts.
        now: Time of the request.

    Raises:
        WrongPassword: They are wrong.
        Unauthenticated: The code is, or is wanting (`CodeRequired`).
    """
    async with db.transaction(engine) as looking:
        known = await _find(looking, Account.login == logins.normalised(login))
    await _require(known, password)
    assert known is not None
    renewed = None
    if passwords.is_outdated(known.password_hash):
        renewed = await passwords.hashed(password)
    row = await _unchanged(session, known)
    if renewed is not None:
        row.password_hash = renewed
    is_shown = await second_factor.show(session, known.account.id, code, key, now)
    return await sessions.start(
        session, known.account, Method.PASSWORD, origin, limits, now, second_factor=is_shown
    )


async def change_password(
    engine: AsyncEngine,
    session: AsyncSession,
    caller: Caller,
    present: str,
    chosen: str,
    now: datetime,
) -> str:
    """Change the caller's password, end their other sessions; returns the new token of this one.

    Raises:
        NotFound: The caller came with a token.
        WrongPassword: The present password is wrong.
        InvalidInput: The chosen one cannot be taken.
    """
    async with db.transaction(engine) as looking:
        await sessions.own(looking, caller)
        known = await _find(looking, Account.id == caller.account_id)
    await _require(known, present)
    assert known is not None
    passwords.check(chosen, known.account.login or "", known.account.name, field="new_password")
    hashed = await passwords.hashed(chosen)
    own = await sessions.own(session, caller)
    await _unchanged(session, known)
    await setup.set_password(session, caller.account_id, hashed, now, keep=own.id)
    return sessions.rotate(own)


async def _find(session: AsyncSession, who: sa.ColumnElement[bool]) -> _Known | None:
    row = (
        await session.execute(
            sa.select(Account, Password.password_hash)
            .join(Password, Password.account_id == Account.id)
            .where(who, Account.state == AccountState.ACTIVE)
        )
    ).one_or_none()
    return None if row is None else _Known(*row)


async def _require(known: _Known | None, password: str) -> None:
    if not await passwords.verify(None if known is None else known.password_hash, password):
        raise WrongPassword(known)


async def _unchanged(session: AsyncSession, known: _Known) -> Password:
    """The password that was compared, locked: meanwhile it may have been changed."""
    account = await session.get_one(Account, known.account.id, with_for_update={"read": True})
    row = await session.get(Password, known.account.id, with_for_update=True)
    if (
        row is None
        or row.password_hash != known.password_hash
        or account.state is not AccountState.ACTIVE
    ):
        raise WrongPassword(known)
    return row
