"""Passkeys, by a device in software: what signs in, and everything that must not."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.accounts import passkeys
from broadcast.accounts.model import Passkey
from broadcast.accounts.secret_key import SecretKey
from broadcast.auth.model import Account, AccountState
from broadcast.kit import db
from broadcast.kit.errors import Unavailable
from tests.accounts.authenticator import Authenticator, b64, unb64
from tests.accounts.browser import Browser, application, person, said
from tests.accounts.conftest import Clock

ORIGIN = "https://ttn.example"


@pytest.fixture
async def app(
    engine: AsyncEngine, postgres_dsn: str, tmp_path: Path, time: Clock
) -> AsyncIterator[FastAPI]:
    async with application(engine, postgres_dsn, tmp_path, web={"public_url": ORIGIN}) as made:
        yield made


async def registered(
    app: FastAPI, time: Clock, login: str = "lan"
) -> tuple[Browser, Authenticator]:
    """Somebody who has added the passkey of their phone when they followed their invitation."""
    browser, phone = await person(app, login, time.now), Authenticator(ORIGIN)
    options = (await browser.ask("POST", "/session/passkeys/options")).json()
    body = {"label": "Điện thoại", "credential": phone.create(options)}
    added = await browser.ask("POST", "/session/passkeys", json=body)
    assert (added.status_code, added.json()["label"]) == (201, "Điện thoại"), added.text
    browser.csrf = (await browser.ask("GET", "/session")).json()["csrf_token"]
    return browser, phone


async def question(browser: Browser) -> dict[str, Any]:
    answer = await browser.ask("POST", "/sign-in/passkey/options")
    assert answer.status_code == 200, answer.text
    asked: dict[str, Any] = answer.json()
    return asked


async def answered(browser: Browser, credential: dict[str, Any]) -> Any:
    return await browser.ask("POST", "/sign-in/passkey", json={"credential": credential})


async def test_a_passkey_signs_in_and_is_both_factors(app: FastAPI, time: Clock) -> None:
    _, phone = await registered(app, time)
    browser = Browser(app)
    asked = await question(browser)
    assert (asked["rpId"], asked["userVerification"]) == ("ttn.example", "required")
    answer = await answered(browser, phone.get(asked))
    assert (answer.status_code, answer.json()["method"]) == (201, "passkey")
    assert answer.json()["second_factor_until"] is not None
    assert (await browser.ask("GET", "/session")).json()["login"] == "lan"
    listed = (await browser.ask("GET", "/session/passkeys")).json()["items"]
    assert [each["last_used_at"] is None for each in listed] == [False]
    assert (await browser.ask("GET", "/session/second-factor")).json()["passkeys"] == 1


async def test_an_answer_counts_once(app: FastAPI, time: Clock) -> None:
    _, phone = await registered(app, time)
    credential = phone.get(await question(Browser(app)))
    assert (await answered(Browser(app), credential)).status_code == 201
    assert said(await answered(Browser(app), credential)) == (401, "unauthenticated")


async def test_a_question_is_good_for_five_minutes(app: FastAPI, time: Clock) -> None:
    _, phone = await registered(app, time)
    asked = await question(Browser(app))
    time.forward(minutes=5, seconds=1)
    assert said(await answered(Browser(app), phone.get(asked))) == (401, "unauthenticated")


def _other_question(credential: dict[str, Any], phone: Authenticator) -> dict[str, Any]:
    asked = {"rpId": "ttn.example", "challenge": b64(b"made up by somebody else")}
    return phone.get(asked)


def _other_site(credential: dict[str, Any], phone: Authenticator) -> dict[str, Any]:
    """A page of a sub-domain, which a browser would let ask."""
    phone.origin = "https://evil.ttn.example"
    challenge = _challenge_of(credential)
    return phone.get({"rpId": "ttn.example", "challenge": challenge})


def _unverified(credential: dict[str, Any], phone: Authenticator) -> dict[str, Any]:
    """Whoever has the phone, without finger or PIN."""
    phone.is_verifying = False
    return phone.get({"rpId": "ttn.example", "challenge": _challenge_of(credential)})


def _altered(credential: dict[str, Any], _: Authenticator) -> dict[str, Any]:
    signature = bytearray(unb64(credential["response"]["signature"]))
    signature[-1] ^= 1
    credential["response"]["signature"] = b64(bytes(signature))
    return credential


def _stranger(credential: dict[str, Any], _: Authenticator) -> dict[str, Any]:
    return credential | {"id": b64(b"0" * 16), "rawId": b64(b"0" * 16)}


def _copied(credential: dict[str, Any], phone: Authenticator) -> dict[str, Any]:
    """A copy of the device, which has counted less."""
    phone.count = 0
    return phone.get({"rpId": "ttn.example", "challenge": _challenge_of(credential)})


def _challenge_of(credential: dict[str, Any]) -> str:
    import json  # noqa: PLC0415

    challenge: str = json.loads(unb64(credential["response"]["clientDataJSON"]))["challenge"]
    return challenge


@pytest.mark.parametrize(
    "spoil", [_other_question, _other_site, _unverified, _altered, _stranger, _copied]
)
async def test_what_is_not_signed_as_asked_does_not_sign_in(
    app: FastAPI,
    time: Clock,
    spoil: Callable[[dict[str, Any], Authenticator], dict[str, Any]],
) -> None:
    _, phone = await registered(app, time)
    for _ in range(3):
        first = await answered(Browser(app), phone.get(await question(Browser(app))))
        assert first.status_code == 201
    credential = phone.get(await question(Browser(app)))
    spoilt = spoil(copy.deepcopy(credential), phone)
    assert said(await answered(Browser(app), spoilt)) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "credential",
    [{}, {"id": 1}, {"response": {"clientDataJSON": 7}}, {"response": {"clientDataJSON": "////"}},
     {"response": {"clientDataJSON": "e30"}}, {"id": "", "response": []}],
)  # fmt: skip
async def test_what_is_no_credential_is_refused(
    app: FastAPI, time: Clock, credential: dict[str, Any]
) -> None:
    browser, _ = await registered(app, time)
    assert said(await answered(Browser(app), credential)) == (401, "unauthenticated")
    body = {"label": "x", "credential": credential}
    assert said(await browser.ask("POST", "/session/passkeys", json=body)) == (
        422,
        "invalid-input",
    )


async def test_a_password_alone_adds_no_passkey(app: FastAPI, time: Clock) -> None:
    await person(app, "lan", time.now)
    thief = Browser(app)
    await thief.sign_in("lan")
    refused = await thief.ask("POST", "/session/passkeys/options")
    assert said(refused) == (403, "second-factor-required")


async def test_a_passkey_steps_up_in_its_owner_s_session_only(app: FastAPI, time: Clock) -> None:
    _, phone = await registered(app, time)
    _, other = await registered(app, time, "minh")
    browser = Browser(app)
    await browser.sign_in("lan")
    assert (await browser.ask("GET", "/session")).json()["second_factor_until"] is None

    async def show(device: Authenticator) -> Any:
        asked = (await browser.ask("POST", "/session/second-factor/passkey/options")).json()
        body = {"credential": device.get(asked)}
        return await browser.ask("POST", "/session/second-factor/passkey", json=body)

    assert said(await show(other)) == (401, "unauthenticated")
    before = browser.session
    assert (await show(phone)).json()["second_factor_until"] is not None
    assert browser.session != before
    for_sign_in = phone.get(await question(browser))
    mixed = await browser.ask(
        "POST", "/session/second-factor/passkey", json={"credential": for_sign_in}
    )
    assert said(mixed) == (401, "unauthenticated"), "an answer to another question"


async def test_a_removed_passkey_and_a_disabled_account_do_not_sign_in(
    app: FastAPI, time: Clock
) -> None:
    browser, phone = await registered(app, time)
    _, other = await registered(app, time, "minh")
    (listed,) = (await browser.ask("GET", "/session/passkeys")).json()["items"]
    gone = await browser.ask("DELETE", f"/session/passkeys/{listed['id']}")
    assert gone.status_code == 204
    assert said(await answered(Browser(app), phone.get(await question(browser)))) == (
        401, "unauthenticated",
    )  # fmt: skip
    async with db.transaction(app.state.engine) as session:
        await session.execute(
            sa.update(Account).filter_by(login="minh").values(state=AccountState.DISABLED)
        )
    refused = await answered(Browser(app), other.get(await question(Browser(app))))
    assert said(refused) == (401, "unauthenticated")


async def test_nobody_removes_the_passkeys_of_others(app: FastAPI, time: Clock) -> None:
    browser, _ = await registered(app, time)
    await registered(app, time, "minh")
    async with db.transaction(app.state.engine) as session:
        his = (await session.scalars(sa.select(Passkey.id).order_by(Passkey.id.desc()))).first()
    assert said(await browser.ask("DELETE", f"/session/passkeys/{his}")) == (404, "not-found")


async def test_the_same_device_is_not_added_twice(app: FastAPI, time: Clock) -> None:
    browser, phone = await registered(app, time)
    options = (await browser.ask("POST", "/session/passkeys/options")).json()
    assert {each["id"] for each in options["excludeCredentials"]} == phone.held.keys()


def test_a_passkey_needs_a_name() -> None:
    assert passkeys.place(config.Web()) == ("localhost", "http://localhost:8080")
    named = config.Web(public_url="https://ttn.example:8443")
    assert passkeys.place(named) == ("ttn.example", "https://ttn.example:8443")
    for address in ("http://192.0.2.7", "https://[2001:db8::1]"):
        with pytest.raises(Unavailable, match="tên miền"):
            passkeys.place(config.Web(public_url=address))


def test_a_ticket_is_read_by_who_made_it_and_for_its_time(time: Clock) -> None:
    key = SecretKey()
    ticket = key.ticket("nội dung", time.now)
    assert key.open_ticket(ticket, passkeys.VALID, time.now) == "nội dung"
    assert SecretKey().open_ticket(ticket, passkeys.VALID, time.now) is None
    assert key.open_ticket(ticket[:-2] + "AA", passkeys.VALID, time.now) is None
    assert key.open_ticket("x", passkeys.VALID, time.now) is None
    time.forward(minutes=6)
    assert key.open_ticket(ticket, passkeys.VALID, time.now) is None
