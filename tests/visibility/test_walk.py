"""Every route × every role × own, foreign, dissolved place and the province: no leak.

Whatever is answered, it names nothing of a place that the caller may not read; the status is what
the table of permissions and `routes.ROUTES` say. So it is with the conditions of `visibility` and
row-level security together, and with each of them alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2 as httpx
import pytest
import pytest_asyncio
import sqlalchemy as sa
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from broadcast import config
from broadcast.api import create_app
from broadcast.auth.caller import Caller, HeldRole
from broadcast.auth.permissions import PERMISSIONS, Permission, Role
from broadcast.auth.routing import Route
from broadcast.bulletins.audio.prepared import content_path
from broadcast.console import routes as console
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import clock, db
from broadcast.kit.errors import BroadcastError
from broadcast.kit.limited_role import GRANT, ROLE, WEB_ROLE
from broadcast.visibility.sessions import Limits
from broadcast.web import problems
from tests.callers import caller
from tests.console.pages import PAGES
from tests.visibility.in_english import ASKING, CHOSEN, left
from tests.visibility.routes import OF_THE_CALLER, ROUTES, Kind, Rule
from tests.visibility.world import PROVINCE, Place, World, build
from tests.web.calling import Known
from tests.web.routes import application, worked_out

PROVINCIAL = (
    Role.PROVINCE_ADMIN,
    Role.PROVINCE_EDITOR,
    Role.PROVINCE_APPROVER,
    Role.DUTY_OFFICER,
    Role.PROVINCE_MONITOR,
)
OF_VILLAGES = {Role.VILLAGE_HEAD}
IN_PARTS = [role for role in Role if role not in PROVINCIAL]
DENIED = {401, 403, 404}


class Holder(NamedTuple):
    """A role, and the place that its grant is for: one of the world's, or the province."""

    role: Role
    place: str | None

    def __str__(self) -> str:
        return f"{self.role.value}@{self.place or 'province'}"


HOLDERS = [
    *(Holder(role, None) for role in (*PROVINCIAL, Role.TECHNICIAN, Role.AUDITOR, Role.SERVICE)),
    *(Holder(role, "a") for role in IN_PARTS),
    *(Holder(role, "c") for role in IN_PARTS if role not in OF_VILLAGES),
]
"""Everybody: in the whole province, in a commune (or its village), in a dissolved commune."""


WALLED = [
    Holder(Role.COMMUNE_BROADCASTER, "a"),
    Holder(Role.COMMUNE_APPROVER, "c"),
    Holder(Role.TECHNICIAN, "a"),
    Holder(Role.VILLAGE_HEAD, "a"),
    Holder(Role.AUDITOR, "a"),
]
"""Who walks once more with one of the two walls alone: one of each set of permissions."""


REMEMBERED = ("row_security", "territories", "situations", "indicators")
"""What a process remembers of its database; each holder finds it as after a start."""

walks = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Walk:
    app: FastAPI
    engine: AsyncEngine
    client: httpx.AsyncClient
    callers: list[Caller]
    world: World
    now: datetime

    def become(self, holder: Holder) -> None:
        for name in REMEMBERED:
            if hasattr(self.app.state, name):
                delattr(self.app.state, name)
        place = None if holder.place is None else getattr(self.world, holder.place)
        meant_on = (self.now - timedelta(days=100)).date()
        code = None
        if place is not None:
            code = place.village if holder.role in OF_VILLAGES else place.commune
        known = caller("Tâm", holder.role)
        self.callers[-1] = known._replace(
            roles=(HeldRole(holder.role, code, meant_on),),
            second_factor_until=self.now + timedelta(days=1),
        )

    async def ask(
        self, method: str, path: str, rule: Rule, place: Place
    ) -> tuple[httpx.Response, str]:
        """The answer, and all that was said in the request."""
        url = path
        for name, value in rule.path(place).items():
            url = url.replace("{" + name + "}", str(value))
        assert "{" not in url, f"say in routes.ROUTES what {url} is filled with"
        given: dict[str, Any] = {}
        if rule.body is not None:
            how = "data" if rule.is_page else "files" if rule.is_form else "json"
            given[how] = rule.body(place, self.now)
        query = rule.query(place)
        answer = await self.client.request(method, url, params=query, **given)
        return answer, f"{url} {query} {given}"


ANY_PLACE = {Kind.OPEN, Kind.SELF, Kind.LIST, Kind.PUBLIC, Kind.WHOLE, Kind.ANYWHERE}
"""What is answered alike wherever; so is everything that the role has no permission for."""


def said_shortly(error: Exception) -> BroadcastError:
    """A bug, without its log: the walk says where it was."""
    return BroadcastError(f"{type(error).__name__}: {error}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def walk(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Walk]:
    """One application over one world for all holders: what each request does is undone."""
    dsn = postgres.create_database(f"walk_{uuid4().hex}", template="template")
    folder = tmp_path_factory.mktemp("walk")
    engine = create_async_engine(db.async_url(dsn))
    now = clock.now()
    async with db.transaction(engine) as session:
        world = await build(session, now)

    @asynccontextmanager
    async def undone(_: AsyncEngine) -> AsyncIterator[AsyncSession]:
        """A transaction that ends without a trace: every route finds the same world."""
        async with AsyncSession(engine, expire_on_commit=False) as session:
            yield session
            await session.flush()
            await session.rollback()

    for place in (*world.communes, world.top):
        for id_ in (place.bulletin, place.draft):
            file = content_path(folder, id_.hex * 2)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")
    settings = config.Settings(
        postgres=config.Postgres(dsn=SecretStr(dsn)), content_dir=folder, province=PROVINCE
    )
    app = worked_out(create_app(settings, engine))
    callers = [caller("Tâm", Role.PROVINCE_ADMIN)]
    app.add_middleware(Known, callers=callers)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(db, "transaction", undone)
        patch.setattr(problems, "bug", said_shortly)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield Walk(app, engine, client, callers, world, now)
    await engine.dispose()
    postgres.drop_database(engine.url.database or "")


def test_the_table_knows_every_route_and_no_other() -> None:
    described = {
        (method.upper(), path)
        for path, operations in application().openapi()["paths"].items()
        for method in operations
        if not path.startswith(OF_THE_CALLER)
    }
    assert described == ROUTES.keys()


def test_the_table_knows_every_page_and_no_other() -> None:
    pages = {
        (method, route.path)
        for router in console.ROUTERS
        for route in router.routes
        if isinstance(route, Route)
        for method in route.methods or ()
    }
    assert pages - {("GET", "/events")} == PAGES.keys()  # a stream does not end


def may(holder: Holder, rule: Rule) -> bool:
    return rule.permission is None or rule.permission in PERMISSIONS[holder.role]


def reading(rule: Rule) -> Permission:
    """What shows the thing that a route changes."""
    return Permission.CONTENT_READ if rule.is_content else Permission.READ


def sees(holder: Holder, place: Place, world: World, rule: Rule) -> bool:
    if holder.place is None:
        return True
    if place is world.top:
        return rule.is_content
    return place is getattr(world, holder.place)


def admitted(status: int) -> bool:
    return status not in DENIED and status != 500  # 503: no certificates can be made here


def expected(holder: Holder, rule: Rule, place: Place, world: World) -> bool | set[int]:
    """The statuses that are right; True for every one that is no refusal."""
    if not may(holder, rule):
        return {403}
    whole = holder.place is None
    stands = whole or holder.place == "a"  # the other one was dissolved
    seen = sees(holder, place, world, rule)
    own = whole or (seen and stands and place is not world.top)
    if rule.of_commune and whole:
        own = False
    if rule.there is not None and rule.there not in PERMISSIONS[holder.role]:
        own = False
    answers: dict[Kind, bool | set[int]] = {
        Kind.OPEN: True,
        Kind.SELF: True,
        Kind.LIST: {200},
        Kind.PUBLIC: {200},
        Kind.WHOLE: whole or {403},
        Kind.ANYWHERE: stands or {403},
        Kind.READ: seen or {404},
        Kind.FIGURES: (seen and holder.role not in OF_VILLAGES) or {404},
        Kind.CHANGE: own or {403 if seen else 404},
        Kind.MAKE: own or {403, 404, 422},
    }
    return answers[rule.kind]


def is_right(status: int, wanted: bool | set[int], rule: Rule) -> bool:
    if rule.kind in {Kind.OPEN, Kind.SELF}:
        return status != 500
    if wanted is True and rule.is_absent and status == 404:
        return True
    return admitted(status) if wanted is True else status in wanted  # type: ignore[operator]


def visible_markers(holder: Holder, world: World) -> set[str]:
    everything = {place.marker for place in (*world.communes, world.top)}
    if holder.place is None:
        return everything
    own = getattr(world, holder.place)
    return {own.marker, world.top.marker}


def leaks(answer: httpx.Response, said: str, holder: Holder, world: World) -> set[str]:
    """Markers of places that the holder may not read, beyond what he said himself."""
    foreign = {place.marker for place in world.communes} - visible_markers(holder, world)
    drafts = set() if holder.place is None else {f"{world.top.marker}-draft"}
    return {each for each in foreign | drafts if each in answer.text and each not in said}


async def own_pages_that_fail(walk: Walk) -> AsyncIterator[str]:
    """What is below `OF_THE_CALLER` and can be read without naming anything."""
    for path, operations in walk.app.openapi()["paths"].items():
        if "get" in operations and path.startswith(OF_THE_CALLER) and "{" not in path:
            answer = await walk.client.get(path)
            if answer.status_code == 500:
                yield f"GET {path}: {answer.text[:300]}"


async def mistakes(walk: Walk, holder: Holder, *, only_reading: bool = False) -> list[str]:
    """What is answered otherwise than the table says, of every route."""
    world = walk.world
    wrong = []
    for (method, path), rule in {**ROUTES, **PAGES}.items():
        if only_reading and method != "GET":
            continue
        # To who sees the whole province, the second commune is one more like the first.
        foreign = [world.b] if holder.place is not None else []
        places = [world.a, *foreign, world.c, world.n, *([world.top] * rule.is_content)]
        if rule.kind in ANY_PLACE or not may(holder, rule):
            places = [world.a]
        for place in places:
            answer, said = await walk.ask(method, path, rule, place)
            about = f"{holder} {method} {path} of {place.marker}: {answer.status_code}"
            if not is_right(answer.status_code, expected(holder, rule, place, world), rule):
                wrong.append(f"{about} {answer.text[:300]}")
            if found := leaks(answer, said, holder, world):
                wrong.append(f"{about} leaks {found}: {answer.text[:300]}")
            if rule.kind is Kind.LIST and answer.status_code == 200:
                own = world.communes if holder.place is None else [getattr(world, holder.place)]
                missing = [each.marker for each in own if each.marker not in answer.text]
                if missing and not (missing == ["zzc"] and path.endswith("/stations")):
                    wrong.append(f"{about} lacks {missing}")
    wrong += [path async for path in own_pages_that_fail(walk)]
    return wrong


@walks
@pytest.mark.slow
@pytest.mark.parametrize("holder", HOLDERS, ids=str)
async def test_every_route_answers_by_the_table(walk: Walk, holder: Holder) -> None:
    walk.become(holder)
    wrong = await mistakes(walk, holder)
    assert walk.app.state.row_security is True
    assert not wrong, "\n".join(wrong)


@walks
@pytest.mark.slow
@pytest.mark.timeout(600)  # every route at once
@pytest.mark.parametrize("holder", [HOLDERS[0], WALLED[0]], ids=str)
async def test_who_asks_in_english_is_told_in_english(walk: Walk, holder: Holder) -> None:
    """Whatever the catalogues have, no answer and no page says in Vietnamese."""
    walk.become(holder)
    kept = []
    for (method, path), rule in {**ROUTES, **PAGES}.items():
        if method != "GET" and rule.is_page:
            continue  # what is submitted answers with another page
        walk.client.headers.update(ASKING if path.startswith("/api/") else CHOSEN)
        answer, said = await walk.ask(method, path, rule, walk.world.a)
        for name in (*CHOSEN, *ASKING):
            walk.client.headers.pop(name, None)
        kept += [f"{method} {path} {each}" for each in left(answer) if each[1] not in said]
    assert not kept, "\n".join(sorted(kept))


@walks
@pytest.mark.slow
@pytest.mark.parametrize("holder", [HOLDERS[0], WALLED[0]], ids=str)
async def test_so_it_is_where_the_web_process_owns_no_table(walk: Walk, holder: Holder) -> None:
    engine = walk.engine
    walk.become(holder)
    async with engine.begin() as connection:
        await connection.execute(sa.text(f"CREATE ROLE {WEB_ROLE} BYPASSRLS"))
        await connection.execute(sa.text(f"GRANT {ROLE} TO {WEB_ROLE}"))
        await connection.exec_driver_sql(GRANT)

    def log_in(*arguments: Any) -> None:
        arguments[-1]["server_settings"] = {"role": WEB_ROLE}

    event.listen(engine.sync_engine, "do_connect", log_in)
    await engine.dispose()
    try:
        wrong = await mistakes(walk, holder)
        async with engine.connect() as connection:
            assert await connection.scalar(sa.text("SELECT current_user")) == WEB_ROLE
    finally:
        event.remove(engine.sync_engine, "do_connect", log_in)
        await engine.dispose()
        async with engine.begin() as connection:
            await connection.execute(sa.text(f"DROP OWNED BY {WEB_ROLE}"))
            await connection.execute(sa.text(f"DROP ROLE {WEB_ROLE}"))
    assert walk.app.state.row_security is True
    assert not wrong, "\n".join(wrong)


@walks
@pytest.mark.slow
@pytest.mark.parametrize("holder", WALLED[:2], ids=str)
async def test_so_it_is_without_row_level_security(walk: Walk, holder: Holder) -> None:
    walk.become(holder)
    walk.app.state.row_security = False
    wrong = await mistakes(walk, holder, only_reading=True)
    assert not wrong, "\n".join(wrong)


@walks
@pytest.mark.slow
@pytest.mark.parametrize("holder", WALLED[1:4], ids=str)
async def test_so_it_is_by_row_level_security_alone(
    walk: Walk, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk.become(holder)
    monkeypatch.setattr(Limits, "of", lambda *_: [])
    wrong = await mistakes(walk, holder, only_reading=True)
    assert walk.app.state.row_security is True
    assert not wrong, "\n".join(wrong)
    walk.app.state.row_security = False
    assert len(await mistakes(walk, holder, only_reading=True)) > 10
