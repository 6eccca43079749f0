"""Inboxes over REST: the whole application on the sample province, in which 21253 joins 21262."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.accounts.people import create_with_token
from broadcast.areas.model import AreaLineage, Level, Part
from broadcast.areas.topology import touch
from broadcast.auth.permissions import Role
from broadcast.bulletins import routes as bulletins
from broadcast.bulletins.model import RevisionState
from broadcast.calendars import routes as calendars
from broadcast.grid import routes as grid
from broadcast.inbox import routes as inbox
from broadcast.inbox.placement import Placer
from broadcast.kit import clock, db
from broadcast.schedules import regulation_routes, revision_routes
from broadcast.schedules import routes as schedules
from broadcast.stations.model import Plant
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from broadcast.wire.fields import BulletinClass
from tests.bulletins import make
from tests.province import area, cluster, device, installation, service

NOW = datetime(2024, 12, 28, 1, tzinfo=UTC)
"""08:00 on a Saturday."""

ROUTERS = (
    bulletins.router, calendars.router, grid.router, inbox.router, schedules.router,
    revision_routes.router, regulation_routes.router,
)  # fmt: skip

AN, PHU = "21262", "21253"
"""Nghĩa An; Nghĩa Phú, which goes into it on 1 January."""

PEOPLE = {
    "Lan": (Role.PROVINCE_EDITOR, None),
    "Quản": (Role.PROVINCE_ADMIN, None),
    "An": (Role.COMMUNE_BROADCASTER, AN),
    "Ân": (Role.COMMUNE_APPROVER, AN),
    "Phú": (Role.COMMUNE_BROADCASTER, PHU),
    "Dõi": (Role.COMMUNE_MONITOR, AN),
}


class World:
    """Who asks what, and when."""

    def __init__(self, engine: AsyncEngine, http: httpx.AsyncClient, content_dir: Path) -> None:
        self.engine = engine
        self.http = http
        self.content_dir = content_dir
        self.tokens: dict[str, str] = {}
        self.now = NOW

    async def employ(self, name: str, role: Role, area: str | None) -> None:
        """Give somebody a role today."""
        async with db.transaction(self.engine) as session:
            self.tokens[name] = await create_with_token(
                session, name, role, self.now, area_code=area, second_factor=True
            )

    async def ask(self, who: str, method: str, path: str, json: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        return await self.http.request(method, f"/api/v1{path}", json=json, headers=headers)

    async def ok(self, who: str, method: str, path: str, json: Any = None) -> Any:
        answer = await self.ask(who, method, path, json)
        assert answer.is_success, answer.text
        return answer.json()

    async def bulletin(
        self,
        of: str = "51",
        class_: BulletinClass = BulletinClass.NORMAL,
        title: str = "Tiêm phòng",
        seconds: float = 61.5,
    ) -> str:
        """An approved one."""
        async with db.transaction(self.engine) as session:
            made = await make.bulletin(session, area_code=of, class_=class_, title=title)
            body = str(made.id).encode()
            sound = make.prepared(self.content_dir, b"opus" + body, b"mp3" + body)
            sound = replace(sound, seconds=seconds)
            await make.revision(session, made, sound, RevisionState.APPROVED)
            return str(made.id)

    async def send(self, bulletin: str, *areas: str, until: str = "2025-01-20") -> list[Any]:
        """Send a bulletin and have it placed, where it is; the items afterwards."""
        sent = await self.send_only(bulletin, *areas, until=until)
        await place_all(self.engine, self.now)
        return [await self.ok("Lan", "GET", f"/inbox-items/{each['id']}") for each in sent]

    async def send_only(self, bulletin: str, *areas: str, until: str = "2025-01-20") -> list[Any]:
        """The items as they are before the leader has come to them."""
        body = {"bulletin_id": bulletin, "areas": areas or ["51"], "useful_until": until}
        found: list[Any] = await self.ok("Lan", "POST", "/inbox-items", body)
        return found

    async def item(self, commune: str = AN, **more: Any) -> str:
        """A normal bulletin that waits in the inbox of a commune."""
        (item,) = await self.send(await self.bulletin(**more), commune)
        return str(item["id"])

    async def inbox(self, who: str) -> dict[str, str]:
        """States by item."""
        page = await self.ok(who, "GET", "/inbox-items?limit=500")
        return {each["id"]: each["state"] for each in page["items"]}

    async def own(self, at: str, class_: BulletinClass, title: str, area: str = AN) -> str:
        """A schedule of the commune's own; its occurrence."""
        body = {
            "bulletin_id": await self.bulletin(area, class_, title),
            "targets": [{"area": area}], "starts_at": at,
        }  # fmt: skip
        made = await self.ok("An" if area == AN else "Phú", "POST", "/schedules", body)
        page = await self.ok("Lan", "GET", f"/occurrences?schedule={made['id']}")
        return str(page["items"][0]["id"])

    async def sounds(self, **wanted: Any) -> list[tuple[str, str, tuple[str, ...]]]:
        """What is planned: start, title and documents, by time."""
        query = "&".join(f"{name}={value}" for name, value in wanted.items())
        page = await self.ok("Lan", "GET", f"/occurrences?state=planned&limit=500&{query}")
        return [
            (as_local(each["starts_at"]), each["title"], tuple(each["scopes"]))
            for each in page["items"]
        ]


async def place_all(engine: AsyncEngine, now: datetime) -> None:
    """What the leader does once it is woken."""
    assert not await Placer(engine, config.Rules()).step(now, lambda: False)


def as_local(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(clock.LOCAL):%m-%d %H:%M:%S}"


async def build(session: AsyncSession) -> None:
    """Two communes with a village and a device each, which become one on 1 January."""
    last = date(2024, 12, 31)
    plant = Plant(code="P-1", name="P-1")
    session.add_all([
        area("51", Level.PROVINCE),
        area("522", Level.DISTRICT, "51"),
        area(PHU, Level.COMMUNE, "522", valid_to=last),
        area(AN, Level.COMMUNE, "522"),
        area("T-1", Level.VILLAGE, PHU, valid_to=last),
        area("T-1", Level.VILLAGE, AN, valid_from=last + timedelta(days=1)),
        area("T-2", Level.VILLAGE, AN),
        AreaLineage(
            old_code=PHU, new_code=AN, effective_on=last + timedelta(days=1), part=Part.WHOLE,
            legal_act="1279/NQ-UBTVQH15",
        ),
        plant,
    ])  # fmt: skip
    await session.flush()
    for number in (1, 2):
        pole, box = cluster(f"C-{number}", plant), device(f"D-{number}", NOW)
        session.add_all([pole, box])
        await session.flush()
        session.add_all([service(pole, f"T-{number}"), installation(box, pole, NOW)])
    await touch(session)
    await session.flush()


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
        monkeypatch.setattr(clock, "now", lambda: world.now)
        async with db.transaction(engine) as session:
            await build(session)
        for name, (role, place) in PEOPLE.items():
            await world.employ(name, role, place)
        yield world
