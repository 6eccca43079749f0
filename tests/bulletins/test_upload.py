"""Multipart bodies of every honesty, received to disk."""

from __future__ import annotations

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st

from broadcast.bulletins import upload
from broadcast.bulletins.upload import received
from broadcast.kit.errors import BroadcastError, InvalidInput, TooLarge
from broadcast.visibility.sessions import limit
from broadcast.web import rest

LIMIT = 100_000
Post = Callable[..., Any]


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    """Posts to an application that answers with what it received."""
    app = FastAPI()
    app.state.limit = limit
    rest.install(app)

    @app.post("/")
    async def take(request: Request) -> dict[str, Any]:
        limit = int(request.headers.get("x-limit", LIMIT))
        seconds = float(request.headers.get("x-seconds", "60"))
        async with received(request, tmp_path / "in", limit, seconds=seconds) as form:
            on_disk = await asyncio.to_thread(sha256_of, form.path)
            return {"fields": form.fields, "name": form.name, "right": on_disk == form.sha256}

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield lambda **given: client.post("/", **given)
    assert list((tmp_path / "in").glob("*")) == [], "a file was left behind"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def part(disposition: str, body: bytes) -> bytes:
    head = f"--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode() + body + b"\r\n"


FORM = {"Content-Type": "multipart/form-data; boundary=x"}
FILE = part('name="file"; filename="a.mp3"', b"sound")
END = b"--x--\r\n"


async def test_fields_and_file_arrive(post: Post) -> None:
    answer = await post(
        data={"title": "Tiêm phòng"}, files={"file": ("bản tin.mp3", b"\x00\r\n--x" * 999)}
    )
    assert answer.json() == {
        "fields": {"title": "Tiêm phòng"},
        "name": "bản tin.mp3",
        "right": True,
    }


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("../../etc/passwd", "passwd"), ("C:\\\\Ghi âm\\\\1.wav", "1.wav"), ("a\x07\u202eb", "ab")],
)
async def test_of_the_file_name_only_its_last_printable_part_is_kept(
    post: Post, sent: str, kept: str
) -> None:
    body = part(f'name="file"; filename="{sent}"', b"sound") + END
    assert (await post(content=body, headers=FORM)).json()["name"] == kept


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (END, 422, "file"),
        (part('name="title"', b"x") + END, 422, "file"),
        (part('name="file"; filename="a.mp3"', b"") + END, 422, "file"),
        (FILE + FILE + END, 422, "file"),
        (part('name="image"; filename="a.png"', b"x") + END, 422, "file"),
        (part('name="title"', b"1") + part('name="title"', b"2") + FILE + END, 422, "title"),
        (FILE[:-4], 422, "file"),
        (b"this is no form", 422, "file"),
        (b"", 422, "file"),
        (part('name="file"; filename="a.mp3"', bytes(LIMIT + 1)) + END, 413, "file"),
        (part('name="title"', bytes(upload.FIELD_BYTES + 1)) + FILE + END, 413, None),
        (b"".join(part(f'name="{n:060}"', b"") for n in range(1200)) + FILE + END, 413, None),
        (FILE + END + bytes(LIMIT + upload.FIELD_BYTES), 413, "file"),
    ],
)
async def test_a_bad_form_is_refused_and_leaves_no_file(
    post: Post, body: bytes, status: int, field: str | None
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 7000):
            yield body[start : start + 7000]

    answer = await post(content=chunks(), headers=FORM)
    assert (answer.status_code, answer.json().get("field")) == (status, field)


@pytest.mark.parametrize(
    "disposition",
    [
        "name=\"file\"; filename*=UTF-8''b%E1%BA%A3n%20tin.mp3",
        'name="file"; filename="x.mp3"; filename*=utf-8\'vi\'b%E1%BA%A3n%20tin.mp3',
        'name="file"; FILENAME* = "UTF-8\'\'b%E1%BA%A3n%20tin.mp3"',
        "name=\"file\"; filename*=undefined''b%E1%BA%A3n%20tin.mp3",
        "name=\"file\"; filename*=idna''b%E1%BA%A3n%20tin.mp3",
    ],
)
async def test_a_part_named_only_by_its_extended_name_is_a_file(
    post: Post, disposition: str
) -> None:
    answer = await post(content=part(disposition, b"sound") + END, headers=FORM)
    assert answer.json()["name"] == "bản tin.mp3"


async def test_a_form_without_a_boundary_is_refused(tmp_path: Path) -> None:
    request = Request({"type": "http", "headers": [(b"content-type", b"multipart/form-data")]})
    with pytest.raises(InvalidInput):
        async with received(request, tmp_path, LIMIT):
            pass


async def test_a_declared_length_above_the_limit_is_refused_before_anything_is_read(
    tmp_path: Path,
) -> None:
    async def never() -> Any:
        raise AssertionError("the body was read")

    headers = [
        (b"content-type", b"multipart/form-data; boundary=x"),
        (b"content-length", b"9" * 9),
    ]
    with pytest.raises(TooLarge, match="MB"):
        async with received(Request({"type": "http", "headers": headers}, never), tmp_path, LIMIT):
            pass


async def test_a_file_of_exactly_the_limit_is_taken(post: Post) -> None:
    body = part('name="file"; filename="a.mp3"', bytes(LIMIT)) + END
    assert (await post(content=body, headers=FORM)).status_code == 200


async def test_a_client_that_stops_sending_is_given_up(post: Post) -> None:
    async def stalls() -> AsyncIterator[bytes]:
        yield FILE
        await asyncio.Event().wait()

    answer = await post(content=stalls(), headers=FORM | {"x-seconds": "0.05"})
    assert (answer.status_code, answer.json()["type"]) == (408, "urn:broadcast:problem:too-slow")


async def test_a_client_that_goes_away_is_no_bug_of_ours(tmp_path: Path) -> None:
    messages = iter(
        [{"type": "http.request", "body": FILE, "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> Any:
        return next(messages)

    headers = [(name.lower().encode(), value.encode()) for name, value in FORM.items()]
    with pytest.raises(BroadcastError):
        async with received(Request({"type": "http", "headers": headers}, receive), tmp_path, 999):
            pass
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240  an empty folder on a test's disk


async def test_a_large_file_never_lies_in_memory(post: Post) -> None:
    size = 48 * 2**20

    async def chunks() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(size // 65536):
            yield bytes(65536)
        yield b"\r\n" + END

    tracemalloc.start()
    try:
        answer = await post(content=chunks(), headers=FORM | {"x-limit": str(size)})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 200
    assert peak < 4 * 2**20


@given(body=st.binary(max_size=400), cut=st.integers(0, 400))
def test_whatever_the_body_is_the_answer_is_a_form_or_a_refusal(
    body: bytes, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sent = (FILE + body + END)[cut:]
    folder = tmp_path_factory.getbasetemp() / "any"

    async def receive() -> Any:
        return {"type": "http.request", "body": sent}

    async def run() -> None:
        headers = [(name.lower().encode(), value.encode()) for name, value in FORM.items()]
        try:
            async with received(
                Request({"type": "http", "headers": headers}, receive), folder, 99
            ):
                pass
        except BroadcastError:
            pass

    asyncio.run(run())
    assert list(folder.iterdir()) == []
