"""Signing in by password, sessions and their cookies, over the whole application."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from fastapi import FastAPI

from broadcast.accounts import lockout, passwords, tokens
from broadcast.accounts.model import Password, SignInFailures
from broadcast.auth.model import Account, AccountState
from broadcast.auth.session import AccountSession
from broadcast.kit import db
from tests.accounts.browser import OTHER_PASSWORD, PASSWORD, Browser, person, said
from tests.accounts.conftest import Clock


async def test_a_session_is_a_cookie_that_reads_and_changes(app: FastAPI, time: Clock) -> None:
    await person(app, "lan", time.now)
    browser = Browser(app)
    answer = await browser.sign_in("  LAN ")
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["method"] == "password"
    assert (await browser.ask("GET", "/stations")).status_code == 200
    told = (await browser.ask("GET", "/session")).json()
    assert (told["login"], told["name"], told["csrf_token"]) == (
        "lan", "Nguyễn Thị Lan", browser.csrf,
    )  # fmt: skip
    created = await browser.ask("POST", "/bulletins", json={})
    assert created.status_code == 422, "the editor may, the body is wrong"


async def test_only_the_hash_of_the_cookie_is_stored(app: FastAPI, time: Clock) -> None:
    browser = await person(app, "lan", time.now)
    async with db.transaction(app.state.engine) as session:
        rows = (await session.execute(sa.text("SELECT s::text FROM sessions s"))).scalars().all()
        hashes = (await session.scalars(sa.select(Password.password_hash))).all()
    assert len(rows) == len(hashes) == 1
    assert not any(browser.session in row or browser.csrf in row for row in rows)
    assert hashes[0].startswith("$argon2id$")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 422),
        ({"X-CSRF-Token": ""}, 403),
        ({"X-CSRF-Token": "0" * 64}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
async def test_a_change_that_another_site_sends_is_refused(
    app: FastAPI, time: Clock, headers: dict[str, str], status: int
) -> None:
    browser = await person(app, "lan", time.now)
    answer = await browser.ask("POST", "/bulletins", json={}, headers=headers)
    assert answer.status_code == status
    assert (status == 422) or said(answer) == (403, "cross-site-request")
    assert (await browser.ask("GET", "/stations", headers=headers)).status_code == 200


async def test_an_old_browser_is_known_by_the_origin(app: FastAPI, time: Clock) -> None:
    browser = await person(app, "lan", time.now)
    own_headers = {"Cookie": f"__Host-broadcast={browser.session}", "X-CSRF-Token": browser.csrf}
    statuses = [
        (
            await browser.http.post(
                "/api/v1/bulletins", json={}, headers=own_headers | {"Origin": origin}
            )
        ).status_code
        for origin in ("https://ttn.example", "https://evil.example", "null")
    ]
    assert statuses == [422, 403, 403]


async def test_another_site_cannot_sign_somebody_in(app: FastAPI, time: Clock) -> None:
    await person(app, "lan", time.now)
    browser = Browser(app)
    body = {"login": "lan", "password": PASSWORD}
    answer = await browser.ask(
        "POST", "/sign-in", json=body, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert (said(answer), browser.session) == ((403, "cross-site-request"), "")


async def test_a_token_needs_no_csrf_token_and_has_no_session(app: FastAPI, time: Clock) -> None:
    browser = await person(app, "lan", time.now)
    async with db.transaction(app.state.engine) as session:
        account = (await session.scalars(sa.select(Account).where(Account.login == "lan"))).one()
        token = (await tokens.issue(session, account.id, time.now)).secret
    bearer = {"Authorization": f"Bearer {token}", "Cookie": "", "Sec-Fetch-Site": "cross-site"}
    assert (await browser.ask("POST", "/bulletins", json={}, headers=bearer)).status_code == 422
    assert said(await browser.ask("GET", "/session", headers=bearer)) == (404, "not-found")


# --- wrong attempts ----------------------------------------------------------------------------


async def test_unknown_login_and_wrong_password_are_told_the_same(
    app: FastAPI, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await person(app, "lan", time.now)
    verified = []
    verify = passwords._matches
    monkeypatch.setattr(
        passwords,
        "_matches",
        lambda stored, given: verified.append(stored) or verify(stored, given),
    )
    answers = [
        await Browser(app).sign_in("lan", "sai mật khẩu"),
        await Browser(app).sign_in("khongco", "sai mật khẩu"),
    ]
    assert answers[0].json() == answers[1].json()
    assert said(answers[0]) == (401, "unauthenticated")
    assert len(verified) == 2, "as much work for one as for the other"
    assert PasswordHasher(1, 8, 1).check_needs_rehash(verified[1]) is False


@pytest.mark.parametrize("login", ["lan", "khongco"])
async def test_who_guesses_waits_whether_there_is_such_a_login_or_not(
    app: FastAPI, time: Clock, login: str
) -> None:
    await person(app, "lan", time.now)
    browser = Browser(app, "198.51.100.1")
    for _ in range(lockout.PAIR.free):
        assert (await browser.sign_in(login, "sai")).status_code == 401
    answer = await browser.sign_in(login, PASSWORD)
    assert said(answer) == (429, "too-many-requests")
    assert answer.headers["retry-after"] == "30"


async def test_the_wait_ends_and_a_success_ends_the_count(app: FastAPI, time: Clock) -> None:
    await person(app, "lan", time.now)
    browser = Browser(app, "198.51.100.1")
    for _ in range(lockout.PAIR.free):
        await browser.sign_in("lan", "sai")
    time.forward(seconds=30)
    assert (await browser.sign_in("lan")).status_code == 201
    async with db.transaction(app.state.engine) as session:
        left = (await session.scalars(sa.select(SignInFailures))).all()
    assert [(row.network, row.attempts) for row in left] == [("", lockout.PAIR.free)]


async def test_a_flood_from_elsewhere_does_not_lock_a_person_out(
    app: FastAPI, time: Clock
) -> None:
    """Their own network is known: whatever is counted of the others, they come in at once."""
    await person(app, "lan", time.now)
    for number in range(lockout.LOGIN.free + 5):
        await Browser(app, f"198.51.100.{number}").sign_in("lan", "sai")
    assert said(await Browser(app, "192.0.2.1").sign_in("lan")) == (429, "too-many-requests")
    assert (await Browser(app, "203.0.113.9").sign_in("lan")).status_code == 201


async def test_a_network_that_tries_many_logins_waits(app: FastAPI, time: Clock) -> None:
    await person(app, "lan", time.now)
    browser = Browser(app, "198.51.100.1")
    for number in range(lockout.NETWORK.free):
        assert (await browser.sign_in(f"ai-do-{number}", "sai")).status_code == 401
    assert said(await browser.sign_in("lan")) == (429, "too-many-requests")
    assert (await Browser(app).sign_in("lan")).status_code == 201


async def test_a_waiting_attempt_makes_no_wait_longer(app: FastAPI, time: Clock) -> None:
    await person(app, "lan", time.now)
    browser = Browser(app, "198.51.100.1")
    for _ in range(lockout.PAIR.free + 20):
        last = await browser.sign_in("lan", "sai")
    assert last.headers["retry-after"] == "30"


# --- sessions ----------------------------------------------------------------------------------


async def test_a_session_ends_when_it_is_not_used(app: FastAPI, time: Clock) -> None:
    browser = await person(app, "lan", time.now)
    for _ in range(5):
        time.forward(minutes=119)
        assert (await browser.ask("GET", "/session")).status_code == 200
    time.forward(minutes=121)
    assert said(await browser.ask("GET", "/session")) == (401, "unauthenticated")


async def test_a_session_ends_after_half_a_day_however_it_is_used(
    app: FastAPI, time: Clock
) -> None:
    browser = await person(app, "lan", time.now)
    for _ in range(11):
        time.forward(hours=1)
        assert (await browser.ask("GET", "/session")).status_code == 200
    time.forward(hours=1)
    assert (await browser.ask("GET", "/session")).status_code == 401


async def test_its_use_is_written_once_a_minute(app: FastAPI, time: Clock) -> None:
    browser = await person(app, "lan", time.now)

    async def versions() -> set[str]:
        async with db.transaction(app.state.engine) as session:
            return {str(await session.scalar(sa.text("SELECT xmin FROM sessions")))}

    before = await versions()
    for _ in range(10):
        time.forward(seconds=5)
        await browser.ask("GET", "/stations")
    assert await versions() == before
    time.forward(seconds=30)
    await browser.ask("GET", "/stations")
    assert await versions() != before


async def test_sessions_are_listed_and_ended_one_by_one(app: FastAPI, time: Clock) -> None:
    here = await person(app, "lan", time.now)
    time.forward(minutes=5)
    phone, library = Browser(app, "2001:db8::1"), Browser(app)
    for browser in (phone, library):
        await browser.sign_in("lan")
    listed = (await here.ask("GET", "/sessions")).json()["items"]
    assert [each["is_current"] for each in listed].count(True) == 1
    assert {each["address"] for each in listed} == {"203.0.113.9", "2001:db8::1"}
    assert not any("token" in key for each in listed for key in each)
    there = next(each["id"] for each in listed if each["address"] == "2001:db8::1")
    assert (await here.ask("DELETE", f"/sessions/{there}")).status_code == 204
    assert (await phone.ask("GET", "/session")).status_code == 401
    assert (await library.ask("GET", "/session")).status_code == 200
    assert (await here.ask("DELETE", "/sessions")).status_code == 204
    assert (await library.ask("GET", "/session")).status_code == 401
    assert (await here.ask("GET", "/session")).status_code == 200


async def test_nobody_ends_the_sessions_of_others(app: FastAPI, time: Clock) -> None:
    lan, minh = await person(app, "lan", time.now), await person(app, "minh", time.now)
    his = (await minh.ask("GET", "/session")).json()["id"]
    assert said(await lan.ask("DELETE", f"/sessions/{his}")) == (404, "not-found")
    assert (await minh.ask("GET", "/session")).status_code == 200


async def test_who_signs_out_has_no_session(app: FastAPI, time: Clock) -> None:
    browser = await person(app, "lan", time.now)
    stolen = browser.session
    assert (await browser.ask("DELETE", "/session")).status_code == 204
    assert browser.session == ""
    browser.session = stolen
    assert (await browser.ask("GET", "/session")).status_code == 401


async def test_a_new_password_ends_the_other_sessions_and_rotates_this_one(
    app: FastAPI, time: Clock
) -> None:
    browser = await person(app, "lan", time.now)
    other = Browser(app)
    await other.sign_in("lan")
    before = browser.session
    body = {"password": PASSWORD, "new_password": OTHER_PASSWORD}
    wrong = await browser.ask("PUT", "/session/password", json=body | {"password": "sai"})
    assert said(wrong) == (401, "unauthenticated")
    weak = await browser.ask(
        "PUT", "/session/password", json=body | {"new_password": "lan12345678"}
    )
    assert weak.json()["field"] == "new_password"
    assert (await browser.ask("PUT", "/session/password", json=body)).status_code == 200
    assert browser.session != before
    assert (await browser.ask("GET", "/session")).status_code == 200
    assert (await other.ask("GET", "/session")).status_code == 401
    browser.session = before
    assert (await browser.ask("GET", "/session")).status_code == 401
    assert (await Browser(app).sign_in("lan")).status_code == 401
    assert (await Browser(app).sign_in("lan", OTHER_PASSWORD)).status_code == 201


async def test_a_disabled_account_has_no_session_and_gets_none(app: FastAPI, time: Clock) -> None:
    browser = await person(app, "lan", time.now)
    async with db.transaction(app.state.engine) as session:
        await session.execute(sa.update(Account).values(state=AccountState.DISABLED))
    assert (await browser.ask("GET", "/session")).status_code == 401
    assert (await Browser(app).sign_in("lan")).status_code == 401


async def test_a_password_is_stored_with_today_s_parameters_at_the_next_sign_in(
    app: FastAPI, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await person(app, "lan", time.now)
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(2, 16, 1))
    assert (await Browser(app).sign_in("lan")).status_code == 201
    async with db.transaction(app.state.engine) as session:
        stored = (await session.scalars(sa.select(Password.password_hash))).one()
    assert "m=16,t=2,p=1" in stored
    assert (await Browser(app).sign_in("lan")).status_code == 201


async def test_an_account_has_a_bounded_number_of_sessions(
    app: FastAPI, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broadcast.accounts.sessions.MOST", 3)
    await person(app, "lan", time.now)
    for _ in range(5):
        time.forward(seconds=1)
        await Browser(app).sign_in("lan")
    async with db.transaction(app.state.engine) as session:
        open_ = await session.scalar(
            sa.select(sa.func.count()).where(AccountSession.ended_at.is_(None))
        )
    assert open_ == 3
