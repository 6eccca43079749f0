"""No row stops a role: whatever one row holds, all else goes on, and it is said."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.api import create_app
from broadcast.auth.permissions import Role
from broadcast.devices.model import Device, Installation
from broadcast.indicators import rollup
from broadcast.indicators.model import Invalidation, RolledUpDay
from broadcast.kit import db
from broadcast.kit.failures import Failure
from broadcast.programmes import compile as compile_module
from broadcast.restore import state
from broadcast.restore.model import Cause
from broadcast.schedules import cancellation
from broadcast.telemetry.model import DevicePresence, ListeningSpan
from broadcast.telemetry.presence import Presence
from broadcast.upkeep import checks, facts
from broadcast.upkeep.checks import Name
from tests.callers import caller
from tests.delivery.world import NOW, World
from tests.web.calling import called_by
from tests.web.routes import operations, worked_out


@pytest.fixture
async def world(engine: AsyncEngine, tmp_path: Path) -> World:
    world = World(engine, tmp_path)
    await world.build()
    return world


CHECKS = """
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
    FROM pg_constraint
    WHERE contype = 'c' AND connamespace = 'public'::regnamespace AND coninhcount = 0
"""


async def spoil(world: World, statement: str, **parameters: Any) -> None:
    """Change a row in a way that nothing but a bug or a hand at the database could."""
    async with db.transaction(world.engine) as session:
        for (drop,) in (await session.execute(sa.text(CHECKS))).all():
            await session.execute(sa.text(drop))
        await session.execute(sa.text("SET LOCAL session_replication_role = replica"))
        changed: Any = await session.execute(sa.text(statement), parameters)
        assert changed.rowcount == 1, "the test changes one row"


NEEDED = {
    f"/api/v1/{name}": {"area": "21001"}
    for name in ("lexicon", "approval-rules", "heard", "regulations/in-force")
}
NO_LIST = {
    *("/api/v1/session", "/api/v1/session/passkeys", "/api/v1/session/second-factor"),
    *("/api/v1/sessions", "/api/v1/session/openid", "/api/v1/sign-in/openid"),
    *("/api/v1/sign-in/openid/callback", "/api/v1/restore", "/api/v1/audit/export"),
    "/api/v1/inbox-compliance.csv",
    "/api/v1/languages-served.csv",
}
"""Of a session, which a token is not; of a provider and a restore, which there are not; a file."""


async def lists(world: World) -> dict[str, tuple[int, Any]]:
    """Status and body of every list over REST."""
    app = worked_out(create_app(world.settings, world.engine))
    called_by(app, caller("Lan", Role.PROVINCE_ADMIN))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answers = {
            path: await client.get(path, params=NEEDED.get(path))
            for method, path in operations(app)
            if method == "GET"
            and path.startswith("/api/")
            and "{" not in path
            and path not in NO_LIST
        }
    return {path: (answer.status_code, answer.json()) for path, answer in answers.items()}


async def failed(world: World) -> set[tuple[str, str]]:
    async with db.transaction(world.engine) as session:
        rows = await session.execute(sa.select(Failure.step, Failure.subject))
        return {(step, subject) for step, subject in rows}


async def ready(world: World) -> checks.Check:
    async with db.transaction(world.engine) as session:
        found = await facts.gather(session, world.settings.upkeep, world.now)
    work = checks.work(found, world.settings.upkeep, world.now)
    return next(check for check in work if check.name is Name.STEPS)


ROWS = {
    "rule": "UPDATE schedules SET rrule = 'FREQ=NEVER' WHERE id = :bad",
    "targets": """UPDATE schedules SET targets = '[{"area": 7}]' WHERE id = :bad""",
    "no targets": """UPDATE schedules SET targets = '"x"' WHERE id = :bad""",
    "start": "UPDATE schedules SET starts_at = '9999-12-31 23:59+00' WHERE id = :bad",
    "late limit": "UPDATE schedules SET late_limit_seconds = 2147483647 WHERE id = :bad",
    "word of a schedule": "UPDATE schedules SET on_preempt = 'jump' WHERE id = :bad",
    "priority": "UPDATE schedules SET priority = 70000 WHERE id = :bad",
    "title": "UPDATE schedules SET title = repeat('x', 600) WHERE id = :bad",
    "exception": "UPDATE schedule_exceptions SET moved_to = 'infinity' WHERE schedule_id = :bad",
    "occurrence": "UPDATE occurrences SET late_limit_seconds = -1, dirty = true"
    " WHERE schedule_id = :bad",
    "title of an occurrence": "UPDATE occurrences SET title = repeat('x', 600), dirty = true"
    " WHERE schedule_id = :bad",
    "volume": "UPDATE occurrences SET volume = 900, dirty = true WHERE schedule_id = :bad",
    "word of an occurrence": "UPDATE occurrences SET \"class\" = 'x', dirty = true"
    " WHERE schedule_id = :bad",
    "scopes": "UPDATE occurrences SET scopes = '{area/V2,nowhere}', dirty = true"
    " WHERE schedule_id = :bad",
    "dirty scope": "INSERT INTO dirty_scopes VALUES ('no/where', 'programme', now())",
    "dirty kind": "INSERT INTO dirty_scopes VALUES ('area/V2', 'alerts', now())",
    "token": "UPDATE documents SET token = 'x' WHERE scope = 'area/V2'",
    "token of base64": "UPDATE documents SET token = 'e30.e30.e30' WHERE scope = 'area/V2'",
    "token that is too long": "UPDATE documents SET token = convert_to(repeat('x', 9000000),"
    " 'UTF8') WHERE scope = 'area/V2'",
    "token to be sent": "UPDATE documents SET token = 'x', published_revision = 0"
    " WHERE scope = 'area/V2'",
    "revision of a document": "UPDATE documents SET revision = 9007199254740993,"
    " published_revision = 0 WHERE scope = 'area/V2'",
    "device": "UPDATE devices SET volume = 900 WHERE code = 'D-V2'",
    "code of a device": "UPDATE devices SET code = '#/+' WHERE code = 'D-V2'",
    "codecs": "UPDATE devices SET codecs = '{x}' WHERE code = 'D-V2'",
    "rendition": "UPDATE renditions SET sha256 = 'x'"
    " WHERE codec = 'opus' AND bulletin_id = :sound",
    "size": "UPDATE renditions SET size_bytes = 0 WHERE codec = 'opus' AND bulletin_id = :sound",
    "word of a rendition": "UPDATE renditions SET codec = 'wav' WHERE codec = 'opus'"
    " AND bulletin_id = :sound",
    "revision": "UPDATE bulletin_revisions SET seconds = 'NaN' WHERE bulletin_id = :sound",
    "length": "UPDATE bulletin_revisions SET seconds = 1e300 WHERE bulletin_id = :sound",
    "word of a revision": "UPDATE bulletin_revisions SET state = 'x' WHERE bulletin_id = :sound",
    "content": "UPDATE published_content SET sha256 = '..', published_at = NULL"
    " WHERE sha256 = (SELECT sha256 FROM renditions WHERE bulletin_id = :sound"
    " AND codec = 'opus')",
    "presence": "UPDATE device_presence SET presence = 'x' WHERE device_id = :device",
    "presence of another time": "UPDATE device_presence SET last_seen_at = 'infinity',"
    " silent_after = '-infinity' WHERE device_id = :device",
    "play": "UPDATE plays SET state = 'x', ends_by = '2020-01-01' WHERE occurrence_id ="
    " (SELECT id FROM occurrences WHERE schedule_id = :bad)",
    "village": "UPDATE cluster_villages SET village_code = 'none' WHERE village_code = 'V2'",
    "area": "UPDATE areas SET parent_code = 'none' WHERE code = 'V2'",
    "loop of areas": "UPDATE areas SET parent_code = 'V2' WHERE code = 'V2'",
    "topology": "UPDATE topology SET applied_revision = -5",
    "command": "INSERT INTO commands (command_id, device_id, kind, ordered_by, ordered_at,"
    " not_after) VALUES ('c', :device, 'x', 1000001, now(), 'infinity')",
    "command without a volume": "INSERT INTO commands (command_id, device_id, kind, ordered_by,"
    " ordered_at, not_after) VALUES ('c', :device, 'volume', 1000001, now(), '2030-01-01')",
    "incident": "INSERT INTO incidents (kind, code, cause, opened_at, noticed_at, devices_count,"
    " down_count, villages_count, communes_count, superseded, name, within) VALUES ('device', 'x',"
    " 'x', now(), now(), 1, 1, 1, 1, false, 'x', '')",
}


@pytest.mark.parametrize("row", ROWS)
async def test_whatever_one_row_holds_the_others_go_on(world: World, row: str) -> None:
    bad_sound, good_sound = await world.bulletin(b"howls"), await world.bulletin()
    bad = await world.schedule(bad_sound, {"area": "V2"}, hours=3)
    await world.schedule(good_sound, {"area": "V1"}, hours=3)
    await world.turn()
    async with db.transaction(world.engine) as session:
        device = await session.scalar(sa.text("SELECT id FROM devices WHERE code = 'D-V2'"))
        for id_ in await session.scalars(sa.select(Device.id)):
            session.add(
                DevicePresence(
                    device_id=id_, presence=Presence.ONLINE, since=NOW, session=1, seq=1,
                    last_seen_at=NOW, silent_after=NOW + timedelta(seconds=150), held={},
                )
            )  # fmt: skip
        session.add(ListeningSpan(started_at=NOW, until=NOW + timedelta(hours=9)))
        if row == "exception":
            await session.execute(
                sa.text("INSERT INTO schedule_exceptions SELECT id, starts_at, starts_at, 1000001,"
                        " :now FROM schedules WHERE id = :bad"), {"bad": bad, "now": NOW},
            )  # fmt: skip
    parameters = {"bad": bad, "sound": bad_sound, "device": device}
    used = {name: value for name, value in parameters.items() if f":{name}" in ROWS[row]}
    await spoil(world, ROWS[row], **used)
    assert {
        path: status for path, (status, _) in (await lists(world)).items() if status != 200
    } == {}
    new = await world.schedule(good_sound, {"area": "V1"}, hours=4)
    await turns(world)
    starts = [item.starts_at for item in world.items()["area/V1"]]
    assert starts == [NOW + timedelta(hours=3), NOW + timedelta(hours=4, seconds=1)]
    await world.withdraw(new)
    await turns(world)
    assert len(world.items()["area/V1"]) == 1
    world.now += timedelta(hours=4)
    await turns(world)
    async with db.transaction(world.engine) as session:
        state = await session.scalar(
            sa.text("SELECT p.state FROM plays AS p JOIN clusters AS c ON c.id = p.cluster_id"
                    " WHERE c.code = 'C-V1' AND p.starts_at = :at"),
            {"at": NOW + timedelta(hours=3)},
        )  # fmt: skip
    assert state not in {"planned", "playing"}, "the closer goes on"


async def test_a_document_that_the_broker_has_and_no_row_waits_for_a_person(world: World) -> None:
    """As after a restore: what devices were told may be newer than all that is known here."""
    await world.schedule(await world.bulletin(), {"area": "V2"}, hours=3)
    await world.turn()
    await spoil(world, "UPDATE documents SET scope = 'a/b/#' WHERE scope = 'area/V2'")
    await turns(world)
    async with db.transaction(world.engine) as session:
        found = await state.open_restore(session)
        assert found is not None
        assert found.cause is Cause.BROKER
    await world.schedule(await world.bulletin(b"howls"), {"area": "V1"}, hours=4)
    await turns(world)
    assert "area/V1" not in world.items()


async def turns(world: World) -> None:
    """Long enough for what was given up for a moment to be tried again."""
    for _ in range(2):
        await world.turn(after=timedelta(minutes=2))


async def test_what_is_set_aside_is_said_tried_again_and_forgotten_once_it_is_right(
    world: World,
) -> None:
    sound = await world.bulletin()
    bad = await world.schedule(sound, {"area": "V1"}, rrule="FREQ=DAILY")
    await world.turn()
    assert (await ready(world)).alarm is False
    await spoil(world, "UPDATE schedules SET rrule = 'FREQ=NEVER' WHERE id = :bad", bad=bad)
    await world.turn(after=timedelta(hours=1))
    assert await failed(world) == {("horizon", str(bad))}
    said = await ready(world)
    assert (said.ok, said.alarm) == (True, True)
    assert str(bad) in said.detail
    assert "FREQ" in said.detail
    attempts = []
    for _ in range(12):
        await world.turn(after=timedelta(minutes=1))
        async with db.transaction(world.engine) as session:
            attempts.append(await session.scalar(sa.select(Failure.attempts)))
    assert attempts[0] > 1
    assert attempts[-1] < 10, "less and less often"
    await spoil(world, "UPDATE schedules SET rrule = 'FREQ=DAILY' WHERE id = :bad", bad=bad)
    await world.turn(after=timedelta(minutes=11))
    assert await failed(world) == set()
    assert (await ready(world)).alarm is False


async def test_an_occurrence_that_no_device_would_accept_is_left_out_of_its_programme_alone(
    world: World,
) -> None:
    sound = await world.bulletin()
    bad = await world.schedule(sound, {"area": "V1"}, hours=2)
    await world.schedule(sound, {"area": "V1"}, hours=3)
    await world.turn()
    statement = (
        "UPDATE occurrences SET title = repeat('x', 501), dirty = true WHERE schedule_id = :bad"
    )
    await spoil(world, statement, bad=bad)
    await world.turn()
    [item] = world.items()["area/V1"]
    assert item.starts_at == NOW + timedelta(hours=3)
    [(step, _)] = await failed(world)
    assert step == "items"
    assert "501" in (await ready(world)).detail or "500" in (await ready(world)).detail
    await spoil(world, "UPDATE occurrences SET title = 'x' WHERE schedule_id = :bad", bad=bad)
    await turns(world)
    assert len(world.items()["area/V1"]) == 2
    assert await failed(world) == set()


async def test_a_step_with_a_bug_starves_no_other_and_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    async def fail(*_: object) -> None:
        calls.append(world.now)
        raise KeyError("a bug")

    await world.schedule(await world.bulletin(), {"area": "V1"})
    with monkeypatch.context() as patch:
        patch.setattr(cancellation, "cancel_unapproved", fail)
        for _ in range(60):
            await world.turn()
        assert 4 < len(calls) < 9, "tried again less and less often"
        assert len(world.items()["area/V1"]) == 1
        said = await ready(world)
        assert (said.ok, "unapproved" in said.detail) == (False, True)
    await world.turn(after=timedelta(minutes=1))
    assert (await ready(world)).ok is True


async def test_what_a_programme_does_not_hold_is_said_until_it_does(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused when a schedule is saved; a merger of areas can come to it all the same."""
    sound = await world.bulletin()
    first = await world.schedule(sound, {"area": "V1"}, hours=2)
    await world.schedule(sound, {"area": "V1"}, hours=3)
    monkeypatch.setattr(compile_module, "MOST_ITEMS", 1)
    await world.turn()
    assert len(world.items()["area/V1"]) == 1
    said = await ready(world)
    assert (said.ok, said.alarm, "area/V1" in said.detail) == (True, True, True)
    assert "1 buổi phát ưu tiên thấp nhất" in said.detail
    await world.turn(after=timedelta(minutes=40))
    assert await failed(world) == {("overfull", "area/V1")}, "it is looked at again and again"
    await world.withdraw(first)
    await world.turn()
    assert len(world.items()["area/V1"]) == 1
    assert await failed(world) == set()


async def test_a_day_that_cannot_be_rolled_up_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold = rollup._roll_up
    bad = (NOW - timedelta(days=4)).date()

    async def picky(session: AsyncSession, days: Any, clusters: Any, rule: Any) -> Any:
        if bad in days:
            raise ValueError("a row of that day")
        return await fold(session, days, clusters, rule)

    async with db.transaction(world.engine) as session:
        began = NOW - timedelta(days=9)
        await session.execute(sa.update(Installation).values(installed_at=began))
    with monkeypatch.context() as patch:
        patch.setattr(rollup, "_roll_up", picky)
        for _ in range(4):
            await world.turn()
        folded = sa.select(RolledUpDay.day).where(RolledUpDay.folded_at.is_not(None))
        async with db.transaction(world.engine) as session:
            days = set(await session.scalars(folded))
        assert len(days) >= 7
        assert bad not in days
        assert await failed(world) == {("rollup", bad.isoformat())}
        for marked in (bad, bad + timedelta(days=1)):
            async with db.transaction(world.engine) as session:
                session.add(Invalidation(day=marked, cause="x"))
                await session.execute(
                    sa.update(RolledUpDay).where(RolledUpDay.day == bad).values(folded_at=NOW)
                )
        await world.turn()
        async with db.transaction(world.engine) as session:
            assert list(await session.scalars(sa.select(Invalidation.day))) == [bad]
        assert ("invalidations", bad.isoformat()) in await failed(world)
    for _ in range(4):
        await world.turn(after=timedelta(minutes=3))
    async with db.transaction(world.engine) as session:
        assert list(await session.scalars(sa.select(Invalidation.day))) == []
    await world.turn(after=timedelta(hours=2))
    assert await failed(world) == set(), "what is not there any more is forgotten"


async def test_a_list_shows_the_others_and_names_the_one(world: World) -> None:
    sound = await world.bulletin()
    bad = await world.schedule(sound, {"area": "V2"}, hours=3)
    other = await world.schedule(sound, {"area": "V2"}, hours=4)
    good = await world.schedule(sound, {"area": "V1"}, hours=3)
    await spoil(world, "UPDATE schedules SET on_preempt = 'jump' WHERE id = :bad", bad=bad)
    await spoil(world, ROWS["targets"], bad=other)
    status, page = (await lists(world))["/api/v1/schedules"]
    assert status == 200
    assert [each["id"] for each in page["items"]] == [str(good)]
    assert {each["key"]["id"] for each in page["unreadable"]} == {str(bad), str(other)}
    assert "hỏng" in page["unreadable"][0]["detail"]


WORDS = [
    (table.name, column.name)
    for table in db.Base.metadata.sorted_tables
    for column in table.columns
    if isinstance(column.type, sa.Enum) and not column.primary_key
    if (table.name, column.name) != ("areas", "level")  # what every list of an area is read by
    if table.name != "audit_entries"  # nothing changes it
    if (table.name, column.name) != ("bulletins", "phrase")  # phrases are in a list of their own
]


async def test_no_unknown_word_stops_a_list(world: World) -> None:
    """A word of a later release, in any column of any table."""
    assert len(WORDS) > 20
    await world.schedule(await world.bulletin(), {"area": "V2"}, hours=3)
    await world.turn()
    before = await lists(world)
    assert {status for status, _ in before.values()} == {200}
    async with db.transaction(world.engine) as session:
        for (drop,) in (await session.execute(sa.text(CHECKS))).all():
            await session.execute(sa.text(drop))
    async with db.transaction(world.engine) as session:
        for table, column in WORDS:
            await session.execute(sa.text(f"UPDATE {table} SET \"{column}\" = 'x'"))
    after = await lists(world)
    for path, (_, page) in before.items():
        if "next" in page:  # figures are not told without what they are figures of
            status, now = after[path]
            assert status == 200, (path, now)
            assert len(page["items"]) == len(now["items"]) + len(now.get("unreadable", [])), path
