"""The people of a demo: a broadcaster and an approver, at work over REST."""

from __future__ import annotations

from datetime import datetime
from types import TracebackType
from typing import Any
from uuid import uuid4

import httpx

from broadcast.errors import BroadcastError


class Refused(BroadcastError):
    """The server answered a request of the demo with a problem."""


class Api:
    """REST as people use it: each with a token of their own."""

    def __init__(self, url: str, broadcaster: str, approver: str) -> None:
        self._client = httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=120)
        self._broadcaster = {"Authorization": f"Bearer {broadcaster}"}
        self._approver = {"Authorization": f"Bearer {approver}"}

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def approved_bulletin(
        self, title: str, text: str, area_code: str, level: str = "normal"
    ) -> dict[str, Any]:
        """A bulletin read aloud from text, submitted by one person and approved by another."""
        created = await self._post(
            "/bulletins",
            {"title": title, "text": text, "area_code": area_code, "class": level},
            self._broadcaster,
        )
        revision = f"/bulletins/{created['id']}/revisions/1"
        await self._post(f"{revision}/submit", {}, self._broadcaster)
        await self._post(f"{revision}/approve", {"note": "Đã nghe, đồng ý phát."}, self._approver)
        return created

    async def schedule(
        self,
        bulletin: dict[str, Any],
        targets: list[dict[str, str]],
        starts_at: datetime,
        **more: object,
    ) -> dict[str, Any]:
        """A schedule of the approved revision."""
        body = {
            "bulletin_id": bulletin["id"],
            "targets": targets,
            "starts_at": starts_at.isoformat(),
            **more,
        }
        return await self._post("/schedules", body, self._approver)

    async def _post(self, path: str, body: object, who: dict[str, str]) -> dict[str, Any]:
        headers = who | {"Idempotency-Key": str(uuid4())}
        response = await self._client.post(path, json=body, headers=headers)
        if response.is_error:
            raise Refused(f"{path}: {response.text}")
        answer: dict[str, Any] = response.json()
        return answer
