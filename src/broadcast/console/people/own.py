"""One's own account: sessions, password, second factors."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Form, Request, Response
from markupsafe import Markup
from pydantic import SecretStr

from broadcast.accounts import passkeys, queries, second_factor, sessions, sign_in, tokens
from broadcast.accounts.account_schemas import SignedInBy, TokenOut
from broadcast.accounts.attempts import attempt
from broadcast.accounts.edge import CountedNetworks, SentFrom, StoredWith, give, signed_in
from broadcast.accounts.schemas import SecondFactorOut, SessionOut
from broadcast.audit.refusals import site
from broadcast.auth.caller import CallerDep
from broadcast.auth.session import Method, set_cookie
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.people.forms import secret
from broadcast.console.words import N_
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.web.rest import AppSettings, Id, Session, engine

router = PageRouter()

METHODS = {
    Method.PASSWORD: N_("mật khẩu"),
    Method.LINK: N_("liên kết dùng một lần"),
    Method.PASSKEY: N_("khóa truy cập"),
    Method.OPENID: N_("tài khoản của tỉnh"),
}
"""How somebody has signed in."""

_PROGRAMS = {
    "Edg/": "Edge", "coc_coc": "Cốc Cốc", "Firefox/": "Firefox", "Chrome/": "Chrome",
    "Safari/": "Safari",
}  # fmt: skip
_SYSTEMS = {
    "Windows": "Windows", "Android": "Android", "iPhone": "iPhone", "iPad": "iPad",
    "Mac OS": "macOS", "Linux": "Linux",
}  # fmt: skip


def program(agent: str) -> str:
    """Browser and system by what a browser says of itself; the more special names first.

    >>> program("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36")
    'Chrome, Linux'
    """
    found = [
        next((name for sign, name in names.items() if sign in agent), None)
        for names in (_PROGRAMS, _SYSTEMS)
    ]
    return ", ".join(each for each in found if each) or N_("chương trình khác")


Secret = Annotated[SecretStr, Form(max_length=512)]
NOTHING = SecretStr("")


@router.get("/me")
async def show(
    request: Request, session: Session, settings: AppSettings, caller: CallerDep
) -> Response:
    """Who one is here, where one is signed in, and by what."""
    me = await queries.show_me(session, caller)
    rows = await tokens.of_account(session, caller.account_id, clock.now())
    own_tokens = [TokenOut.model_validate(row) for row in rows]
    shown: dict[str, Any] = {
        "me": me,
        "methods": METHODS,
        "tokens": own_tokens,
        "program": program,
    }
    if me.signed_in_by is SignedInBy.TOKEN:
        return page(request, caller, "people/me.html", sessions=[], factors=None, keys=[], **shown)
    limits = settings.sign_in
    own = await sessions.own(session, caller, lock=False)
    held = await second_factor.held(session, caller.account_id)
    opened = await sessions.list_open(session, caller.account_id, limits, clock.now())
    return page(
        request,
        caller,
        "people/me.html",
        sessions=[SessionOut.of(row, own.id, limits) for row in opened],
        factors=SecondFactorOut(**held._asdict(), shown_until=caller.second_factor_until),
        keys=await passkeys.of_account(session, caller.account_id),
        **shown,
    )


@router.post("/me/sessions/{session_id}/end", summary="Kết thúc một phiên")
async def end_session(
    request: Request, session: Session, caller: CallerDep, session_id: Id
) -> Response:
    """End one of one's sessions."""
    await sessions.own(session, caller)
    await sessions.end(session, caller.account_id, session_id, clock.now())
    return redirect(request, "/me")


@router.post("/me/sessions/end", summary="Kết thúc mọi phiên khác")
async def end_others(request: Request, session: Session, caller: CallerDep) -> Response:
    """End all but this one."""
    own = await sessions.own(session, caller)
    await sessions.end_all(session, caller.account_id, clock.now(), but=own.id)
    return redirect(request, "/me")


@router.post("/me/password", summary="Đổi mật khẩu")
async def change_password(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: CallerDep,
    networks: CountedNetworks,
    sent_from: SentFrom,
    password: Secret = NOTHING,
    new_password: Secret = NOTHING,
) -> Response:
    """As `PUT /api/v1/session/password`: the other sessions end."""
    if not new_password.get_secret_value():
        raise InvalidInput("new_password", "hãy ghi mật khẩu mới")
    now = clock.now()
    network, login = site(sent_from.address), f"#{caller.account_id}"
    async with attempt(engine(request), session, networks, network, now, login):
        token = await sign_in.change_password(
            engine(request), session, caller,
            password.get_secret_value(), new_password.get_secret_value(), now,
        )  # fmt: skip
    account, started = await signed_in(request, session, caller, token)
    response = redirect(request, "/me")
    give(response, account, started, settings.sign_in)
    return response


# --- second factors ------------------------------------------------------------------------------


@router.post("/me/totp", summary="Bắt đầu thêm ứng dụng xác thực")
async def begin_totp(
    request: Request, session: Session, caller: CallerDep, key: StoredWith
) -> Response:
    """The secret for the app, as a picture and to be typed, shown this once."""
    now = clock.now()
    account, (own, _) = await signed_in(request, session, caller)
    second_factor.require_enrolment(own, caller, now)
    begun = await second_factor.begin_totp(session, account, key, now)
    # Drawn by ourselves from an address of ours: nothing of anybody else's is in it.
    picture = Markup(begun.qr_svg)  # noqa: S704
    return secret(request, caller, "people/_totp.html", picture=picture, secret=begun.secret)


@router.post("/me/totp/confirmation", summary="Dùng ứng dụng xác thực từ nay")
async def confirm_totp(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: CallerDep,
    networks: CountedNetworks,
    sent_from: SentFrom,
    key: StoredWith,
    code: Secret = NOTHING,
) -> Response:
    """The first code of the app; answered by recovery codes, shown this once."""
    now = clock.now()
    network, login = site(sent_from.address), f"#{caller.account_id}"
    async with attempt(engine(request), session, networks, network, now, login):
        account, (own, _) = await signed_in(request, session, caller)
        second_factor.require_enrolment(own, caller, now)
        given = code.get_secret_value()
        codes = await second_factor.confirm_totp(session, account.id, given, key, now)
    own.second_factor_at = now
    response = secret(request, caller, "people/_codes.html", codes=codes)
    set_cookie(response, sessions.rotate(own), settings.sign_in.session_longest)
    return response


@router.post("/me/totp/remove", summary="Gỡ ứng dụng xác thực")
async def remove_totp(request: Request, session: Session, caller: CallerDep) -> Response:
    """App and recovery codes are worthless from now on."""
    account, (own, _) = await signed_in(request, session, caller)
    second_factor.require_enrolment(own, caller, clock.now())
    await second_factor.remove_totp(session, account.id)
    return redirect(request, "/me")


@router.post("/me/recovery-codes", summary="Tạo lại mã dự phòng")
async def renew_codes(request: Request, session: Session, caller: CallerDep) -> Response:
    """New codes, shown this once; those before them are worthless."""
    now = clock.now()
    account, (own, _) = await signed_in(request, session, caller)
    second_factor.require_enrolment(own, caller, now)
    codes = await second_factor.renew_recovery_codes(session, account.id, now)
    return secret(request, caller, "people/_codes.html", codes=codes)


@router.post("/me/passkeys/{passkey_id}/remove", summary="Gỡ khóa truy cập")
async def remove_passkey(
    request: Request, session: Session, caller: CallerDep, passkey_id: Id
) -> Response:
    """It is worthless from now on."""
    account, (own, _) = await signed_in(request, session, caller)
    second_factor.require_enrolment(own, caller, clock.now())
    await passkeys.remove(session, account.id, passkey_id)
    return redirect(request, "/me")


@router.post("/me/tokens/{token_id}/revoke", summary="Thu hồi mã truy cập của mình")
async def revoke_token(
    request: Request, session: Session, caller: CallerDep, token_id: Id
) -> Response:
    """Make one of one's tokens useless at once."""
    row = await tokens.get_token(session, token_id, caller)
    now = clock.now()
    tokens.require_control(caller, row.account_id, now)
    await tokens.revoke(session, row, now)
    return redirect(request, "/me")
