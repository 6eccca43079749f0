"""Languages over REST: the province of the inbox; its first village speaks Hrê and Vietnamese."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.accounts import routes as accounts
from broadcast.areas import routes as areas
from broadcast.auth.permissions import Role
from broadcast.bulletins import revisions
from broadcast.bulletins import routes as bulletins
from broadcast.bulletins.audio.prepared import Prepared
from broadcast.bulletins.model import Bulletin, Preparation, PreparationState, Revision
from broadcast.bulletins.revision_audio import attach_audio
from broadcast.grid import routes as grid
from broadcast.kit import clock, db
from broadcast.languages import mixing
from broadcast.languages import routes as languages
from broadcast.schedules import revision_routes
from broadcast.schedules import routes as schedules
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from tests.bulletins import make
from tests.inbox import conftest as inbox

ROUTERS = (
    accounts.router, areas.router, bulletins.router, grid.router, languages.router,
    schedules.router, revision_routes.router,
)  # fmt: skip

AN, PHU = inbox.AN, inbox.PHU

PEOPLE = {
    **inbox.PEOPLE,
    "Đinh": (Role.COMMUNE_BROADCASTER, PHU),
    "Phạm": (Role.COMMUNE_APPROVER, PHU),
}


class World(inbox.World):
    """Who asks what, and when; recordings become sound at once."""

    settings: config.Settings
    ids: dict[str, int]

    async def knows(self, who: str, *languages: str) -> None:
        """Note which languages somebody knows."""
        path = f"/accounts/{self.ids[who]}/languages"
        await self.ok("Quản", "PUT", path, {"languages": languages})

    async def speaks(self, village: str, *languages: str) -> None:
        """Note the languages of a village."""
        body = {"languages": [{"language": each} for each in languages]}
        await self.ok("Quản", "PUT", f"/village-languages/{village}", body)

    async def asked(self, bulletin: str, **changes: Any) -> Any:
        """A version that Đinh is asked to read."""
        body = {
            "language": "hre", "reader_id": self.ids["Đinh"], "area_code": PHU,
            "due_at": "2024-12-30T10:00:00+07:00",
        } | changes  # fmt: skip
        return await self.ok("Quản", "POST", f"/bulletins/{bulletin}/versions", body)

    async def original_of(self, bulletin: str) -> int | None:
        """Newest approved revision of the original, of a version; None of others."""
        async with db.transaction(self.engine) as session:
            row = await session.get_one(Bulletin, UUID(bulletin))
            newest = row.version_of and await revisions.newest_approved(session, row.version_of)
            return newest.number if newest else None

    async def record(
        self,
        who: str,
        bulletin: str,
        said: bytes,
        seconds: float = 61.5,
        *,
        original: int | None = None,
    ) -> int:
        """Somebody uploads a recording as the next revision; its sound is ready.

        Of a version by default of the newest revision of its original.
        """
        seen = original or await self.original_of(bulletin)
        answer = await self.http.post(
            f"/api/v1/bulletins/{bulletin}/revisions",
            data={} if seen is None else {"original_revision": str(seen)},
            files={"file": ("thu.webm", said, "audio/webm")},
            headers={"Authorization": f"Bearer {self.tokens[who]}"},
        )
        assert answer.is_success, answer.text
        number = int(answer.json()["number"])
        async with db.transaction(self.engine) as session:
            row = await session.get_one(Revision, (UUID(bulletin), number))
            attach_audio(session, row, self.sound(said, seconds))
        return number

    def sound(self, said: bytes, seconds: float) -> Prepared:
        made = make.prepared(self.content_dir, b"opus " + said, b"mp3 " + said)
        renditions = tuple(replace(each, seconds=seconds) for each in made.renditions)
        return replace(made, seconds=seconds, renditions=renditions)

    async def take(self, who: str, bulletin: str, number: int, action: str) -> httpx.Response:
        """A step of an approval."""
        return await self.ask(
            who, "POST", f"/bulletins/{bulletin}/revisions/{number}/{action}", {}
        )

    async def read(self, version: str, said: bytes, seconds: float = 61.5) -> int:
        """Đinh reads a version and Phạm approves it."""
        number = await self.record("Đinh", version, said, seconds)
        assert (await self.take("Đinh", version, number, "submit")).is_success
        approved = await self.take("Phạm", version, number, "approve")
        assert approved.is_success, approved.text
        return number

    async def mix(self, *, again: bool = False) -> int:
        """Steps of the leader; what is joined is as long as its parts."""
        changed = 0
        for _ in range(3):
            async with db.transaction(self.engine) as session:
                changed += await mixing.step(session, self.settings, self.now, again=again)
                for row in await session.scalars(
                    sa.select(Preparation).where(Preparation.state == PreparationState.WAITING)
                ):
                    if row.framing and row.framing["is_joined"]:
                        row.state = PreparationState.DONE
                        prepared = self.sound(row.content_sha256.encode(), 140)
                        row.result = TypeAdapter(Prepared).dump_python(prepared, mode="json")
        return changed


@pytest.fixture
async def world(
    engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    app = FastAPI()
    rest.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.state.engine = engine
    app.state.limit = limit
    app.state.settings = config.Settings(content_dir=tmp_path)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        world = World(engine, http, tmp_path)
        world.settings = app.state.settings
        monkeypatch.setattr(clock, "now", lambda: world.now)
        async with db.transaction(engine) as session:
            await inbox.build(session)
        for name, (role, place) in PEOPLE.items():
            await world.employ(name, role, place)
        page = await world.ok("Quản", "GET", "/accounts?limit=500")
        world.ids = {each["name"]: each["id"] for each in page["items"]}
        await world.knows("Đinh", "hre")
        await world.knows("Phạm", "hre", "vi")
        await world.speaks("T-1", "hre", "vi")
        yield world
