"""One-time links: the first administrator, an invitation, a reset. No password is ever given out.

A link is a random code, stored as its hash, good for once and for a short time. It stands behind
the `#` of an address, which no browser sends to a server and no log of a proxy shows.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.accounts import grants, logins, passwords, people, sessions
from broadcast.accounts.model import Identity, OneTimeLink, Passkey, Password, Purpose
from broadcast.auth.caller import digest
from broadcast.auth.model import Account, AccountKind, AccountState
from broadcast.auth.permissions import Role
from broadcast.kit import db
from broadcast.kit.errors import Conflict, InvalidInput, Unauthenticated
from broadcast.kit.locks import Lock, lock

SETUP_VALID = timedelta(hours=1)
"""Of the link that makes the first administrator."""


class Chosen(NamedTuple):
    """What somebody fills in behind a link."""

    password: str
    login: str | None = None
    name: str | None = None


async def needs_setup(session: AsyncSession) -> bool:
    """Tell whether nobody can sign in: no account has a password, a passkey or an identity."""
    credentials = (
        sa.exists().where(kind.account_id == Account.id) for kind in (Password, Passkey, Identity)
    )
    someone = sa.exists().where(Account.state != AccountState.DISABLED, sa.or_(*credentials))
    return not await session.scalar(sa.select(someone))


async def issue(
    session: AsyncSession,
    purpose: Purpose,
    account_id: int | None,
    now: datetime,
    valid: timedelta,
) -> str:
    """Code of a new link; those before it, for the same account, end."""
    same = OneTimeLink.account_id.is_not_distinct_from(account_id)
    await session.execute(
        sa.update(OneTimeLink).where(same, OneTimeLink.expires_at > now).values(expires_at=now)
    )
    code = secrets.token_urlsafe(32)
    session.add(
        OneTimeLink(
            purpose=purpose,
            account_id=account_id,
            token_sha256=digest(code),
            created_at=now,
            expires_at=now + valid,
            used_at=None,
        )
    )
    await session.flush()
    return code


async def invite(
    session: AsyncSession, account: Account, limits: config.SignIn, now: datetime
) -> tuple[str, datetime]:
    """Code by which somebody who cannot sign in yet sets their password, and when it ends.

    Nobody else: with a link an administrator would come in as somebody whose work they approve.

    Raises:
        Conflict: The account is disabled, a system's, or can sign in already.
    """
    if account.kind is not AccountKind.PERSON or account.state is not AccountState.INVITED:
        raise Conflict(
            f"Tài khoản {account.name} không chờ được mời: đã có mật khẩu hoặc mã, đã khóa, hoặc"
            " là của một hệ thống. Ai quên mật khẩu thì dùng broadcast accounts reset ở máy chủ."
        )
    code = await issue(session, Purpose.INVITE, account.id, now, limits.link_valid)
    return code, now + limits.link_valid


def link(settings: config.Settings, code: str) -> str:
    """Address of a one-time link."""
    web = settings.web
    host = f"[{web.host}]" if ":" in web.host else web.host
    return f"{web.public_url or f'http://{host}:{web.port}'}/setup#{code}"


async def first_link(engine: AsyncEngine, settings: config.Settings, now: datetime) -> str | None:
    """Link that makes the first administrator; None where somebody can sign in already."""
    async with db.transaction(engine) as session:
        if not await needs_setup(session):
            return None
        return link(settings, await issue(session, Purpose.SETUP, None, now, SETUP_VALID))


async def redeem(
    engine: AsyncEngine, session: AsyncSession, code: str, chosen: Chosen, now: datetime
) -> Account:
    """Use a link: the account that it is of has the chosen password, and nothing of before.

    Args:
        engine: For a first look; no transaction waits while the password is hashed.
        session: Transaction of the change.
        code: Of the link.
        chosen: What was filled in.
        now: Time of the request.

    Raises:
        Unauthenticated: There is no such link, or it has been used, or its time is over.
        InvalidInput: The password, the login or the name cannot be taken.
        Conflict: Somebody has become administrator in the meantime.
    """
    async with db.transaction(engine) as looking:
        row = await _find(looking, code, now)
        account = None
        if row.account_id is not None:
            account = await looking.get_one(Account, row.account_id)
    login = _login(account, chosen)
    name = chosen.name or "" if account is None else account.name
    passwords.check(chosen.password, login, name)
    hashed = await passwords.hashed(chosen.password)

    row = await _find(session, code, now, lock_it=True)
    row.used_at = now
    if row.account_id is None:
        account = await _first_administrator(session, name, now)
    else:
        account = await session.get_one(Account, row.account_id, with_for_update=True)
        if account.state is AccountState.DISABLED:
            raise Unauthenticated(INVALID)
    await _take_login(session, account, login)
    account.state = AccountState.ACTIVE
    await set_password(session, account.id, hashed, now)
    return account


INVALID = "Liên kết không đúng, đã dùng hoặc đã hết hạn; hãy nhờ quản trị cấp liên kết mới."


async def _find(
    session: AsyncSession, code: str, now: datetime, *, lock_it: bool = False
) -> OneTimeLink:
    statement = sa.select(OneTimeLink).where(
        OneTimeLink.token_sha256 == digest(code),
        OneTimeLink.used_at.is_(None),
        OneTimeLink.expires_at > now,
    )
    row = await session.scalar(statement.with_for_update() if lock_it else statement)
    if row is None:
        raise Unauthenticated(INVALID)
    return row


def _login(account: Account | None, chosen: Chosen) -> str:
    if account is not None and account.login is not None:
        if chosen.login is not None and logins.normalised(chosen.login) != account.login:
            raise InvalidInput("login", "tài khoản này đã có tên đăng nhập khác; hãy bỏ trống")
        return account.login
    if chosen.login is None:
        raise InvalidInput("login", "cần chọn tên đăng nhập")
    if account is None and chosen.name is None:
        raise InvalidInput("name", "cần ghi họ và tên")
    return logins.new(chosen.login)


async def _first_administrator(session: AsyncSession, name: str, now: datetime) -> Account:
    await lock(session, Lock.RESOURCE, "/api/v1/setup")
    if not await needs_setup(session):
        raise Conflict("Đã có người quản trị; hãy nhờ người đó tạo tài khoản.")
    account = await people.create_account(session, name, now, AccountKind.PERSON)
    await grants.grant(session, account.id, Role.PROVINCE_ADMIN, None, now)
    return account


async def _take_login(session: AsyncSession, account: Account, login: str) -> None:
    if account.login == login:
        return
    await lock(session, Lock.RESOURCE, "/api/v1/setup")
    if await session.scalar(sa.select(sa.exists().where(Account.login == login))):
        raise InvalidInput("login", "đã có người dùng tên này; hãy chọn tên khác")
    account.login = login


async def set_password(
    session: AsyncSession, account_id: int, hashed: str, now: datetime, keep: int | None = None
) -> None:
    """Store a new password, and end the sessions of the account, or all but one."""
    row = await session.get(Password, account_id, with_for_update=True)
    if row is None:
        session.add(Password(account_id=account_id, password_hash=hashed, changed_at=now))
    else:
        row.password_hash, row.changed_at = hashed, now
    await sessions.end_all(session, account_id, now, but=keep)
