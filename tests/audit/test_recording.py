"""What an entry says of a change: who, from where, before and after, and no secret."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.accounts.people import create_with_token
from broadcast.audit import entry as written
from broadcast.audit import recording
from broadcast.audit.entry import HIDDEN, MOST_BYTES, Change, Entry, Outcome, Who, decode, encode
from broadcast.audit.recording import Record
from broadcast.auth.model import ApiToken
from broadcast.auth.permissions import Role
from broadcast.bulletins.model import RevisionState
from broadcast.kit import db
from broadcast.kit.db import Base
from broadcast.schedules.model import Schedule
from broadcast.stations.model import Plant
from tests.audit.world import World
from tests.bulletins import make
from tests.schedules import province

NOW = datetime(2026, 1, 2, tzinfo=UTC)


async def test_a_change_says_who_from_where_and_what(world: World) -> None:
    made = await world.call(
        "POST", "/schedules", "Lan", json=world.schedule(), headers={"User-Agent": "curl\x019"}
    )
    id_ = made.json()["id"]
    await world.call("PATCH", f"/schedules/{id_}", "Lan", json={"volume": 40})
    created, changed = await world.entries()
    assert created.who.name == "Lan"
    assert created.who.credential is not None
    assert created.origin == written.Origin("192.0.2.9", "curl\N{REPLACEMENT CHARACTER}9")
    assert (created.action, created.title) == (
        "POST /api/v1/schedules",
        "Xếp lịch phát một bản tin đã duyệt",
    )
    assert [(each.kind, each.key, each.before) for each in created.changes] == [
        ("schedules", id_, None)
    ]
    assert created.changes[0].after is not None
    assert created.changes[0].after["starts_at"] == "2024-12-28T10:00:00Z"
    (difference,) = changed.changes
    assert difference.before is not None
    assert difference.after is not None
    assert (difference.before["volume"], difference.after["volume"]) == (None, 40)
    assert "starts_at" not in difference.after
    assert created.areas == changed.areas == ("21253",)
    assert changed.objects == [f"/api/v1/schedules/{id_}", f"schedules/{id_}"]


async def test_a_repeated_creation_has_one_entry(world: World) -> None:
    key = {"Idempotency-Key": "k"}
    for _ in range(2):
        answer = await world.call("POST", "/schedules", "Lan", json=world.schedule(), headers=key)
        assert answer.status_code == 201
    assert len(await world.entries()) == 1


async def test_an_approval_says_what_was_heard_and_read(world: World) -> None:
    async with db.transaction(world.engine) as session:
        bulletin = await make.bulletin(session, area_code="21262")
        sound = make.prepared(world.content_dir)
        revision = await make.revision(session, bulletin, sound, RevisionState.SUBMITTED)
        revision.text = "Kính thưa bà con. " * 500
        text = revision.text
    path = f"/bulletins/{bulletin.id}/revisions/1/approve"
    heard = sound.renditions[1].sha256
    answer = await world.call("POST", path, "Hùng", json={"heard_sha256": heard})
    assert answer.status_code == 200, answer.text
    (approval,) = await world.entries()
    seen = approval.details["seen"]
    assert seen["heard_sha256"] == heard
    assert seen["text"] == text
    assert seen["sha256"] == {rendition.codec: rendition.sha256 for rendition in sound.renditions}
    assert approval.areas == ("21262",)


async def test_a_moved_occurrence_says_from_when_to_when(world: World) -> None:
    made = (await world.call("POST", "/schedules", "Lan", json=world.schedule())).json()
    page = (await world.call("GET", f"/occurrences?schedule={made['id']}")).json()
    path = f"/occurrences/{page['items'][0]['id']}"
    body = {"starts_at": "2024-12-28T18:00:00+07:00"}
    assert (await world.call("PATCH", path, "Lan", json=body)).status_code == 200
    moved = (await world.entries())[-1]
    change = next(each for each in moved.changes if each.kind == "occurrences")
    assert change.before is not None
    assert (change.before["starts_at"], change.after) == (
        "2024-12-28T10:00:00Z",
        {"starts_at": "2024-12-28T11:00:00Z"},
    )
    assert moved.areas == ("21253",)


async def test_an_import_names_its_files(world: World) -> None:
    body = b"code,codecs\nD-10,opus\n"
    await world.call("POST", "/devices/import", files={"files": ("thiết bị.csv", body)})
    (entry,) = await world.entries()
    (file,) = entry.details["files"]
    assert (file["name"], file["bytes"]) == ("thiết bị.csv", len(body))
    assert entry.details["added"] == 1


async def test_the_proxy_of_this_machine_is_believed_and_no_other(world: World) -> None:
    headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
    for client, hour in (("127.0.0.1", 16), ("192.0.2.1", 17)):
        world.http._transport.client = (client, 1)  # type: ignore[attr-defined]
        body = world.schedule(starts_at=f"2024-12-28T{hour}:00:00+07:00")
        await world.call("POST", "/schedules", "Lan", json=body, headers=headers)
    assert [each.origin.address for each in await world.entries()] == ["203.0.113.7", "192.0.2.1"]


# --- the session -------------------------------------------------------------------------------


def plant(code: str) -> Plant:
    return Plant(code=code, name=code)


async def begun(session: AsyncSession) -> Record:
    record = Record("test")
    record.begin(session)
    return record


async def test_what_a_savepoint_undid_is_not_told(session: AsyncSession) -> None:
    record = await begun(session)
    session.add(plant("P-1"))
    async with session.begin_nested() as attempt:
        session.add(plant("P-2"))
        await session.flush()
        recording.change(session, "things", "x", None, {"a": 1})
        await attempt.rollback()
    async with session.begin_nested():
        session.add(plant("P-3"))
    await session.flush()
    entry = record._entry(NOW)
    assert [each.after["code"] for each in entry.changes if each.after] == ["P-1", "P-3"]


async def test_several_changes_of_a_row_are_one(session: AsyncSession) -> None:
    kept, gone = plant("P-1"), plant("P-2")
    session.add_all([kept, gone])
    await session.flush()
    record = await begun(session)
    for name in ("Một", "Hai"):
        kept.name = name
        await session.flush()
    await session.delete(gone)
    brief = plant("P-3")
    session.add(brief)
    await session.flush()
    await session.delete(brief)
    await session.flush()
    changes = record._entry(NOW).changes
    assert changes == (
        Change("plants", str(kept.id), {"name": "P-1"}, {"name": "Hai"}),
        Change(
            "plants", str(gone.id), {"id": gone.id, "code": "P-2", "name": "P-2"}, None
        ),
    )  # fmt: skip


async def test_the_entry_is_there_if_and_only_if_the_change_is(engine: AsyncEngine) -> None:
    async def attempt(code: str, fails: bool) -> None:
        async with db.transaction(engine) as session:
            record = await begun(session)
            session.add(plant(code))
            await record.write(session, NOW)
            if fails:
                raise RuntimeError

    await attempt("P-1", fails=False)
    with pytest.raises(RuntimeError):
        await attempt("P-2", fails=True)
    async with db.transaction(engine) as session:
        codes = list(await session.scalars(sa.select(Plant.code)))
        lines = list(await session.scalars(sa.text("SELECT entry FROM audit_entries")))
    assert codes == ["P-1"]
    assert [decode(line).changes[0].key for line in lines] == ["1"]


async def test_without_a_record_nothing_is_told(session: AsyncSession) -> None:
    session.add(plant("P-1"))
    recording.change(session, "things", "x", None, {})
    recording.say(session, a=1)
    recording.concern(session, "51")
    recording.skip(session)
    await session.flush()
    assert recording.of(session) is None


# --- secrets -----------------------------------------------------------------------------------


SUSPECT = re.compile(r"sha256|hash|secret|token|password|key|code|pin|seed|private|csr|pem")
HARMLESS = {
    "sha256": "of sound, which is broadcast",
    "content_sha256": "of sound, or of a text and settings",
    "source_sha256": "of a recording, in a draft",
    "request_sha256": "of a whole request",
    "login_sha256": "of a name",
    "key_sha256": "of a public key",
    "public_key": "what it says",
    "pem": "a certificate, which is public",
    "csr": "a request for one, which is public",
    "key": "an Idempotency-Key, of no use to others",
    "area_codes": "of units, which are public",
    "parts_key": "bulletins and revisions",
    "codec": "opus or mp3",
    "codecs": "likewise",
    "key_since": "a revision",
    "live_key": "the public key of a live session",
}
"""Names of columns that look like secrets, and why they are none."""


@pytest.mark.parametrize(
    "name",
    sorted(
        {
            column.name
            for table in Base.metadata.sorted_tables
            for column in table.columns
            if SUSPECT.search(column.name) and not re.search(r"(^|_)code$", column.name)
        }
        - HARMLESS.keys()
    ),
)
def test_a_column_that_looks_like_a_secret_is_not_told(name: str) -> None:
    assert written.plain({name: "tell-tale"}) == {name: HIDDEN}


async def test_a_secret_that_is_a_key_is_not_told(session: AsyncSession) -> None:
    class Sessions(Base):
        __table__ = sa.Table(
            "sessions_of_a_test",
            sa.MetaData(),
            sa.Column("token_sha256", sa.Text, primary_key=True),
        )

    assert recording._key(Sessions(token_sha256="tell-tale")) == HIDDEN


async def test_a_token_is_told_without_its_secret(session: AsyncSession) -> None:
    record = await begun(session)
    secret = await create_with_token(session, "Lan", Role.PROVINCE_ADMIN, NOW)
    await session.flush()
    row = (await session.scalars(sa.select(ApiToken))).one()
    line = encode(record._entry(NOW))
    assert secret not in line
    assert row.token_sha256 not in line
    assert {change["after"].get("token_sha256") for change in json.loads(line)["changes"]} == {
        None,
        HIDDEN,
    }


async def test_no_entry_of_a_request_has_its_token(world: World) -> None:
    await world.call("POST", "/schedules", "Lan", json=world.schedule())
    await world.call("POST", "/areas/load", "Lan")
    lines = "".join(await world.lines())
    assert "Lan" in lines
    for token in world.tokens.values():
        assert token not in lines


# --- how it is written -------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


def test_values_are_written_as_json() -> None:
    id_ = UUID("3f2504e0-4f89-41d3-9a0c-0305e82c3301")
    values = {
        "colour": Colour.RED, "day": date(2025, 1, 2), "id": id_, "part": Decimal("1.50"),
        "set": {"b", "a"}, "body": b"abc", "deep": [{"password": "x", "n": 1}], "none": None,
        "long": "x" * 5000, "password": None,
    }  # fmt: skip
    plain = written.plain(values)
    assert json.loads(json.dumps(plain)) == plain
    assert plain["colour"] == "red"
    assert plain["set"] == ["a", "b"]
    assert plain["deep"] == [{"password": HIDDEN, "n": 1}]
    assert plain["body"]["bytes"] == 3
    assert plain["long"]["characters"] == 5000
    assert plain["password"] is None


def test_an_entry_reads_back() -> None:
    entry = Entry(NOW, Who("Lan", 3), Outcome.DONE, "POST /x", changes=(Change("a", "1"),))
    assert decode(encode(entry)) == entry


def test_a_huge_change_is_bounded_and_proved() -> None:
    changes = tuple(Change("things", str(n), None, {"text": "x" * 900}) for n in range(500))
    entry = Entry(NOW, Who("Lan"), Outcome.DONE, "POST /x", changes=changes)
    line = encode(entry)
    assert MOST_BYTES / 2 < len(line) <= MOST_BYTES + 200
    told = decode(line)
    assert len(told.changes) + told.omitted == len(changes)
    assert len(told.changes_sha256) == 64


def test_many_objects_are_bounded() -> None:
    changes = tuple(Change("things", str(n)) for n in range(500))
    entry = Entry(NOW, Who("Lan"), Outcome.DONE, "POST /x", object="/x", changes=changes)
    assert entry.objects[:2] == ["/x", "things/0"]
    assert len(entry.objects) == 50


async def test_concurrent_requests_do_not_mix(world: World) -> None:
    bodies = [world.schedule(starts_at=f"2024-12-28T{hour}:00:00+07:00") for hour in range(15, 19)]
    await asyncio.gather(*(world.call("POST", "/schedules", "Lan", json=body) for body in bodies))
    entries = await world.entries()
    async with db.transaction(world.engine) as session:
        ids = {str(id_) for id_ in await session.scalars(sa.select(Schedule.id))}
    assert len(entries) == 4
    assert {change.key for entry in entries for change in entry.changes} == ids
    assert all(len(entry.changes) == 1 for entry in entries)
    assert entries[0].at == province.NOW


async def test_a_change_of_a_cluster_tells_of_its_villages(world: World) -> None:
    shown = (await world.call("GET", "/clusters/C-1")).json()
    body = {name: shown[name] for name in ("name", "plant_code", "installed_on")} | {"watts": 77}
    answer = await world.call("PUT", "/clusters/C-1", json=body)
    assert answer.status_code == 200, answer.text
    (entry,) = await world.entries()
    assert entry.areas == ("T-1",)
