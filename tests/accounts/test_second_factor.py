"""Authenticator apps and recovery codes, and what cannot be done without them."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.accounts import lockout, second_factor, secret_key
from broadcast.accounts.model import RecoveryCode, SignInFailures, TotpSecret
from broadcast.accounts.second_factor import counter_of
from broadcast.accounts.secret_key import SecretKey
from broadcast.auth import second_factor as policy
from broadcast.auth.permissions import Permission
from broadcast.kit import db
from broadcast.kit.errors import Unavailable
from tests.accounts.browser import PASSWORD, Browser, application, person, said
from tests.accounts.conftest import Clock

NOW = datetime(2026, 11, 28, 1, tzinfo=UTC)
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
"""That of RFC 6238, appendix B."""


class App:
    """An authenticator app on a phone."""

    def __init__(self, secret: str, time: Clock) -> None:
        self.totp = pyotp.TOTP(secret)
        self.time = time

    @property
    def code(self) -> str:
        return self.totp.at(self.time.now)


async def with_app(
    app: FastAPI, time: Clock, login: str = "lan"
) -> tuple[Browser, App, list[str]]:
    """Somebody who has set up an authenticator app, with their recovery codes."""
    browser = await person(app, login, time.now)
    begun = (await browser.ask("POST", "/session/totp")).json()
    phone = App(begun["secret"], time)
    before = browser.session
    confirmed = await browser.ask("POST", "/session/totp/confirmation", json={"code": phone.code})
    assert confirmed.status_code == 200, confirmed.text
    assert browser.session != before, "the proof changes the cookie"
    browser.csrf = (await browser.ask("GET", "/session")).json()["csrf_token"]
    time.forward(seconds=60)
    return browser, phone, confirmed.json()["recovery_codes"]


async def test_a_password_that_wants_a_code_is_no_failure(app: FastAPI, time: Clock) -> None:
    """An office behind one address, and somebody who has mistyped before."""
    _, phone, _ = await with_app(app, time)
    office = "198.51.100.1"
    for _ in range(lockout.NETWORK.free + 5):
        asked = await Browser(app, office).sign_in("lan")
        assert said(asked) == (401, "second-factor-required")
        answer = await Browser(app, office).sign_in("lan", code=phone.code)
        assert answer.status_code == 201, answer.text
        time.forward(seconds=60)
    async with db.transaction(app.state.engine) as session:
        rows = await session.scalars(sa.select(SignInFailures.attempts))
        assert set(rows) <= {0}
    for _ in range(lockout.PAIR.free):
        await Browser(app, office).sign_in("lan", "sai")
    time.forward(seconds=30)
    assert said(await Browser(app, office).sign_in("lan")) == (401, "second-factor-required")
    answer = await Browser(app, office).sign_in("lan", code=phone.code)
    assert answer.status_code == 201, "the code is typed without a wait"


async def test_codes_are_not_guessed_behind_a_right_password(app: FastAPI, time: Clock) -> None:
    await with_app(app, time)
    thief = Browser(app, "198.51.100.1")
    for _ in range(lockout.PAIR.free):
        await thief.sign_in("lan")
        assert said(await thief.sign_in("lan", code="000000")) == (401, "unauthenticated")
    assert said(await thief.sign_in("lan")) == (429, "too-many-requests")
    time.forward(seconds=30)
    await thief.sign_in("lan")
    await thief.sign_in("lan", code="000000")
    assert said(await thief.sign_in("lan", code="000001")) == (429, "too-many-requests")


# --- codes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "code"), [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")]
)
def test_codes_are_those_of_rfc_6238(at: int, code: str) -> None:
    now = datetime.fromtimestamp(at, UTC)
    assert counter_of(SECRET, code, now, None) == at // 30


def test_a_clock_may_be_one_step_wrong_and_no_more() -> None:
    taken = [
        counter_of(SECRET, pyotp.TOTP(SECRET).at(NOW + timedelta(seconds=30 * step)), NOW, None)
        is not None
        for step in range(-2, 3)
    ]
    assert taken == [False, True, True, True, False]


def test_a_code_is_taken_once_and_none_before_it_after() -> None:
    code, before = (pyotp.TOTP(SECRET).at(NOW - timedelta(seconds=late)) for late in (0, 30))
    taken = counter_of(SECRET, code, NOW, None)
    assert counter_of(SECRET, code, NOW, taken) is None
    assert counter_of(SECRET, before, NOW, taken) is None
    assert counter_of(SECRET, before, NOW, None) is not None


@pytest.mark.parametrize("typed", ["１２３４５６", "mã sáu", "😀"])
def test_what_no_app_shows_is_a_wrong_code(typed: str) -> None:
    assert counter_of(SECRET, typed, NOW, None) is None


# --- enrolling ---------------------------------------------------------------------------------


async def test_an_app_is_shown_once_and_counts_when_it_has_shown_a_code(
    app: FastAPI, time: Clock
) -> None:
    browser = await person(app, "lan", time.now)
    answer = await browser.ask("POST", "/session/totp")
    begun = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert begun["uri"].startswith("otpauth://totp/")
    assert begun["secret"] in begun["uri"]
    assert begun["qr_svg"].startswith("<svg")
    assert (await Browser(app).sign_in("lan")).status_code == 201, "not in use yet"
    wrong = await browser.ask("POST", "/session/totp/confirmation", json={"code": "000000"})
    assert said(wrong) == (401, "unauthenticated")
    code = App(begun["secret"], time).code
    answer = await browser.ask("POST", "/session/totp/confirmation", json={"code": code})
    assert len(set(answer.json()["recovery_codes"])) == second_factor.RECOVERY_CODES
    assert said(await Browser(app).sign_in("lan")) == (401, "second-factor-required")
    browser.csrf = (await browser.ask("GET", "/session")).json()["csrf_token"]
    assert said(await browser.ask("POST", "/session/totp")) == (409, "conflict")
    held = (await browser.ask("GET", "/session/second-factor")).json()
    assert (held["totp"], held["recovery_codes"]) == (True, 10)
    assert held["shown_until"] is not None


async def test_a_password_alone_adds_no_second_factor(app: FastAPI, time: Clock) -> None:
    """Whoever has stolen it would add one of their own."""
    await person(app, "lan", time.now)
    thief = Browser(app)
    await thief.sign_in("lan")
    for method, path in (
        ("POST", "/session/totp"),
        ("DELETE", "/session/totp"),
        ("POST", "/session/recovery-codes"),
    ):
        assert said(await thief.ask(method, path)) == (403, "second-factor-required"), path


async def test_who_has_shown_a_code_changes_the_app(app: FastAPI, time: Clock) -> None:
    _, phone, codes = await with_app(app, time)
    browser = Browser(app)
    await browser.sign_in("lan", code=phone.code)
    assert (await browser.ask("DELETE", "/session/totp")).status_code == 204
    assert (await Browser(app).sign_in("lan")).status_code == 201
    begun = (await browser.ask("POST", "/session/totp")).json()
    new = App(begun["secret"], time)
    answer = await browser.ask("POST", "/session/totp/confirmation", json={"code": new.code})
    assert set(answer.json()["recovery_codes"]).isdisjoint(codes)
    time.forward(seconds=60)
    assert said(await Browser(app).sign_in("lan", code=phone.code)) == (401, "unauthenticated")
    assert (await Browser(app).sign_in("lan", code=new.code)).status_code == 201


# --- signing in --------------------------------------------------------------------------------


async def test_a_code_is_good_for_one_sign_in(app: FastAPI, time: Clock) -> None:
    _, phone, _ = await with_app(app, time)
    code = phone.code
    answer = await Browser(app).sign_in("lan", code=f"{code[:3]} {code[3:]}")
    assert answer.status_code == 201
    assert answer.json()["second_factor_until"] == "2026-11-28T20:01:00+07:00"
    assert said(await Browser(app).sign_in("lan", code=code)) == (401, "unauthenticated")


async def test_a_right_code_does_not_help_with_a_wrong_password(app: FastAPI, time: Clock) -> None:
    _, phone, _ = await with_app(app, time)
    code = phone.code
    assert (await Browser(app).sign_in("lan", "sai", code=code)).status_code == 401
    assert (await Browser(app).sign_in("lan", code=code)).status_code == 201, "not used up"


async def test_who_guesses_codes_waits(app: FastAPI, time: Clock) -> None:
    await with_app(app, time)
    guesser = Browser(app, "198.51.100.1")
    statuses = [(await guesser.sign_in("lan", code=f"{n:06}")).status_code for n in range(8)]
    assert statuses == [401] * 5 + [429] * 3


async def test_a_recovery_code_is_good_for_once(app: FastAPI, time: Clock) -> None:
    _, _, codes = await with_app(app, time)
    assert (await Browser(app).sign_in("lan", code=codes[0].upper())).status_code == 201
    assert said(await Browser(app).sign_in("lan", code=codes[0])) == (401, "unauthenticated")
    assert (await Browser(app).sign_in("lan", code=codes[1].replace("-", ""))).status_code == 201
    async with db.transaction(app.state.engine) as session:
        stored = (await session.scalars(sa.select(RecoveryCode.recovery_sha256))).all()
    assert not set(codes) & set(stored)


async def test_new_recovery_codes_end_the_old_ones(app: FastAPI, time: Clock) -> None:
    browser, _, old = await with_app(app, time)
    new = (await browser.ask("POST", "/session/recovery-codes")).json()["recovery_codes"]
    assert said(await Browser(app).sign_in("lan", code=old[0])) == (401, "unauthenticated")
    assert (await Browser(app).sign_in("lan", code=new[0])).status_code == 201


async def test_a_code_of_another_account_is_none(app: FastAPI, time: Clock) -> None:
    _, _, codes = await with_app(app, time)
    await with_app(app, time, "minh")
    assert said(await Browser(app).sign_in("minh", code=codes[0])) == (401, "unauthenticated")


# --- what needs it -----------------------------------------------------------------------------


def test_the_policy_names_what_sounds_everywhere_and_who_may_do_so() -> None:
    for permission in Permission:
        needs = permission in {
            Permission.BULLETIN_APPROVE, Permission.ACCOUNT_WRITE, Permission.EMERGENCY_WRITE,
            Permission.EMERGENCY_PROPOSE, Permission.EMERGENCY_ALONE, Permission.LIVE_SPEAK,
        }  # fmt: skip
        for until, is_shown in ((None, False), (NOW, False), (NOW + timedelta(seconds=1), True)):
            if needs and not is_shown:
                with pytest.raises(policy.SecondFactorRequired):
                    policy.check(until, permission, NOW)
            else:
                policy.check(until, permission, NOW)


async def test_a_second_factor_counts_for_so_long_and_is_shown_again(
    engine: AsyncEngine, postgres_dsn: str, tmp_path: Path, time: Clock
) -> None:
    limits = {"second_factor_fresh": timedelta(hours=1)}
    async with application(engine, postgres_dsn, tmp_path, sign_in=limits) as app:
        browser, phone, _ = await with_app(app, time)
        until = (await browser.ask("GET", "/session")).json()["second_factor_until"]
        time.forward(hours=1, minutes=1)
        before = browser.session
        wrong = await browser.ask("POST", "/session/second-factor", json={"code": "000000"})
        assert said(wrong) == (401, "unauthenticated")
        right = await browser.ask("POST", "/session/second-factor", json={"code": phone.code})
        assert right.status_code == 200
        assert right.json()["second_factor_until"] > until
        assert browser.session != before, "a proof changes the cookie"
        browser.session = before
        assert (await browser.ask("GET", "/session")).status_code == 401


# --- at rest -----------------------------------------------------------------------------------


async def stored_secret(app: FastAPI) -> str:
    async with db.transaction(app.state.engine) as session:
        return (await session.scalars(sa.select(TotpSecret.secret))).one()


async def test_a_secret_is_encrypted_where_there_is_a_key(
    engine: AsyncEngine, postgres_dsn: str, tmp_path: Path, time: Clock
) -> None:
    file = tmp_path / "secrets" / "sign-in.key"
    secret_key.create(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    settings: dict[str, Any] = {"sign_in": {"secret_key_file": file}}
    async with application(engine, postgres_dsn, tmp_path, **settings) as app:
        _, phone, _ = await with_app(app, time)
        assert phone.totp.secret not in await stored_secret(app)
        assert (await Browser(app).sign_in("lan", code=phone.code)).status_code == 201
    async with application(engine, postgres_dsn, tmp_path) as app:
        time.forward(seconds=60)
        answer = await Browser(app).sign_in("lan", code=phone.code)
        assert said(answer) == (503, "unavailable")
        assert "SECRET_KEY_FILE" in answer.json()["detail"]


async def test_a_secret_of_before_the_key_is_encrypted_when_it_is_used(
    engine: AsyncEngine, postgres_dsn: str, tmp_path: Path, time: Clock
) -> None:
    async with application(engine, postgres_dsn, tmp_path) as app:
        _, phone, _ = await with_app(app, time)
        assert phone.totp.secret in await stored_secret(app)
    file = tmp_path / "sign-in.key"
    secret_key.create(file)
    settings: dict[str, Any] = {"sign_in": {"secret_key_file": file}}
    async with application(engine, postgres_dsn, tmp_path, **settings) as app:
        await Browser(app).sign_in("lan", PASSWORD, code=phone.code)
        assert phone.totp.secret not in await stored_secret(app)


def test_a_new_key_still_opens_what_the_old_one_closed(tmp_path: Path) -> None:
    file = tmp_path / "sign-in.key"
    secret_key.create(file)
    old = SecretKey(tuple(file.read_text().split()))
    stored = old.encrypt(SECRET, "totp/1")
    secret_key.create(file)
    new = SecretKey(tuple(file.read_text().split()))
    assert new.decrypt(stored, "totp/1") == SECRET
    with pytest.raises(Unavailable, match="SECRET_KEY_FILE"):
        old.decrypt(new.encrypt(SECRET, "totp/1"), "totp/1")
    with pytest.raises(Unavailable, match="SECRET_KEY_FILE"):
        new.decrypt(stored, "totp/2")


def test_a_file_that_is_no_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "sign-in.key"
    with pytest.raises(Unavailable, match=str(file)):
        secret_key.load(file)
    file.write_text("not a key")
    with pytest.raises(Unavailable, match="create-key"):
        secret_key.load(file)
