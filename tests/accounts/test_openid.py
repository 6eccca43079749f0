"""Signing in at an identity provider, against `oidc-provider-mock`: the whole code flow."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.accounts import openid
from broadcast.accounts.openid_routes import COOKIE
from broadcast.audit.entry import decode
from broadcast.audit.model import AuditEntry
from broadcast.auth.model import Account, AccountState
from broadcast.auth.permissions import Role
from broadcast.kit import db
from tests.accounts.browser import Browser, application, person, said
from tests.accounts.conftest import Clock

ORIGIN = "https://ttn.example"

# The provider's libraries warn of each other, in its thread.
pytestmark = [
    pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:authlib.jose module is deprecated"),
]


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A provider that believes whatever name is typed."""
    import authlib.deprecate  # noqa: F401, PLC0415  sets a filter of its own

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own libraries
        from oidc_provider_mock import run_server_in_thread  # noqa: PLC0415

        with run_server_in_thread() as server:
            yield f"http://localhost:{server.server_port}"


@pytest.fixture
async def app(
    engine: AsyncEngine, postgres_dsn: str, tmp_path: Path, time: Clock, issuer: str
) -> AsyncIterator[FastAPI]:
    secret = tmp_path / "openid.secret"
    secret.write_text("bí mật\n".encode().hex())
    settings: dict[str, Any] = {
        "web": {"public_url": ORIGIN},
        "openid": {"issuer": issuer, "client_secret_file": secret},
    }
    async with application(engine, postgres_dsn, tmp_path, **settings) as made:
        yield made


class Way:
    """A browser on its way to the provider and back."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.ticket = ""
        self.url = ""

    async def leave(self, path: str = "/sign-in/openid") -> httpx.Response:
        answer = await self.browser.ask("GET", path)
        if answer.status_code == 302:
            self.url = answer.headers["location"]
            morsel = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
            assert (morsel["secure"], morsel["httponly"], morsel["samesite"]) == (
                True, True, "lax",
            )  # fmt: skip
            self.ticket = morsel.value
        return answer

    async def at_provider(self, subject: str) -> dict[str, str]:
        """Somebody signs in there; what it sends back."""
        async with httpx.AsyncClient() as http:
            answer = await http.post(self.url, data={"sub": subject})
        address = urlsplit(answer.headers["location"])
        assert urlunsplit(address._replace(query="")) == f"{ORIGIN}{openid.CALLBACK}"
        return {name: values[0] for name, values in parse_qs(address.query).items()}

    async def back(self, given: dict[str, str]) -> httpx.Response:
        cookies = [f"{COOKIE}={self.ticket}"]
        if self.browser.session:
            cookies.append(f"__Host-broadcast={self.browser.session}")
        return await self.browser.ask(
            "GET",
            f"/sign-in/openid/callback?{urlencode(given)}",
            # The provider's page sends the browser here.
            headers={"Cookie": "; ".join(cookies), "Sec-Fetch-Site": "cross-site"},
        )


async def signed_in(app: FastAPI, subject: str) -> tuple[Browser, httpx.Response]:
    way = Way(Browser(app))
    await way.leave()
    return way.browser, await way.back(await way.at_provider(subject))


async def bound(app: FastAPI, time: Clock, subject: str, login: str = "lan") -> Browser:
    """Somebody who has bound their account behind their invitation."""
    browser = await person(app, login, time.now)
    way = Way(browser)
    await way.leave("/session/openid")
    answer = await way.back(await way.at_provider(subject))
    assert answer.status_code == 200, answer.text
    return browser


async def test_who_is_bound_signs_in(app: FastAPI, time: Clock) -> None:
    await bound(app, time, "u-1")
    browser, answer = await signed_in(app, "u-1")
    assert (answer.status_code, answer.json()["method"]) == (200, "openid"), answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["second_factor_until"] is None
    assert (await browser.ask("GET", "/session")).json()["login"] == "lan"


async def test_who_binds_stays_in_their_session(app: FastAPI, time: Clock) -> None:
    browser = await bound(app, time, "u-1")
    assert (await browser.ask("GET", "/session")).json()["method"] == "link"


async def test_the_way_is_protected_by_pkce_state_and_nonce(app: FastAPI, issuer: str) -> None:
    way = Way(Browser(app))
    await way.leave()
    asked = {name: values[0] for name, values in parse_qs(urlsplit(way.url).query).items()}
    assert way.url.startswith(f"{issuer}/oauth2/authorize?")
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert (asked["scope"], asked["client_id"]) == ("openid", "broadcast")
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 20
    assert not any(asked[name] in way.ticket for name in ("state", "nonce"))


async def test_an_unknown_person_is_told_what_the_administrator_needs(
    app: FastAPI, time: Clock, issuer: str
) -> None:
    """Not by the e-mail address that the provider tells: `lan` is nobody's proof."""
    await person(app, "lan", time.now)
    _, answer = await signed_in(app, "lan")
    assert said(answer) == (403, "unknown-identity")
    assert (answer.json()["subject"], answer.json()["issuer"]) == ("lan", issuer)


async def test_an_answer_for_another_browser_is_none(app: FastAPI, time: Clock) -> None:
    """Who sends somebody a link would sign them in as himself."""
    await bound(app, time, "u-1")
    attacker, victim = Way(Browser(app)), Way(Browser(app))
    await attacker.leave()
    given = await attacker.at_provider("u-1")
    assert said(await victim.back(given)) == (401, "unauthenticated")
    await victim.leave()
    assert said(await victim.back(given)) == (401, "unauthenticated")
    mixed = given | {"state": parse_qs(urlsplit(victim.url).query)["state"][0]}
    assert said(await victim.back(mixed)) == (401, "unauthenticated"), "PKCE: not its verifier"


@pytest.mark.parametrize(
    "given",
    [{}, {"code": "x"}, {"error": "access_denied", "error_description": "no"},
     {"iss": "https://evil.example"}],
)  # fmt: skip
async def test_what_comes_back_otherwise_signs_nobody_in(
    app: FastAPI, time: Clock, given: dict[str, str]
) -> None:
    await bound(app, time, "u-1")
    way = Way(Browser(app))
    await way.leave()
    right = await way.at_provider("u-1")
    spoilt = {"state": right["state"]} | given
    assert said(await way.back(spoilt)) == (401, "unauthenticated")


async def test_a_code_is_good_once_and_the_way_takes_ten_minutes(
    app: FastAPI, time: Clock
) -> None:
    await bound(app, time, "u-1")
    way = Way(Browser(app))
    await way.leave()
    given = await way.at_provider("u-1")
    assert (await way.back(given)).status_code == 200
    assert said(await way.back(given)) == (401, "unauthenticated")
    await way.leave()
    given = await way.at_provider("u-1")
    time.forward(minutes=10, seconds=1)
    assert said(await way.back(given)) == (401, "unauthenticated")


async def test_a_password_alone_binds_nobody(app: FastAPI, time: Clock) -> None:
    await person(app, "lan", time.now)
    thief = Browser(app)
    await thief.sign_in("lan")
    assert said(await Way(thief).leave("/session/openid")) == (403, "second-factor-required")


async def test_a_screen_that_only_watches_binds_nobody(app: FastAPI, time: Clock) -> None:
    way = Way(await person(app, "lan", time.now))
    await way.leave("/session/openid")
    given = await way.at_provider("u-1")
    async with db.transaction(app.state.engine) as session:
        await session.execute(sa.text("UPDATE sessions SET is_screen = true"))
    assert said(await way.leave("/session/openid")) == (403, "forbidden")
    # Neither where the binding began before.
    assert said(await way.back(given)) == (403, "forbidden")
    assert said((await signed_in(app, "u-1"))[1]) == (403, "unknown-identity")


async def test_who_left_to_bind_must_still_be_there(app: FastAPI, time: Clock) -> None:
    way = Way(await person(app, "lan", time.now))
    await way.leave("/session/openid")
    given = await way.at_provider("u-1")
    other = await person(app, "minh", time.now)
    way.browser.session = other.session
    assert said(await way.back(given)) == (401, "unauthenticated")
    assert said((await signed_in(app, "u-1"))[1]) == (403, "unknown-identity")


async def test_a_person_is_bound_to_one_account(app: FastAPI, time: Clock) -> None:
    await bound(app, time, "u-1")
    way = Way(await person(app, "minh", time.now))
    await way.leave("/session/openid")
    assert said(await way.back(await way.at_provider("u-1"))) == (409, "conflict")


async def test_a_disabled_account_is_not_signed_in(app: FastAPI, time: Clock) -> None:
    await bound(app, time, "u-1")
    async with db.transaction(app.state.engine) as session:
        await session.execute(
            sa.update(Account).filter_by(login="lan").values(state=AccountState.DISABLED)
        )
    assert said((await signed_in(app, "u-1"))[1]) == (401, "unauthenticated")


async def test_an_administrator_binds_and_releases(app: FastAPI, time: Clock) -> None:
    await person(app, "lan", time.now)
    admin = await person(app, "quan", time.now, Role.PROVINCE_ADMIN)
    async with db.transaction(app.state.engine) as session:
        lan = await session.scalar(sa.select(Account.id).filter_by(login="lan"))
        await session.execute(sa.text("UPDATE sessions SET second_factor_at = created_at"))
    there = f"/accounts/{lan}/identities"
    made = await admin.ask("POST", there, json={"subject": "u-7"})
    assert made.status_code == 201, made.text
    assert (await signed_in(app, "u-7"))[1].status_code == 200
    assert [each["subject"] for each in (await admin.ask("GET", there)).json()] == ["u-7"]
    released = await admin.ask("DELETE", f"{there}/{made.json()['id']}")
    assert released.status_code == 204
    assert said((await signed_in(app, "u-7"))[1]) == (403, "unknown-identity")


async def test_a_sign_in_is_in_the_audit(app: FastAPI, time: Clock) -> None:
    await bound(app, time, "u-1")
    await signed_in(app, "u-1")
    async with db.transaction(app.state.engine) as session:
        lines = (await session.scalars(sa.select(AuditEntry.entry).order_by(AuditEntry.id))).all()
    entries = [decode(line) for line in lines]
    callback = f"GET {openid.CALLBACK}"
    told = [
        (each.who.name, {change.kind for change in each.changes})
        for each in entries
        if each.action == callback
    ]
    name = "Nguyễn Thị Lan"
    assert told == [(name, {"identities"}), (name, {"sessions"})]


async def test_a_provider_that_is_away_is_no_fault_of_ours(
    engine: AsyncEngine, postgres_dsn: str, tmp_path: Path, time: Clock
) -> None:
    away = {"openid": {"issuer": "http://localhost:1"}}
    async with application(engine, postgres_dsn, tmp_path, **away) as app:
        assert said(await Browser(app).ask("GET", "/sign-in/openid")) == (503, "unavailable")
    async with application(engine, postgres_dsn, tmp_path) as app:
        assert said(await Browser(app).ask("GET", "/sign-in/openid")) == (404, "not-found")


async def test_a_provider_that_calls_itself_otherwise_is_not_believed(
    engine: AsyncEngine, postgres_dsn: str, tmp_path: Path, time: Clock, issuer: str
) -> None:
    other = {"openid": {"issuer": issuer.replace("localhost", "127.0.0.1") + "/"}}
    async with application(engine, postgres_dsn, tmp_path, **other) as app:
        answer = await Browser(app).ask("GET", "/sign-in/openid")
    assert said(answer) == (503, "unavailable")
    assert "BROADCAST_OPENID__ISSUER" in answer.json()["detail"]
