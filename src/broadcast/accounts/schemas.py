"""Fields of signing in, as REST takes and answers them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, SecretStr

from broadcast import config
from broadcast.auth.model import Account
from broadcast.auth.session import AccountSession, Method, csrf_token
from broadcast.kit.text import FilledLine, Person
from broadcast.kit.times import Moment
from broadcast.web.fields import example
from broadcast.web.rest import Body

Secret = Annotated[SecretStr, Field(min_length=1, max_length=512)]
"""Something that is never shown again; its own rules say more."""

Code = Annotated[SecretStr, Field(min_length=6, max_length=40)]

Login = Annotated[FilledLine, Field(max_length=100, examples=["lan.nguyen"])]


class SignInIn(Body):
    """Login and password, as somebody types them."""

    login: Login
    password: Secret
    code: Annotated[
        Code | None, Field(description="của ứng dụng xác thực, hoặc mã dự phòng, khi tài khoản có")
    ] = None


class CodeIn(Body):
    """A code of the authenticator app, or a recovery code."""

    code: Code


class TotpOut(BaseModel):
    """What the authenticator app is told, shown once."""

    secret: str
    """Base32, to be typed where the picture cannot be taken."""
    uri: str
    qr_svg: str
    """The same as a picture."""


class RecoveryCodesOut(BaseModel):
    """Codes for who has lost the app, each good for once; shown once."""

    recovery_codes: list[str]


class SecondFactorOut(BaseModel):
    """The second factors of the caller's account."""

    totp: bool
    """Whether there is an authenticator app."""
    passkeys: int
    recovery_codes: int
    """Unused."""
    shown_until: Moment | None
    """Until when the one counts that was shown in this session."""


class CredentialIn(Body):
    """What a browser's device has answered."""

    credential: Annotated[
        dict[str, Any], Field(description="`PublicKeyCredential.toJSON()` (WebAuthn Level 3)")
    ]


class PasskeyIn(CredentialIn):
    """A new passkey."""

    label: FilledLine
    """By which the person knows the device."""


class PasskeyOut(BaseModel):
    """A passkey of the caller's account."""

    model_config = example(
        id=4, label="Điện thoại của tôi", created_at="2026-11-28T08:00:00+07:00",
        last_used_at=None,
    )  # fmt: skip

    id: int
    label: str
    created_at: Moment
    last_used_at: Moment | None


class IdentityIn(Body):
    """Somebody at the identity provider."""

    subject: Annotated[FilledLine, Field(max_length=200)]


class IdentityOut(BaseModel):
    """Somebody at an identity provider who may sign in as an account."""

    model_config = example(
        id=2, issuer="https://dangnhap.quangngai.gov.vn", subject="3f2504e0",
        bound_at="2026-11-28T08:00:00+07:00",
    )  # fmt: skip

    id: int
    issuer: str
    subject: str
    bound_at: Moment


class SetupIn(Body):
    """What somebody fills in behind a one-time link."""

    code: Annotated[Secret, Field(description="phần sau dấu # của liên kết")]
    password: Secret
    login: Annotated[
        Login | None, Field(description="cần có khi tài khoản chưa có tên đăng nhập")
    ] = None
    name: Annotated[Person | None, Field(description="chỉ của người quản trị đầu tiên")] = None


class PasswordIn(Body):
    """A new password, by who knows the present one."""

    password: Secret
    """The present one."""
    new_password: Secret


class SessionOut(BaseModel):
    """A session of the caller's account."""

    model_config = example(
        id=17, method="password", created_at="2026-11-28T08:00:00+07:00",
        last_used_at="2026-11-28T09:41:00+07:00", expires_at="2026-11-28T20:00:00+07:00",
        second_factor_until=None, address="203.0.113.9", agent="Mozilla/5.0", is_current=True,
    )  # fmt: skip

    id: int
    method: Method
    created_at: Moment
    last_used_at: Moment
    expires_at: Moment
    """At the latest; unused it ends before."""
    second_factor_until: Moment | None
    """Until when the second factor counts that was shown in it."""
    address: str
    agent: str
    is_current: bool
    """Whether the request came with it."""
    is_screen: bool = False
    """Whether it only shows the wall on a screen."""

    @classmethod
    def of(cls, row: AccountSession, current: int, limits: config.SignIn) -> SessionOut:
        """As it is answered to the session `current`."""
        return cls(**_fields(row, current, limits))


class SignedInOut(SessionOut):
    """The session of the request, and whose it is."""

    model_config = example(
        id=17, method="password", created_at="2026-11-28T08:00:00+07:00",
        last_used_at="2026-11-28T09:41:00+07:00", expires_at="2026-11-28T20:00:00+07:00",
        second_factor_until=None, address="203.0.113.9", agent="Mozilla/5.0", is_current=True,
        account_id=3, login="lan.nguyen", name="Nguyễn Thị Lan", csrf_token="4d3c…",  # noqa: S106
    )  # fmt: skip

    account_id: int
    login: str | None
    name: str
    csrf_token: str
    """What each change with this session carries in the header `X-CSRF-Token`."""

    @classmethod
    def to(
        cls, account: Account, row: AccountSession, token: str, limits: config.SignIn
    ) -> SignedInOut:
        """As it is answered to the session itself."""
        return cls(
            **_fields(row, row.id, limits),
            account_id=account.id,
            login=account.login,
            name=account.name,
            csrf_token=csrf_token(token),
        )


def _fields(row: AccountSession, current: int, limits: config.SignIn) -> dict[str, object]:
    shown_at: datetime | None = row.second_factor_at
    return {
        "id": row.id,
        "method": row.method,
        "created_at": row.created_at,
        "last_used_at": row.last_used_at,
        "expires_at": row.expires_at,
        "second_factor_until": None if shown_at is None else shown_at + limits.second_factor_fresh,
        "address": row.address,
        "agent": row.agent,
        "is_screen": row.is_screen,
        "is_current": row.id == current,
    }
