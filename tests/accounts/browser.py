"""A browser: keeps the cookie of its session and sends the token that a change needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx2 as httpx
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.accounts import grants, people, setup
from broadcast.accounts.model import Purpose
from broadcast.api import create_app
from broadcast.auth.permissions import Role
from broadcast.auth.session import COOKIE, CSRF_HEADER
from broadcast.kit import db
from broadcast.web import problems
from tests.web.routes import worked_out

PASSWORD = "bốn con trâu ăn cỏ"  # noqa: RUF100
OTHER_PASSWORD = "mưa rào qua đồi chè"


class Browser:
    """Somebody's browser, at an address of their own."""

    def __init__(self, app: FastAPI, address: str = "203.0.113.9") -> None:
        transport = httpx.ASGITransport(app, client=(address, 1), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="https://ttn.example")
        self.session = ""
        self.csrf = ""

    async def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        given = {"Sec-Fetch-Site": "same-origin", "User-Agent": "Firefox"}
        if self.session:
            given |= {"Cookie": f"{COOKIE}={self.session}", CSRF_HEADER: self.csrf}
        self.http.cookies.clear()
        answer = await self.http.request(
            method, f"/api/v1{path}", headers=given | (headers or {}), **more
        )
        for set_cookie in answer.headers.get_list("set-cookie"):
            morsel = SimpleCookie(set_cookie).get(COOKIE)
            if morsel is not None:
                assert (morsel["secure"], morsel["httponly"]) == (True, True)
                assert (morsel["path"], morsel["samesite"]) == ("/", "lax")
                self.session = morsel.value
        if answer.headers.get("content-type", "").startswith("application/json"):
            told = answer.json()
            self.csrf = told.get("csrf_token", self.csrf) if isinstance(told, dict) else self.csrf
        return answer

    async def sign_in(self, login: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
        return await self.ask(
            "POST", "/sign-in", json={"login": login, "password": password, **more}
        )


@asynccontextmanager
async def application(
    engine: AsyncEngine, dsn: str, folder: Path, **settings: Any
) -> AsyncIterator[FastAPI]:
    """The whole application over a database."""
    app = worked_out(
        create_app(
            config.Settings(
                postgres=config.Postgres(dsn=SecretStr(dsn)), content_dir=folder, **settings
            ),
            engine,
        )
    )
    yield app
    await app.state.refusals.close()


async def invited(
    engine: AsyncEngine, name: str, role: Role, now: datetime, login: str | None = None
) -> str:
    """Code of the invitation of somebody."""
    async with db.transaction(engine) as session:
        account = await people.create_account(session, name, now)
        account.login = login
        await grants.grant(session, account.id, role, None, now)
        settings = config.SignIn()
        return await setup.issue(session, Purpose.INVITE, account.id, now, settings.link_valid)


async def person(
    app: FastAPI, login: str, now: datetime, role: Role = Role.PROVINCE_EDITOR
) -> Browser:
    """Somebody who has followed their invitation, and is signed in by it."""
    code = await invited(app.state.engine, "Nguyễn Thị Lan", role, now, login)
    browser = Browser(app)
    answer = await browser.ask("POST", "/setup", json={"code": code, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return browser


def said(answer: httpx.Response) -> tuple[int, str]:
    """Status and kind of a problem."""
    return answer.status_code, answer.json()["type"].removeprefix(problems.PROBLEM_TYPE)
