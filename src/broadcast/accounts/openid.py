"""Signing in at an identity provider: OpenID Connect 1.0, code flow with PKCE (RFC 7636, S256).

The provider tells who somebody is by issuer and subject; which account that is, is bound here, by
an administrator or by the person behind a one-time link. Never by an e-mail address: whoever can
set one at the provider would be anybody.

What has to come back unchanged (state, nonce, verifier) is a ticket in a cookie of ten minutes.
"""

from __future__ import annotations

import hmac
import json
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.accounts.model import Identity
from broadcast.accounts.secret_key import SecretKey
from broadcast.auth.model import Account, AccountState
from broadcast.kit.errors import (
    Conflict,
    Forbidden,
    NotFound,
    Unauthenticated,
    Unavailable,
    because,
)

VALID = timedelta(minutes=10)
"""Between leaving for the provider and coming back."""

TIMEOUT_SECONDS = 10
"""For each answer of the provider."""

CALLBACK = "/api/v1/sign-in/openid/callback"

SIGN_IN = "sign-in"
"""For what somebody leaves for the provider; else the number of the account that is bound."""

LONGEST_SUBJECT = 255
"""OpenID Connect Core §2."""


class Begun(NamedTuple):
    """Where the browser goes, and what it keeps meanwhile."""

    url: str
    ticket: str


class Answer(NamedTuple):
    """Who came back."""

    purpose: str
    subject: str


class UnknownIdentity(Forbidden):
    """The provider knows who it is, and no account is bound to them."""

    slug = "unknown-identity"
    title = "Chưa gắn với tài khoản"


class Provider:
    """The identity provider of the settings."""

    def __init__(self, settings: config.OpenId, origin: str) -> None:
        """Describe it; nothing is asked yet.

        Args:
            settings: Which provider.
            origin: Of ours, as browsers know it.

        Raises:
            NotFound: None is configured.
            Unavailable: Its secret cannot be read.
        """
        from authlib.integrations.starlette_client import OAuth  # noqa: PLC0415  half a second

        if settings.issuer is None:
            raise NotFound("Máy chủ này không dùng nơi đăng nhập nào khác; hãy dùng mật khẩu.")
        self.issuer = settings.issuer
        self._client_id = settings.client_id
        self._redirect_uri = f"{origin}{CALLBACK}"
        self._client: Any = OAuth().register(
            "provider",
            client_id=settings.client_id,
            client_secret=_secret(settings),
            server_metadata_url=f"{self.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid",
                "code_challenge_method": "S256",
                "timeout": TIMEOUT_SECONDS,
            },
        )

    async def begin(self, purpose: str, key: SecretKey, now: datetime) -> Begun:
        """Send somebody to the provider.

        Raises:
            Unavailable: It does not answer, or is another than the settings say.
        """
        import httpx2  # noqa: PLC0415

        try:
            metadata = await self._client.load_server_metadata()
            asked = await self._client.create_authorization_url(self._redirect_uri)
        except (httpx2.HTTPError, OSError, ValueError, RuntimeError) as error:
            raise _away(error) from None
        if metadata.get("issuer") != self.issuer:
            raise Unavailable(
                "Nơi đăng nhập tự xưng khác với BROADCAST_OPENID__ISSUER; hãy báo quản trị sửa."
            )
        kept = {name: asked[name] for name in ("state", "nonce", "code_verifier")}
        ticket = key.ticket(json.dumps(kept | {"purpose": purpose}), now)
        return Begun(asked["url"], ticket)

    async def finish(
        self, ticket: str, state: str, code: str, key: SecretKey, now: datetime
    ) -> Answer:
        """Ask the provider who has come back.

        Args:
            ticket: Of the cookie.
            state: Of the address by which they came.
            code: Of that address, too.
            key: Of the ticket.
            now: Present.

        Raises:
            Unauthenticated: They did not leave from this browser, or the provider does not know
                the code, or its answer is not signed, or not for us.
            Unavailable: It does not answer.
        """
        import httpx2  # noqa: PLC0415
        from authlib.common.errors import AuthlibBaseError  # noqa: PLC0415
        from joserfc.errors import JoseError  # noqa: PLC0415

        content = key.open_ticket(ticket, VALID, now)
        kept = {} if content is None else json.loads(content)
        if not hmac.compare_digest(str(kept.get("state", "")).encode(), state.encode()):
            raise Unauthenticated(WRONG)
        only = {"essential": True}
        try:
            token = await self._client.fetch_access_token(
                code=code, code_verifier=kept["code_verifier"], redirect_uri=self._redirect_uri
            )
            claims = await self._client.parse_id_token(
                token,
                kept["nonce"],
                claims_options={
                    "iss": only | {"value": self.issuer},
                    "aud": only | {"value": self._client_id},
                    "sub": only,
                },
            )
            subject = claims["sub"]
        except (httpx2.HTTPError, OSError) as error:
            raise _away(error) from None
        except (AuthlibBaseError, JoseError, RuntimeError, ValueError, KeyError, TypeError):
            raise Unauthenticated(WRONG) from None
        return Answer(kept["purpose"], str(subject)[:LONGEST_SUBJECT])


WRONG = "Nơi đăng nhập không xác nhận lần đăng nhập này; hãy đăng nhập lại từ đầu."


def _secret(settings: config.OpenId) -> str | None:
    if settings.client_secret_file is None:
        return None
    try:
        return settings.client_secret_file.read_text().strip()
    except OSError as error:
        raise Unavailable(
            f"Không đọc được {settings.client_secret_file} ({because(error)}); hãy báo quản trị"
            " sửa BROADCAST_OPENID__CLIENT_SECRET_FILE."
        ) from None


def _away(error: Exception) -> Unavailable:
    why = f" ({because(error)})" if isinstance(error, OSError) else ""
    return Unavailable(
        f"Nơi đăng nhập không trả lời{why}; hãy thử lại sau, hoặc đăng nhập bằng mật khẩu."
    )


# --- whose identity ----------------------------------------------------------------------------


async def account_of(session: AsyncSession, issuer: str, subject: str) -> Account:
    """Account that is bound to somebody at a provider.

    Raises:
        UnknownIdentity: None is; tells what an administrator needs to bind one.
        Unauthenticated: The account may not be used.
    """
    account = await session.scalar(
        sa.select(Account)
        .join(Identity, Identity.account_id == Account.id)
        .where(Identity.issuer == issuer, Identity.subject == subject)
        .with_for_update(read=True, of=Account)
    )
    if account is None:
        raise UnknownIdentity(
            "Chưa có tài khoản nào gắn với người đăng nhập này; hãy gửi subject cho quản trị.",
            issuer=issuer,
            subject=subject,
        )
    if account.state is not AccountState.ACTIVE:
        raise Unauthenticated("Tài khoản này đã bị khóa hoặc chưa dùng; hãy liên hệ quản trị.")
    return account


async def bind(
    session: AsyncSession, account_id: int, issuer: str, subject: str, now: datetime
) -> Identity:
    """Bind somebody at a provider to an account.

    Raises:
        Conflict: They are bound to one.
    """
    taken = sa.exists().where(Identity.issuer == issuer, Identity.subject == subject)
    if await session.scalar(sa.select(taken)):
        raise Conflict("Người này đã gắn với một tài khoản; hãy gỡ ở tài khoản đó trước.")
    row = Identity(account_id=account_id, issuer=issuer, subject=subject, bound_at=now)
    session.add(row)
    await session.flush()
    return row


async def of_account(session: AsyncSession, account_id: int) -> list[Identity]:
    """Who may sign in as an account at a provider."""
    found = await session.scalars(
        sa.select(Identity).where(Identity.account_id == account_id).order_by(Identity.id)
    )
    return list(found)


async def release(session: AsyncSession, account_id: int, identity_id: int) -> None:
    """Take a binding back.

    Raises:
        NotFound: The account has no such one.
    """
    row = await session.get(Identity, identity_id)
    if row is None or row.account_id != account_id:
        raise NotFound("Tài khoản này không gắn với danh tính đó; hãy tải lại danh sách.")
    await session.delete(row)
