"""The routes of bulletins with a worker that prepares, and people who call them."""

from __future__ import annotations

import asyncio
import io
import math
import struct
import wave
from typing import Any, NamedTuple

import httpx2 as httpx


def recording(seconds: float = 1.6) -> bytes:
    """A WAV of something that rises and falls like a voice."""
    rate = 16_000

    def sample(at: int) -> int:
        pitch = 220 + 60 * math.sin(at / 1700)
        return int(9000 * math.sin(at / rate * 2 * math.pi * pitch) * math.sin(at / 2100))

    samples = [sample(at) for at in range(int(rate * seconds))]
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return file.getvalue()


class Web(NamedTuple):
    """The routes, and who calls them."""

    http: httpx.AsyncClient
    tokens: dict[str, str]
    worker: asyncio.Task[None]

    async def call(self, who: str, method: str, path: str, **given: Any) -> httpx.Response:
        headers = given.pop("headers", {}) | {"Authorization": f"Bearer {self.tokens[who]}"}
        return await self.http.request(method, f"/api/v1{path}", headers=headers, **given)

    async def prepared(self, revision: str) -> dict[str, Any]:
        """A revision once its preparation is over, however that ended."""
        async with asyncio.timeout(60):
            while True:
                answer = (await self.call("Lan", "GET", revision)).json()
                if answer["preparation"]["state"] not in {"waiting", "running"}:
                    return dict(answer)
                await asyncio.sleep(0.05)
