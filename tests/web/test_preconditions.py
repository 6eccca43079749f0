"""If-Match and If-None-Match on every route, for what is there and for what is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import Depends, FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

import broadcast
from broadcast import config
from broadcast.api import create_app
from broadcast.auth.caller import Reader
from broadcast.auth.permissions import Role
from broadcast.auth.routing import Route, Router, changes_nothing
from broadcast.kit.errors import NotFound
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from tests.callers import caller
from tests.waiting import HANG_SECONDS
from tests.web.calling import called_by
from tests.web.routes import Operation, application, operations, worked_out

SOURCES = Path(broadcast.__file__).parent

ADMIN = caller("Tâm", Role.PROVINCE_ADMIN)

QUESTIONS = {
    f"/api/v1/{path}/options"
    for path in ("sign-in/passkey", "session/second-factor/passkey", "session/passkeys")
}
"""POSTs that make a question for a passkey: they have no resource, nor a transaction."""

CHANGES = [
    each
    for each in operations(application())
    if each.method not in {"GET", "HEAD"}
    and each.path.startswith("/api/")  # pages are changed from what is shown, by REST's rules
    and each.path not in QUESTIONS
]

UUID = "e3e70682-c209-4cac-a29f-6fbed82c07cd"
PLACES = {
    **dict.fromkeys(("{schedule_id}", "{occurrence_id}", "{bulletin_id}", "{item_id}"), UUID),
    "{air_session_id}": UUID,
    "{request_id}": UUID,
    "{incident_id}": "7",
    "{source_id}": "7",
    "{portal_id}": "7",
    "{portal_item_id}": "7",
    **dict.fromkeys(
        ("{outage_id}", "{day_id}", "{attestation_id}", "{account_id}", "{grant_id}"), "7"
    ),
    "{regulation_id}": "7",
    **dict.fromkeys(("{token_id}", "{session_id}", "{passkey_id}", "{identity_id}"), "7"),
    **dict.fromkeys(("{alert_id}", "{template_id}", "{drill_id}", "{live_id}"), UUID),
    "{message_id}": "7",
    "{number}": "7",
    "{page}": "new",
    "{page_name}": "new",
    "{valid_from}": "2025-07-01",
    "{action}": "approve",
}


def address(operation: Operation) -> str:
    """The path with something that does not exist in place of each parameter."""
    path = operation.path
    for name, value in PLACES.items():
        path = path.replace(name, value)
    return path.replace("{", "Z-").replace("}", "")


@pytest.fixture
async def whole(engine: AsyncEngine, postgres_dsn: str) -> AsyncIterator[httpx.AsyncClient]:
    """The whole application on an empty database."""
    app = worked_out(
        create_app(config.Settings(postgres=config.Postgres(dsn=SecretStr(postgres_dsn))), engine)
    )
    called_by(app, ADMIN)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        yield client


async def test_nothing_that_is_not_there_is_changed_from_a_version(
    whole: httpx.AsyncClient,
) -> None:
    """A walk over all routes: whatever their body, a version of nothing is refused."""
    assert len(CHANGES) > 30
    for operation in CHANGES:
        path = address(operation)
        answer = await whole.request(operation.method, path, headers={"If-Match": '"x"'})
        assert answer.status_code == 412, (operation, answer.text)
        if operation.method != "POST":
            answer = await whole.request(operation.method, path, headers={"If-Match": "*"})
            assert answer.status_code == 412, (operation, answer.text)
            headers = {"If-None-Match": "*"}
            answer = await whole.request(operation.method, path, headers=headers)
            assert answer.status_code != 412, (operation, answer.text)


def test_every_change_of_what_can_be_read_is_held_to_its_preconditions() -> None:
    """One mechanism: the transaction of the request asks, and no route does so by itself."""
    held = 0
    for context in iter_route_contexts(application().routes):
        route = context.original_route
        if not isinstance(route, Route) or route.methods <= {"GET", "HEAD"}:
            continue
        if context.path in QUESTIONS or not str(context.path).startswith("/api/"):
            continue
        assert rest.Session.__metadata__[0].dependency in set(_asked(route.dependant)), route.path
        held += 1
    assert held == len(CHANGES)
    again = {
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*.py")
        if "if_match(" in path.read_text()
    }
    # The forms of pages are held to what REST answers, under its address (`editing.hold`).
    assert again == {
        "web/rest.py", "schedules/routes.py", "grid/routes.py", "console/admin/editing.py"
    }  # fmt: skip


def _asked(dependant: Dependant) -> Iterator[object]:
    for part in dependant.dependencies:
        yield part.call
        yield from _asked(part)


# --- each precondition, on a resource of its own -------------------------------------------------


class Name(rest.Body):
    name: str


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    rest.install(app)
    called_by(app, ADMIN)
    router = Router()
    things = {"a": "A"}

    @router.get("/things/{code}")
    async def show(code: str) -> Name:
        if code not in things:
            raise NotFound("Không có.")
        return Name(name=things[code])

    @router.put("/things/{code}")
    @changes_nothing
    async def put(code: str, body: Name) -> Name:
        things[code] = body.name
        return body

    @router.delete("/things/{code}", status_code=204)
    @changes_nothing
    async def delete(code: str) -> Response:
        del things[code]
        return Response(status_code=204)

    @router.post("/things/{code}/shut")
    @changes_nothing
    async def shut(code: str) -> str:
        return things.get(code, "")

    app.include_router(router)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        yield client


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
@pytest.mark.parametrize(
    ("code", "header", "passes"),
    [
        ("a", {}, True),
        ("a", {"If-Match": "{tag}"}, True),
        ("a", {"If-Match": '"x", {tag}'}, True),
        ("a", {"If-Match": "*"}, True),
        ("a", {"If-Match": '"x"'}, False),
        ("a", {"If-Match": "W/{tag}"}, False),
        ("a", {"If-Match": "nonsense"}, False),
        ("a", {"If-Match": ""}, False),
        ("a", {"If-None-Match": "*"}, False),
        ("a", {"If-None-Match": "{tag}"}, False),
        ("a", {"If-None-Match": "W/{tag}"}, False),
        ("a", {"If-None-Match": '"x"'}, True),
        ("a", {"If-Match": "{tag}", "If-None-Match": '"x"'}, True),
        ("b", {}, True),
        ("b", {"If-Match": "*"}, False),
        ("b", {"If-Match": '"x"'}, False),
        ("b", {"If-None-Match": "*"}, True),
        ("b", {"If-None-Match": '"x"'}, True),
    ],
)
async def test_a_change_holds_to_its_preconditions(
    client: httpx.AsyncClient, method: str, code: str, header: dict[str, str], passes: bool
) -> None:
    if (method, code, passes) == ("DELETE", "b", True):
        return  # there is nothing to delete
    tag = (await client.get("/things/a")).headers["etag"]
    headers = {name: value.format(tag=tag) for name, value in header.items()}
    path = f"/things/{code}" if method != "POST" else f"/things/{code}/shut"
    body = {"json": {"name": "B"}} if method == "PUT" else {}
    if method == "POST":  # an action is no representation that could be there
        passes = passes or "If-None-Match" in header
    answer = await client.request(method, path, headers=headers, **body)  # type: ignore[arg-type]
    assert (answer.status_code != 412) is passes, answer.text


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"If-None-Match": "{tag}"}, 304),
        ({"If-None-Match": "W/{tag}"}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-Match": "{tag}"}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"x"'}, 412),
        ({"If-Match": "W/{tag}"}, 412),
    ],
)
async def test_reading_holds_to_its_preconditions(
    client: httpx.AsyncClient, header: dict[str, str], status: int
) -> None:
    tag = (await client.get("/things/a")).headers["etag"]
    headers = {name: value.format(tag=tag) for name, value in header.items()}
    assert (await client.get("/things/a", headers=headers)).status_code == status
    assert (await client.get("/things/b", headers=headers)).status_code == 404


async def test_what_was_deleted_is_not_revived(client: httpx.AsyncClient) -> None:
    fresh = {"If-Match": (await client.get("/things/a")).headers["etag"]}
    assert (await client.delete("/things/a")).status_code == 204
    answer = await client.put("/things/a", json={"name": "A"}, headers=fresh)
    assert (answer.status_code, answer.headers["content-type"]) == (
        412,
        "application/problem+json",
    )
    assert "không còn" in answer.json()["detail"]


async def test_of_two_changes_from_one_version_one_is_made(engine: AsyncEngine) -> None:
    """All pass the question before their body; they meet again where the change is made."""
    app = FastAPI()
    app.state.engine = engine
    app.state.limit = limit
    rest.install(app)
    called_by(app, ADMIN)
    router = Router()
    things = {"a": "A"}
    asked = asyncio.Barrier(4)

    @router.get("/things/{code}")
    async def show(session: rest.Session, _: Reader, code: str) -> Name:
        await session.execute(sa.select(1))
        return Name(name=things[code])

    async def both(request: Request) -> None:
        if request.method != "GET":
            await asked.wait()

    @router.put("/things/{code}", dependencies=[Depends(both)])
    async def put(session: rest.Session, code: str, body: Name) -> Name:
        await session.execute(sa.select(1))
        things[code] = body.name
        return body

    app.include_router(router)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        fresh = {"If-Match": (await client.get("/things/a")).headers["etag"]}
        answers = await asyncio.gather(
            *(client.put("/things/a", json={"name": str(n)}, headers=fresh) for n in range(4))
        )
        said = (await client.get("/things/a")).json()["name"]
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    assert answers[int(said)].status_code == 200


WAITING = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


@pytest.mark.parametrize("action", ["/things/a/shut", "/things/a/parts/b/drop"])
async def test_no_action_slips_in_between_the_look_of_a_change_and_its_commit(
    engine: AsyncEngine, action: str
) -> None:
    """A 200 to a change from a version is final, although the action asks for none."""
    app = FastAPI()
    app.state.engine = engine
    app.state.limit = limit
    rest.install(app)
    called_by(app, ADMIN)
    router = Router()
    made: list[str] = []
    inside = asyncio.Event()

    @router.get("/things/{code}")
    async def show(session: rest.Session, code: str) -> Name:
        return Name(name="A")

    @router.get("/things/{code}/parts/{part}")
    async def part(session: rest.Session, code: str, part: str) -> Name:
        return Name(name="A")

    @router.put("/things/{code}")
    async def put(session: rest.Session, code: str, body: Name) -> Name:
        inside.set()
        # The other has come through, or waits for us.
        while not made and not await session.scalar(WAITING):  # noqa: ASYNC110
            await asyncio.sleep(0)
        made.append("change")
        return body

    @router.post("/things/{code}/shut")
    async def shut(session: rest.Session, code: str) -> None:
        made.append("action")

    @router.post("/things/{code}/parts/{part}/drop")
    async def drop(session: rest.Session, code: str, part: str) -> None:
        made.append("action")

    app.include_router(router)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        fresh = {"If-Match": (await client.get("/things/a")).headers["etag"]}
        change = asyncio.create_task(client.put("/things/a", json={"name": "B"}, headers=fresh))
        await inside.wait()
        answers = [await client.post(action), await change]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert made == ["change", "action"]


async def test_who_adds_to_a_list_does_not_wait_for_each_other(engine: AsyncEngine) -> None:
    app = FastAPI()
    app.state.engine = engine
    app.state.limit = limit
    rest.install(app)
    called_by(app, ADMIN)
    router = Router()
    both = asyncio.Barrier(2)

    @router.get("/things")
    async def show(session: rest.Session) -> list[str]:
        return []

    @router.post("/things")
    async def add(session: rest.Session) -> None:
        await both.wait()

    @router.post("/things/import")
    async def load(session: rest.Session) -> None:
        await both.wait()

    app.include_router(router)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        for other in ("/things", "/things/import"):
            answers = await asyncio.wait_for(
                asyncio.gather(client.post("/things"), client.post(other)), HANG_SECONDS
            )
            assert [answer.status_code for answer in answers] == [200, 200]
