"""The doors of the console: signing in and out, one-time links, one click in a demonstration.

Passkeys and the identity provider are asked by the browser over REST (`assets/js/sign-in.js`).
"""

from __future__ import annotations

import ipaddress
from typing import Annotated

import sqlalchemy as sa
from fastapi import Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import SecretStr

from broadcast import config
from broadcast.accounts import logins, sessions, sign_in
from broadcast.accounts.attempts import attempt
from broadcast.accounts.edge import CountedNetworks, SentFrom, StoredWith, give
from broadcast.accounts.second_factor import CodeRequired
from broadcast.accounts.sign_in import WrongPassword
from broadcast.audit.refusals import site
from broadcast.auth.caller import CallerDep
from broadcast.auth.model import Account, AccountState, Grant
from broadcast.auth.permissions import Role
from broadcast.auth.session import Method, check_site, forget_cookie
from broadcast.console.page import PageRouter, local, page
from broadcast.kit import clock, db
from broadcast.kit.errors import BroadcastError, NotFound, TooManyRequests, Unauthenticated
from broadcast.web import problems
from broadcast.web.rest import AppSettings, Session, engine

router = PageRouter()

Wanted = Annotated[str, Query(alias="next", max_length=1000)]
"""Page to go to afterwards."""

NO_CODE = SecretStr("")


@router.get("/sign-in")
async def ask(request: Request, settings: AppSettings, wanted: Wanted = "/") -> Response:
    """Ask for login and password, or offer the other ways."""
    return await _form(request, settings, wanted)


async def _form(
    request: Request,
    settings: config.Settings,
    wanted: str,
    login: str = "",
    error: BroadcastError | None = None,
    *,
    asks_code: bool = False,
) -> Response:
    return page(
        request,
        None,
        "sign_in/index.html",
        status=200 if error is None else error.status,
        headers={"Cache-Control": "no-store"},
        next=local(wanted),
        login=login,
        error=error,
        asks_code=asks_code,
        is_refused=not isinstance(error, CodeRequired),
        has_openid=settings.openid.issuer is not None,
        demo=await _demo_accounts(request, settings),
    )


@router.post("/sign-in", summary="Đăng nhập bằng tên và mật khẩu")
async def enter(
    request: Request,
    session: Session,
    settings: AppSettings,
    networks: CountedNetworks,
    sent_from: SentFrom,
    key: StoredWith,
    login: Annotated[str, Form(max_length=200)],
    password: Annotated[SecretStr, Form(max_length=1000)],
    code: Annotated[SecretStr, Form(max_length=40)] = NO_CODE,
    wanted: Annotated[str, Form(alias="next", max_length=1000)] = "/",
) -> Response:
    """As `POST /api/v1/sign-in`; what is wrong is said on the page."""
    check_site(request)
    now, limits = clock.now(), settings.sign_in
    given = code.get_secret_value().strip() or None
    try:
        async with attempt(
            engine(request), session, networks, site(sent_from.address), now,
            logins.normalised(login),
        ):  # fmt: skip
            started = await sign_in.by_password(
                engine(request), session, login, password.get_secret_value(), given,
                key, sent_from, limits, now,
            )  # fmt: skip
    except (Unauthenticated, TooManyRequests) as error:
        request.state.who = error.who if isinstance(error, WrongPassword) else None
        problems.note_refusal(request, error)
        # After a wrong code, too: the whole is typed again, in one go.
        asks_code = isinstance(error, CodeRequired) or given is not None
        return await _form(request, settings, wanted, login, error, asks_code=asks_code)
    account = await session.get_one(Account, started.row.account_id)
    response = RedirectResponse(local(wanted), 303)
    give(response, account, started, limits)
    return response


@router.post("/sign-out", summary="Đăng xuất")
async def leave(session: Session, caller: CallerDep) -> Response:
    """End the session that the request came with."""
    own = await sessions.own(session, caller)
    own.ended_at = clock.now()
    response = Response(status_code=204, headers={"HX-Redirect": "/sign-in"})
    forget_cookie(response)
    return response


@router.get("/setup")
async def set_up(request: Request) -> Response:
    """The page of a one-time link; a script sends the code behind the `#` with the password."""
    return page(request, None, "sign_in/setup.html", headers={"Cache-Control": "no-store"})


# --- a demonstration ---------------------------------------------------------------------------


async def _demo_accounts(
    request: Request, settings: config.Settings
) -> list[tuple[str, str, Role]]:
    """Login, name and role of each account of a demonstration."""
    if not _is_demo(settings):
        return []
    async with db.transaction(engine(request)) as session:
        rows = await session.execute(
            sa.select(Account.login, Account.name, Grant.role)
            .join(Grant, Grant.account_id == Account.id)
            .where(
                Account.login.in_(settings.sign_in.demo),
                Account.state == AccountState.ACTIVE,
                Grant.revoked_at.is_(None),
            )
            .order_by(Account.id)
        )
        return [(login, name, role) for login, name, role in rows if login is not None]


@router.post("/sign-in/demo", summary="Đăng nhập bằng một lần bấm, khi trình diễn")
async def enter_demo(
    request: Request,
    session: Session,
    settings: AppSettings,
    sent_from: SentFrom,
    login: Annotated[str, Form(max_length=200)],
) -> Response:
    """A session of an account of a demonstration, which counts as shown with a second factor."""
    check_site(request)
    if not _is_demo(settings) or login not in settings.sign_in.demo:
        raise NotFound("Không có tài khoản trình diễn này.")
    now, limits = clock.now(), settings.sign_in
    account = await session.scalar(
        sa.select(Account).where(Account.login == login, Account.state == AccountState.ACTIVE)
    )
    if account is None:
        raise NotFound("Không có tài khoản trình diễn này.")
    started = await sessions.start(
        session, account, Method.LINK, sent_from, limits, now, second_factor=True
    )
    response = RedirectResponse("/", 303)
    give(response, account, started, limits)
    return response


def _is_demo(settings: config.Settings) -> bool:
    """Whether there are such accounts, and only this machine reaches them."""
    host = settings.web.host
    try:
        is_here = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = False
    return is_here and bool(settings.sign_in.demo)
