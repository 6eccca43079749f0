"""Whose request it is, and whether the account may do that at all.

Every request needs a token, reading too, wherever the server listens: behind a proxy everybody
comes from loopback. `OPEN` names what is excepted.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, NamedTuple

import sqlalchemy as sa
from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.audit.entry import Who
from broadcast.auth.model import Account, AccountState, ApiToken, Grant
from broadcast.auth.permissions import (
    ROLE_NAMES,
    Permission,
    Role,
    permissions,
    roles_with,
)
from broadcast.kit import clock, db
from broadcast.kit.errors import Forbidden, Unauthenticated
from broadcast.web import docs
from broadcast.web.rest import engine

OPEN = {
    "/healthz": "for the supervisor of the process; says that it lives, and nothing else",
    "/readyz": "for proxies and start scripts without a token; speaks of no place or person",
    "/content/{sha256}": "for devices: the hash comes in a signed document, the sound is approved",
    "/api/v1/enrolments": "for a box without a certificate: its claim code is asked for instead",
    "/openapi.json": "the description of the interface, as it stands in the public source",
    "/docs": "shows that description in a browser, which sends no token before one is entered",
    **{path: "a part of that page" for path in docs.FILES if path != "/docs"},
}
"""Paths that are answered without a token, and why."""

OPEN_ON_ITS_OWN_PORT = {
    "/healthz": "as above",
    "/metrics": "for Prometheus; the port is bound to loopback, and no proxy forwards to it",
}
"""Paths of `BROADCAST_METRICS__PORT`, which has no others."""

BEARER = HTTPBearer(auto_error=False, description="`broadcast accounts create-token`")
"""Description of tokens in the interface."""


class HeldRole(NamedTuple):
    """A role that a caller has today, and where."""

    role: Role
    area_code: str | None
    """None is the whole province."""


class Caller(NamedTuple):
    """The account that sends a request, with what it may do today."""

    account_id: int
    name: str
    credential: str
    """Identity of the token or session, for logs: `token/12`."""
    roles: tuple[HeldRole, ...]
    scope: frozenset[Permission] | None = None
    """Permissions to which the credential is narrowed; None is all of the roles'."""

    @property
    def who(self) -> Who:
        """As the audit knows them."""
        return Who(self.name, self.account_id, self.credential)

    @property
    def permissions(self) -> frozenset[Permission]:
        """Everything that the caller may do somewhere."""
        of_roles = permissions(held.role for held in self.roles)
        return of_roles if self.scope is None else of_roles & self.scope


def digest(token: str) -> str:
    """Hash under which a token is stored. It is long and random, so a plain hash suffices."""
    return hashlib.sha256(token.encode()).hexdigest()


async def authenticate(request: Request) -> Caller:
    """Whose token the request carries; looked up once a request.

    In a transaction of its own, over before the body of the request has come: who sends slowly
    must not keep a connection.

    Raises:
        Unauthenticated: No token, or none that is valid.
    """
    known: Caller | None = getattr(request.state, "caller", None)
    if known is not None:
        request.state.who = known.who
        return known
    credentials = await BEARER(request)
    if credentials is None:
        raise Unauthenticated("Cần gửi mã truy cập: Authorization: Bearer …")
    now = clock.now()
    async with db.transaction(engine(request)) as session:
        caller = await caller_of_token(session, credentials.credentials, now)
    request.state.caller = caller
    request.state.who = caller.who
    return caller


async def caller_of_token(session: AsyncSession, token: str, now: datetime) -> Caller:
    """Account of a token with the roles that it has today.

    Raises:
        Unauthenticated: No such token, or it or its account is no longer valid.
    """
    today = now.astimezone(clock.LOCAL).date()
    rows = (
        await session.execute(
            sa.select(ApiToken.id, ApiToken.scope, Account.id, Account.name, Grant)
            .join(Account, Account.id == ApiToken.account_id)
            .outerjoin(
                Grant,
                sa.and_(
                    Grant.account_id == Account.id,
                    Grant.revoked_at.is_(None),
                    Grant.valid_from <= today,
                    sa.or_(Grant.valid_until.is_(None), Grant.valid_until >= today),
                ),
            )
            .where(
                ApiToken.token_sha256 == digest(token),
                ApiToken.revoked_at.is_(None),
                sa.or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now),
                Account.state != AccountState.DISABLED,
            )
            .order_by(Grant.id)
        )
    ).all()
    if not rows:
        raise Unauthenticated("Mã truy cập không đúng hoặc đã hết hạn.")
    token_id, scope, account_id, name, _ = rows[0]
    return Caller(
        account_id,
        name,
        f"token/{token_id}",
        tuple(HeldRole(held.role, held.area_code) for *_, held in rows if held is not None),
        None if scope is None else frozenset(Permission(each) for each in scope),
    )


CallerDep = Annotated[Caller, Depends(authenticate)]
"""Anybody who has a token."""


class RequiredPermission:
    """Dependency that admits who has a permission in some area."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    def __call__(self, caller: CallerDep) -> Caller:
        """Return the caller.

        Raises:
            Forbidden: The caller has the permission nowhere.
        """
        if self.permission not in caller.permissions:
            wanted = ", ".join(ROLE_NAMES[role] for role in roles_with(self.permission))
            raise Forbidden(f"Tài khoản này không được làm việc này; cần một vai trò: {wanted}.")
        return caller


def require(permission: Permission) -> RequiredPermission:
    """Dependency for `caller: Annotated[Caller, Depends(require(Permission.READ))]`."""
    return RequiredPermission(permission)


Reader = Annotated[Caller, Depends(require(Permission.READ))]
ContentReader = Annotated[Caller, Depends(require(Permission.CONTENT_READ))]
Author = Annotated[Caller, Depends(require(Permission.BULLETIN_WRITE))]
Scheduler = Annotated[Caller, Depends(require(Permission.SCHEDULE_WRITE))]
AreaEditor = Annotated[Caller, Depends(require(Permission.AREA_WRITE))]
RegisterEditor = Annotated[Caller, Depends(require(Permission.REGISTER_WRITE))]
DeviceEditor = Annotated[Caller, Depends(require(Permission.DEVICE_WRITE))]
Commander = Annotated[Caller, Depends(require(Permission.COMMAND_SEND))]
OutageEditor = Annotated[Caller, Depends(require(Permission.OUTAGE_WRITE))]
Attester = Annotated[Caller, Depends(require(Permission.ATTESTATION_WRITE))]
UpkeepReader = Annotated[Caller, Depends(require(Permission.UPKEEP_READ))]
AccountEditor = Annotated[Caller, Depends(require(Permission.ACCOUNT_WRITE))]
AuditReader = Annotated[Caller, Depends(require(Permission.AUDIT_READ))]
