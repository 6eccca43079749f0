"""Bearer tokens and roles.

While the server listens on loopback only, reading is open to whoever sits at the machine; every
change needs a token everywhere, because it is signed with a name.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_address
from typing import Annotated, NamedTuple

import sqlalchemy as sa
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import clock
from broadcast.accounts.model import ApiToken, Role
from broadcast.errors import Forbidden, InvalidInput, Unauthenticated
from broadcast.web.rest import Session, settings

_bearer = HTTPBearer(auto_error=False, description="`broadcast accounts create-token`")


class Caller(NamedTuple):
    """Who asks."""

    person: str
    role: Role


ANONYMOUS = Caller("loopback", Role.MONITOR)


def is_loopback(host: str) -> bool:
    """Tell whether a listening address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def digest(token: str) -> str:
    """What is stored of a token. It is long and random, so a plain hash suffices."""
    return hashlib.sha256(token.encode()).hexdigest()


async def create_token(
    session: AsyncSession,
    person: str,
    role: Role,
    now: datetime,
    expires_at: datetime | None = None,
) -> str:
    """A new token, shown once and stored as a hash.

    Raises:
        InvalidInput: `person` is empty or too long.
    """
    if not 1 <= len(person.strip()) <= 100:
        raise InvalidInput("person", "cần tên người dùng, tối đa 100 ký tự")
    token = "ttn_" + secrets.token_urlsafe(32)
    session.add(
        ApiToken(
            token_sha256=digest(token),
            person=person.strip(),
            role=role,
            created_at=now,
            expires_at=expires_at,
            revoked_at=None,
        )
    )
    return token


async def _caller(
    request: Request,
    session: Session,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    if credentials is None:
        if request.method in {"GET", "HEAD"} and is_loopback(settings(request).web.host):
            return ANONYMOUS
        raise Unauthenticated("Cần gửi mã truy cập: Authorization: Bearer …")
    now = clock.now()
    token = await session.scalar(
        sa.select(ApiToken).where(
            ApiToken.token_sha256 == digest(credentials.credentials),
            ApiToken.revoked_at.is_(None),
            sa.or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now),
        )
    )
    if token is None:
        raise Unauthenticated("Mã truy cập không đúng hoặc đã hết hạn.")
    return Caller(token.person, token.role)


CallerDep = Annotated[Caller, Depends(_caller)]
"""Anybody who may read."""


def require(*roles: Role) -> Callable[[Caller], Caller]:
    """Dependency that admits these roles, and always the administrator.

    Use as `caller: Annotated[Caller, Depends(require(Role.APPROVER))]`.
    """

    def admitted(caller: CallerDep) -> Caller:
        if caller.role is not Role.ADMIN and caller.role not in roles:
            wanted = ", ".join(role.value for role in roles)
            raise Forbidden(f"Vai trò {caller.role.value} không được làm việc này; cần: {wanted}.")
        return caller

    return admitted
