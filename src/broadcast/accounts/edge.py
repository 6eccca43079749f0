"""What the routes of signing in share: from where, how often, and the answer with a cookie."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request, Response

from broadcast.accounts import secret_key, sessions
from broadcast.accounts.lockout import Networks
from broadcast.accounts.schemas import SignedInOut
from broadcast.accounts.secret_key import SecretKey
from broadcast.accounts.sessions import Started
from broadcast.audit.entry import Origin
from broadcast.auth.caller import Caller
from broadcast.auth.model import Account
from broadcast.auth.session import cookie_of, set_cookie
from broadcast.config import SignIn
from broadcast.web import origin
from broadcast.web.rest import AppSettings, Session


def _networks(request: Request) -> Networks:
    state = request.app.state
    if not hasattr(state, "sign_in_networks"):
        state.sign_in_networks = Networks()
    return cast("Networks", state.sign_in_networks)


CountedNetworks = Annotated[Networks, Depends(_networks)]


SentFrom = Annotated[Origin, Depends(origin.of)]


def _secret_key(settings: AppSettings) -> SecretKey:
    return secret_key.load(settings.sign_in.secret_key_file)


StoredWith = Annotated[SecretKey, Depends(_secret_key)]
"""What encrypts secrets in the database."""


def give(response: Response, account: Account, started: Started, limits: SignIn) -> SignedInOut:
    """Answer with a session, and its cookie."""
    set_cookie(response, started.token, limits.session_longest)
    return SignedInOut.to(account, started.row, started.token, limits)


async def signed_in(
    request: Request,
    session: Session,
    caller: Caller,
    token: str | None = None,
    *,
    lock: bool = True,
) -> tuple[Account, Started]:
    """The caller's account and session; `token` where that has been given a new one.

    A request that only reads cannot `lock` the session.

    Raises:
        NotFound: The caller came with a token.
    """
    own = await sessions.own(session, caller, lock=lock)
    account = await session.get_one(Account, caller.account_id)
    return account, Started(own, token or cookie_of(request) or "")
