"""Sessions of people in a browser: a row each, and the cookie that names it.

The cookie is a random number of which the row has the hash, so that a session can be listed and
ended. `__Host-` binds it to this host alone, `Secure` to TLS (browsers take `http://localhost`
for it), `HttpOnly` keeps scripts from it, `SameSite=Lax` other sites' changes. A change needs
besides it the token that only our own pages can read (`csrf_token`).
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

import sqlalchemy as sa
from fastapi import Request, Response
from fastapi.security import APIKeyCookie
from sqlalchemy.orm import Mapped, mapped_column

from broadcast import config
from broadcast.kit.db import Base, enum_type
from broadcast.kit.errors import Forbidden

COOKIE = "__Host-broadcast"

CSRF_HEADER = "X-CSRF-Token"

CSRF_COOKIE = "__Host-broadcast-csrf"
"""Gives scripts of our pages, and of no other site's, what they send in `CSRF_HEADER`."""

COOKIE_SCHEME = APIKeyCookie(
    name=COOKIE,
    auto_error=False,
    description=f"`POST /api/v1/sign-in`; a change needs its `csrf_token` in `{CSRF_HEADER}`",
)
"""Description of sessions in the interface."""

WRITE_USE_EVERY = timedelta(minutes=1)
"""How exactly a session's last use is known: a page of twenty requests writes it once."""


class Method(StrEnum):
    """How somebody has signed in."""

    PASSWORD = "password"  # noqa: S105
    LINK = "link"
    """By a one-time link that an administrator has handed over."""
    PASSKEY = "passkey"
    OPENID = "openid"


class AccountSession(Base):
    """A session of an account, from the sign-in to its end."""

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id"), index=True)
    token_sha256: Mapped[str] = mapped_column(unique=True)
    method: Mapped[Method] = mapped_column(enum_type(Method, "method"))
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    """To within `WRITE_USE_EVERY`."""
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """At the latest; unused it ends before."""
    ended_at: Mapped[datetime | None]
    second_factor_at: Mapped[datetime | None]
    """When the second factor was shown last."""
    address: Mapped[str]
    """Of the sign-in."""
    network: Mapped[str]
    """Of that address, as failures are counted by."""
    agent: Mapped[str]
    """Browser of the sign-in."""
    is_screen: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """It shows the wall on a screen that nobody touches: it reads only, and lasts longer."""


SIGN_OUT = frozenset({"/sign-out", "/api/v1/session"})
"""What a screen may still change: it may end itself."""


def is_open(limits: config.SignIn, now: datetime) -> sa.ColumnElement[bool]:
    """Condition of a session that can still be used."""
    idle_since = sa.case(
        (AccountSession.is_screen, now - limits.screen_idle), else_=now - limits.session_idle
    )
    return sa.and_(
        AccountSession.ended_at.is_(None),
        AccountSession.expires_at > now,
        AccountSession.last_used_at > idle_since,
    )


def cookie_of(request: Request) -> str | None:
    """The session that a request names."""
    return request.cookies.get(COOKIE)


def set_cookie(response: Response, token: str, longest: timedelta) -> None:
    """Give a session to the browser, and keep the answer out of every cache."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(longest.total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="lax",
    )
    response.set_cookie(
        CSRF_COOKIE,
        csrf_token(token),
        max_age=int(longest.total_seconds()),
        path="/",
        secure=True,
        httponly=False,
        samesite="strict",
    )
    response.headers["Cache-Control"] = "no-store"


def forget_cookie(response: Response) -> None:
    """Take the session from the browser."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    response.delete_cookie(CSRF_COOKIE, path="/", secure=True, samesite="strict")


# --- requests from other sites -----------------------------------------------------------------


def csrf_token(token: str) -> str:
    """What a change with this session has to carry; it tells nothing of the cookie."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


class CrossSite(Forbidden):
    """A change that a browser sends with the cookie, and not from a page of ours."""

    slug = "cross-site-request"
    title = "Yêu cầu từ trang khác"


def check_site(request: Request) -> None:
    """Refuse a request that a browser sends for another site (Fetch Metadata; RFC 6454).

    Raises:
        CrossSite: Its browser says so. What is no browser says nothing.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        is_ours = site in {"same-origin", "none"}
    else:
        is_ours = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if not is_ours:
        raise CrossSite("Trình duyệt gửi yêu cầu này từ trang khác; hãy mở trang của hệ thống.")


def check_change(request: Request, token: str) -> None:
    """Refuse a change by a session that does not come from a page of ours.

    Raises:
        CrossSite: It comes from another site, or without the token of the session.
    """
    if request.method in {"GET", "HEAD"}:
        return
    check_site(request)
    given = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(given.encode(), csrf_token(token).encode()):
        raise CrossSite(
            f"Thiếu hoặc sai {CSRF_HEADER}; hãy lấy csrf_token ở GET /api/v1/session rồi gửi lại."
        )
