"""Authenticator apps (TOTP, RFC 6238) and the recovery codes for who has lost one."""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import pyotp
import segno
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.model import Passkey, RecoveryCode, TotpSecret
from broadcast.accounts.secret_key import SecretKey
from broadcast.auth import second_factor
from broadcast.auth.caller import Caller, digest, refuse_screen
from broadcast.auth.model import Account
from broadcast.auth.session import AccountSession, Method
from broadcast.kit.errors import Conflict, NotFound, Unauthenticated

ISSUER = "Thông tin nguồn"
"""What an authenticator app shows above the code."""

STEP_SECONDS = 30

DRIFT = 1
"""Steps by which the phone's clock may be wrong."""

RECOVERY_CODES = 10


class CodeRequired(Unauthenticated):
    """The password is right; the code of the authenticator app is asked for, too."""

    slug = "second-factor-required"
    title = "Cần xác thực lần hai"


class Begun(NamedTuple):
    """What a person's app is to be told, once."""

    secret: str
    uri: str
    qr_svg: str


class Held(NamedTuple):
    """The second factors of an account."""

    totp: bool
    passkeys: int
    recovery_codes: int
    """Unused."""


def counter_of(secret: str, code: str, now: datetime, last: int | None) -> int | None:
    """Time step whose code this is; None where it is none, or not later than the last one. Pure.

    Args:
        secret: Base32.
        code: As typed.
        now: Present.
        last: Step of the code that was taken last: it and those before it count no more.
    """
    present = int(now.timestamp()) // STEP_SECONDS
    app = pyotp.TOTP(secret, interval=STEP_SECONDS)
    for counter in range(present - DRIFT, present + DRIFT + 1):
        if (last is None or counter > last) and hmac.compare_digest(
            app.generate_otp(counter).encode(), code.encode()
        ):
            return counter
    return None


async def held(session: AsyncSession, account_id: int) -> Held:
    """The second factors of an account."""
    totp = sa.exists().where(
        TotpSecret.account_id == account_id, TotpSecret.confirmed_at.is_not(None)
    )
    passkeys = sa.select(sa.func.count()).where(Passkey.account_id == account_id)
    codes = sa.select(sa.func.count()).where(
        RecoveryCode.account_id == account_id, RecoveryCode.used_at.is_(None)
    )
    row = await session.execute(
        sa.select(totp, passkeys.scalar_subquery(), codes.scalar_subquery())
    )
    return Held(*row.one())


def require_enrolment(own: AccountSession, caller: Caller, now: datetime) -> None:
    """Refuse to add or remove second factors in a session that a password alone began.

    Raises:
        SecondFactorRequired: It did.
        Forbidden: The session is that of a screen that only watches.
    """
    refuse_screen(caller)
    by_link = own.method is Method.LINK
    if not second_factor.may_enrol(caller.second_factor_until, by_link=by_link, now=now):
        raise second_factor.SecondFactorRequired(
            "Chỉ đổi được cách xác thực lần hai sau khi xác thực bằng cách đang có, hoặc qua liên"
            " kết dùng một lần; nếu mất cả hai, hãy nhờ quản trị cấp liên kết đặt lại."
        )


# --- authenticator app -------------------------------------------------------------------------


async def begin_totp(
    session: AsyncSession, account: Account, key: SecretKey, now: datetime
) -> Begun:
    """A new secret for the account's app; it counts once the app has shown a code.

    Raises:
        Conflict: There is an app already.
    """
    row = await session.get(TotpSecret, account.id, with_for_update=True)
    if row is not None and row.confirmed_at is not None:
        raise Conflict("Tài khoản đã có ứng dụng xác thực; hãy gỡ nó trước.")
    secret = pyotp.random_base32()
    stored = key.encrypt(secret, _purpose(account.id))
    if row is None:
        session.add(
            TotpSecret(
                account_id=account.id,
                secret=stored,
                created_at=now,
                confirmed_at=None,
                last_counter=None,
            )
        )
    else:
        row.secret, row.created_at, row.last_counter = stored, now, None
    uri = pyotp.TOTP(secret, interval=STEP_SECONDS).provisioning_uri(
        name=account.login or account.name, issuer_name=ISSUER
    )
    return Begun(secret, uri, segno.make(uri, error="m").svg_inline(scale=4))


async def confirm_totp(
    session: AsyncSession, account_id: int, code: str, key: SecretKey, now: datetime
) -> list[str]:
    """Take the app into use once it shows the right code; returns new recovery codes.

    Raises:
        NotFound: No app has been begun, or it is in use already.
        Unauthenticated: The code is wrong.
    """
    row = await session.get(TotpSecret, account_id, with_for_update=True)
    if row is None or row.confirmed_at is not None:
        raise NotFound("Chưa bắt đầu thêm ứng dụng xác thực; hãy gửi POST …/totp trước.")
    _take(row, code, key, now)
    row.confirmed_at = now
    return await renew_recovery_codes(session, account_id, now)


async def remove_totp(session: AsyncSession, account_id: int) -> None:
    """Forget the app, and the recovery codes that stood in for it.

    Raises:
        NotFound: There is none.
    """
    row = await session.get(TotpSecret, account_id, with_for_update=True)
    if row is None:
        raise NotFound("Tài khoản không có ứng dụng xác thực.")
    await session.delete(row)
    for code in await _recovery_codes(session, account_id):
        await session.delete(code)


async def show(
    session: AsyncSession, account_id: int, code: str | None, key: SecretKey, now: datetime
) -> bool:
    """Take a code at a sign-in; tells whether one was shown.

    Args:
        session: Transaction of the sign-in.
        account_id: Who signs in.
        code: Of the app, or a recovery code; None: none was sent.
        key: For the stored secret.
        now: Present.

    Raises:
        CodeRequired: The account has an app, and no code was sent.
        Unauthenticated: The code is wrong, or was used.
    """
    row = await session.get(TotpSecret, account_id, with_for_update=True)
    if row is None or row.confirmed_at is None:
        return False
    if code is None:
        raise CodeRequired("Cần thêm mã của ứng dụng xác thực (code), hoặc một mã dự phòng.")
    if re.fullmatch(r"[0-9]{6}", _typed(code)):
        _take(row, _typed(code), key, now)
    else:
        await _use_recovery_code(session, account_id, code, now)
    return True


async def step_up(
    session: AsyncSession, account_id: int, code: str, key: SecretKey, now: datetime
) -> None:
    """Take a code in a session.

    Raises:
        NotFound: The account has no app.
        Unauthenticated: The code is wrong, or was used.
    """
    if not await show(session, account_id, code, key, now):
        raise NotFound(
            "Tài khoản chưa có ứng dụng xác thực; hãy nhờ quản trị cấp liên kết để thêm."
        )


def _take(row: TotpSecret, code: str, key: SecretKey, now: datetime) -> None:
    secret = key.decrypt(row.secret, _purpose(row.account_id))
    counter = counter_of(secret, _typed(code), now, row.last_counter)
    if counter is None:
        raise Unauthenticated("Mã xác thực sai hoặc đã dùng; hãy chờ mã mới rồi nhập lại.")
    row.last_counter = counter
    if key.is_outdated(row.secret):
        row.secret = key.encrypt(secret, _purpose(row.account_id))


def _typed(code: str) -> str:
    return re.sub(r"[\s-]", "", code)


def _purpose(account_id: int) -> str:
    return f"totp/{account_id}"


# --- recovery codes ----------------------------------------------------------------------------


async def renew_recovery_codes(session: AsyncSession, account_id: int, now: datetime) -> list[str]:
    """New recovery codes, shown once; those before them are worthless."""
    for code in await _recovery_codes(session, account_id):
        await session.delete(code)
    codes = [_new_code() for _ in range(RECOVERY_CODES)]
    session.add_all(
        RecoveryCode(
            account_id=account_id,
            recovery_sha256=_stored(code),
            created_at=now,
            used_at=None,
        )
        for code in codes
    )
    return codes


def _new_code() -> str:
    """Eighty random bits, to be typed: a plain hash suffices for them."""
    letters = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return "-".join(letters[begin : begin + 4] for begin in range(0, 16, 4))


def _stored(code: str) -> str:
    return digest(_typed(code).lower())


async def _use_recovery_code(
    session: AsyncSession, account_id: int, code: str, now: datetime
) -> None:
    row = await session.scalar(
        sa.select(RecoveryCode)
        .where(
            RecoveryCode.account_id == account_id,
            RecoveryCode.recovery_sha256 == _stored(code),
            RecoveryCode.used_at.is_(None),
        )
        .with_for_update()
    )
    if row is None:
        raise Unauthenticated("Mã dự phòng sai hoặc đã dùng; hãy nhập mã khác.")
    row.used_at = now


async def _recovery_codes(session: AsyncSession, account_id: int) -> Iterable[RecoveryCode]:
    return await session.scalars(
        sa.select(RecoveryCode).where(RecoveryCode.account_id == account_id)
    )


async def forget_all(session: AsyncSession, account_id: int) -> None:
    """Forget every second factor of an account, as an administrator does for who lost them."""
    row = await session.get(TotpSecret, account_id, with_for_update=True)
    passkeys = await session.scalars(sa.select(Passkey).where(Passkey.account_id == account_id))
    codes = await _recovery_codes(session, account_id)
    for each in ([] if row is None else [row], passkeys, codes):
        for gone in each:
            await session.delete(gone)
