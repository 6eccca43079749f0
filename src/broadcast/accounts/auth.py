"""Bearer tokens and roles.

Every request needs a token, reading too, wherever the server listens: behind a proxy everybody
comes from loopback. `OPEN` names what is excepted.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Annotated, NamedTuple

import sqlalchemy as sa
from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.model import ApiToken, Role
from broadcast.kit import clock, db
from broadcast.kit.errors import Forbidden, InvalidInput, Unauthenticated
from broadcast.kit.text import clean_person
from broadcast.web.rest import engine

LONGEST_PERSON = 100

OPEN = {
    "/healthz": "for the supervisor of the process; says that it lives, and nothing else",
    "/readyz": "for proxies and start scripts without a token; speaks of no place or person",
    "/content/{sha256}": "for devices: the hash comes in a signed document, the sound is approved",
    "/openapi.json": "the description of the interface, as it stands in the public source",
    "/docs": "shows that description in a browser, which sends no token before one is entered",
    "/docs/oauth2-redirect": "a part of that page without content",
}
"""Paths that are answered without a token, and why."""

OPEN_ON_ITS_OWN_PORT = {
    "/healthz": "as above",
    "/metrics": "for Prometheus; the port is bound to loopback, and no proxy forwards to it",
}
"""Paths of `BROADCAST_METRICS__PORT`, which has no others."""

BEARER = HTTPBearer(auto_error=False, description="`broadcast accounts create-token`")
"""Description of tokens in the interface."""


class Caller(NamedTuple):
    """The person or system that sends a request."""

    person: str
    role: Role
    credential: str
    """Identity of the token: two people of one name have two, and nothing in common."""


def digest(token: str) -> str:
    """Hash under which a token is stored. It is long and random, so a plain hash suffices."""
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
        InvalidInput: `person` is empty, too long, or no name (`clean_person`).
    """
    try:
        name = clean_person(person)
    except ValueError as error:
        raise InvalidInput("person", str(error)) from None
    if len(name) > LONGEST_PERSON:
        raise InvalidInput("person", f"dài quá {LONGEST_PERSON} ký tự")
    token = "ttn_" + secrets.token_urlsafe(32)
    session.add(
        ApiToken(
            token_sha256=digest(token),
            person=name,
            role=role,
            created_at=now,
            expires_at=expires_at,
            revoked_at=None,
        )
    )
    return token


async def authenticate(request: Request) -> Caller:
    """Whose token the request carries; looked up once a request.

    In a transaction of its own, over before the body of the request has come: who sends slowly
    must not keep a connection.

    Raises:
        Unauthenticated: No token, or none that is valid.
    """
    known: Caller | None = getattr(request.state, "caller", None)
    if known is not None:
        return known
    credentials = await BEARER(request)
    if credentials is None:
        raise Unauthenticated("Cần gửi mã truy cập: Authorization: Bearer …")
    now = clock.now()
    async with db.transaction(engine(request)) as session:
        token = await session.scalar(
            sa.select(ApiToken).where(
                ApiToken.token_sha256 == digest(credentials.credentials),
                ApiToken.revoked_at.is_(None),
                sa.or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now),
            )
        )
    if token is None:
        raise Unauthenticated("Mã truy cập không đúng hoặc đã hết hạn.")
    caller = Caller(token.person, token.role, f"token/{token.id}")
    request.state.caller = caller
    return caller


CallerDep = Annotated[Caller, Depends(authenticate)]
"""Anybody who has a token."""


class RequiredRole:
    """Dependency that admits some roles, and always the administrator."""

    def __init__(self, *roles: Role) -> None:
        self._roles = roles

    def __call__(self, caller: CallerDep) -> Caller:
        """Return the caller.

        Raises:
            Forbidden: The caller has another role.
        """
        if caller.role is not Role.ADMIN and caller.role not in self._roles:
            wanted = ", ".join(role.value for role in self._roles)
            raise Forbidden(f"Vai trò {caller.role.value} không được làm việc này; cần: {wanted}.")
        return caller


def require(*roles: Role) -> RequiredRole:
    """Dependency for `caller: Annotated[Caller, Depends(require(Role.APPROVER))]`."""
    return RequiredRole(*roles)


Technician = Annotated[Caller, Depends(require(Role.TECHNICIAN))]
Author = Annotated[Caller, Depends(require(Role.BROADCASTER, Role.APPROVER))]
Staff = Annotated[Caller, Depends(require(Role.TECHNICIAN, Role.BROADCASTER))]
Admin = Annotated[Caller, Depends(require(Role.ADMIN))]
