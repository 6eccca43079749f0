"""REST of signing in and of sessions."""

from __future__ import annotations

from fastapi import Request, Response

from broadcast.accounts import logins, sessions, setup, sign_in
from broadcast.accounts.attempts import attempt
from broadcast.accounts.edge import CountedNetworks, SentFrom, StoredWith, give, signed_in
from broadcast.accounts.schemas import PasswordIn, SessionOut, SetupIn, SignedInOut, SignInIn
from broadcast.accounts.setup import Chosen
from broadcast.accounts.sign_in import WrongPassword
from broadcast.audit.refusals import site
from broadcast.auth.caller import CallerDep
from broadcast.auth.model import Account
from broadcast.auth.routing import Router
from broadcast.auth.session import Method, check_site, forget_cookie
from broadcast.kit import clock
from broadcast.web.rest import AppSettings, Id, Page, Session, engine

router = Router(prefix="/api/v1", tags=["sign-in"])


@router.post("/sign-in", status_code=201, summary="Đăng nhập bằng tên và mật khẩu")
async def sign_in_by_password(
    request: Request,
    response: Response,
    session: Session,
    settings: AppSettings,
    networks: CountedNetworks,
    sent_from: SentFrom,
    key: StoredWith,
    body: SignInIn,
) -> SignedInOut:
    """The answer sets the cookie of a new session; one that the request came with is another.

    After some wrong attempts 429 says how long to wait (`Retry-After`).
    """
    check_site(request)
    now, limits = clock.now(), settings.sign_in
    login = logins.normalised(body.login)
    network = site(sent_from.address)
    code = None if body.code is None else body.code.get_secret_value()
    async with attempt(engine(request), session, networks, network, now, login):
        try:
            started = await sign_in.by_password(
                engine(request), session, login, body.password.get_secret_value(), code,
                key, sent_from, limits, now,
            )  # fmt: skip
        except WrongPassword as error:
            request.state.who = error.who  # the audit knows whom somebody wanted to be
            raise
    account = await session.get_one(Account, started.row.account_id)
    return give(response, account, started, limits)


@router.post("/setup", status_code=201, summary="Đặt mật khẩu bằng liên kết dùng một lần")
async def use_link(
    request: Request,
    response: Response,
    session: Session,
    settings: AppSettings,
    networks: CountedNetworks,
    sent_from: SentFrom,
    body: SetupIn,
) -> SignedInOut:
    """What a one-time link is for: a password for its account, whose other sessions end.

    The link of the first start makes the first administrator.
    """
    check_site(request)
    now, limits = clock.now(), settings.sign_in
    chosen = Chosen(body.password.get_secret_value(), body.login, body.name)
    async with attempt(engine(request), session, networks, site(sent_from.address), now):
        code = body.code.get_secret_value()
        account = await setup.redeem(engine(request), session, code, chosen, now)
        started = await sessions.start(session, account, Method.LINK, sent_from, limits, now)
    return give(response, account, started, limits)


@router.get("/session", summary="Phiên làm việc này")
async def show_session(
    request: Request,
    response: Response,
    session: Session,
    settings: AppSettings,
    caller: CallerDep,
) -> SignedInOut:
    """Whose session it is, and the token that its changes carry."""
    account, started = await signed_in(request, session, caller, lock=False)
    response.headers["Cache-Control"] = "no-store"
    return SignedInOut.to(account, started.row, started.token, settings.sign_in)


@router.delete("/session", status_code=204, summary="Đăng xuất")
async def sign_out(session: Session, caller: CallerDep) -> Response:
    """End the session that the request came with."""
    own = await sessions.own(session, caller)
    own.ended_at = clock.now()
    response = Response(status_code=204)
    forget_cookie(response)
    return response


@router.put("/session/password", summary="Đổi mật khẩu")
async def change_password(
    request: Request,
    response: Response,
    session: Session,
    settings: AppSettings,
    caller: CallerDep,
    networks: CountedNetworks,
    sent_from: SentFrom,
    body: PasswordIn,
) -> SignedInOut:
    """All other sessions of the account end; this one gets a new cookie."""
    now = clock.now()
    network = site(sent_from.address)
    login = f"#{caller.account_id}"
    async with attempt(engine(request), session, networks, network, now, login):
        token = await sign_in.change_password(
            engine(request),
            session,
            caller,
            body.password.get_secret_value(),
            body.new_password.get_secret_value(),
            now,
        )
    account, started = await signed_in(request, session, caller, token)
    return give(response, account, started, settings.sign_in)


@router.get("/sessions", summary="Các phiên làm việc của tài khoản")
async def list_sessions(
    session: Session, settings: AppSettings, caller: CallerDep
) -> Page[SessionOut]:
    """Those that can still be used, the one used last first."""
    limits = settings.sign_in
    own = await sessions.own(session, caller, lock=False)
    rows = await sessions.list_open(session, caller.account_id, limits, clock.now())
    return Page(items=[SessionOut.of(row, own.id, limits) for row in rows])


@router.delete("/sessions", status_code=204, summary="Kết thúc mọi phiên khác")
async def end_other_sessions(session: Session, caller: CallerDep) -> Response:
    """End all sessions of the account but this one."""
    own = await sessions.own(session, caller)
    await sessions.end_all(session, caller.account_id, clock.now(), but=own.id)
    return Response(status_code=204)


@router.delete("/sessions/{session_id}", status_code=204, summary="Kết thúc một phiên")
async def end_session(session: Session, caller: CallerDep, session_id: Id) -> Response:
    """End one session of the account; its cookie is worthless from now on."""
    await sessions.own(session, caller)
    await sessions.end(session, caller.account_id, session_id, clock.now())
    return Response(status_code=204)
