"""Schedules over REST: the routes, who calls them, and what may be scheduled."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.kit import clock, db
from tests.schedules import province
from tests.schedules.province import NOW

PEOPLE = {
    "Lan": Role.PROVINCE_EDITOR,
    "Hùng": Role.PROVINCE_APPROVER,
    "Tèo": Role.PROVINCE_MONITOR,
}
DAILY = {"rrule": "FREQ=DAILY"}


class Web:
    """The routes, who calls them, and what may be scheduled."""

    def __init__(self, engine: AsyncEngine, http: httpx.AsyncClient, content_dir: Path) -> None:
        self.engine = engine
        self.http = http
        self.content_dir = content_dir
        self.tokens: dict[str, str] = {}
        self.now = NOW
        self.bulletin = ""

    async def call(
        self, method: str, path: str, json: Any = None, who: str = "Lan", **headers: str
    ) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given["Authorization"] = f"Bearer {self.tokens[who]}"
        return await self.http.request(method, f"/api/v1{path}", json=json, headers=given)

    async def get(self, path: str) -> Any:
        response = await self.call("GET", path)
        assert response.status_code == 200, response.text
        return response.json()

    def body(self, **changes: Any) -> dict[str, Any]:
        return {
            "bulletin_id": self.bulletin,
            "targets": [{"area": "21253"}],
            "starts_at": "2024-12-28T17:00:00+07:00",
        } | changes

    async def schedule(self, **changes: Any) -> dict[str, Any]:
        response = await self.call("POST", "/schedules", self.body(**changes))
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    async def refused_with(self, status: int, said: str, **changes: Any) -> dict[str, Any]:
        """The problem that such a schedule is answered with, by preview too if it is no clash."""
        response = await self.call("POST", "/schedules", self.body(**changes))
        assert response.status_code == status, response.text
        problem: dict[str, Any] = response.json()
        assert said in problem["detail"]
        if "clashes" not in problem:
            previewed = await self.call("POST", "/schedules/preview", self.body(**changes))
            assert previewed.json() == problem
        return problem

    async def approved(self, **changes: Any) -> str:
        async with db.transaction(self.engine) as session:
            bulletin, _ = await province.approved(session, self.content_dir, **changes)
            return str(bulletin.id)

    async def starts(self, state: str = "planned") -> list[str]:
        page = await self.get(f"/occurrences?state={state}&limit=500")
        return [as_local(row["starts_at"]) for row in page["items"]]


def as_local(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(clock.LOCAL):%m-%d %H:%M}"
