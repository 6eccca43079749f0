"""Passkeys (WebAuthn Level 3): a key pair whose private half stays on a person's device.

The device asks for finger, face or PIN before it signs (user verification), so that a passkey is
both factors at once. It is bound to our name: a look-alike page gets nothing.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.accounts.model import Passkey, PasskeyChallenge
from broadcast.accounts.secret_key import SecretKey
from broadcast.auth.model import Account, AccountState
from broadcast.kit.errors import Conflict, InvalidInput, NotFound, Unauthenticated, Unavailable

NAME = "Thông tin nguồn"
"""What the device shows of us."""

VALID = timedelta(minutes=5)
"""Between the question and the answer: somebody looks for their phone."""

MOST = 10
"""Passkeys of an account."""


class Place(NamedTuple):
    """Where passkeys of this installation hold."""

    host: str
    origin: str


def place(settings: config.Web) -> Place:
    """Name and origin that a passkey is bound to, after `BROADCAST_WEB__PUBLIC_URL`.

    Raises:
        Unavailable: That has an address instead of a name.
    """
    origin = settings.public_url or f"http://localhost:{settings.port}"
    host = urlsplit(origin).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return Place(host, origin)
    raise Unavailable(
        "Khóa truy cập chỉ dùng được với tên miền; hãy báo quản trị đặt"
        " BROADCAST_WEB__PUBLIC_URL là https:// và tên miền."
    )


# --- what the device is asked ------------------------------------------------------------------


async def registration(
    session: AsyncSession, account: Account, at: Place, key: SecretKey, now: datetime
) -> dict[str, Any]:
    """Options of `navigator.credentials.create()`, as JSON."""
    import webauthn  # noqa: PLC0415  a fifth of a second that no other start should take
    from webauthn.helpers import structs  # noqa: PLC0415

    held = await of_account(session, account.id)
    options = webauthn.generate_registration_options(
        rp_id=at.host,
        rp_name=NAME,
        user_id=_handle(account.id),
        user_name=account.login or account.name,
        user_display_name=account.name,
        challenge=_challenge(f"register/{account.id}", key, now),
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[
            structs.PublicKeyCredentialDescriptor(id=each.credential_id) for each in held
        ],
    )
    return _json(options)


def assertion(
    at: Place, key: SecretKey, now: datetime, account_id: int | None = None
) -> dict[str, Any]:
    """Options of `navigator.credentials.get()`, as JSON: for a sign-in, or for one account."""
    import webauthn  # noqa: PLC0415
    from webauthn.helpers import structs  # noqa: PLC0415

    options = webauthn.generate_authentication_options(
        rp_id=at.host,
        challenge=_challenge(_purpose(account_id), key, now),
        user_verification=structs.UserVerificationRequirement.REQUIRED,
    )
    return _json(options)


def _purpose(account_id: int | None) -> str:
    return "sign-in" if account_id is None else f"step-up/{account_id}"


def _challenge(purpose: str, key: SecretKey, now: datetime) -> bytes:
    return key.ticket(f"passkey {purpose} {secrets.token_hex(16)}", now).encode()


def _handle(account_id: int) -> bytes:
    """Of an account, as devices know it: tells nothing of the person."""
    return hashlib.sha256(f"account/{account_id}".encode()).digest()


def _json(options: Any) -> dict[str, Any]:
    from webauthn.helpers import options_to_json_dict  # noqa: PLC0415

    found: dict[str, Any] = options_to_json_dict(options)
    return found


# --- what it answers ---------------------------------------------------------------------------


async def register(
    session: AsyncSession,
    account_id: int,
    label: str,
    credential: dict[str, Any],
    at: Place,
    key: SecretKey,
    now: datetime,
) -> Passkey:
    """Take a new passkey of an account.

    Raises:
        InvalidInput: The device answers something else, or another question.
        Conflict: The account has too many.
    """
    import webauthn  # noqa: PLC0415
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415

    if len(await of_account(session, account_id)) >= MOST:
        raise Conflict(f"Tài khoản đã có {MOST} khóa truy cập; hãy gỡ bớt trước.")
    try:
        challenge = _answered(credential, f"register/{account_id}", key, now)
        found = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=at.host,
            expected_origin=at.origin,
            require_user_verification=True,
        )
    except (WebAuthnException, *_MALFORMED):
        raise InvalidInput(
            "credential", "không phải câu trả lời của thiết bị cho lần này; hãy làm lại từ đầu"
        ) from None
    await _once(session, challenge, account_id, now)
    known = sa.exists().where(Passkey.credential_id == found.credential_id)
    if await session.scalar(sa.select(known)):
        raise Conflict("Khóa truy cập này đã được thêm; hãy dùng nó để đăng nhập.")
    row = Passkey(
        account_id=account_id,
        credential_id=found.credential_id,
        public_key=found.credential_public_key,
        sign_count=found.sign_count,
        label=label,
        created_at=now,
        last_used_at=None,
    )
    session.add(row)
    await session.flush()
    return row


async def use(
    session: AsyncSession,
    credential: dict[str, Any],
    at: Place,
    key: SecretKey,
    now: datetime,
    account_id: int | None = None,
) -> Account:
    """Account whose passkey has signed the question.

    Args:
        session: Transaction.
        credential: Answer of the device, as JSON.
        at: Where it must have been given.
        key: Of the questions.
        now: Present.
        account_id: Whose it must be; None: a sign-in tells.

    Raises:
        Unauthenticated: The signature is none of a passkey that is known, the question was
            another or has been answered, or a copy of the device is in use.
    """
    import webauthn  # noqa: PLC0415
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415

    try:
        challenge = _answered(credential, _purpose(account_id), key, now)
        row = await _known(session, base64url_to_bytes(credential["id"]), account_id)
        found = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=at.host,
            expected_origin=at.origin,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, *_MALFORMED):
        raise Unauthenticated(WRONG) from None
    account = await session.get_one(Account, row.account_id, with_for_update={"read": True})
    if account.state is not AccountState.ACTIVE:
        raise Unauthenticated(WRONG)
    await _once(session, challenge, account.id, now)
    row.sign_count, row.last_used_at = found.new_sign_count, now
    return account


WRONG = "Khóa truy cập không đúng, hoặc đã quá lâu; hãy thử lại, hoặc đăng nhập cách khác."

_MALFORMED = (AttributeError, KeyError, TypeError, ValueError)
"""What the library and we raise at JSON of another shape."""


async def _known(session: AsyncSession, credential_id: bytes, account_id: int | None) -> Passkey:
    row = await session.scalar(
        sa.select(Passkey).where(Passkey.credential_id == credential_id).with_for_update()
    )
    if row is None or account_id not in {None, row.account_id}:
        raise ValueError(credential_id)
    return row


def _answered(credential: dict[str, Any], purpose: str, key: SecretKey, now: datetime) -> bytes:
    """The question that a device says it has answered, if it is ours and of `purpose`."""
    from webauthn.helpers import base64url_to_bytes, parse_client_data_json  # noqa: PLC0415

    said = parse_client_data_json(base64url_to_bytes(credential["response"]["clientDataJSON"]))
    content = key.open_ticket(said.challenge.decode(), VALID, now) or ""
    if content.rpartition(" ")[0] != f"passkey {purpose}":
        raise ValueError(purpose)
    return said.challenge


async def _once(session: AsyncSession, challenge: bytes, account_id: int, now: datetime) -> None:
    """Note that a question has been answered.

    Raises:
        Unauthenticated: It had been.
    """
    await session.execute(sa.delete(PasskeyChallenge).where(PasskeyChallenge.expires_at < now))
    noted = await session.scalar(
        insert(PasskeyChallenge)
        .values(challenge=challenge, account_id=account_id, expires_at=now + 2 * VALID)
        .on_conflict_do_nothing()
        .returning(PasskeyChallenge.account_id)
    )
    if noted is None:
        raise Unauthenticated(WRONG)


# --- the passkeys of an account ----------------------------------------------------------------


async def of_account(session: AsyncSession, account_id: int) -> Sequence[Passkey]:
    """Passkeys of an account, the oldest first."""
    found = await session.scalars(
        sa.select(Passkey).where(Passkey.account_id == account_id).order_by(Passkey.id)
    )
    return found.all()


async def remove(session: AsyncSession, account_id: int, passkey_id: int) -> None:
    """Forget a passkey of an account.

    Raises:
        NotFound: The account has no such passkey.
    """
    row = await session.get(Passkey, passkey_id)
    if row is None or row.account_id != account_id:
        raise NotFound("Tài khoản này không có khóa truy cập đó; hãy tải lại danh sách.")
    await session.delete(row)
