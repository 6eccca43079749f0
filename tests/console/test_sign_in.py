"""The doors of the console, without scripts; `journeys/` has those with."""

from __future__ import annotations

from datetime import timedelta

import httpx2 as httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.accounts import grants, passwords, people, setup
from broadcast.api import create_app
from broadcast.auth.permissions import Role
from broadcast.auth.session import COOKIE, CSRF_COOKIE, CSRF_HEADER
from broadcast.kit import clock, db
from tests.console.conftest import BROWSER, Pages
from tests.web.routes import worked_out

PASSWORD = "mot cau ngan de nho"


@pytest.fixture
async def door(pages: Pages, engine: AsyncEngine) -> httpx.AsyncClient:
    """A browser of somebody with a password, who has not signed in."""
    now = clock.now()
    async with db.transaction(engine) as session:
        account = await people.create_account(session, "Lan Anh", now - timedelta(days=1))
        account.login = "lan.anh"
        await grants.grant(session, account.id, Role.PROVINCE_MONITOR, None, now)
        await setup.set_password(session, account.id, await passwords.hashed(PASSWORD), now)
    return browser(pages.settings, engine)


def browser(settings: config.Settings, engine: AsyncEngine) -> httpx.AsyncClient:
    app = worked_out(create_app(settings, engine))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="https://127.0.0.1",  # cookies are for TLS alone
        headers=BROWSER,
    )


async def test_who_has_not_signed_in_is_sent_to_the_door_and_back(
    door: httpx.AsyncClient,
) -> None:
    sent = await door.get("/components?x=1")
    assert (sent.status_code, sent.headers["location"]) == (
        303, "/sign-in?next=/components%3Fx%3D1",
    )  # fmt: skip
    given = {"login": "lan.anh", "password": PASSWORD, "next": "/components?x=1"}
    entered = await door.post("/sign-in", data=given)
    assert (entered.status_code, entered.headers["location"]) == (303, "/components?x=1")
    assert (await door.get("/components")).status_code == 200


async def test_a_wrong_password_is_said_and_the_login_kept(door: httpx.AsyncClient) -> None:
    answer = await door.post("/sign-in", data={"login": "lan.anh", "password": "x", "next": "/"})
    assert answer.status_code == 401
    assert "không đúng" in answer.text
    assert 'value="lan.anh"' in answer.text
    assert COOKIE not in door.cookies


async def test_a_change_needs_the_token_that_only_our_pages_read(door: httpx.AsyncClient) -> None:
    await door.post("/sign-in", data={"login": "lan.anh", "password": PASSWORD})
    refused = await door.post("/sign-out")
    assert refused.status_code == 403
    token = {CSRF_HEADER: door.cookies[CSRF_COOKIE]}
    left = await door.post("/sign-out", headers=token)
    assert left.headers["hx-redirect"] == "/sign-in"
    assert (await door.get("/")).status_code == 303


async def test_another_sites_form_does_not_sign_in(door: httpx.AsyncClient) -> None:
    answer = await door.post(
        "/sign-in",
        data={"login": "lan.anh", "password": PASSWORD},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert answer.status_code == 403
    assert COOKIE not in door.cookies


async def test_one_click_signs_in_only_where_the_settings_say_so(
    door: httpx.AsyncClient, pages: Pages, engine: AsyncEngine
) -> None:
    assert (await door.post("/sign-in/demo", data={"login": "lan.anh"})).status_code == 404
    assert "một lần bấm" not in (await door.get("/sign-in")).text
    demo = pages.settings.model_copy(update={"sign_in": config.SignIn(demo=("lan.anh",))})
    shown = browser(demo, engine)
    assert "Lan Anh" in (await shown.get("/sign-in")).text
    assert (await shown.post("/sign-in/demo", data={"login": "other"})).status_code == 404
    entered = await shown.post("/sign-in/demo", data={"login": "lan.anh"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    assert (await shown.get("/")).status_code == 200


async def test_one_click_is_for_this_machine_alone(
    door: httpx.AsyncClient, pages: Pages, engine: AsyncEngine
) -> None:
    outside = pages.settings.model_copy(
        update={
            "sign_in": config.SignIn(demo=("lan.anh",)),
            "web": config.Web(host="0.0.0.0"),
        }
    )
    answer = await browser(outside, engine).post("/sign-in/demo", data={"login": "lan.anh"})
    assert answer.status_code == 404
