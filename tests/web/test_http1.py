"""HTTP/1.1 on the wire: what is refused, what ends in time, and how many may come."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from fastapi import FastAPI, Request

from broadcast.auth import caller as authentication
from broadcast.auth.routing import Router, changes_nothing, reads_its_body
from broadcast.visibility.sessions import limit
from broadcast.web import http1, rest, server
from broadcast.web import request as asked
from broadcast.web.server import bind, raise_file_limit
from tests.waiting import HANG_SECONDS
from tests.web.calling import MONITOR, called_by

Ask = Callable[[bytes], Awaitable[bytes]]


def application() -> FastAPI:
    """Answers what it was sent."""
    app = FastAPI()
    app.state.limit = limit
    rest.install(app)
    called_by(app, MONITOR)
    router = Router()

    @router.post("/echo")
    @changes_nothing
    async def echo(request: Request) -> dict[str, str]:
        return {"body": (await request.body()).decode()}

    @router.get("/long")
    async def long() -> str:
        return "x" * 30_000_000

    @router.post("/waits")
    @changes_nothing
    @reads_its_body
    async def waits(request: Request) -> None:
        request.app.state.waiting += 1
        await asyncio.sleep(10 * HANG_SECONDS)

    app.include_router(router)
    return app


@asynccontextmanager
async def served(app: FastAPI, connections: int = 100) -> AsyncIterator[int]:
    """Port of a running server."""
    listener = bind("127.0.0.1", 0, "")
    port: int = listener.getsockname()[1]
    task = asyncio.create_task(server.serve(app, listener, connections))
    try:
        yield port
    finally:
        for writer in _OPEN:
            writer.transport.abort()
        _OPEN.clear()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


_OPEN: list[asyncio.StreamWriter] = []


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that is closed with the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
    _OPEN.append(writer)
    return reader, writer


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with served(application()) as port:
        yield port


async def say(port: int, *parts: bytes, pause: float = 0.02, answers: int = 1) -> bytes:
    """All that is answered to what is sent: so many answers, and what comes close behind them."""
    reader, writer = await connect(port)
    answer = b""
    for part in parts:
        writer.write(part)
        await asyncio.sleep(pause)
    with suppress(TimeoutError, ConnectionError):
        while True:
            complete = answer.count(b"HTTP/1.1 ") >= answers
            async with asyncio.timeout(0.4 if complete else HANG_SECONDS):
                more = await reader.read(65536)
            if not more:
                break
            answer += more
    writer.transport.abort()
    return answer


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


HOST = b"Host: a\r\n"
POST = b"POST /echo HTTP/1.1\r\n" + HOST
NEXT = b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n"

REFUSED = {
    "TE and CL": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
    "CL and TE": (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "TE of another kind and CL": (
        POST + b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc", 400),
    "TE twice": (
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400),
    "TE list": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "TE xchunked": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    "TE quoted": (POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n', 501),
    "TE with vertical tab": (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "TE in HTTP/1.0": (
        b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "space before the colon": (POST + b"Content-Length : 3\r\n\r\nabc", 400),
    "folded TE": (POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    "folded first field": (b"POST /echo HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "CL twice, different": (POST + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabc", 400),
    "CL twice, the same": (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    "CL list": (POST + b"Content-Length: 3, 3\r\n\r\nabc", 400),
    "CL with a sign": (POST + b"Content-Length: +3\r\n\r\nabc", 400),
    "CL negative": (POST + b"Content-Length: -3\r\n\r\nabc", 400),
    "CL hexadecimal": (POST + b"Content-Length: 0x3\r\n\r\nabc", 400),
    "CL with an underline": (POST + b"Content-Length: 1_0\r\n\r\n0123456789", 400),
    "CL in other digits": (POST + "Content-Length: ٣\r\n\r\nabc".encode(), 400),
    "CL empty": (POST + b"Content-Length:\r\n\r\nabc", 400),
    "bare LF after the request line": (b"POST /echo HTTP/1.1\nHost: a\r\n\r\n", 400),
    "bare LF after a field": (b"POST /echo HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    "bare LF everywhere": (b"POST /echo HTTP/1.1\nHost: a\n\n", 400),
    "LF CRLF at the end": (b"POST /echo HTTP/1.1\r\nHost: a\n\r\n", 400),
    "CRLF LF at the end": (b"POST /echo HTTP/1.1\r\nHost: a\r\n\n", 400),
    "bare CR in a field": (POST + b"X: a\rContent-Length: 3\r\n\r\nabc", 400),
    "CR CR LF": (POST + b"X: a\r\r\n\r\n", 400),
    "NUL in a field": (POST + b"X: a\x00b\r\n\r\n", 400),
    "control character in a field": (POST + b"X: a\x01b\r\n\r\n", 400),
    "empty line first": (b"\r\n" + POST + b"\r\n", 400),
    "no Host": (b"GET /echo HTTP/1.1\r\n\r\n", 400),
    "Host twice": (b"GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "field without a colon": (POST + b"nothing\r\n\r\n", 400),
    "field without a name": (POST + b": x\r\n\r\n", 400),
    "HTTP/3.0": (b"GET /echo HTTP/3.0\r\n" + HOST + b"\r\n", 505),
    "HTTP/2.0": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/1.2": (b"GET /echo HTTP/1.2\r\n" + HOST + b"\r\n", 505),
    "HTTP/0.9": (b"GET /echo\r\n\r\n", 400),
    "two spaces in the request line": (b"GET  /echo HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "tab in the request line": (b"GET\t/echo HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "lower-case protocol": (b"GET /echo http/1.1\r\n" + HOST + b"\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "chunk size with a sign": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n", 400),
    "chunk size 0x3": (POST + b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", 400),
    "chunk of another size": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400),
    "chunk ended by LF": (POST + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", 400),
    "last chunk ended by LF": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\n", 400),
    "trailer ended by LF": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\n\n", 400),
    "huge header": (POST + b"X: " + b"y" * 20_000 + b"\r\n\r\n", 431),
    "many fields": (POST + b"X: y\r\n" * 200 + b"\r\n", 431),
    "long request line": (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 431),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("split", [False, True])
async def test_what_two_readers_may_understand_differently_is_refused(
    port: int, name: str, split: bool
) -> None:
    sent, expected = REFUSED[name]
    parts = [sent[: len(sent) // 2], sent[len(sent) // 2 :]] if split else [sent]
    answer = await say(port, *parts[:-1], parts[-1] + NEXT)
    assert status(answer) == expected
    head, _, body = answer.partition(b"\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1, "a second request was read"
    assert b"Connection: close" in head
    assert b"nosniff" in head
    problem = json.loads(body)
    assert problem["status"] == expected
    assert problem["detail"].endswith(".")


TAKEN = {
    "length": POST + b"Content-Length: 3\r\n\r\nabc",
    "chunked": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n",
    "Chunked": POST + b"transfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "trailer": POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
}


@pytest.mark.parametrize("name", TAKEN)
async def test_what_is_well_formed_is_taken_in_pieces_of_any_size(port: int, name: str) -> None:
    sent = TAKEN[name]
    for size in (1, 2, 5, len(sent)):
        parts = [sent[at : at + size] for at in range(0, len(sent), size)]
        answer = await say(port, *parts, NEXT, pause=0.001, answers=2)
        assert (status(answer), answer.count(b"HTTP/1.1 ")) == (200, 2)
        assert b'{"body":"abc"}' in answer


async def test_every_answer_has_its_headers(port: int) -> None:
    for sent in (
        TAKEN["length"],
        NEXT,
        POST + b"\r\n",
        b"PUT /echo HTTP/1.1\r\n" + HOST + b"\r\n",
    ):
        head = (await say(port, sent)).partition(b"\r\n\r\n")[0].lower()
        for name in (b"x-content-type-options: nosniff", b"referrer-policy", b"cache-control",
                     b"content-security-policy"):  # fmt: skip
            assert head.count(name) == 1, (sent, name)


# --- time --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "expected"),
    [([], 0), ([b"GET /next HT"], 408), ([NEXT, b"GET"], 404), ([NEXT], 404)],
    ids=["nothing", "half a header", "half of the second", "idle"],
)
async def test_who_sends_no_request_is_not_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch, parts: list[bytes], expected: int
) -> None:
    monkeypatch.setattr(http1, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(http1, "IDLE_SECONDS", 0.2)
    reader, writer = await connect(port)
    for part in parts:
        writer.write(part)
    async with asyncio.timeout(60):
        answer = await reader.read(-1)
    assert status(answer) == expected


async def test_a_header_that_drips_is_not_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "HEAD_SECONDS", 0.3)
    reader, writer = await connect(port)
    writer.write(b"GET /next HTTP/1.1\r\n")
    dripping = asyncio.create_task(drip(writer))
    async with asyncio.timeout(60):
        answer = await reader.read(-1)
    dripping.cancel()
    assert status(answer) == 408


async def drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"X: y\r\n")
        await asyncio.sleep(0.05)


async def test_a_body_that_drips_is_not_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "JSON_SECONDS", 0.3)
    reader, writer = await connect(port)
    writer.write(POST + b"Content-Length: 1000\r\n\r\n")
    dripping = asyncio.create_task(drip(writer))
    async with asyncio.timeout(60):
        answer = await reader.readuntil(b"}")  # what drips on is reset in the end
        with suppress(ConnectionError):
            assert await reader.read(-1) == b""
    dripping.cancel()
    assert status(answer) == 408
    assert "không đến đủ" in json.loads(answer.partition(b"\r\n\r\n")[2])["detail"]


async def test_an_answer_that_nobody_reads_is_given_up(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "UNREAD_SECONDS", 0.2)
    reader, writer = await connect(port)
    writer.write(b"GET /long HTTP/1.1\r\n" + HOST + b"\r\n")
    await asyncio.sleep(1)
    with suppress(ConnectionError):
        assert len(await reader.read(-1)) < 30_000_000


# --- the body comes after the caller -----------------------------------------------------------


@pytest.fixture
async def closed_port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Of a server that knows nobody."""
    app = application()
    app.user_middleware = [each for each in app.user_middleware if "Known" not in str(each.cls)]
    monkeypatch.setattr(authentication, "BEARER", authentication.BEARER)
    async with served(app) as port:
        yield port


async def test_a_stranger_is_told_so_before_a_byte_of_the_body_has_come(closed_port: int) -> None:
    head = POST + b"Content-Type: application/json\r\nContent-Length: 190000000\r\n\r\n"
    assert status(await say(closed_port, head)) == 401


async def test_a_stranger_s_body_is_not_kept(
    closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "LINGER_SECONDS", 0.3)
    reader, writer = await connect(closed_port)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    writer.write(POST + b"Content-Length: 999999999999999\r\n\r\n")
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(pour(writer), 60)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
    with suppress(ConnectionError):
        assert status(await reader.read(-1)) == 401


async def pour(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(bytes(1_000_000))
        await writer.drain()


@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Length: 400000\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n" + b"ffff\r\n" + bytes(0xFFFF) + b"\r\n" + b"ffff\r\n"
        + bytes(0xFFFF) + b"\r\n" + (b"ffff\r\n" + bytes(0xFFFF) + b"\r\n") * 3,
    ],
    ids=["declared", "chunked"],
)  # fmt: skip
async def test_a_body_above_its_limit_is_refused_before_it_has_come(
    port: int, sent: bytes
) -> None:
    answer = await say(port, POST + sent)
    assert status(answer) == 413
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["limit_bytes"] == asked.JSON_BYTES


# --- how many ----------------------------------------------------------------------------------


async def test_idle_connections_give_way() -> None:
    async with served(application(), connections=70) as port:
        opened = [await connect(port) for _ in range(150)]
        for _ in range(3):
            assert status(await say(port, TAKEN["length"])) == 200
        for _, writer in opened:
            writer.close()


async def test_when_all_are_busy_the_next_is_told_at_once() -> None:
    app = application()
    app.state.waiting = 0
    async with served(app, connections=5) as port:
        busy = [await connect(port) for _ in range(5)]
        for _, writer in busy:
            writer.write(b"POST /waits HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n")
        async with asyncio.timeout(HANG_SECONDS):
            while app.state.waiting < len(busy):  # noqa: ASYNC110  nobody signals it
                await asyncio.sleep(0.01)
        answer = await say(port, NEXT)
        assert status(answer) == 503
        assert b"Retry-After" in answer
        for _, writer in busy:
            writer.transport.abort()


async def test_without_files_to_spare_accepting_waits_and_does_not_spin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "RETRY_SECONDS", 0.2)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with served(application()) as port:
        opened = await connect(port)
        waiting = asyncio.create_task(connect(port))
        used = opened[1].get_extra_info("socket").fileno() + 2
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
        try:
            await asyncio.sleep(1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert capsys.readouterr().out.count("web.accept.no_room") <= 6
        _, writer = await waiting
        assert status(await say(port, NEXT)) == 404
        writer.close()
        opened[1].close()


def test_the_file_limit_is_raised() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
        assert raise_file_limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
