"""The WebSocket of a microphone: frames in, the state of the session out.

In, binary: the number of a frame (4 bytes, big endian, from 0, one every 40 ms), one byte (0: an
Opus packet, 1: 1,920 samples of 16 bits, little endian, 48 kHz mono), and the frame. In, text:
`stop`. Out, text: JSON with `state` (`speaking`, `ended`, `refused`) and what belongs to it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
import structlog
from fastapi import Request, WebSocket, WebSocketDisconnect
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.audit.recording import Record
from broadcast.auth import session as sessions
from broadcast.auth.caller import Caller, authenticate, require
from broadcast.auth.permissions import Permission
from broadcast.kit import clock, db
from broadcast.kit.errors import BroadcastError, Unauthenticated
from broadcast.live import queries, steps
from broadcast.live.model import LiveSession
from broadcast.live.state import LiveEnd
from broadcast.live.studio import Speech, Studio
from broadcast.web import origin

log = structlog.get_logger()

TELL_SECONDS = 1.0
"""Between two words to the page of how many listen."""
NOTE_EVERY = 2
"""Of these, those at which it is noted that the microphone is there."""

SILENT_SECONDS = 15.0
"""Without a frame for so long, the connection is closed: its page is asleep."""

HEAD_BYTES = 5
PCM = 1
SAMPLES = 1920

POLICY_VIOLATION, AWAY = 1008, 1011


class Encoder:
    """Opus of samples, for browsers that cannot encode it themselves."""

    def __init__(self) -> None:
        import av  # noqa: PLC0415 — most browsers encode by themselves

        codec = cast("Any", av.CodecContext.create("libopus", "w"))
        codec.sample_rate, codec.layout, codec.format = 48_000, "mono", "s16"
        codec.bit_rate = 16_000
        codec.options = {"frame_duration": "40", "application": "voip"}
        codec.open()
        self._codec = codec

    def encode(self, samples: bytes) -> bytes:
        """The packet of 40 ms; empty while the encoder has none yet."""
        import av  # noqa: PLC0415 — most browsers encode by themselves
        import numpy as np  # noqa: PLC0415

        values = np.frombuffer(samples, "<i2")[:SAMPLES].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(values), "s16", "mono")
        frame.sample_rate = 48_000
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))


async def listen(websocket: WebSocket, live_id: UUID) -> None:
    """Serve one microphone until it leaves, or the session is over."""
    try:
        caller = await _caller(websocket)
    except BroadcastError:
        await websocket.close(POLICY_VIOLATION)  # before it is accepted: 403
        return
    await websocket.accept()
    studio = _studio(websocket)
    try:
        speech = studio.speech(live_id)
        async with studio.on_air():
            await _begin(websocket, speech, caller)
            await _Connection(websocket, studio, speech, caller).run()
    except BroadcastError as error:
        await _tell(websocket, state="refused", slug=error.slug, detail=error.detail)
        await websocket.close()
    except WebSocketDisconnect:
        pass


def _studio(websocket: WebSocket) -> Studio:
    state = websocket.app.state
    if not hasattr(state, "studio"):
        state.studio = Studio(cast("config.Settings", state.settings))
    return cast("Studio", state.studio)


def _engine(websocket: WebSocket) -> AsyncEngine:
    return cast("AsyncEngine", websocket.app.state.engine)


async def _caller(websocket: WebSocket) -> Caller:
    """Whose session or token it is.

    A browser lets any site open a WebSocket with our cookie, and says from which site it is: what
    says nothing is no browser, and must have a token.

    Raises:
        BroadcastError: Nobody's, from another site, or of who may not speak.
    """
    scope = {**websocket.scope, "type": "http", "method": "GET"}
    request = Request(scope)
    request.scope["state"] = {}
    if sessions.cookie_of(request) is not None and request.headers.get("origin") is None:
        raise Unauthenticated("Trang này không cho biết nó từ đâu; hãy mở trang của hệ thống.")
    sessions.check_site(request)
    caller = await authenticate(request)
    return require(Permission.LIVE_SPEAK)(caller)


@asynccontextmanager
async def _recorded(
    websocket: WebSocket, caller: Caller, title: str
) -> AsyncIterator[AsyncSession]:
    """A transaction of the connection, with its entry in the audit."""
    record = Record(
        "WEBSOCKET /api/v1/live-sessions/{live_id}/speech",
        title,
        websocket.scope["path"],
        origin.of(cast("Request", websocket)),
    )
    record.who = caller.who
    async with db.transaction(_engine(websocket)) as session:
        record.begin(session)
        yield session
        await record.write(session, clock.now())


async def _begin(websocket: WebSocket, speech: Speech, caller: Caller) -> None:
    settings = cast("config.Settings", websocket.app.state.settings)
    async with _recorded(websocket, caller, "Bắt đầu phát trực tiếp") as session:
        live = await queries.get_session(session, speech.live_id, lock=True)
        await steps.begin(session, live, speech.public, caller, settings, clock.now())


async def _tell(websocket: WebSocket, **facts: Any) -> None:
    await websocket.send_text(json.dumps(facts, ensure_ascii=False))


class _Connection:
    """One connection with a microphone."""

    def __init__(
        self, websocket: WebSocket, studio: Studio, speech: Speech, caller: Caller
    ) -> None:
        self._websocket = websocket
        self._studio = studio
        self._speech = speech
        self._caller = caller
        self._number = speech.take_microphone()
        self._encoder: Encoder | None = None
        self._sent = True
        self._ended: LiveEnd | None = None
        """Why the session is over, once the database says so."""

    async def run(self) -> None:
        """Take frames, and tell how it goes, until either is over."""
        tasks = [
            asyncio.create_task(self._take(), name="live-take"),
            asyncio.create_task(self._watch(), name="live-watch"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            self._speech.flush()
        if self._ended is not None and not self._speech.is_over:
            await self._studio.publish_last(self._speech)
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, WebSocketDisconnect):
                raise outcome
        if self._ended is not None:
            seconds = round(self._speech.seconds, 1)
            reason = self._ended.value
            with suppress(WebSocketDisconnect, RuntimeError):  # the page may have gone already
                await _tell(self._websocket, state="ended", reason=reason, seconds=seconds)
                await self._websocket.close()

    async def _take(self) -> None:
        while self._number == self._speech.taken and not self._speech.is_over:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes")
            if data is not None and len(data) > HEAD_BYTES:
                await self._frame(data)
            elif message.get("text") == "stop":
                await self._end()
                return

    async def _frame(self, data: bytes) -> None:
        number, body = int.from_bytes(data[:4], "big"), data[HEAD_BYTES:]
        if data[4] == PCM:
            if len(body) != 2 * SAMPLES:
                return
            self._encoder = self._encoder or Encoder()
            body = self._encoder.encode(body)
        packet = self._speech.add(number, body)
        if packet is not None:
            self._sent = await self._studio.publish(self._speech.live_id, packet)

    async def _end(self) -> None:
        """End the session; only then devices are told, when it is known how long it was."""
        speech = self._speech
        async with _recorded(self._websocket, self._caller, "Dừng phát trực tiếp") as session:
            live = await queries.get_session(session, speech.live_id, lock=True)
            by = self._caller.account_id
            await steps.end(session, live, LiveEnd.STOPPED, by, clock.now(), speech.seconds)
        self._ended = LiveEnd.STOPPED

    async def _watch(self) -> None:
        """Tell how many listen, note that the microphone is there, and notice another's end."""
        speech, turn = self._speech, 0
        while self._number == speech.taken and not speech.is_over:
            is_heard = time.monotonic() < speech.heard_at + 2 * TELL_SECONDS
            async with db.transaction(_engine(self._websocket)) as session:
                if turn % NOTE_EVERY == 0 and is_heard:
                    speech.flush()
                    await session.execute(
                        sa.update(LiveSession)
                        .where(LiveSession.id == speech.live_id, LiveSession.ended_at.is_(None))
                        .values(heard_at=clock.now(), seconds=speech.seconds)
                    )
                found = await session.execute(
                    sa.select(LiveSession.ended_at, LiveSession.end_reason).where(
                        LiveSession.id == speech.live_id
                    )
                )
                ended_at, reason = found.one()
                counts = await queries.counts(session, [speech.live_id])
            if ended_at is not None:
                self._ended = reason
                return
            if time.monotonic() > speech.heard_at + SILENT_SECONDS:
                await self._websocket.close()
                return
            reached, listening = counts.get(speech.live_id, (0, 0))
            await _tell(
                self._websocket,
                state="speaking",
                seconds=round(speech.seconds, 1),
                clusters_count=reached,
                listening_count=listening,
                is_sent=self._sent,
            )
            turn += 1
            await asyncio.sleep(TELL_SECONDS)
