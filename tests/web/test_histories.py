"""Two people change one thing, in any order and at once: what was accepted is what there is."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import httpx2 as httpx
import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from broadcast import config
from broadcast.accounts.people import create_with_token
from broadcast.api import create_app
from broadcast.auth.caller import caller_of_token
from broadcast.auth.permissions import Role
from broadcast.bulletins.model import RevisionState
from broadcast.kit import clock, db
from tests.bulletins import make
from tests.schedules import province
from tests.web.routes import worked_out

PEOPLE = {"Lan": Role.PROVINCE_EDITOR, "Hùng": Role.PROVINCE_APPROVER, "Tèo": Role.TECHNICIAN,
          "Tư": Role.TECHNICIAN}  # fmt: skip


class World:
    """The whole application over a province, and a clock that goes on with every request."""

    def __init__(self, engine: AsyncEngine, http: httpx.AsyncClient, content_dir: Path) -> None:
        self.engine = engine
        self.http = http
        self.content_dir = content_dir
        self.tokens: dict[str, str] = {}
        self.names: dict[int, str] = {}
        self.schedulable = ""
        self._ticks = itertools.count()

    def now(self) -> datetime:
        return province.NOW + timedelta(milliseconds=next(self._ticks))

    async def call(
        self, who: str, method: str, path: str, body: Any = None, **headers: str
    ) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given["Authorization"] = f"Bearer {self.tokens[who]}"
        return await self.http.request(method, f"/api/v1{path}", json=body, headers=given)

    async def show(self, who: str, path: str) -> tuple[dict[str, Any], str]:
        """What there is, and its version."""
        answer = await self.call(who, "GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json(), answer.headers["etag"]


@pytest.fixture
async def world(
    engine: AsyncEngine, postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    settings = config.Settings(
        postgres=config.Postgres(dsn=SecretStr(postgres_dsn)), content_dir=tmp_path
    )
    transport = httpx.ASGITransport(worked_out(create_app(settings, engine)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        world = World(engine, http, tmp_path)
        monkeypatch.setattr(clock, "now", world.now)
        async with db.transaction(engine) as session:
            await province.build(session)
            for person, role in PEOPLE.items():
                world.tokens[person] = await create_with_token(
                    session, person, role, province.NOW, second_factor=True
                )
                made = await caller_of_token(session, world.tokens[person], province.NOW)
                world.names[made.account_id] = person
            bulletin, _ = await province.approved(session, tmp_path)
            world.schedulable = str(bulletin.id)
        yield world


# --- what is changed ----------------------------------------------------------------------------


class Edit(NamedTuple):
    """What somebody asks for: of the present version, of an old one, or of whatever there is."""

    who: str
    what: str
    body: Any
    version: str


class Thing(Protocol):
    """Something that two people change."""

    people: tuple[str, str]

    async def make(self, world: World) -> str:
        """The path of a new one."""

    def request(self, path: str, edit: Edit) -> tuple[str, str, Any]:
        """Method, path and body of a change."""

    def after(self, shown: Mapping[str, Any], edit: Edit) -> dict[str, Any]:
        """What a change, once accepted, leaves of what was shown before."""

    def told(
        self, world: World, path: str, edits: list[Edit], logged: list[Any], shown: Any
    ) -> None:
        """Hold what is written down of changes against those that were accepted."""

    async def seen(self, world: World, path: str) -> Any:
        """All that a change can change, without ids and times of changing."""

    async def end(self, world: World, path: str) -> None:
        """Leave nothing that stands in the way of the next one."""


class ScheduleThing:
    people = ("Lan", "Hùng")
    whats = st.one_of(
        st.tuples(
            st.just("change"),
            st.fixed_dictionaries(
                {},
                optional={
                    "title": st.sampled_from(["Họp thôn", "Tiêm phòng"]),
                    "volume": st.sampled_from([None, 30, 60, 101]),
                    "late_limit_seconds": st.sampled_from([0, 60]),
                    "rrule": st.sampled_from([None, "FREQ=DAILY;COUNT=3", "FREQ=HOURLY"]),
                    "starts_at": st.sampled_from(
                        ["2024-12-29T17:00:00+07:00", "2024-12-28T23:30:00+07:00"]
                    ),
                },
            ),
        ),
        st.tuples(st.just("change"), st.just({"volume": 45})),
        st.tuples(st.just("withdraw"), st.none()),
    )

    async def make(self, world: World) -> str:
        body = {
            "bulletin_id": world.schedulable,
            "targets": [{"area": "21253"}],
            "starts_at": "2024-12-28T17:00:00+07:00",
        }
        answer = await world.call("Lan", "POST", "/schedules", body)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"].removeprefix("/api/v1")

    def request(self, path: str, edit: Edit) -> tuple[str, str, Any]:
        if edit.what == "withdraw":
            return "POST", f"{path}/withdraw", None
        return "PATCH", path, edit.body

    def after(self, shown: Mapping[str, Any], edit: Edit) -> dict[str, Any]:
        if edit.what == "withdraw":
            return {**shown, "state": "withdrawn"}
        said = dict(edit.body)
        if "starts_at" in said:
            said["starts_at"] = datetime.fromisoformat(said["starts_at"])
        return {**shown, **said}

    def told(
        self, world: World, path: str, edits: list[Edit], logged: list[Any], shown: Any
    ) -> None:
        events = {
            "change": "schedules.schedule.changed",
            "withdraw": "schedules.schedule.withdrawn",
        }
        assert [
            (each["event"], world.names[each["by"]])
            for each in logged
            if each["event"] in events.values() and path.endswith(each["schedule_id"])
        ] == [(events[edit.what], edit.who) for edit in edits]

    async def seen(self, world: World, path: str) -> Any:
        own = path.rpartition("/")[2]
        page, _ = await world.show("Lan", f"/occurrences?schedule={own}&limit=500")
        occurrences = [
            {n: v for n, v in row.items() if n not in {"id", "schedule_id"}}
            for row in page["items"]
        ]
        return without(await world.show("Lan", path)), [
            row for row in occurrences if row["state"] != "cancelled"
        ]

    async def end(self, world: World, path: str) -> None:
        await world.call("Lan", "POST", f"{path}/withdraw")


class BulletinThing:
    people = ("Lan", "Hùng")
    whats = st.tuples(
        st.sampled_from(["submit", "approve", "return", "withdraw"]),
        st.sampled_from([{"note": "sai ngày"}, {"note": ""}]),
    )

    async def make(self, world: World) -> str:
        async with db.transaction(world.engine) as session:
            bulletin = await make.bulletin(session, area_code="21262")
            sound = make.prepared(world.content_dir)
            await make.revision(session, bulletin, sound, RevisionState.DRAFT)
            return f"/bulletins/{bulletin.id}/revisions/1"

    def request(self, path: str, edit: Edit) -> tuple[str, str, Any]:
        return "POST", f"{path}/{edit.what}", edit.body

    def after(self, shown: Mapping[str, Any], edit: Edit) -> dict[str, Any]:
        states = {
            "submit": "submitted", "approve": "approved", "return": "returned",
            "withdraw": "withdrawn",
        }  # fmt: skip
        return {**shown, "state": states[edit.what]}

    def told(
        self, world: World, path: str, edits: list[Edit], logged: list[Any], shown: Any
    ) -> None:
        """The steps of the approval are who did what, in order."""
        steps = [(each["state"], each["actor"]["name"], each["note"]) for each in shown["steps"]]
        assert steps[1:] == [
            (self.after({}, edit)["state"], edit.who, edit.body["note"]) for edit in edits
        ]

    async def seen(self, world: World, path: str) -> Any:
        shown = without(await world.show("Lan", path))
        steps = [{**each, "at": ""} for each in shown["steps"]]
        return {**shown, "steps": steps, "preparation": {**shown["preparation"], "url": ""}}

    async def end(self, world: World, path: str) -> None:
        pass


class ClusterThing:
    people = ("Tèo", "Tư")
    whats = st.tuples(
        st.just("change"),
        st.fixed_dictionaries(
            {
                "name": st.sampled_from(["Nhà văn hóa", "Chợ", ""]),
                "watts": st.sampled_from([None, 50, 10_000]),
                "horns_count": st.sampled_from([1, 2]),
            }
        ),
    )

    async def make(self, world: World) -> str:
        answer = await world.call("Tèo", "PUT", "/clusters/C-1", {**CLUSTER, "name": "Ban đầu"})
        assert answer.status_code == 200, answer.text
        return "/clusters/C-1"

    def request(self, path: str, edit: Edit) -> tuple[str, str, Any]:
        return "PUT", path, {**CLUSTER, **edit.body}

    def after(self, shown: Mapping[str, Any], edit: Edit) -> dict[str, Any]:
        return {**shown, **CLUSTER, **edit.body}

    def told(
        self, world: World, path: str, edits: list[Edit], logged: list[Any], shown: Any
    ) -> None:
        pass

    async def seen(self, world: World, path: str) -> Any:
        return without(await world.show("Tèo", path))

    async def end(self, world: World, path: str) -> None:
        pass


CLUSTER = {"plant_code": "P-1", "installed_on": "2024-01-01"}


def without(shown: tuple[dict[str, Any], str]) -> dict[str, Any]:
    """What is shown, but for what says which one it is and when it was made."""
    mine = {"id", "number", "created_at", "changed_at"}
    return {name: value for name, value in shown[0].items() if name not in mine}


# --- histories ----------------------------------------------------------------------------------


def histories(thing: Any) -> st.SearchStrategy[list[list[Edit]]]:
    """Edits one after another, and two of them at once now and then."""
    edit = st.builds(
        lambda who, what, version: Edit(thing.people[who], what[0], what[1], version),
        st.integers(0, 1),
        thing.whats,
        st.sampled_from(["fresh", "fresh", "old", "any"]),
    )
    return st.lists(st.lists(edit, min_size=1, max_size=2), min_size=2, max_size=5)


async def ask(
    world: World, thing: Thing, path: str, edit: Edit, fresh: str, old: str
) -> httpx.Response:
    tag = {"fresh": fresh, "old": old, "any": ""}[edit.version]
    return await world.call(
        edit.who, *thing.request(path, edit), **({"If_Match": tag} if tag else {})
    )


class Answered(NamedTuple):
    edit: Edit
    status: int
    body: Any


def orders(
    before: dict[str, Any], after: dict[str, Any], thing: Thing, answers: list[Answered]
) -> Iterator[list[Edit]]:
    """Orders in which these answers are right, one after another."""
    for order in itertools.permutations(answers):
        shown, accepted = before, []
        for edit, status, body in order:
            if status == 200:
                if edit.version == "old" or (edit.version == "fresh" and shown != before):
                    break
                left = {name: value for name, value in body.items() if name in before}
                if not same(thing.after(shown, edit), left):
                    break
                if left != shown:  # whoever withdraws a second time, is told that it is done
                    accepted.append(edit)
                shown = left
            elif status == 412 and (
                edit.version == "any" or (edit.version == "fresh" and shown == before)
            ):
                break
        else:
            if shown == after:
                yield accepted


def same(wanted: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Whether a thing is as wanted; what a change brings with it, is left to the replay."""
    brought = {"changed_at", "allowed", "steps", "removed_on"}
    return all(
        moment(value) == moment(body[name])
        for name, value in wanted.items()
        if name not in brought
    )


def moment(value: Any) -> Any:
    """A value, as the moment that it may be."""
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value


@pytest.mark.parametrize(
    "thing",
    [ScheduleThing(), BulletinThing(), ClusterThing()],
    ids=["schedule", "bulletin", "cluster"],
)
@hypothesis.settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_what_was_accepted_is_what_there_is(
    world: World, thing: Any, data: st.DataObject
) -> None:
    history = data.draw(histories(thing))
    path = await thing.make(world)
    accepted: list[Edit] = []
    old = '"of-long-ago"'
    with capture_logs() as logged:
        for at_once in history:
            before, fresh = await world.show(thing.people[0], path)
            answers = await asyncio.gather(
                *(ask(world, thing, path, edit, fresh, old) for edit in at_once)
            )
            assert all(answer.status_code < 500 for answer in answers)
            after, tag = await world.show(thing.people[1], path)
            found = [
                Answered(edit, answer.status_code, answer.json())
                for edit, answer in zip(at_once, answers, strict=True)
            ]
            order = next(orders(before, after, thing, found), None)
            assert order is not None, (before, after, found)
            accepted += order
            old = old if tag == fresh else fresh
    shown, _ = await world.show(thing.people[0], path)
    thing.told(world, path, accepted, logged, shown)
    state = await thing.seen(world, path)
    await thing.end(world, path)
    again = await thing.make(world)
    for edit in accepted:
        answer = await ask(world, thing, again, edit._replace(version="any"), "", "")
        assert answer.status_code == 200, answer.text
    assert await thing.seen(world, again) == state
    await thing.end(world, again)


@hypothesis.settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    asked=st.lists(
        st.tuples(
            st.sampled_from(["Lan", "Hùng"]), st.sampled_from("ab"), st.sampled_from([40, 50])
        ),
        min_size=2,
        max_size=5,
    ),
    at_once=st.booleans(),
)
async def test_a_key_makes_one_thing(
    world: World, asked: list[tuple[str, str, int]], at_once: bool
) -> None:
    """Repeated with the same words: the first answer. With other words: refused, nothing made."""
    run = next(world._ticks)
    page, _ = await world.show("Lan", "/schedules?state=active&limit=500")
    assert page["items"] == []

    async def create(who: str, key: str, volume: int) -> httpx.Response:
        hour = 9 + "ab".index(key) + 2 * ["Lan", "Hùng"].index(who)
        body = {
            "bulletin_id": world.schedulable,
            "targets": [{"area": "21253"}],
            "starts_at": f"2024-12-28T{hour:02}:00:00+07:00",
            "volume": volume,
        }
        key = f"{run}-{key}"
        return await world.call(who, "POST", "/schedules", body, Idempotency_Key=key)

    if at_once:
        answers = list(await asyncio.gather(*(create(*each) for each in asked)))
    else:
        answers = [await create(*each) for each in asked]
    made: dict[tuple[str, str], Any] = {}
    for (who, key, volume), answer in zip(asked, answers, strict=True):
        if answer.status_code == 201:
            body = answer.json()
            assert body["volume"] == volume
            assert made.setdefault((who, key), body) == body
        else:
            assert answer.status_code == 422, answer.text
            assert answer.json()["field"] == "Idempotency-Key"
    assert made.keys() == {(who, key) for who, key, _ in asked}
    page, _ = await world.show("Lan", "/schedules?state=active&limit=500")
    assert {each["id"]: each["volume"] for each in page["items"]} == {
        each["id"]: each["volume"] for each in made.values()
    }
    for each in made.values():
        await world.call("Lan", "POST", f"/schedules/{each['id']}/withdraw")
