"""One-time links: there is no password that everybody knows."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from typer.testing import CliRunner

from broadcast.accounts import people, setup
from broadcast.accounts.model import OneTimeLink, Purpose
from broadcast.auth.model import Account, AccountState, Grant
from broadcast.auth.permissions import Role
from broadcast.kit import clock, db
from tests.accounts.browser import OTHER_PASSWORD, PASSWORD, Browser, invited, person, said
from tests.accounts.conftest import Clock

ADMINISTRATOR = {"password": PASSWORD, "login": "quan", "name": "Trần Thị Quản"}


async def first_code(app: FastAPI, time: Clock) -> str:
    link = await setup.first_link(app.state.engine, app.state.settings, time.now)
    assert link is not None
    address, _, code = link.partition("#")
    assert address == "http://127.0.0.1:8080/setup"
    return code


async def test_the_first_start_makes_one_administrator(app: FastAPI, time: Clock) -> None:
    code = await first_code(app, time)
    browser = Browser(app)
    answer = await browser.ask("POST", "/setup", json=ADMINISTRATOR | {"code": code})
    assert (answer.status_code, answer.json()["method"]) == (201, "link")
    assert (await browser.ask("GET", "/session")).json()["login"] == "quan"
    async with db.transaction(app.state.engine) as session:
        held = (await session.scalars(sa.select(Grant))).one()
    assert (held.role, held.area_code) == (Role.PROVINCE_ADMIN, None)
    again = await Browser(app).ask("POST", "/setup", json=ADMINISTRATOR | {"code": code})
    assert said(again) == (401, "unauthenticated")
    assert await setup.first_link(app.state.engine, app.state.settings, time.now) is None


async def test_only_the_newest_first_link_is_good_and_for_an_hour(
    app: FastAPI, time: Clock
) -> None:
    old, new = await first_code(app, time), await first_code(app, time)
    assert (
        await Browser(app).ask("POST", "/setup", json=ADMINISTRATOR | {"code": old})
    ).status_code == 401
    time.forward(minutes=61)
    late = await Browser(app).ask("POST", "/setup", json=ADMINISTRATOR | {"code": new})
    assert said(late) == (401, "unauthenticated")


async def test_two_who_race_for_the_first_link_are_one(app: FastAPI, time: Clock) -> None:
    code = await first_code(app, time)
    answers = await asyncio.gather(
        *(
            Browser(app).ask("POST", "/setup", json=ADMINISTRATOR | {"code": code, "login": login})
            for login in ("quan", "quan2", "quan3")
        )
    )
    assert sorted(each.status_code for each in answers) == [201, 401, 401]


@pytest.mark.parametrize(("missing", "field"), [("login", "login"), ("name", "name")])
async def test_the_first_administrator_says_who_they_are(
    app: FastAPI, time: Clock, missing: str, field: str
) -> None:
    body: dict[str, Any] = ADMINISTRATOR | {"code": await first_code(app, time)}
    del body[missing]
    answer = await Browser(app).ask("POST", "/setup", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert (
        await Browser(app).ask("POST", "/setup", json=ADMINISTRATOR | {"code": body["code"]})
    ).status_code == 201, "a mistake does not use the link up"


async def test_an_invitation_sets_a_password_and_a_login(app: FastAPI, time: Clock) -> None:
    code = await invited(app.state.engine, "Lê Văn Đài", Role.PROVINCE_EDITOR, time.now)
    body = {"code": code, "password": PASSWORD}
    assert (await Browser(app).ask("POST", "/setup", json=body)).json()["field"] == "login"
    answer = await Browser(app).ask("POST", "/setup", json=body | {"login": "Dai.Le"})
    assert (answer.status_code, answer.json()["login"]) == (201, "dai.le")
    assert (await Browser(app).sign_in("dai.le")).status_code == 201


async def test_a_login_is_of_one_account(app: FastAPI, time: Clock) -> None:
    await person(app, "lan", time.now)
    code = await invited(app.state.engine, "Lê Văn Đài", Role.PROVINCE_EDITOR, time.now)
    body = {"code": code, "password": PASSWORD, "login": "LAN"}
    answer = await Browser(app).ask("POST", "/setup", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, "login")


async def test_a_weak_password_is_refused_by_name(app: FastAPI, time: Clock) -> None:
    code = await invited(app.state.engine, "Lê Văn Đài", Role.PROVINCE_EDITOR, time.now, "dai")
    answer = await Browser(app).ask(
        "POST", "/setup", json={"code": code, "password": "Lê Văn Đài 1"}
    )
    assert (answer.status_code, answer.json()["field"]) == (422, "password")


async def test_a_reset_ends_the_sessions_and_the_old_password(app: FastAPI, time: Clock) -> None:
    browser = await person(app, "lan", time.now)
    async with db.transaction(app.state.engine) as session:
        account = (await session.scalars(sa.select(Account).filter_by(login="lan"))).one()
        code = await setup.issue(session, Purpose.RESET, account.id, time.now, timedelta(days=1))
    body = {"code": code, "password": OTHER_PASSWORD}
    assert (await Browser(app).ask("POST", "/setup", json=body)).status_code == 201
    assert (await browser.ask("GET", "/session")).status_code == 401
    assert (await Browser(app).sign_in("lan")).status_code == 401
    assert (await Browser(app).sign_in("lan", OTHER_PASSWORD)).status_code == 201


async def test_only_the_hash_of_a_code_is_stored(app: FastAPI, time: Clock) -> None:
    code = await first_code(app, time)
    async with db.transaction(app.state.engine) as session:
        row = (await session.scalars(sa.select(OneTimeLink))).one()
    assert code not in str(vars(row))


@pytest.mark.servers
def test_the_command_line_makes_links(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from broadcast.accounts.cli import app  # noqa: PLC0415

    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", postgres_dsn)
    monkeypatch.setenv("BROADCAST_WEB__PUBLIC_URL", "https://ttn.quangngai.gov.vn")

    def run(*words: str) -> str:
        return CliRunner().invoke(app, list(words), catch_exceptions=False).stdout.strip()

    first = run("setup")
    assert first.startswith("https://ttn.quangngai.gov.vn/setup#")
    link = run("invite", "Lê Văn Đài", "--role", "province_editor", "--login", "dai")
    code = link.partition("#")[2]

    async def use() -> str:
        engine = db.create_engine(_settings(postgres_dsn))
        async with db.transaction(engine) as session:
            chosen = setup.Chosen(PASSWORD)
            account = await setup.redeem(engine, session, code, chosen, clock.now())
        await engine.dispose()
        return str(account.login)

    assert asyncio.run(use()) == "dai"
    assert run("reset", "dai").startswith("https://ttn.quangngai.gov.vn/setup#")


def _settings(dsn: str) -> Any:
    from pydantic import SecretStr  # noqa: PLC0415

    from broadcast import config  # noqa: PLC0415

    return config.Postgres(dsn=SecretStr(dsn))


async def test_a_link_of_a_disabled_account_stays_worthless(app: FastAPI, time: Clock) -> None:
    code = await invited(app.state.engine, "Lê Văn Đài", Role.PROVINCE_EDITOR, time.now, "dai")
    async with db.transaction(app.state.engine) as session:
        account = (await session.scalars(sa.select(Account).filter_by(login="dai"))).one()
        for state in (AccountState.DISABLED, AccountState.ACTIVE):
            await people.change(session, account, account.name, state, time.now)
    answer = await Browser(app).ask("POST", "/setup", json={"code": code, "password": PASSWORD})
    assert said(answer) == (401, "unauthenticated")
