"""Beginning, listing and ending sessions."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.audit import recording
from broadcast.audit.entry import Origin, Who
from broadcast.audit.refusals import site
from broadcast.auth.caller import Caller, digest
from broadcast.auth.model import Account
from broadcast.auth.session import AccountSession, Method, is_open
from broadcast.kit.errors import NotFound

MOST = 50
"""Sessions that an account has at a time; the one used least recently gives way."""


class Started(NamedTuple):
    """A session and its token, which nothing but the cookie knows."""

    row: AccountSession
    token: str


async def start(
    session: AsyncSession,
    account: Account,
    method: Method,
    origin: Origin,
    limits: config.SignIn,
    now: datetime,
    *,
    second_factor: bool = False,
) -> Started:
    """A new session of an account.

    Args:
        session: Transaction.
        account: Whose.
        method: How they signed in.
        origin: From where.
        limits: How long it lasts.
        now: Time of the sign-in.
        second_factor: Whether they have shown one.
    """
    token = secrets.token_urlsafe(32)
    row = AccountSession(
        account_id=account.id,
        token_sha256=digest(token),
        method=method,
        created_at=now,
        last_used_at=now,
        expires_at=now + limits.session_longest,
        ended_at=None,
        second_factor_at=now if second_factor else None,
        address=origin.address,
        network=site(origin.address),
        agent=origin.agent,
    )
    session.add(row)
    await session.flush()
    record = recording.of(session)
    if record is not None:
        record.who = Who(account.name, account.id, f"session/{row.id}")
    open_ = await list_open(session, account.id, limits, now)
    for surplus in open_[MOST:]:
        surplus.ended_at = now
    return Started(row, token)


def rotate(row: AccountSession) -> str:
    """A new token for a session; the one before it is worthless from now on."""
    token = secrets.token_urlsafe(32)
    row.token_sha256 = digest(token)
    return token


async def keep_screen(
    session: AsyncSession, caller: Caller, limits: config.SignIn, now: datetime
) -> str:
    """Make the caller's session that of a screen: it reads only, and lasts longer.

    Returns:
        Its new token; nothing else can be done with the one before it.

    Raises:
        NotFound: The caller came with a token.
    """
    row = await own(session, caller)
    row.is_screen = True
    row.second_factor_at = None
    row.expires_at = now + limits.screen_longest
    return rotate(row)


async def own(session: AsyncSession, caller: Caller, *, lock: bool = True) -> AccountSession:
    """The session with which the caller came; `lock` holds its row until the transaction ends.

    Raises:
        NotFound: The caller came with a token.
    """
    kind, _, number = caller.credential.partition("/")
    if kind != "session":
        raise NotFound("Yêu cầu gửi bằng mã truy cập nên không có phiên nào; hãy đăng nhập.")
    return await session.get_one(AccountSession, int(number), with_for_update=lock)


async def list_open(
    session: AsyncSession, account_id: int, limits: config.SignIn, now: datetime
) -> Sequence[AccountSession]:
    """Sessions of an account that can still be used, the one used last first."""
    return (
        await session.scalars(
            sa.select(AccountSession)
            .where(
                AccountSession.account_id == account_id,
                is_open(limits, now),
            )
            .order_by(AccountSession.last_used_at.desc(), AccountSession.id.desc())
        )
    ).all()


async def end(session: AsyncSession, account_id: int, session_id: int, now: datetime) -> None:
    """End one session of an account; one that has ended stays so.

    Raises:
        NotFound: The account has no such session.
    """
    row = await session.get(AccountSession, session_id)
    if row is None or row.account_id != account_id:
        raise NotFound("Tài khoản này không có phiên làm việc đó; hãy tải lại danh sách.")
    if row.ended_at is None:
        row.ended_at = now


async def end_all(
    session: AsyncSession, account_id: int, now: datetime, but: int | None = None
) -> int:
    """End all sessions of an account, or all but one; returns how many."""
    rows = (
        await session.scalars(
            sa.select(AccountSession).where(
                AccountSession.account_id == account_id,
                AccountSession.ended_at.is_(None),
                AccountSession.id != (but or 0),
            )
        )
    ).all()
    for row in rows:
        row.ended_at = now
    return len(rows)
