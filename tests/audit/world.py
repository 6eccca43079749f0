"""The whole application over a sample province, and what its audit says."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.accounts.people import create_with_token
from broadcast.api import create_app
from broadcast.audit.entry import Entry, decode
from broadcast.audit.model import AuditEntry
from broadcast.auth.permissions import Role
from broadcast.keys import changes
from broadcast.kit import clock, db
from tests.enrolment.fleet import installation
from tests.keys.memory import MemoryStore
from tests.schedules import province
from tests.web.routes import worked_out

PEOPLE = {"Lan": Role.PROVINCE_EDITOR, "Hùng": Role.PROVINCE_APPROVER, "Tèo": Role.TECHNICIAN,
          "Quản": Role.PROVINCE_ADMIN, "Tâm": Role.PROVINCE_MONITOR}  # fmt: skip


class World:
    """Who calls what."""

    def __init__(
        self, engine: AsyncEngine, app: FastAPI, http: httpx.AsyncClient, content_dir: Path
    ) -> None:
        self.engine = engine
        self.app = app
        self.http = http
        self.content_dir = content_dir
        self.tokens: dict[str, str] = {}
        self.bulletin = ""

    async def call(
        self,
        method: str,
        path: str,
        who: str = "Quản",
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        given = {"Authorization": f"Bearer {self.tokens[who]}"} | (headers or {})
        return await self.http.request(method, f"/api/v1{path}", headers=given, **more)

    async def entries(self) -> list[Entry]:
        """All entries in their order."""
        return [decode(line) for line in await self.lines()]

    async def lines(self) -> list[str]:
        await self.app.state.refusals.close()
        async with db.transaction(self.engine) as session:
            rows = await session.scalars(sa.select(AuditEntry.entry).order_by(AuditEntry.seq))
            return list(rows)

    def schedule(self, **changes: Any) -> dict[str, Any]:
        return {
            "bulletin_id": self.bulletin,
            "targets": [{"area": "21253"}],
            "starts_at": "2024-12-28T17:00:00+07:00",
        } | changes


@asynccontextmanager
async def world_of(
    engine: AsyncEngine, dsn: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    postgres = config.Postgres(dsn=SecretStr(dsn))
    settings = installation(folder).model_copy(
        update={
            "postgres": postgres,
            "content_dir": folder,
            "web": config.Web(public_url="https://ttn.example"),
            "openid": config.OpenId(issuer="https://dangnhap.example"),
        }
    )
    app = worked_out(create_app(settings, engine))
    transport = httpx.ASGITransport(app, client=("192.0.2.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        world = World(engine, app, http, folder)
        monkeypatch.setattr(clock, "now", lambda: province.NOW)
        monkeypatch.setattr(clock, "today", lambda: province.TODAY)
        async with db.transaction(engine) as session:
            await province.build(session)
            await changes.begin(session, MemoryStore(), province.NOW)
            for person, role in PEOPLE.items():
                world.tokens[person] = await create_with_token(
                    session, person, role, province.NOW, second_factor=True
                )
            bulletin, _ = await province.approved(session, folder)
            world.bulletin = str(bulletin.id)
        yield world


def chained(lines: list[str]) -> list[str]:
    """The hashes that a chain of these lines has."""
    hashes, before = [], "0" * 64
    for number, line in enumerate(lines, 1):
        before = hashlib.sha256(f"{before} {number} {line}".encode()).hexdigest()
        hashes.append(before)
    return hashes
