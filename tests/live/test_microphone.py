"""The WebSocket of a microphone: who may, what goes out to devices, how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from broadcast import config
from broadcast.accounts.people import create_with_token
from broadcast.api import create_app
from broadcast.auth.caller import caller_of_token
from broadcast.auth.permissions import Role
from broadcast.kit import clock, db
from broadcast.live import queries, steps
from broadcast.live.schemas import LiveIn
from broadcast.live.state import LiveEnd
from broadcast.live.studio import Speech, Studio
from broadcast.schedules.model import Occurrence
from broadcast.wire.live import public_key, unseal
from tests.live.world import BODY, HUNG, LiveWorld
from tests.web.routes import worked_out


class Quiet(Studio):
    """A studio whose broker is a list."""

    def __init__(self, settings: config.Settings) -> None:
        super().__init__(settings)
        self.sent: list[bytes] = []

    @asynccontextmanager
    async def on_air(self) -> AsyncIterator[None]:
        yield

    async def publish(self, live_id: UUID, packet: bytes) -> bool:
        self.sent.append(packet)
        return True


class Socket:
    """One connection, as the server hands it to the application."""

    def __init__(self, app: Any, live_id: UUID, **headers: str) -> None:
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.out: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        path = f"/api/v1/live-sessions/{live_id}/speech"
        scope = {
            "type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
            "client": ("127.0.0.1", 1), "server": ("testserver", 80), "scheme": "ws",
            "http_version": "1.1", "subprotocols": [], "root_path": "", "state": {},
            "asgi": {"version": "3.0"},
        }  # fmt: skip
        self._in.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(app(scope, self._in.get, self.out.put))

    def send(self, **message: Any) -> None:
        self._in.put_nowait({"type": "websocket.receive", **message})

    def leave(self) -> None:
        self._in.put_nowait({"type": "websocket.disconnect", "code": 1001})

    async def next(self, state: str) -> dict[str, Any]:
        """The next word of that state."""
        async with asyncio.timeout(30):
            while True:
                message = await self.out.get()
                if message["type"] == "websocket.send":
                    told: dict[str, Any] = json.loads(message["text"])
                    if told["state"] == state:
                        return told
                elif message["type"] == "websocket.close":
                    raise AssertionError(message)

    async def answer(self) -> str:
        async with asyncio.timeout(30):
            return str((await self.out.get())["type"])


class Stage:
    """The application, and a token of somebody who may speak."""

    def __init__(self, world: LiveWorld, dsn: str) -> None:
        self.world = world
        rules = world.settings.rules.model_copy(update={"quiet_hours": ()})
        settings = config.Settings(
            postgres=config.Postgres(dsn=SecretStr(dsn)),
            content_dir=world.content_dir,
            rules=rules,
        )
        self.app = worked_out(create_app(settings, world.engine))
        self.studio = self.app.state.studio = Quiet(settings)

    async def token(self, role: Role = Role.PROVINCE_APPROVER) -> str:
        async with db.transaction(self.world.engine) as session:
            return await create_with_token(
                session, f"Người {uuid4()}", role, clock.now(), second_factor=True
            )

    async def prepared(self, token: str) -> UUID:
        """A session of whom the token is."""
        async with db.transaction(self.world.engine) as session:
            who = await caller_of_token(session, token, clock.now())
            body = LiveIn.model_validate(BODY)
            live = await steps.prepare(session, body, who, self.app.state.settings, clock.now())
            return live.id

    def connect(self, live_id: UUID, token: str, **headers: str) -> Socket:
        return Socket(self.app, live_id, authorization=f"Bearer {token}", **headers)


@pytest.fixture
async def stage(world: LiveWorld, postgres_dsn: str) -> Stage:
    return Stage(world, postgres_dsn)


def frame(number: int, body: bytes = b"\x50words", kind: int = 0) -> bytes:
    return number.to_bytes(4, "big") + bytes([kind]) + body


async def test_frames_come_out_signed_and_the_session_ends_by_a_word(stage: Stage) -> None:
    token = await stage.token()
    live_id = await stage.prepared(token)
    socket = stage.connect(live_id, token)
    await socket.next("speaking")
    for number in range(6):
        socket.send(bytes=frame(number))
    socket.send(bytes=frame(6, bytes(3840), kind=1))  # samples: the server encodes
    socket.send(bytes=b"short")
    socket.send(text="stop")
    told = await socket.next("ended")
    await socket.task
    assert told["reason"] == "stopped"
    row = await stage.world.row(live_id)
    assert row.end_reason is LiveEnd.STOPPED
    assert row.seconds == pytest.approx(told["seconds"], abs=0.06)
    async with db.transaction(stage.world.engine) as session:
        key = (await session.get_one(Occurrence, live_id)).live_key
    assert key is not None
    public = public_key(key)
    assert public is not None
    packets = [unseal(each, str(live_id), public) for each in stage.studio.sent]
    assert [packet.is_last for packet in packets].count(True) == 4
    words = [f for packet in packets for f in packet.frames if f == b"\x50words"]
    assert len(words) >= 6
    assert (await stage.world.shown(live_id)).state == "ended"


async def test_who_loads_the_page_again_goes_on_and_the_older_one_is_left(stage: Stage) -> None:
    token = await stage.token()
    live_id = await stage.prepared(token)
    first = stage.connect(live_id, token)
    await first.next("speaking")
    second = stage.connect(live_id, token)
    await second.next("speaking")
    await asyncio.wait_for(first.task, 30)
    async with db.transaction(stage.world.engine) as session:
        live = await queries.get_session(session, live_id, lock=True)
        await steps.stop(session, live, HUNG, clock.now())
    assert (await second.next("ended"))["reason"] == "stopped"
    await second.task


async def test_who_may_not_is_refused(stage: Stage) -> None:
    token = await stage.token()
    live_id = await stage.prepared(token)
    strangers = [
        stage.connect(live_id, await stage.token(Role.PROVINCE_EDITOR)),
        stage.connect(live_id, "nothing"),
        stage.connect(live_id, token, origin="https://elsewhere.example", host="testserver"),
        Socket(stage.app, live_id),
        Socket(stage.app, live_id, cookie="__Host-broadcast=x"),
    ]
    for stranger in strangers:
        assert await stranger.answer() == "websocket.close"
        await stranger.task
    other = stage.connect(live_id, await stage.token())
    assert "Chỉ người đã soạn" in (await other.next("refused"))["detail"]
    await other.task
    assert (await stage.world.row(live_id)).begun_at is None


def test_a_frame_that_cannot_be_one_goes_no_further(tmp_path: Any) -> None:
    speech = Speech(uuid4(), tmp_path)
    assert speech.add(0, b"") is None
    assert speech.add(1, bytes(1276)) is None
    assert speech.frames_count == 0
