"""Names of parameters and the shape of bodies, before any rule sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated

import httpx2 as httpx
import pytest
from fastapi import Depends, FastAPI, Form, Query, UploadFile
from pydantic import BaseModel

from broadcast.auth.routing import Router, changes_nothing
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from broadcast.web.rest import PageQuery
from tests.web.calling import MONITOR, called_by


class Thing(BaseModel):
    name: object


class Sized(rest.Body):
    size: int
    ratio: float = 0.0
    on: date | None = None
    is_loud: bool = False


def near(lat: float | None = None) -> float | None:
    return lat


def application() -> FastAPI:
    app = FastAPI()
    app.state.limit = limit
    rest.install(app)
    called_by(app, MONITOR)
    router = Router()

    @router.get("/things")
    async def things(
        paging: PageQuery,
        _: Annotated[float | None, Depends(near)],
        as_of: Annotated[str | None, Query(alias="as-of")] = None,
        state: Annotated[list[str] | None, Query()] = None,
    ) -> list[str]:
        return state or [as_of or ""]

    @router.post("/things")
    @changes_nothing
    async def put(thing: Thing) -> Thing:
        return thing

    @router.put("/things/{number}")
    @changes_nothing
    async def resize(number: int, sized: Sized, loud: bool = False) -> Sized:
        return sized

    @router.post("/things/import")
    @changes_nothing
    async def take(
        files: list[UploadFile], dry_run: Annotated[bool, Form()] = False
    ) -> dict[str, object]:
        return {"files": len(files), "dry_run": dry_run}

    app.include_router(router)
    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.mark.parametrize("query", ["", "as-of=x", "state=a&state=b", "limit=5&cursor&lat=1.5"])
async def test_what_a_route_knows_is_taken(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/things?{query}")).status_code in {200, 422}
    if "cursor" not in query:
        assert (await client.get(f"/things?{query}")).status_code == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [("as_of=x", "as_of"), ("asof=x", "asof"), ("area=51", "area"), ("As-Of=x", "As-Of"),
     ("as-of=x&as-of=y", "as-of"), ("limit=5&limit=6", "limit"), ("state[]=a", "state[]"),
     ("=x", "query"), ("as-of%20=x", "as-of "), ("lat=1&lat=1", "lat")],
)  # fmt: skip
async def test_what_it_does_not_know_is_refused_by_name(
    client: httpx.AsyncClient, query: str, field: str
) -> None:
    answer = await client.get(f"/things?{query}")
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    if "nhiều lần" not in answer.json()["detail"]:
        assert "chỉ có: as-of, cursor, lat, limit, state" in answer.json()["detail"]


async def test_a_route_without_parameters_says_so(client: httpx.AsyncClient) -> None:
    answer = await client.post("/things?x=1", json={"name": "a"})
    assert (answer.status_code, answer.json()["field"]) == (422, "x")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"name": "a"}', "application/json", 200),
        (b'{"name": "a"}', "application/vnd.x+json; charset=utf-8", 200),
        (b'{"name": "a"}', "text/plain", 415),
        (b'{"name": "a"}', "application/x-www-form-urlencoded", 415),
        (b'{"name": ', "application/json", 422),
        (b'{"name": NaN}', "application/json", 422),
        (b'{"name": 1e999}', "application/json", 422),
        (b'{"name": -Infinity}', "application/json", 422),
        (b'{"name": ' + b"9" * 5000 + b"}", "application/json", 422),
        (b'{"name": "\xff"}', "application/json", 422),
        (b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "application/json", 422),
        (b'{"name": "' + b"a" * 300_000 + b'"}', "application/json", 413),
        (b"", "application/json", 422),
    ],
)  # fmt: skip
async def test_a_body_is_json_of_bounded_size_and_depth(
    client: httpx.AsyncClient, body: bytes, kind: str, status: int
) -> None:
    answer = await client.post("/things", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert (
            "JSON" in answer.json()["detail"]
            or "thiếu" in answer.json()["detail"]
            or (status == 413)
        )


async def test_a_misspelt_field_of_a_form_is_refused(client: httpx.AsyncClient) -> None:
    files = [("files", ("a.csv", b"x")), ("files", ("b.csv", b"y"))]
    answer = await client.post("/things/import", files=files, data={"dry_run": "true"})
    assert answer.json() == {"files": 2, "dry_run": True}
    for data in ({"dryrun": "true"}, {"dry_run": ["true", "false"]}):
        answer = await client.post("/things/import", files=files, data=data)
        assert (answer.status_code, answer.json()["field"]) == (422, next(iter(data)))


async def test_a_form_of_a_thousand_parts_is_refused(client: httpx.AsyncClient) -> None:
    files = [("files", (f"{n}.csv", b"x")) for n in range(1000)]
    assert (await client.post("/things/import", files=files)).status_code == 422


async def test_a_part_with_a_thousand_headers_is_refused(client: httpx.AsyncClient) -> None:
    part = b'Content-Disposition: form-data; name="files"; filename="a"\r\n' + b"X: y\r\n" * 1000
    body = b"--b\r\n" + part + b"\r\nx\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await client.post("/things/import", content=body, headers=headers)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"size": 7}, None),
        ({"size": 7.0, "ratio": 1, "on": "2025-03-08", "is_loud": True}, None),
        ({"size": "7"}, "size"),
        ({"size": True}, "size"),
        ({"size": 7.5}, "size"),
        ({"size": None}, "size"),
        ({"size": 7, "ratio": "1"}, "ratio"),
        ({"size": 7, "on": 0}, "on"),
        ({"size": 7, "is_loud": 1}, "is_loud"),
        ({"size": 7, "is_loud": "true"}, "is_loud"),
        ({"size": 7, "sise": 7}, "sise"),
    ],
)
async def test_json_is_taken_as_it_is_described(
    client: httpx.AsyncClient, body: dict[str, object], field: str | None
) -> None:
    answer = await client.put("/things/5", json=body)
    assert answer.status_code == (422 if field else 200), answer.text
    assert answer.json().get("field") == field
    if field:
        assert answer.json()["type"] == "urn:broadcast:problem:malformed-input"


@pytest.mark.parametrize(
    ("address", "status"),
    [("5?loud=true", 200), ("5?loud=1", 422), ("5?loud=True", 422), ("5?loud=", 422),
     ("+5", 422), ("5.0", 422), ("5_0", 422), ("%205", 422), ("\u0665", 422)],
)  # fmt: skip
async def test_addresses_are_written_in_one_way(
    client: httpx.AsyncClient, address: str, status: int
) -> None:
    assert (await client.put(f"/things/{address}", json={"size": 1})).status_code == status


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("PUT", "/things/import", "POST"), ("DELETE", "/things/5", "PUT"),
     ("DELETE", "/things", "GET, POST"), ("TRACE", "/things", "GET, POST")],
)  # fmt: skip
async def test_an_address_is_the_path_with_the_fewest_parameters(
    client: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert allow in answer.json()["detail"]
