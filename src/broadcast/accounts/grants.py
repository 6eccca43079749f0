"""Giving and taking roles in areas."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Level
from broadcast.areas.units import require_unit
from broadcast.auth.model import Account, AccountKind, AccountState, Grant
from broadcast.auth.permissions import PERMISSIONS, ROLE_NAMES, Role
from broadcast.auth.second_factor import REQUIRED
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, Forbidden, InvalidInput, NotFound
from broadcast.kit.locks import Lock, lock

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


def in_force(on: date) -> sa.ColumnElement[bool]:
    """Condition that a grant counts on a day."""
    return sa.and_(
        Grant.revoked_at.is_(None),
        Grant.valid_from <= on,
        sa.or_(Grant.valid_until.is_(None), Grant.valid_until >= on),
    )


def not_over(on: date) -> sa.ColumnElement[bool]:
    """Condition that a grant counts on a day or will later."""
    return sa.and_(
        Grant.revoked_at.is_(None),
        sa.or_(Grant.valid_until.is_(None), Grant.valid_until >= on),
    )


async def grant(
    session: AsyncSession,
    account_id: int,
    role: Role,
    area_code: str | None,
    now: datetime,
    granted_by: int | None = None,
    *,
    valid_from: date | None = None,
    valid_until: date | None = None,
) -> Grant:
    """Give an account a role in an area for a span of days.

    Args:
        session: Transaction.
        account_id: Who gets it.
        role: The role.
        area_code: The area; None for the whole province.
        now: Time of the grant.
        granted_by: Account of who gives it; None for the command line.
        valid_from: First day; today where it is None.
        valid_until: Last day; None where it has no end.

    Raises:
        InvalidInput: There is no such area on the first day, the role does not go with its level
            or with an account of a system, or the span lies in the past or ends before it begins.
        Forbidden: Somebody gives a role to themselves.
        Conflict: The account is disabled, or has the role there on a part of the span.
    """
    if granted_by == account_id:
        raise Forbidden("Không ai tự cấp vai trò cho mình; hãy nhờ một quản trị tỉnh khác.")
    today = now.astimezone(LOCAL).date()
    first = valid_from or today
    if first < today:
        raise InvalidInput("valid_from", "đã qua; vai trò chỉ cấp từ hôm nay trở đi")
    if valid_until is not None and valid_until < first:
        raise InvalidInput("valid_until", "ngày cuối phải từ ngày đầu trở đi")
    level = None
    if area_code is not None:
        level = (await require_unit(session, "area_code", area_code, first)).level
    if level not in LEVELS[role]:
        raise InvalidInput(
            "area_code", f"vai trò {ROLE_NAMES[role]} không cấp được cho đơn vị ở cấp này"
        )
    account = await session.get_one(Account, account_id, with_for_update=True)
    if account.state is AccountState.DISABLED:
        raise Conflict(f"Tài khoản {account.name} đã khóa; hãy mở lại rồi cấp vai trò.")
    if account.kind is AccountKind.SERVICE and PERMISSIONS[role] & REQUIRED:
        raise InvalidInput(
            "role",
            f"vai trò {ROLE_NAMES[role]} duyệt tin, phát khẩn cấp hoặc sửa tài khoản, nên chỉ cấp"
            " cho người",
        )
    await _refuse_twice(session, account_id, role, area_code, first, valid_until)
    row = Grant(
        account_id=account_id,
        role=role,
        area_code=area_code,
        valid_from=first,
        valid_until=valid_until,
        granted_by=granted_by,
        granted_at=now,
        revoked_at=None,
    )
    session.add(row)
    await session.flush()
    return row


async def _refuse_twice(
    session: AsyncSession,
    account_id: int,
    role: Role,
    area_code: str | None,
    first: date,
    last: date | None,
) -> None:
    same = sa.select(Grant.valid_from).where(
        Grant.account_id == account_id,
        Grant.role == role,
        Grant.area_code.is_not_distinct_from(area_code),
        not_over(first),
    )
    if last is not None:
        same = same.where(Grant.valid_from <= last)
    held_since = await session.scalar(same.limit(1))
    if held_since is not None:
        raise Conflict(
            f"Tài khoản đã có vai trò {ROLE_NAMES[role]} ở đây từ {held_since:%d/%m/%Y}; nếu muốn"
            " đổi thời hạn, hãy thu hồi lần đó trước."
        )


async def get_grant(session: AsyncSession, account_id: int, grant_id: int) -> Grant:
    """A grant of an account.

    Raises:
        NotFound: The account has none with this number.
    """
    row = await session.get(Grant, grant_id)
    if row is None or row.account_id != account_id:
        raise NotFound(f"Tài khoản số {account_id} không có lần cấp vai trò số {grant_id}.")
    return row


async def history(session: AsyncSession, account_id: int) -> Sequence[Grant]:
    """All grants that an account ever had, oldest first."""
    return (
        await session.scalars(
            sa.select(Grant).where(Grant.account_id == account_id).order_by(Grant.id)
        )
    ).all()


async def revoke(session: AsyncSession, row: Grant, now: datetime) -> None:
    """Take a role from now on; what was revoked or is over stays as it is.

    Raises:
        Conflict: It is the last administrator's.
    """
    today = now.astimezone(LOCAL).date()
    if row.revoked_at is not None or (row.valid_until is not None and row.valid_until < today):
        return
    if row.role is Role.PROVINCE_ADMIN and row.valid_from <= today:
        await require_administrator_besides(session, Grant.id == row.id, today)
    row.revoked_at = now
    await session.flush()


async def require_administrator_besides(
    session: AsyncSession, leaving: sa.ColumnElement[bool], today: date
) -> None:
    """Refuse what would leave the province without an administrator.

    Counted are people who are not disabled, with the role without an end. Two who remove each
    other at once wait for each other.

    Args:
        session: Transaction.
        leaving: Condition of the grants that are about to go.
        today: The local day.

    Raises:
        Conflict: Nobody else is administrator.
    """
    await lock(session, Lock.ADMINISTRATORS)
    administrators = (
        sa.select(Grant.id)
        .join(Account, Account.id == Grant.account_id)
        .where(
            Grant.role == Role.PROVINCE_ADMIN,
            in_force(today),
            Grant.valid_until.is_(None),
            Account.kind == AccountKind.PERSON,
            Account.state == AccountState.ACTIVE,
        )
    )
    goes = await session.scalar(administrators.where(leaving).limit(1))
    if goes is None:
        return
    if await session.scalar(administrators.where(sa.not_(leaving)).limit(1)) is None:
        raise Conflict(
            "Đây là quản trị tỉnh cuối cùng đang hoạt động; hãy cấp vai trò quản trị tỉnh không"
            " thời hạn cho người khác trước."
        )
