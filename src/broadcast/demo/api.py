"""The people of a demo: a broadcaster and an approver, at work over REST."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from types import TracebackType
from typing import Any
from uuid import uuid4

import httpx2 as httpx

from broadcast.kit.errors import BroadcastError


class Refused(BroadcastError):
    """The server answered a request of the demo with a problem."""


RETRY_SECONDS = 0.5
PREPARING_SECONDS = 0.2
"""Between two questions whether a bulletin's sound is ready."""


class Api:
    """REST as people use it: each with a token of their own.

    Attributes:
        answers: How often each status came, 0 for none.
    """

    def __init__(self, url: str, broadcaster: str, approver: str, patience: float = 0.0) -> None:
        """Describe the people.

        Args:
            url: Base address of the server.
            broadcaster: Token of who writes bulletins.
            approver: Token of who approves and schedules them.
            patience: Seconds for which they try again while the server is away or unwell.
        """
        self._client = httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=120)
        self._patience = patience
        self.answers: Counter[int] = Counter()
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
        created = await self.submitted_bulletin(title, text, area_code, level)
        revision = f"/bulletins/{created['id']}/revisions/1"
        consent = {"note": "Đã nghe, đồng ý phát."}
        await self._post(f"{revision}/approve", consent, self._approver, reached="approved")
        return await self._get(f"/bulletins/{created['id']}", self._broadcaster)

    async def submitted_bulletin(
        self, title: str, text: str, area_code: str, level: str = "normal"
    ) -> dict[str, Any]:
        """A bulletin read aloud from text, that waits for somebody to approve it."""
        created = await self._post(
            "/bulletins",
            {"title": title, "text": text, "area_code": area_code, "class": level},
            self._broadcaster,
        )
        revision = f"/bulletins/{created['id']}/revisions/1"
        await self._prepared(revision)
        await self._post(f"{revision}/submit", {}, self._broadcaster, reached="submitted")
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

    async def send(
        self, bulletin: dict[str, Any], areas: list[str], useful_until: datetime
    ) -> None:
        """The approved bulletin into the inboxes of communes."""
        body = {
            "bulletin_id": bulletin["id"],
            "areas": areas,
            "useful_until": useful_until.isoformat(),
        }
        await self._post("/inbox-items", body, self._approver)

    async def air_session(
        self, name: str, area_code: str, starts_at: datetime, items: Sequence[tuple[str, Any]]
    ) -> None:
        """A session of the programme grid, every day: kinds of items and their bulletins."""
        body = {
            "area_code": area_code,
            "name": name,
            "starts_at": starts_at.isoformat(),
            "seconds": 900,
            "items": [{"kind": kind, "bulletin_id": bulletin["id"]} for kind, bulletin in items],
        }
        await self._post("/air-sessions", body, self._approver)

    async def proposed_alert(
        self, headline: str, text: str, area_code: str, **more: Any
    ) -> dict[str, Any]:
        """An alert with its sound, that waits for a second person."""
        body = {
            "headline": headline,
            "event": "flood",
            "text": text,
            "targets": [{"area": area_code}],
        }
        alert = await self._post("/alerts", body | more, self._broadcaster)
        sound = alert["sound"]
        revision = f"/bulletins/{sound['bulletin_id']}/revisions/{sound['bulletin_revision']}"
        await self._prepared(revision)
        await self._post(
            f"/alerts/{alert['id']}/propose", {}, self._broadcaster, reached="proposed"
        )
        return alert

    async def alert_template(self, title: str, text: str, area_code: str) -> None:
        """A template of alerts, whose sound is being made."""
        body = {"title": title, "event": "flood", "text": text, "area_code": area_code}
        await self._post("/alert-templates", body, self._broadcaster)

    async def exercise(
        self, headline: str, text: str, area_code: str, starts_at: datetime
    ) -> None:
        """An alert in a drill of its own: one person proposes it, another authorises it."""
        begin, end = starts_at - timedelta(minutes=10), starts_at + timedelta(hours=1)
        drill = await self._post(
            "/drills",
            {
                "title": headline,
                "area_code": area_code,
                "starts_at": begin.isoformat(),
                "ends_at": end.isoformat(),
            },
            self._approver,
        )
        alert = await self.proposed_alert(
            headline,
            text,
            area_code,
            drill_id=drill["id"],
            starts_at=starts_at.isoformat(),
            valid_minutes=15,
        )
        await self.authorise_alert(alert["id"])

    async def authorise_alert(self, alert_id: str) -> None:
        """Let an alert sound that the other person has proposed."""
        await self._post(f"/alerts/{alert_id}/authorise", {}, self._approver, reached="active")

    async def cancel_alert(self, alert_id: str, reason: str) -> None:
        """Stop an alert."""
        await self._post(f"/alerts/{alert_id}/cancel", {"reason": reason}, self._approver)

    async def _prepared(self, revision: str) -> None:
        """Wait until the sound of a revision is ready."""
        while True:
            state = await self._get(f"{revision}/preparation", self._broadcaster)
            if state["state"] == "done":
                return
            if state["state"] not in {"waiting", "running"}:
                raise Refused(f"{revision}: {state['detail']}")
            await asyncio.sleep(PREPARING_SECONDS)

    async def _get(self, path: str, who: dict[str, str]) -> dict[str, Any]:
        return await self._ask("GET", path, None, who)

    async def _post(
        self, path: str, body: object, who: dict[str, str], reached: str | None = None
    ) -> dict[str, Any]:
        return await self._ask("POST", path, body, who, reached)

    async def _ask(
        self, method: str, path: str, body: object, who: dict[str, str], reached: str | None = None
    ) -> dict[str, Any]:
        """Ask until there is an answer; who asks again for a step may be told that it is done."""
        headers = who | {"Idempotency-Key": str(uuid4())}
        deadline = time.monotonic() + self._patience
        for attempt in count():
            try:
                response = await self._client.request(method, path, json=body, headers=headers)
            except httpx.TransportError as error:
                status, said = 0, f"{type(error).__name__}: {error}"
            else:
                status, said = response.status_code, response.text
            self.answers[status] += 1
            if attempt and status == 409 and json.loads(said).get("state") == reached:
                return {}
            if 0 < status < 500 or time.monotonic() > deadline:
                break
            await asyncio.sleep(RETRY_SECONDS)
        if not 200 <= status < 300:
            raise Refused(f"{path}: {said}")
        answer: dict[str, Any] = json.loads(said)
        return answer
