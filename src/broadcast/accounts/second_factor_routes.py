"""REST of second factors: authenticator app and recovery codes."""

from __future__ import annotations

from fastapi import Request, Response

from broadcast.accounts import second_factor, sessions
from broadcast.accounts.attempts import attempt
from broadcast.accounts.edge import CountedNetworks, SentFrom, StoredWith, give, signed_in
from broadcast.accounts.schemas import (
    CodeIn,
    RecoveryCodesOut,
    SecondFactorOut,
    SignedInOut,
    TotpOut,
)
from broadcast.audit.refusals import site
from broadcast.auth.caller import CallerDep
from broadcast.auth.routing import Router
from broadcast.auth.session import set_cookie
from broadcast.kit import clock
from broadcast.web.rest import AppSettings, Session, engine

router = Router(prefix="/api/v1", tags=["sign-in"])


@router.get("/session/second-factor", summary="Cách xác thực lần hai của tài khoản")
async def show_second_factor(session: Session, caller: CallerDep) -> SecondFactorOut:
    """Which there are, and until when the one counts that was shown."""
    await sessions.own(session, caller, lock=False)
    held = await second_factor.held(session, caller.account_id)
    return SecondFactorOut(**held._asdict(), shown_until=caller.second_factor_until)


@router.post("/session/second-factor", summary="Xác thực lần hai trong phiên này")
async def show_code(
    request: Request,
    response: Response,
    session: Session,
    settings: AppSettings,
    caller: CallerDep,
    networks: CountedNetworks,
    sent_from: SentFrom,
    key: StoredWith,
    body: CodeIn,
) -> SignedInOut:
    """Show a code of the authenticator app, or a recovery code; the session gets a new cookie.

    Needed for approving, for emergencies and for changing accounts, when the last one is too old.
    """
    now, network = clock.now(), site(sent_from.address)
    login, code = f"#{caller.account_id}", body.code.get_secret_value()
    async with attempt(engine(request), session, networks, network, now, login):
        account, (own, _) = await signed_in(request, session, caller)
        await second_factor.step_up(session, account.id, code, key, now)
    own.second_factor_at = now
    started = sessions.Started(own, sessions.rotate(own))
    return give(response, account, started, settings.sign_in)


@router.post("/session/totp", status_code=201, summary="Bắt đầu thêm ứng dụng xác thực")
async def begin_totp(
    request: Request,
    response: Response,
    session: Session,
    caller: CallerDep,
    key: StoredWith,
) -> TotpOut:
    """A secret for the app, shown once; it counts once `…/confirmation` has had a code of it.

    In a session that began with a one-time link, or has shown the second factor there is.
    """
    now = clock.now()
    account, (own, _) = await signed_in(request, session, caller)
    second_factor.require_enrolment(own, caller, now)
    begun = await second_factor.begin_totp(session, account, key, now)
    response.headers["Cache-Control"] = "no-store"
    return TotpOut(secret=begun.secret, uri=begun.uri, qr_svg=begun.qr_svg)


@router.post("/session/totp/confirmation", summary="Dùng ứng dụng xác thực từ nay")
async def confirm_totp(
    request: Request,
    response: Response,
    session: Session,
    settings: AppSettings,
    caller: CallerDep,
    networks: CountedNetworks,
    sent_from: SentFrom,
    key: StoredWith,
    body: CodeIn,
) -> RecoveryCodesOut:
    """The first code of the app; answered by recovery codes, and a new cookie."""
    now, network = clock.now(), site(sent_from.address)
    login, code = f"#{caller.account_id}", body.code.get_secret_value()
    async with attempt(engine(request), session, networks, network, now, login):
        account, (own, _) = await signed_in(request, session, caller)
        second_factor.require_enrolment(own, caller, now)
        codes = await second_factor.confirm_totp(session, account.id, code, key, now)
    own.second_factor_at = now
    set_cookie(response, sessions.rotate(own), settings.sign_in.session_longest)
    return RecoveryCodesOut(recovery_codes=codes)


@router.delete("/session/totp", status_code=204, summary="Gỡ ứng dụng xác thực")
async def remove_totp(request: Request, session: Session, caller: CallerDep) -> Response:
    """The app and the recovery codes are worthless from now on."""
    account, (own, _) = await signed_in(request, session, caller)
    second_factor.require_enrolment(own, caller, clock.now())
    await second_factor.remove_totp(session, account.id)
    return Response(status_code=204)


@router.post("/session/recovery-codes", summary="Tạo lại mã dự phòng")
async def renew_recovery_codes(
    request: Request, response: Response, session: Session, caller: CallerDep
) -> RecoveryCodesOut:
    """New codes, shown once; those before them are worthless."""
    now = clock.now()
    account, (own, _) = await signed_in(request, session, caller)
    second_factor.require_enrolment(own, caller, now)
    codes = await second_factor.renew_recovery_codes(session, account.id, now)
    response.headers["Cache-Control"] = "no-store"
    return RecoveryCodesOut(recovery_codes=codes)
