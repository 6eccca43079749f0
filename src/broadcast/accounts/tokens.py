"""Issuing, listing and revoking the tokens of programs."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth import second_factor as factor
from broadcast.auth.caller import Caller, digest
from broadcast.auth.model import Account, AccountKind, AccountState, ApiToken
from broadcast.auth.permissions import Permission
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, Forbidden, InvalidInput, NotFound

LONGEST = timedelta(days=366)
"""No token is issued for longer over REST; a program that goes on gets a new one each year."""

MOST_TOKENS = 50
"""Valid ones of an account."""


class Issued(NamedTuple):
    """A token as it is stored, and its secret, which is shown this once."""

    row: ApiToken
    secret: str


async def issue(
    session: AsyncSession,
    account_id: int,
    now: datetime,
    expires_at: datetime | None = None,
    *,
    label: str = "",
    scope: Collection[Permission] | None = None,
    second_factor: bool = False,
) -> Issued:
    """A new token of an account, stored as a hash; an invited account is active with it.

    Args:
        session: Transaction.
        account_id: Whose.
        now: Time of the issue.
        expires_at: When it ends.
        label: For what it is used.
        scope: Permissions to which it is narrowed.
        second_factor: Whether it may do what needs one (`auth.second_factor.REQUIRED`), because
            who issues it has shown one.
    """
    secret = "ttn_" + secrets.token_urlsafe(32)
    row = ApiToken(
        token_sha256=digest(secret),
        account_id=account_id,
        label=label,
        scope=None if scope is None else sorted(scope),
        has_second_factor=second_factor,
        created_at=now,
        expires_at=expires_at,
        last_used_on=None,
        revoked_at=None,
    )
    session.add(row)
    account = await session.get_one(Account, account_id)
    if account.state is AccountState.INVITED:
        account.state = AccountState.ACTIVE
    await session.flush()
    return Issued(row, secret)


async def issue_for(
    session: AsyncSession,
    caller: Caller,
    account: Account,
    now: datetime,
    expires_at: datetime,
    label: str,
    scope: Collection[Permission] | None,
    *,
    approves: bool = False,
) -> Issued:
    """A token that somebody asks for over REST.

    Everybody issues their own, an administrator those of other systems: with a token of another
    person an administrator could approve what they have made themselves.

    Args:
        session: Transaction.
        caller: Who asks for it.
        account: Whose it is to be.
        now: Time of the request.
        expires_at: When it ends.
        label: For what it is used.
        scope: To what it is narrowed; None: to nothing.
        approves: Whether it may do what needs a second factor.

    Raises:
        Forbidden: It is another's, or may do more than what the caller signed in with.
        SecondFactorRequired: It is to approve, and the caller has not shown one.
        InvalidInput: It ends in the past, after more than a year, or later than the token by which
            it is asked for.
        Conflict: The account is disabled, or has `MOST_TOKENS`.
    """
    if account.id != caller.account_id and account.kind is AccountKind.PERSON:
        raise Forbidden(
            "Mã truy cập của một người chỉ do chính người đó cấp; chương trình của hệ thống khác"
            " thì dùng tài khoản loại service."
        )
    if account.state is AccountState.DISABLED:
        raise Conflict(f"Tài khoản {account.name} đã khóa; hãy mở lại rồi cấp mã.")
    if caller.scope is not None and (scope is None or not caller.scope.issuperset(scope)):
        raise Forbidden("Mã đang dùng chỉ có một phần quyền; mã mới không được nhiều quyền hơn.")
    if approves:
        factor.check(caller.second_factor_until, Permission.BULLETIN_APPROVE, now)
    await _check_expiry(session, caller, now, expires_at)
    held = sa.select(sa.func.count()).where(ApiToken.account_id == account.id, valid(now))
    if (await session.scalar(held) or 0) >= MOST_TOKENS:
        raise Conflict(
            f"Tài khoản đã có {MOST_TOKENS} mã còn hiệu lực; hãy thu hồi mã không dùng."
        )
    return await issue(
        session, account.id, now, expires_at, label=label, scope=scope, second_factor=approves
    )


async def _check_expiry(
    session: AsyncSession, caller: Caller, now: datetime, expires_at: datetime
) -> None:
    if expires_at <= now:
        raise InvalidInput("expires_at", "đã qua; hãy chọn ngày trong tương lai")
    if expires_at > now + LONGEST:
        raise InvalidInput("expires_at", f"xa quá; nhiều nhất {LONGEST.days} ngày")
    kind, _, number = caller.credential.partition("/")
    used = await session.get(ApiToken, int(number)) if kind == "token" else None
    if used is not None and used.expires_at is not None and expires_at > used.expires_at:
        raise InvalidInput(
            "expires_at",
            "muộn hơn hạn của mã đang dùng"
            f" ({used.expires_at.astimezone(LOCAL):%H:%M %d/%m/%Y}); hãy chọn sớm hơn",
        )


def valid(now: datetime) -> sa.ColumnElement[bool]:
    """Condition that a token opens something."""
    return sa.and_(
        ApiToken.revoked_at.is_(None),
        sa.or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now),
    )


async def of_account(session: AsyncSession, account_id: int, now: datetime) -> Sequence[ApiToken]:
    """Tokens of an account that are valid, oldest first."""
    return (
        await session.scalars(
            sa.select(ApiToken)
            .where(ApiToken.account_id == account_id, valid(now))
            .order_by(ApiToken.id)
        )
    ).all()


async def get_token(session: AsyncSession, token_id: int, caller: Caller) -> ApiToken:
    """A token of the caller's, or of anybody for an administrator.

    Raises:
        NotFound: There is none that the caller may know of.
    """
    row = await session.get(ApiToken, token_id)
    if row is None or not may_see_tokens(caller, row.account_id):
        raise NotFound(f"Không có mã truy cập số {token_id}.")
    return row


def require_control(caller: Caller, account_id: int, now: datetime) -> None:
    """Refuse who may not change the tokens of an account.

    Raises:
        Forbidden: It is another's account, and the caller no administrator.
        SecondFactorRequired: It is another's, and the administrator has not shown one.
    """
    if not may_see_tokens(caller, account_id):
        raise Forbidden("Chỉ cấp và thu hồi được mã truy cập của chính mình.")
    if account_id != caller.account_id:
        factor.check(caller.second_factor_until, Permission.ACCOUNT_WRITE, now)


def may_see_tokens(caller: Caller, account_id: int) -> bool:
    """Tell whether the tokens of an account are the caller's own, or those of who they govern."""
    return account_id == caller.account_id or Permission.ACCOUNT_WRITE in caller.permissions


async def revoke(session: AsyncSession, row: ApiToken, now: datetime) -> None:
    """Make a token useless at once; one that is stays as it is."""
    if row.revoked_at is None:
        row.revoked_at = now
        await session.flush()


async def revoke_all(session: AsyncSession, account_id: int, now: datetime) -> None:
    """Make all tokens of an account useless at once."""
    for row in await of_account(session, account_id, now):
        await revoke(session, row, now)
