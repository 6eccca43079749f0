"""REST of signing in at an identity provider, and of who is bound to which account there."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from broadcast.accounts import openid, people, second_factor, sessions
from broadcast.accounts.edge import SentFrom, StoredWith, give, signed_in
from broadcast.accounts.model import Identity
from broadcast.accounts.openid import Begun, Provider
from broadcast.accounts.schemas import IdentityIn, IdentityOut, SignedInOut
from broadcast.audit import recording
from broadcast.auth.caller import (
    AccountEditor,
    CallerDep,
    caller_of_session,
    refuse_screen,
)
from broadcast.auth.routing import Router, changes
from broadcast.auth.session import Method, check_site, cookie_of
from broadcast.kit import clock
from broadcast.kit.errors import Unauthenticated
from broadcast.web.rest import AppSettings, Id, Session

router = Router(prefix="/api/v1", tags=["sign-in"])

COOKIE = "__Host-broadcast-openid"


def _provider(request: Request, settings: AppSettings) -> Provider:
    state = request.app.state
    if not hasattr(state, "openid_provider"):
        web = settings.web
        origin = web.public_url or f"http://localhost:{web.port}"
        state.openid_provider = Provider(settings.openid, origin)
    return cast("Provider", state.openid_provider)


Configured = Annotated[Provider, Depends(_provider)]


def _away(begun: Begun) -> Response:
    response = RedirectResponse(begun.url, 302, headers={"Cache-Control": "no-store"})
    response.set_cookie(
        COOKIE,
        begun.ticket,
        max_age=int(openid.VALID.total_seconds()),
        secure=True,
        httponly=True,
        samesite="lax",
    )
    return response


@router.get(
    "/sign-in/openid",
    status_code=302,
    response_class=RedirectResponse,
    summary="Đăng nhập ở nơi cấp danh tính của tỉnh",
)
async def leave_to_sign_in(provider: Configured, key: StoredWith) -> Response:
    """Send the browser to the identity provider; it comes back to `…/callback`."""
    return _away(await provider.begin(openid.SIGN_IN, key, clock.now()))


@router.get(
    "/session/openid",
    status_code=302,
    response_class=RedirectResponse,
    summary="Gắn tài khoản với danh tính của tỉnh",
)
async def leave_to_bind(
    request: Request, session: Session, provider: Configured, caller: CallerDep, key: StoredWith
) -> Response:
    """Send the browser to the provider; who comes back may sign in as this account from then on.

    In a session that began with a one-time link, or has shown the second factor there is.
    """
    check_site(request)
    now = clock.now()
    begun = await provider.begin(str(caller.account_id), key, now)  # before a connection is taken
    _, (own, _) = await signed_in(request, session, caller, lock=False)
    second_factor.require_enrolment(own, caller, now)
    return _away(begun)


@router.get(
    "/sign-in/openid/callback",
    response_model=SignedInOut,
    summary="Trở về từ nơi cấp danh tính",
)
@changes
async def come_back(
    request: Request,
    response: Response,
    session: Session,
    settings: AppSettings,
    provider: Configured,
    sent_from: SentFrom,
    key: StoredWith,
    state: Annotated[str, Query(max_length=500)] = "",
    code: Annotated[str, Query(max_length=2000)] = "",
    iss: Annotated[str | None, Query(description="RFC 9207")] = None,
    error: Annotated[str | None, Query(description="RFC 6749 §4.1.2.1")] = None,
    error_description: str | None = None,
    error_uri: str | None = None,
    session_state: str | None = None,
) -> SignedInOut | Response:
    """Where the provider sends the browser back to: a session, of the account that is bound.

    Who left to bind their account stays in the session that they have.
    """
    now, limits = clock.now(), settings.sign_in
    if error is not None or iss not in {None, provider.issuer}:
        raise Unauthenticated(openid.WRONG)
    answer = await provider.finish(request.cookies.get(COOKIE, ""), state, code, key, now)
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="lax")
    if answer.purpose == openid.SIGN_IN:
        account = await openid.account_of(session, provider.issuer, answer.subject)
        started = await sessions.start(session, account, Method.OPENID, sent_from, limits, now)
        return _home(request, response, give(response, account, started, limits))
    token = cookie_of(request) or ""
    caller = await caller_of_session(session, token, limits, now)
    if str(caller.account_id) != answer.purpose:
        raise Unauthenticated(openid.WRONG)
    refuse_screen(caller)
    record = recording.of(session)
    if record is not None:
        record.who = caller.who
    await openid.bind(session, caller.account_id, provider.issuer, answer.subject, now)
    account, started = await signed_in(request, session, caller)
    given = SignedInOut.to(account, started.row, started.token, limits)
    return _home(request, response, given)


def _home(request: Request, response: Response, given: SignedInOut) -> SignedInOut | Response:
    """Send a browser to the first page; tell a program what there is."""
    if "text/html" not in request.headers.get("accept", ""):
        return given
    home = RedirectResponse("/", 303)
    home.raw_headers.extend(
        each for each in response.raw_headers if each[0] in {b"set-cookie", b"cache-control"}
    )
    return home


# --- who is bound ------------------------------------------------------------------------------


@router.get("/accounts/{account_id}/identities", summary="Danh tính gắn với tài khoản")
async def list_identities(
    session: Session, caller: AccountEditor, account_id: Id
) -> list[IdentityOut]:
    """Who may sign in as this account at an identity provider."""
    await people.get_account(session, account_id)
    return [_shown(row) for row in await openid.of_account(session, account_id)]


@router.post(
    "/accounts/{account_id}/identities", status_code=201, summary="Gắn danh tính với tài khoản"
)
async def bind(
    session: Session, provider: Configured, caller: AccountEditor, account_id: Id, body: IdentityIn
) -> IdentityOut:
    """Bind somebody by the subject that their refused sign-in has told (`unknown-identity`)."""
    account = await people.get_account(session, account_id, lock=True)
    return _shown(
        await openid.bind(session, account.id, provider.issuer, body.subject, clock.now())
    )


@router.delete(
    "/accounts/{account_id}/identities/{identity_id}",
    status_code=204,
    summary="Gỡ danh tính khỏi tài khoản",
)
async def release(
    session: Session, caller: AccountEditor, account_id: Id, identity_id: Id
) -> Response:
    """They do not sign in as this account any more; sessions go on until they are ended."""
    await openid.release(session, account_id, identity_id)
    return Response(status_code=204)


def _shown(row: Identity) -> IdentityOut:
    return IdentityOut(id=row.id, issuer=row.issuer, subject=row.subject, bound_at=row.bound_at)
