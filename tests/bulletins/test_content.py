"""Content by its hash: ranges, caching, and nothing that was not approved."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.bulletins import content
from broadcast.bulletins.audio.prepared import content_path
from broadcast.bulletins.model import Revision, RevisionState
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from tests.bulletins.make import bulletin, prepared, revision

BODY = bytes(range(256)) * 500
SHA256 = hashlib.sha256(BODY).hexdigest()
URL = f"/content/{SHA256}"


@pytest.fixture
async def client(session: AsyncSession, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the content routes, with one approved revision and one draft."""
    app = FastAPI()
    app.state.limit = limit
    rest.install(app)
    app.include_router(content.router)
    app.dependency_overrides[rest.transaction] = lambda: session
    app.state.settings = config.Settings(content_dir=tmp_path)
    made = await bulletin(session)
    await revision(session, made, prepared(tmp_path, BODY), RevisionState.APPROVED)
    await revision(session, made, prepared(tmp_path, b"draft", b"draft mp3"))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_approved_content_is_served_to_be_kept_for_ever(client: httpx.AsyncClient) -> None:
    answer = await client.get(URL)
    assert (answer.status_code, answer.content) == (200, BODY)
    assert answer.headers["content-type"] == "audio/ogg; codecs=opus"
    assert answer.headers["etag"] == f'"{SHA256}"'
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["accept-ranges"] == "bytes"


async def test_the_media_type_is_that_of_the_rendition(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/content/{hashlib.sha256(b'mp3').hexdigest()}")
    assert answer.headers["content-type"] == "audio/mpeg"


async def test_head_tells_the_size(client: httpx.AsyncClient) -> None:
    answer = await client.head(URL)
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) == len(BODY)


SIZE = len(BODY)


@pytest.mark.parametrize(
    ("asked", "first", "after"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-16383", 0, 16384),
        ("bytes=16384-", 16384, SIZE),
        ("bytes=-100", SIZE - 100, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        (f"bytes=127000-{SIZE + 5000}", 127000, SIZE),
        (f"bytes=-{SIZE * 2}", 0, SIZE),
        ("Bytes=5-6", 5, 7),
    ],
)
async def test_a_range_is_answered_with_that_part(
    client: httpx.AsyncClient, asked: str, first: int, after: int
) -> None:
    answer = await client.get(URL, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{after - 1}/{SIZE}"
    assert answer.content == BODY[first:after]


async def test_a_device_that_resumes_gets_the_whole_in_parts(client: httpx.AsyncClient) -> None:
    held = b""
    while len(held) < SIZE:
        answer = await client.get(
            URL,
            headers={
                "Range": f"bytes={len(held)}-{len(held) + 50_000}",
                "If-Range": f'"{SHA256}"',
            },
        )
        assert answer.status_code == 206
        held += answer.content
    assert hashlib.sha256(held).hexdigest() == SHA256


async def test_several_ranges_come_in_parts(client: httpx.AsyncClient) -> None:
    answer = await client.get(URL, headers={"Range": "bytes=0-9, 100-109"})
    assert answer.status_code == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges")
    assert BODY[:10] in answer.content


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=999999-1000000"])
async def test_a_range_outside_of_the_file_is_not_satisfiable(
    client: httpx.AsyncClient, asked: str
) -> None:
    answer = await client.get(URL, headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "asked",
    [
        "items=0-5",
        "bytes",
        "bytes=",
        "bytes=a-b",
        "bytes=5-2",
        "bytes=-",
        "0-5",
        "bytes=1-2-3",
        f"bytes={'9' * 5000}-",
    ],
)
async def test_a_range_that_is_none_is_ignored(client: httpx.AsyncClient, asked: str) -> None:
    answer = await client.get(URL, headers={"Range": asked})
    assert (answer.status_code, len(answer.content)) == (200, SIZE)


async def test_a_range_of_something_else_than_what_is_held_is_the_whole(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get(URL, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (answer.status_code, len(answer.content)) == (200, SIZE)


@pytest.mark.parametrize("tag", [f'"{SHA256}"', f'W/"{SHA256}"', f'"x", "{SHA256}"', "*"])
async def test_a_client_that_has_it_gets_nothing(client: httpx.AsyncClient, tag: str) -> None:
    answer = await client.get(URL, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")


async def test_what_is_not_approved_does_not_exist(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    draft = hashlib.sha256(b"draft").hexdigest()
    assert content_path(tmp_path, draft).is_file()
    assert (await client.get(f"/content/{draft}")).status_code == 404


async def test_what_is_withdrawn_is_gone_at_once(
    client: httpx.AsyncClient, session: AsyncSession
) -> None:
    await session.execute(sa.update(Revision).values(state=RevisionState.WITHDRAWN))
    assert (await client.get(URL)).status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2fetc%2fpasswd",
        "../secret",
        "a" * 63,
        "A" * 64,
        "g" * 64,
        f"{SHA256}%00",
        f"{SHA256}%0a",
    ],
)
async def test_only_a_hash_names_content(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/content/{name}")
    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_content_that_the_disk_lost_is_counted_and_not_found(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    before = content.LOST._value.get()
    content_path(tmp_path, SHA256).unlink()
    assert (await client.get(URL)).status_code == 404
    assert content.LOST._value.get() == before + 1
