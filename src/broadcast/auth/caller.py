"""Whose request it is, and whether the account may do that at all.

Every request needs a token or a session, reading too, wherever the server listens: behind a proxy
everybody comes from loopback. `OPEN` names what is excepted, `SIGN_IN` how one gets a session.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Annotated, NamedTuple

import sqlalchemy as sa
from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.audit.entry import Who
from broadcast.auth import session
from broadcast.auth.model import Account, AccountState, ApiToken, Grant
from broadcast.auth.permissions import (
    ROLE_NAMES,
    Permission,
    Role,
    permissions,
    roles_with,
)
from broadcast.auth.session import AccountSession
from broadcast.kit import clock, db
from broadcast.kit.errors import Forbidden, Unauthenticated
from broadcast.web import docs
from broadcast.web.rest import engine, settings

OPEN = {
    "/healthz": "for the supervisor of the process; says that it lives, and nothing else",
    "/readyz": "for proxies and start scripts without a token; speaks of no place or person",
    "/cap/feed.atom": "alerts that were authorised are meant for everybody",
    "/cap/{identifier}.xml": "the same; no person or device is named",
    "/content/{sha256}": "for devices: the hash comes in a signed document, the sound is approved",
    "/api/v1/enrolments": "for a box without a certificate: its claim code is asked for instead",
    "/openapi.json": "the description of the interface, as it stands in the public source",
    "/docs": "shows that description in a browser, which sends no token before one is entered",
    **{path: "a part of that page" for path in docs.FILES if path != "/docs"},
    "/assets/{name}": "scripts and styles of the pages, as they stand in the public source",
    "/calendar/{secret}/{area_code}.ics": "for calendars, which send nothing with an address: the"
    " secret in it is a token that opens nothing else, stored as a hash",
    "/display": "keeps language, theme and size of type in the browser alone",
}
"""Paths that are answered without a token, and why."""

SIGN_IN = {
    "/sign-in": "the page that asks for login and password",
    "/sign-in/demo": "signs in as an account of a demonstration, where the settings name any",
    "/setup": "the page of a one-time link; its code stays in the browser until it is sent",
    "/api/v1/sign-in": "asks for login and password itself",
    "/api/v1/sign-in/passkey": "asks for the signature of a passkey itself",
    "/api/v1/sign-in/passkey/options": "says what the passkey is to sign: a random number",
    "/api/v1/sign-in/openid": "sends the browser to the identity provider",
    "/api/v1/sign-in/openid/callback": "asks the provider who it is, by a code for us alone",
    "/api/v1/setup": "asks for the code of a one-time link itself",
}
"""Paths by which one gets a session, and what guards them; they change nothing else."""

OPEN_ON_ITS_OWN_PORT = {
    "/healthz": "as above",
    "/metrics": "for Prometheus; the port is bound to loopback, and no proxy forwards to it",
}
"""Paths of `BROADCAST_METRICS__PORT`, which has no others."""

BEARER = HTTPBearer(auto_error=False, description="`broadcast accounts create-token`")
"""Description of tokens in the interface."""


FOR_EVER = datetime.max.replace(tzinfo=UTC)
"""End of what has none."""


class HeldRole(NamedTuple):
    """A role that a caller has today, and where."""

    role: Role
    area_code: str | None
    """None is the whole province."""
    meant_on: date | None = None
    """Day under whose units `area_code` is meant; None: today."""


class Caller(NamedTuple):
    """The account that sends a request, with what it may do today."""

    account_id: int
    name: str
    credential: str
    """Identity of the token or session, for logs: `token/12`, `session/3`."""
    roles: tuple[HeldRole, ...]
    scope: frozenset[Permission] | None = None
    """Permissions to which the credential is narrowed; None is all of the roles'."""
    second_factor_until: datetime | None = None
    """Until when the caller counts as having shown a second factor; None: they have not."""

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
    """Whose token or session the request carries; looked up once a request.

    In a transaction of its own, over before the body of the request has come: who sends slowly
    must not keep a connection.

    Raises:
        Unauthenticated: Neither, or one that is not valid.
        CrossSite: A change by a session, and not from a page of ours.
    """
    known: Caller | None = getattr(request.state, "caller", None)
    if known is not None:
        request.state.who = known.who
        return known
    credentials = await BEARER(request)
    cookie = session.cookie_of(request)
    now = clock.now()
    if credentials is not None:
        async with db.transaction(engine(request)) as transaction:
            caller = await caller_of_token(transaction, credentials.credentials, now)
    elif cookie is not None:
        session.check_change(request, cookie)
        async with db.transaction(engine(request)) as transaction:
            caller = await caller_of_session(transaction, cookie, settings(request).sign_in, now)
        if request.method not in {"GET", "HEAD"} and request.url.path not in session.SIGN_OUT:
            refuse_screen(caller)
    else:
        raise Unauthenticated(
            "Cần đăng nhập (POST /api/v1/sign-in), hoặc gửi mã truy cập: Authorization: Bearer …"
        )
    request.state.caller = caller
    request.state.who = caller.who
    return caller


def refuse_screen(caller: Caller) -> None:
    """Let a session that only shows the wall on a screen change nothing, its account neither.

    Raises:
        Forbidden: The caller came with one.
    """
    if caller.scope is not None and caller.credential.startswith("session/"):
        raise Forbidden(
            "Phiên này chỉ để treo màn hình theo dõi; hãy đăng xuất rồi đăng nhập lại để làm việc."
        )


async def caller_of_token(transaction: AsyncSession, token: str, now: datetime) -> Caller:
    """Account of a token with the roles that it has today; the day is noted as that of its use.

    Raises:
        Unauthenticated: No such token, or it or its account is no longer valid.
    """
    rows = (
        await transaction.execute(
            sa.select(ApiToken, Account.name, Grant)
            .join(Account, Account.id == ApiToken.account_id)
            .outerjoin(Grant, _held_today(now))
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
    held, name, _ = rows[0]
    today = now.astimezone(clock.LOCAL).date()
    if held.last_used_on != today:
        held.last_used_on = today
    return Caller(
        held.account_id,
        name,
        f"token/{held.id}",
        _roles(grant for *_, grant in rows),
        None if held.scope is None else frozenset(Permission(each) for each in held.scope),
        (held.expires_at or FOR_EVER) if held.has_second_factor else None,
    )


async def caller_of_session(
    transaction: AsyncSession, token: str, limits: config.SignIn, now: datetime
) -> Caller:
    """Account of a session with the roles that it has today; the session is noted as used.

    Raises:
        Unauthenticated: No such session, or it is over, or its account is no longer valid.
    """
    rows = (
        await transaction.execute(
            sa.select(AccountSession, Account.name, Grant)
            .join(Account, Account.id == AccountSession.account_id)
            .outerjoin(Grant, _held_today(now))
            .where(
                AccountSession.token_sha256 == digest(token),
                session.is_open(limits, now),
                Account.state != AccountState.DISABLED,
            )
            .order_by(Grant.id)
        )
    ).all()
    if not rows:
        raise Unauthenticated("Phiên làm việc đã hết hạn hoặc đã kết thúc; hãy đăng nhập lại.")
    held, name, _ = rows[0]
    if now - held.last_used_at >= session.WRITE_USE_EVERY:
        held.last_used_at = now
    shown_at: datetime | None = held.second_factor_at
    return Caller(
        held.account_id,
        name,
        f"session/{held.id}",
        _roles(grant for *_, grant in rows),
        frozenset({Permission.READ}) if held.is_screen else None,
        None if shown_at is None else shown_at + limits.second_factor_fresh,
    )


def _held_today(now: datetime) -> sa.ColumnElement[bool]:
    today = now.astimezone(clock.LOCAL).date()
    return sa.and_(
        Grant.account_id == Account.id,
        Grant.revoked_at.is_(None),
        Grant.valid_from <= today,
        sa.or_(Grant.valid_until.is_(None), Grant.valid_until >= today),
    )


def _roles(grants: Iterable[Grant | None]) -> tuple[HeldRole, ...]:
    return tuple(
        HeldRole(each.role, each.area_code, each.meant_on) for each in grants if each is not None
    )


CallerDep = Annotated[Caller, Depends(authenticate)]
"""Anybody who has a token or a session."""


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
Proposer = Annotated[Caller, Depends(require(Permission.EMERGENCY_PROPOSE))]
Authoriser = Annotated[Caller, Depends(require(Permission.EMERGENCY_WRITE))]
LoneAuthoriser = Annotated[Caller, Depends(require(Permission.EMERGENCY_ALONE))]
Speaker = Annotated[Caller, Depends(require(Permission.LIVE_SPEAK))]
Scheduler = Annotated[Caller, Depends(require(Permission.SCHEDULE_WRITE))]
AlertSubmitter = Annotated[Caller, Depends(require(Permission.ALERT_SUBMIT))]
AreaEditor = Annotated[Caller, Depends(require(Permission.AREA_WRITE))]
RegisterEditor = Annotated[Caller, Depends(require(Permission.REGISTER_WRITE))]
DeviceEditor = Annotated[Caller, Depends(require(Permission.DEVICE_WRITE))]
Commander = Annotated[Caller, Depends(require(Permission.COMMAND_SEND))]
OutageEditor = Annotated[Caller, Depends(require(Permission.OUTAGE_WRITE))]
Attester = Annotated[Caller, Depends(require(Permission.ATTESTATION_WRITE))]
IncidentEditor = Annotated[Caller, Depends(require(Permission.INCIDENT_WRITE))]
UpkeepReader = Annotated[Caller, Depends(require(Permission.UPKEEP_READ))]
RestoreDecider = Annotated[Caller, Depends(require(Permission.RESTORE_DECIDE))]
AccountEditor = Annotated[Caller, Depends(require(Permission.ACCOUNT_WRITE))]
AuditReader = Annotated[Caller, Depends(require(Permission.AUDIT_READ))]
