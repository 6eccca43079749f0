"""What every REST answer has in common, on a small application of its own."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from broadcast import config
from broadcast.auth.model import Account, AccountKind, AccountState
from broadcast.kit import db
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import Page, PageQuery, Session
from tests.callers import TESTER


class Thing(BaseModel):
    name: str
    size: Annotated[int, Field(ge=1)]


def application(engine: AsyncEngine) -> FastAPI:
    """An application with one resource that stores its things as accounts: any table will do."""
    app = FastAPI()
    rest.install(app)
    app.state.engine = engine
    app.state.limit = limit
    app.state.settings = config.Settings()

    async def stored(session: Session, person: str) -> int:
        count = await session.scalar(
            sa.select(sa.func.count()).select_from(Account).where(Account.name == person)
        )
        return count or 0

    @app.get("/things")
    async def things(session: Session, paging: PageQuery) -> Page[str]:
        found = await rest.paged(
            session, sa.select(Account.name), [Account.created_at, Account.id], paging
        )
        return found.page(str)

    @app.get("/things/{name}")
    async def thing(session: Session, name: str) -> Thing:
        return Thing(name=name, size=await stored(session, name) + 1)

    @app.put("/things/{name}")
    async def change(request: Request, session: Session, name: str, body: Thing) -> Thing:
        rest.if_match(request, Thing(name=name, size=await stored(session, name) + 1))
        return body

    @app.post("/things", status_code=201)
    async def create(request: Request, session: Session, body: Thing) -> Response:
        async def make() -> Created:
            session.add(account(body.name))
            await session.flush()
            if body.size == 13:
                raise Conflict("Mười ba thì không được.")
            return Created(f"/things/{body.name}", body)

        return await Once(request).run(session, TESTER, make)

    @app.get("/broken")
    async def broken() -> Thing:
        raise RuntimeError("s3cret detail")

    @app.get("/refused")
    async def refused() -> Thing:
        raise InvalidInput("area_code", "xã 21253 không còn", successors=["21262"])

    app.get("/day-after")(day_after)
    return app


async def day_after(on: date) -> date:
    return on + timedelta(days=1)


NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def account(name: str, created_at: datetime = NEW_YEAR) -> Account:
    return Account(
        login=None, name=name, kind=AccountKind.PERSON, state=AccountState.ACTIVE,
        created_at=created_at,
    )  # fmt: skip


@pytest.fixture
async def client(engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application(engine), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def count(engine: AsyncEngine, person: str) -> int:
    async with db.transaction(engine) as session:
        statement = sa.select(sa.func.count()).where(Account.name == person)
        return await session.scalar(statement) or 0


async def test_an_error_is_a_problem_document_with_its_field(client: httpx.AsyncClient) -> None:
    answer = await client.get("/refused")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:broadcast:problem:invalid-input",
        "title": "Dữ liệu không hợp lệ",
        "status": 422,
        "detail": "area_code: xã 21253 không còn",
        "field": "area_code",
        "successors": ["21262"],
    }


async def test_a_malformed_body_names_the_field(client: httpx.AsyncClient) -> None:
    answer = await client.post("/things", json={"name": "a", "size": 0})
    assert (answer.status_code, answer.json()["field"]) == (422, "size")


async def test_a_bug_is_a_problem_that_gives_nothing_away(client: httpx.AsyncClient) -> None:
    answer = await client.get("/broken")
    assert answer.status_code == 500
    assert "s3cret" not in answer.text
    assert answer.json()["type"] == "urn:broadcast:problem:internal"


@pytest.mark.parametrize("address", ["/?host=/nowhere", "127.0.0.1:1/"])
async def test_without_its_database_a_request_is_to_be_repeated(address: str) -> None:
    engine = create_async_engine(f"postgresql+asyncpg://x@{address}", poolclass=NullPool)
    transport = httpx.ASGITransport(application(engine), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/things/a")
    assert (answer.status_code, answer.json()["type"]) == (
        503,
        "urn:broadcast:problem:unavailable",
    )


async def test_text_that_no_column_takes_is_the_sender_s_mistake(
    client: httpx.AsyncClient,
) -> None:
    answers = [await client.get("/things/a%00b")]
    for body in (b'{"name": "a\\u0000b", "size": 1}', b'{"name": "\\ud800", "size": 1}'):
        headers = {"Content-Type": "application/json"}
        answers.append(await client.post("/things", content=body, headers=headers))
    assert [answer.status_code for answer in answers] == [422, 422, 422]


async def test_a_cursor_beyond_every_column_is_the_sender_s_mistake(
    client: httpx.AsyncClient,
) -> None:
    for values in (
        ["2026-01-01T00:00:00+00:00", "9" * 30],
        ["0001-01-01T00:00:00+14:00", "1"],
    ):
        cursor = base64.urlsafe_b64encode(json.dumps(values).encode()).decode()
        answer = await client.get("/things", params={"cursor": cursor})
        assert answer.status_code == 422


async def test_a_day_outside_the_calendar_is_the_sender_s_mistake(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/day-after", params={"on": "9999-12-31"})
    assert (answer.status_code, answer.json()["field"]) == (422, "request")


async def test_a_weakened_tag_is_known_all_the_same(client: httpx.AsyncClient) -> None:
    first = await client.get("/things/a")
    weak = {"If-None-Match": f"W/{first.headers['etag']}"}
    assert (await client.get("/things/a", headers=weak)).status_code == 304


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/no", 404), ("PUT", "/things", 405)]
)
async def test_the_framework_s_own_errors_are_problems_too(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_client_that_has_the_answer_gets_304(client: httpx.AsyncClient) -> None:
    first = await client.get("/things/a")
    again = await client.get("/things/a", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


async def test_a_change_from_an_old_version_is_refused(client: httpx.AsyncClient) -> None:
    tag = (await client.get("/things/a")).headers["etag"]
    body = {"name": "a", "size": 2}
    assert (await client.put("/things/a", json=body, headers={"If-Match": tag})).status_code == 200
    await client.post("/things", json={"name": "a", "size": 1})
    stale = await client.put("/things/a", json=body, headers={"If-Match": tag})
    assert stale.status_code == 412


async def test_a_repeated_creation_is_answered_not_repeated(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    headers = {"Idempotency-Key": "k1"}
    body = {"name": "once", "size": 1}
    first = await client.post("/things", json=body, headers=headers)
    again = await client.post("/things", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert first.headers["location"] == again.headers["location"] == "/things/once"
    assert again.headers["idempotency-replayed"] == "true"
    assert await count(engine, "once") == 1


async def test_creations_that_race_with_one_key_create_once(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    headers = {"Idempotency-Key": "race"}
    body = {"name": "racer", "size": 1}
    answers = await asyncio.gather(
        *(client.post("/things", json=body, headers=headers) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert await count(engine, "racer") == 1


async def test_a_key_cannot_be_used_for_another_request(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k2"}
    await client.post("/things", json={"name": "x", "size": 1}, headers=headers)
    other = await client.post("/things", json={"name": "y", "size": 1}, headers=headers)
    assert (other.status_code, other.json()["field"]) == (422, "Idempotency-Key")


async def test_a_refused_creation_leaves_its_key_free(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    headers = {"Idempotency-Key": "k3"}
    refused = await client.post("/things", json={"name": "z", "size": 13}, headers=headers)
    assert refused.status_code == 409
    assert await count(engine, "z") == 0
    good = await client.post("/things", json={"name": "z", "size": 1}, headers=headers)
    assert good.status_code == 201


async def test_pages_join_to_the_whole_list(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    async with db.transaction(engine) as session:
        session.add_all(
            account(f"p{n}", datetime(2026, 1, 1 + n % 3, tzinfo=UTC)) for n in range(10)
        )
    whole = (await client.get("/things", params={"limit": 500})).json()
    assert whole["next"] is None
    joined: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/things", params=params)).json()
        joined += page["items"]
        cursor = page["next"]
    assert joined == whole["items"]


@pytest.mark.parametrize(
    "cursor",
    ["nonsense", "W10", "WyJhIl0", "bnVsbA", base64.urlsafe_b64encode(b"[" * 9000).decode()],
)
async def test_a_foreign_cursor_is_refused(client: httpx.AsyncClient, cursor: str) -> None:
    answer = await client.get("/things", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["field"]) == (404, "cursor")
