"""Making accounts, giving them roles, and issuing their tokens."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area, Level
from broadcast.auth.caller import digest
from broadcast.auth.model import Account, AccountKind, AccountState, ApiToken, Grant
from broadcast.auth.permissions import ROLE_NAMES, Permission, Role
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.kit.text import clean_person

LONGEST_NAME = 100

_PROVINCE_ONLY: frozenset[Level | None] = frozenset({None})
_ANYWHERE: frozenset[Level | None] = frozenset(
    {None, Level.DISTRICT, Level.COMMUNE, Level.VILLAGE}
)
_COMMUNE: frozenset[Level | None] = frozenset({Level.COMMUNE})

LEVELS: dict[Role, frozenset[Level | None]] = {
    Role.PROVINCE_ADMIN: _PROVINCE_ONLY,
    Role.PROVINCE_EDITOR: _PROVINCE_ONLY,
    Role.PROVINCE_APPROVER: _PROVINCE_ONLY,
    Role.DUTY_OFFICER: _PROVINCE_ONLY,
    Role.PROVINCE_MONITOR: _PROVINCE_ONLY,
    Role.COMMUNE_BROADCASTER: _COMMUNE,
    Role.COMMUNE_APPROVER: _COMMUNE,
    Role.COMMUNE_MONITOR: _COMMUNE,
    Role.VILLAGE_HEAD: frozenset({Level.VILLAGE}),
    Role.TECHNICIAN: _ANYWHERE,
    Role.AUDITOR: _ANYWHERE,
    Role.SERVICE: _ANYWHERE,
}
"""Levels of the areas on which a role can be granted; None is the whole province."""


async def create_account(
    session: AsyncSession, name: str, now: datetime, kind: AccountKind = AccountKind.PERSON
) -> Account:
    """A new account without any role.

    Raises:
        InvalidInput: `name` is empty, too long, or no name (`clean_person`).
    """
    try:
        cleaned = clean_person(name)
    except ValueError as error:
        raise InvalidInput("name", str(error)) from None
    if len(cleaned) > LONGEST_NAME:
        raise InvalidInput("name", f"dài quá {LONGEST_NAME} ký tự")
    account = Account(
        login=None, name=cleaned, kind=kind, state=AccountState.ACTIVE, created_at=now
    )
    session.add(account)
    await session.flush()
    return account


async def grant(
    session: AsyncSession,
    account_id: int,
    role: Role,
    area_code: str | None,
    now: datetime,
    granted_by: int | None = None,
) -> Grant:
    """Give an account a role in an area, from today on.

    Args:
        session: Transaction.
        account_id: Who gets it.
        role: The role.
        area_code: The area; None for the whole province.
        now: Time of the grant.
        granted_by: Account of who gives it; None for the command line.

    Raises:
        InvalidInput: There is no such area today, or the role does not go with its level.
    """
    today = now.astimezone(LOCAL).date()
    level = None
    if area_code is not None:
        level = await session.scalar(
            sa.select(Area.level).where(
                Area.code == area_code,
                Area.valid_from <= today,
                sa.or_(Area.valid_to.is_(None), Area.valid_to >= today),
            )
        )
        if level is None:
            raise InvalidInput(
                "area_code", f"hôm nay không có đơn vị mang mã “{area_code}”; kiểm tra lại mã"
            )
    if level not in LEVELS[role]:
        raise InvalidInput(
            "area_code", f"vai trò {ROLE_NAMES[role]} không cấp được cho đơn vị ở cấp này"
        )
    row = Grant(
        account_id=account_id,
        role=role,
        area_code=area_code,
        valid_from=today,
        valid_until=None,
        granted_by=granted_by,
        granted_at=now,
        revoked_at=None,
    )
    session.add(row)
    await session.flush()
    return row


def issue_token(
    session: AsyncSession,
    account_id: int,
    now: datetime,
    expires_at: datetime | None = None,
    *,
    label: str = "",
    scope: Iterable[Permission] | None = None,
    second_factor: bool = False,
) -> str:
    """A new token of an account, shown once and stored as a hash.

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
    token = "ttn_" + secrets.token_urlsafe(32)
    session.add(
        ApiToken(
            token_sha256=digest(token),
            account_id=account_id,
            label=label,
            scope=None if scope is None else sorted(scope),
            has_second_factor=second_factor,
            created_at=now,
            expires_at=expires_at,
            revoked_at=None,
        )
    )
    return token


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
    """A new account with one role, and a token of it; see `issue_token`.

    Raises:
        InvalidInput: The name is none, or the role does not go with the area.
    """
    account = await create_account(session, name, now)
    await grant(session, account.id, role, area_code, now)
    return issue_token(session, account.id, now, expires_at, second_factor=second_factor)
