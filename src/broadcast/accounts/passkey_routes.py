"""REST of passkeys: signing in, showing one in a session, adding and removing them.

`…/options` answers what `navigator.credentials` is given; its JSON is that of the standard.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from broadcast.accounts import passkeys, second_factor, sessions
from broadcast.accounts.attempts import attempt
from broadcast.accounts.edge import CountedNetworks, SentFrom, StoredWith, give, signed_in
from broadcast.accounts.model import Passkey
from broadcast.accounts.schemas import CredentialIn, PasskeyIn, PasskeyOut, SignedInOut
from broadcast.audit.refusals import site
from broadcast.auth.caller import CallerDep
from broadcast.auth.routing import Router, changes_nothing
from broadcast.auth.session import Method, check_site, set_cookie
from broadcast.kit import clock
from broadcast.web.rest import AppSettings, Id, Page, Session, engine

router = Router(prefix="/api/v1", tags=["sign-in"])


@router.post("/sign-in/passkey/options", summary="Hỏi khóa truy cập để đăng nhập")
@changes_nothing
async def ask_to_sign_in(settings: AppSettings, key: StoredWith) -> dict[str, Any]:
    """What `navigator.credentials.get({publicKey})` is given; good for five minutes."""
    return passkeys.assertion(passkeys.place(settings.web), key, clock.now())


@router.post("/sign-in/passkey", status_code=201, summary="Đăng nhập bằng khóa truy cập")
async def sign_in_by_passkey(
    request: Request,
    response: Response,
    session: Session,
    settings: AppSettings,
    networks: CountedNetworks,
    sent_from: SentFrom,
    key: StoredWith,
    body: CredentialIn,
) -> SignedInOut:
    """Both factors at once: the device has asked for finger, face or PIN."""
    check_site(request)
    now, limits, at = clock.now(), settings.sign_in, passkeys.place(settings.web)
    async with attempt(engine(request), session, networks, site(sent_from.address), now):
        account = await passkeys.use(session, body.credential, at, key, now)
        started = await sessions.start(
            session, account, Method.PASSKEY, sent_from, limits, now, second_factor=True
        )
    return give(response, account, started, limits)


@router.post("/session/second-factor/passkey/options", summary="Hỏi khóa truy cập trong phiên")
@changes_nothing
async def ask_in_session(
    session: Session, settings: AppSettings, caller: CallerDep, key: StoredWith
) -> dict[str, Any]:
    """As for signing in, for one of the account's own passkeys."""
    await sessions.own(session, caller)
    at = passkeys.place(settings.web)
    return passkeys.assertion(at, key, clock.now(), caller.account_id)


@router.post("/session/second-factor/passkey", summary="Xác thực lần hai bằng khóa truy cập")
async def show_passkey(
    request: Request,
    response: Response,
    session: Session,
    settings: AppSettings,
    caller: CallerDep,
    networks: CountedNetworks,
    sent_from: SentFrom,
    key: StoredWith,
    body: CredentialIn,
) -> SignedInOut:
    """Show a passkey in this session, which gets a new cookie."""
    now, at = clock.now(), passkeys.place(settings.web)
    async with attempt(engine(request), session, networks, site(sent_from.address), now):
        account, (own, _) = await signed_in(request, session, caller)
        await passkeys.use(session, body.credential, at, key, now, account.id)
    own.second_factor_at = now
    started = sessions.Started(own, sessions.rotate(own))
    return give(response, account, started, settings.sign_in)


@router.get("/session/passkeys", summary="Khóa truy cập của tài khoản")
async def list_passkeys(session: Session, caller: CallerDep) -> Page[PasskeyOut]:
    """The oldest first."""
    await sessions.own(session, caller, lock=False)
    rows = await passkeys.of_account(session, caller.account_id)
    return Page(items=[_shown(row) for row in rows])


@router.post("/session/passkeys/options", summary="Bắt đầu thêm khóa truy cập")
@changes_nothing
async def ask_to_register(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: CallerDep,
    key: StoredWith,
) -> dict[str, Any]:
    """What `navigator.credentials.create({publicKey})` is given; good for five minutes.

    In a session that began with a one-time link, or has shown the second factor there is.
    """
    now, at = clock.now(), passkeys.place(settings.web)
    account, (own, _) = await signed_in(request, session, caller)
    second_factor.require_enrolment(own, caller, now)
    return await passkeys.registration(session, account, at, key, now)


@router.post("/session/passkeys", status_code=201, summary="Thêm khóa truy cập")
async def add_passkey(
    request: Request,
    response: Response,
    session: Session,
    settings: AppSettings,
    caller: CallerDep,
    key: StoredWith,
    body: PasskeyIn,
) -> PasskeyOut:
    """Take a new passkey: it signs in, and counts as a second factor.

    So it does in this session, which gets a new cookie.
    """
    now, at = clock.now(), passkeys.place(settings.web)
    account, (own, _) = await signed_in(request, session, caller)
    second_factor.require_enrolment(own, caller, now)
    row = await passkeys.register(session, account.id, body.label, body.credential, at, key, now)
    own.second_factor_at = now
    set_cookie(response, sessions.rotate(own), settings.sign_in.session_longest)
    return _shown(row)


@router.delete("/session/passkeys/{passkey_id}", status_code=204, summary="Gỡ khóa truy cập")
async def remove_passkey(
    request: Request, session: Session, caller: CallerDep, passkey_id: Id
) -> Response:
    """It is worthless from now on; sessions that it began go on."""
    account, (own, _) = await signed_in(request, session, caller)
    second_factor.require_enrolment(own, caller, clock.now())
    await passkeys.remove(session, account.id, passkey_id)
    return Response(status_code=204)


def _shown(row: Passkey) -> PasskeyOut:
    return PasskeyOut(
        id=row.id, label=row.label, created_at=row.created_at, last_used_at=row.last_used_at
    )
