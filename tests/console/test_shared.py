"""Open pages of the same places, told of the same change, get one answer; never across places."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from starlette.requests import Request

from broadcast.areas.scope import Scope
from broadcast.auth.caller import Caller, HeldRole
from broadcast.auth.permissions import Permission, Role
from broadcast.console import shared as module
from broadcast.console.live import Topic
from broadcast.console.shared import VERSION_HEADER, Key, anonymous, key_of
from broadcast.console.words import Language
from broadcast.kit import clock, db
from broadcast.visibility.rows import Bounds
from broadcast.visibility.sessions import Limits, Within, limits
from broadcast.web.rest import LIMITED
from tests.callers import caller
from tests.console.conftest import Pages
from tests.visibility.world import World, build
from tests.waiting import HANG_SECONDS

PARTS = ("/today/day", "/areas/20001/state", "/areas/51/state", "/map/states")


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    """Three communes with their stations, clusters and devices."""
    async with db.transaction(engine) as session:
        return await build(session, clock.now())


@pytest.fixture
async def told(pages: Pages) -> dict[str, str]:
    """What an open page sends after it was told of a change."""
    hub = pages.app.state.hub
    hub.open([Topic.PLAYS])
    hub.changed(Topic.PLAYS)
    return {VERSION_HEADER: hub.version_name, "HX-Request": "true"}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the parts that were made, not given again."""
    paths: list[str] = []
    plain = module.Shared.answer

    async def counting(self: Any, request: Any, session: Any, caller: Any, make: Any) -> Any:
        async def counted(anybody: Caller) -> Any:
            paths.append(request.url.path)
            return await make(anybody)

        return await plain(self, request, session, caller, counted)

    monkeypatch.setattr(module.Shared, "answer", counting)
    return paths


@pytest.mark.parametrize("path", PARTS)
async def test_pages_of_the_same_places_are_given_one_answer(
    pages: Pages, world: World, told: dict[str, str], made: list[str], path: str
) -> None:
    answers = []
    for name in ("Tâm", "Bình", "Hoa"):
        pages.called_by(Role.PROVINCE_MONITOR, name=name)
        answers.append(await pages.client.get(path, headers=told))
    assert made == [path]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert "Tâm" not in answers[0].text
    own = await pages.load(path)
    assert made == [path, path]  # who was told of nothing sees what he has just changed
    assert own.headers["content-type"] == answers[2].headers["content-type"]


async def test_an_answer_older_than_what_a_page_was_told_is_made_anew(
    pages: Pages, world: World, told: dict[str, str], made: list[str]
) -> None:
    hub = pages.app.state.hub
    await pages.client.get("/today/day", headers=told)
    stream = hub.open([Topic.SCHEDULES])
    hub.changed(Topic.SCHEDULES)
    assert await stream.changes(HANG_SECONDS)
    newer = told | {VERSION_HEADER: hub.version_name}
    for headers in (newer, told, newer):  # what is newer says all that was told before
        await pages.client.get("/today/day", headers=headers)
    assert len(made) == 2


@pytest.mark.parametrize("version", ["", "x", "other.1", "{name}.99", "{name}.-1", "{name}.²"])
async def test_a_version_that_was_never_told_is_none(
    pages: Pages, told: dict[str, str], version: str
) -> None:
    hub = pages.app.state.hub
    name = hub.version_name.partition(".")[0]
    assert hub.told(version.format(name=name)) is None
    assert hub.told(hub.version_name) == hub.version


async def test_old_answers_are_not_given(
    pages: Pages, world: World, told: dict[str, str], made: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(module, "KEPT_SECONDS", -1.0)
    for _ in range(2):
        await pages.client.get("/today/day", headers=told)
    assert len(made) == 2


async def test_a_refusal_is_kept_for_nobody(
    pages: Pages, world: World, told: dict[str, str], made: list[str]
) -> None:
    pages.called_by(Role.COMMUNE_MONITOR, world.b.commune)
    for _ in range(2):
        assert (await pages.client.get("/areas/20001/state", headers=told)).status_code == 404
    assert len(made) == 2


async def test_the_number_of_answers_is_bounded(
    pages: Pages, world: World, told: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_KEPT", 2)
    for condition in ("ok", "partial", "bad", "unknown"):
        query = {"condition": condition}
        answer = await pages.client.get("/map/states", params=query, headers=told)
        assert answer.status_code == 200
    assert len(pages.app.state.shared._kept) == 2


async def test_nobody_is_given_what_another_may_see(
    pages: Pages, world: World, told: dict[str, str]
) -> None:
    """Each asks after all others, of the parts of every place; foreign names are nowhere."""
    everything = {"zza", "zzb", "zzc", "zzn", "zzp"}
    holders = [
        (Role.PROVINCE_ADMIN, None, everything),
        *(
            (role, place.commune, {place.marker, "zzp"})
            for role in (Role.COMMUNE_BROADCASTER, Role.TECHNICIAN)
            for place in (world.a, world.b)
        ),
        (Role.VILLAGE_HEAD, world.a.village, {"zza", "zzp"}),
    ]
    found: dict[tuple[Role, str | None, str], str] = {}
    for turn in range(2):
        for role, area, seen in holders:
            pages.called_by(role, area)
            for path in (*PARTS, "/areas/20002/state"):
                answer = await pages.client.get(path, headers=told)
                about = (role, area, path)
                assert not [each for each in everything - seen if each in answer.text], about
                if turn == 0:
                    assert answer.status_code == (await pages.load(path)).status_code, about
                    found[about] = answer.text
                elif answer.status_code == 200:
                    assert answer.text == found[about], about
    for (role, area, path), text in found.items():
        if path == "/today/day":
            assert {"20002": "zzb"}.get(area or "", "zza") in text, (role, area)


# --- the key -------------------------------------------------------------------------------------

CODES = ("51", "20001", "20002", "V-1")
held_roles = st.builds(
    HeldRole, st.sampled_from(Role), st.none() | st.sampled_from(CODES), st.none()
)
callers = st.builds(
    Caller,
    st.integers(1, 3), st.sampled_from(["Tâm", "Bình"]), st.sampled_from(["token/1", "session/2"]),
    st.lists(held_roles, max_size=3).map(tuple),
    st.none() | st.frozensets(st.sampled_from([Permission.READ, Permission.CONTENT_READ])),
    st.none(),
)  # fmt: skip
scopes = st.builds(
    Scope,
    st.frozensets(st.sampled_from(CODES)),
    st.frozensets(st.sampled_from(CODES)),
    st.booleans(),
)
withins = st.none() | st.builds(
    Within, scopes, st.sampled_from([date(2025, 6, 30), date(2025, 7, 1)])
)


def key(caller: Caller, within: Within | None) -> Key:
    request = Request(
        {
            "type": "http", "method": "GET", "path": "/today/day", "query_string": b"",
            "headers": [], "server": ("127.0.0.1", 80), "scheme": "http",
        }
    )  # fmt: skip
    session = AsyncSession()
    if within is not None:
        session.info[LIMITED] = Limits(Bounds.of(*within), within=within)
    return key_of(request, session, caller)


def in_sql(within: Within | None) -> Any:
    """The limits as row-level security is given them (`row_security.impose`)."""
    if within is None:
        return None
    return [
        str(each.compile(compile_kwargs={"literal_binds": True})) for each in Bounds.of(*within)
    ]


@given(callers, callers, withins, withins)
def test_equal_keys_are_equal_in_all_that_decides_what_is_seen(
    one: Caller, other: Caller, within: Within | None, another: Within | None
) -> None:
    if key(one, within) == key(other, another):
        assert in_sql(within) == in_sql(another)
        assert (one.roles, one.scope, one.permissions) == (
            other.roles, other.scope, other.permissions,
        )  # fmt: skip
    if in_sql(within) != in_sql(another):
        assert key(one, within) != key(other, another)


@given(callers)
def test_who_asks_is_in_no_key(one: Caller) -> None:
    nobody = anonymous(one)
    assert (nobody.account_id, nobody.name, nobody.credential) == (0, "", "")
    assert nobody.permissions == one.permissions
    assert key(one, None) == key(nobody, None)
    assert key(one, None).language is Language.VIETNAMESE


async def test_limits_of_a_request_know_what_they_are_made_of(
    engine: AsyncEngine, world: World
) -> None:
    async with db.transaction(engine) as session:
        found = await limits(
            session, caller("Tâm", Role.COMMUNE_MONITOR, world.a.commune), Permission.READ
        )
        assert found is not None
        assert found.within is not None
        assert world.a.commune in found.within.scope
        assert world.b.commune not in found.within.scope
        assert in_sql(found.within) == [
            str(each.compile(compile_kwargs={"literal_binds": True})) for each in found._bounds
        ]
