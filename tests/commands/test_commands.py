"""Ordering a device to do something once, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import httpx2 as httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.commands import answers
from broadcast.commands.state import (
    APART,
    AUDIBLE,
    LONGEST_TONE,
    VALID,
    CommandKind,
    CommandState,
    next_at,
    state_of,
    valid_until,
)
from broadcast.commands.texts import explained, hushed
from broadcast.devices import enrolment
from broadcast.devices.model import Device
from broadcast.kit import clock, db, times
from broadcast.kit.clock import LOCAL
from broadcast.telemetry.arrival import Arrival
from broadcast.wire import events
from broadcast.wire.hours import Silence
from tests.delivery.world import World
from tests.devices.fleet import EIGHT, MINUTE, SECOND, enrol
from tests.stations.client import client_of

TEST = {"kind": "self_test"}

RESULTS = st.none() | st.sampled_from(["done", "refused", "failed"])
REFUSALS = st.none() | st.sampled_from(["scope", "expired", "replayed", "malformed"])
MOMENTS = st.integers(-600, 600).map(lambda seconds: EIGHT + timedelta(seconds=seconds))


# The rule ---------------------------------------------------------------------------------------


@given(result=RESULTS, refusal=REFUSALS, now=MOMENTS, later=MOMENTS)
def test_an_answer_stands_and_without_one_only_time_decides(
    result: Any, refusal: Any, now: datetime, later: datetime
) -> None:
    state = state_of(result, refusal, EIGHT, now)
    if result is not None:
        assert state.value == result
    if state not in {CommandState.WAITING, CommandState.EXPIRED}:
        assert state_of(result, refusal, EIGHT, later) is state
    elif refusal != "expired":
        assert (state is CommandState.EXPIRED) == (now > EIGHT)


@given(
    kind=st.sampled_from(CommandKind),
    answer=RESULTS,
    asked=st.lists(st.integers(0, 3600), max_size=200).map(sorted),
)
def test_a_device_is_never_ordered_more_often_than_its_village_bears(
    kind: CommandKind, answer: Any, asked: list[int]
) -> None:
    given_at: list[datetime] = []
    for seconds in asked:
        now = EIGHT + timedelta(seconds=seconds)
        if given_at:
            state = state_of(answer, None, given_at[-1] + VALID, now)
            if now < next_at(kind, state, given_at[-1], given_at[-1] + VALID):
                continue
        given_at.append(now)
    assert all(later - earlier >= APART[kind] for earlier, later in pairwise(given_at))


@pytest.mark.parametrize("kind", CommandKind)
@pytest.mark.parametrize("state", CommandState)
@pytest.mark.parametrize("published", [True, False])
def test_every_state_is_explained(kind: CommandKind, state: CommandState, published: bool) -> None:
    for heard in ("", "amplifier", "microphone"):
        for detail in ("", "quiet_hours", "line ok"):
            assert explained(
                kind, state, EIGHT, published=published, heard=heard, detail=detail
            ).endswith(".")


@given(kind=st.sampled_from(CommandKind), now=MOMENTS, lasts=st.integers(1, 600))
def test_what_sounds_is_over_before_quiet_hours_begin(
    kind: CommandKind, now: datetime, lasts: int
) -> None:
    quiet = Silence(EIGHT, EIGHT + lasts * SECOND)
    until = valid_until(kind, now, quiet)
    if kind not in AUDIBLE:
        assert until == now + VALID
    elif until is None:
        assert now + LONGEST_TONE >= EIGHT
    else:
        assert now < until <= now + VALID
        assert until + LONGEST_TONE <= EIGHT
    assert valid_until(kind, now, None) == now + VALID


def test_where_the_whole_day_is_quiet_nobody_is_told_to_wait() -> None:
    assert "quiet_hours" in hushed(CommandKind.SELF_TEST, Silence(EIGHT, None))


# Over REST --------------------------------------------------------------------------------------


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The present; the last one counts."""
    moments = [EIGHT]
    monkeypatch.setattr(clock, "now", lambda: moments[-1])
    return moments


@pytest.fixture
async def devices(engine: AsyncEngine, tmp_path: Any) -> list[Device]:
    """D-V1 and D-V2 hang on clusters."""
    world = World(engine, tmp_path)
    await world.build()
    async with db.transaction(engine) as session:
        found = [await enrolment.find_device(session, f"D-V{n}") for n in (1, 2)]
    return [device for device in found if device is not None]


@pytest.fixture
async def client(
    engine: AsyncEngine, now: list[datetime], devices: list[Device]
) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(engine, Role.TECHNICIAN) as client:
        yield client


async def order(client: httpx.AsyncClient, code: str = "D-V1", **body: Any) -> Any:
    answer = await client.post(f"/devices/{code}/commands", json=body or TEST)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def answered(
    engine: AsyncEngine, device: Device, command: Any, result: str = "done", **more: Any
) -> None:
    message = events.CommandResult(
        sent_at=EIGHT, command_id=command["command_id"], result=result, **more
    )  # type: ignore[arg-type]
    async with db.transaction(engine) as session:
        arrival = Arrival(device.id, device.code, message)
        await answers.record_results(session, [arrival], EIGHT + SECOND)


async def refused(engine: AsyncEngine, device: Device, command: Any, reason: Any) -> None:
    message = events.Refusal(
        sent_at=EIGHT, topic=f"device/{device.code}/command/self_test", reason=reason,
        detail="device/x", command_id=command["command_id"],
    )  # fmt: skip
    async with db.transaction(engine) as session:
        arrival = Arrival(device.id, device.code, message)
        await answers.record_refusals(session, [arrival], EIGHT + SECOND)


async def look(client: httpx.AsyncClient, command: Any) -> Any:
    answer = await client.get(f"/commands/{command['command_id']}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_self_test_waits_and_then_tells_what_was_heard(
    client: httpx.AsyncClient, engine: AsyncEngine, devices: list[Device]
) -> None:
    answer = await client.post("/devices/D-V1/commands", json=TEST)
    command = answer.json()
    assert answer.headers["location"] == f"/api/v1/commands/{command['command_id']}"
    assert (command["device"], command["state"], command["heard"]) == ("D-V1", "waiting", None)
    assert command["ordered_by"]["name"] == "Người thử"
    assert command["not_after"] == times.shown(EIGHT + VALID)
    await answered(
        engine, devices[0], command, kind="self_test", heard="microphone", detail="line ok"
    )
    told = await look(client, command)
    assert (told["state"], told["heard"], told["detail"]) == ("done", "microphone", "line ok")
    assert told["state_text"] == "Micrô nghe thấy tiếng thử."
    assert told["answered_at"] is not None


@pytest.mark.parametrize(
    ("result", "refusal", "minutes", "state"),
    [
        (None, None, 5, "waiting"),
        (None, None, 6, "expired"),
        (None, "scope", 1, "refused"),
        (None, "expired", 1, "expired"),
        (None, "replayed", 1, "waiting"),
        ("failed", None, 1, "failed"),
        ("refused", None, 1, "refused"),
        ("done", "replayed", 9, "done"),
    ],
)
async def test_the_state_follows_what_the_device_says(
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    devices: list[Device],
    now: list[datetime],
    result: Any,
    refusal: Any,
    minutes: int,
    state: str,
) -> None:
    command = await order(client)
    if refusal is not None:
        await refused(engine, devices[0], command, refusal)
    if result is not None:
        await answered(engine, devices[0], command, result)
    now.append(EIGHT + minutes * MINUTE)
    assert (await look(client, command))["state"] == state


async def test_what_one_device_says_is_no_answer_of_another(
    client: httpx.AsyncClient, engine: AsyncEngine, devices: list[Device]
) -> None:
    command = await order(client, "D-V1")
    await answered(engine, devices[1], command)
    await refused(engine, devices[1], command, "scope")
    assert (await look(client, command))["state"] == "waiting"


async def test_commands_are_listed_in_the_order_in_which_they_were_given(
    client: httpx.AsyncClient, now: list[datetime]
) -> None:
    given_ = [
        await order(client, code, **body)
        for code, body in (
            ("D-V1", TEST),
            ("D-V2", TEST),
            ("D-V1", {"kind": "volume", "volume": 40}),
            ("D-V1", {"kind": "identify"}),
            ("D-V1", {"kind": "reboot"}),
        )
    ]

    async def listed(**query: Any) -> list[int]:
        answer = await client.get("/commands", params=query)
        ids = [command["command_id"] for command in given_]
        return [ids.index(item["command_id"]) for item in answer.json()["items"]]

    assert await listed() == [0, 1, 2, 3, 4]
    assert await listed(device="D-V1") == [0, 2, 3, 4]
    assert await listed(kind="self_test") == [0, 1]
    assert given_[2]["volume"] == 40
    now.append(EIGHT + timedelta(days=2))
    assert await listed() == []
    assert await listed(since=EIGHT.isoformat()) == [0, 1, 2, 3, 4]


async def test_a_repeated_request_with_its_key_orders_once(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = await client.post("/devices/D-V1/commands", json=TEST, headers=key)
    again = await client.post("/devices/D-V1/commands", json=TEST, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len((await client.get("/commands")).json()["items"]) == 1


async def test_one_of_a_kind_at_a_time(
    client: httpx.AsyncClient, engine: AsyncEngine, devices: list[Device], now: list[datetime]
) -> None:
    command = await order(client)
    now.append(EIGHT + 2 * MINUTE)
    answer = await client.post("/devices/D-V1/commands", json=TEST)
    assert answer.status_code == 409
    assert "chưa trả lời lệnh tự thử loa lúc 08:00:00" in answer.json()["detail"]
    assert answer.json()["command_id"] == command["command_id"]
    await order(client, "D-V2")
    await order(client, "D-V1", kind="identify")
    await answered(engine, devices[0], command)
    await order(client)


async def test_a_village_hears_one_tone_a_minute_at_most(
    client: httpx.AsyncClient, engine: AsyncEngine, devices: list[Device], now: list[datetime]
) -> None:
    await answered(engine, devices[0], await order(client))
    now.append(EIGHT + 59 * SECOND)
    answer = await client.post("/devices/D-V1/commands", json=TEST)
    assert answer.status_code == 409
    assert answer.json()["detail"].endswith("ra lệnh lại từ 08:01:00.")
    assert answer.json()["retry_at"] == times.shown(EIGHT + MINUTE)
    now.append(EIGHT + MINUTE)
    await order(client)


def local(clock: str, day: int = 1) -> datetime:
    return datetime.combine(date(2025, 7, day), time.fromisoformat(clock), LOCAL)


@pytest.mark.parametrize("kind", sorted(AUDIBLE))
@pytest.mark.parametrize(
    ("at", "ends"),
    [
        (local("21:59:50"), local("05:00", 2)),
        (local("22:00"), local("05:00", 2)),
        (local("23:59:59"), local("05:00", 2)),
        (local("00:00"), local("05:00")),
        (local("04:59:59"), local("05:00")),
    ],
)
async def test_nothing_that_sounds_is_ordered_in_quiet_hours(
    client: httpx.AsyncClient, now: list[datetime], kind: CommandKind, at: datetime, ends: datetime
) -> None:
    now.append(at.astimezone(UTC))
    answer = await client.post("/devices/D-V1/commands", json={"kind": kind.value})
    assert answer.status_code == 409
    assert answer.json()["retry_at"] == times.shown(ends)
    assert "từ 22:00 đến 05:00 là giờ yên tĩnh" in answer.json()["detail"]
    assert answer.json()["detail"].endswith(f"ra lệnh lại từ 05:00 ngày {ends:%d/%m/%Y}.")
    await order(client, kind="reboot")
    await order(client, kind="volume", volume=30)
    now.append(ends)
    await order(client, kind=kind.value)


@pytest.mark.parametrize(
    ("kind", "at", "until"),
    [
        ("self_test", local("21:54:50"), local("21:59:50")),
        ("self_test", local("21:58"), local("21:59:50")),
        ("identify", local("21:59:49"), local("21:59:50")),
        ("reboot", local("21:59"), local("22:04")),
    ],
)
async def test_what_sounds_is_not_obeyed_late_into_quiet_hours(
    client: httpx.AsyncClient, now: list[datetime], kind: str, at: datetime, until: datetime
) -> None:
    now.append(at.astimezone(UTC))
    command = await order(client, kind=kind)
    assert datetime.fromisoformat(command["not_after"]) == until


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ("quiet_hours", "vì đang trong giờ yên tĩnh"),
        ("clock_untrusted", "vì chưa biết giờ đúng"),
        ("door open", "Thiết bị từ chối lệnh"),
    ],
)
async def test_why_a_device_would_not_sound_is_said(
    client: httpx.AsyncClient, engine: AsyncEngine, devices: list[Device], detail: str, said: str
) -> None:
    command = await order(client)
    await answered(engine, devices[0], command, "refused", kind="self_test", detail=detail)
    told = await look(client, command)
    assert (told["state"], told["detail"]) == ("refused", detail)
    assert said in told["state_text"]


async def test_of_many_requests_at_once_one_is_obeyed(client: httpx.AsyncClient) -> None:
    found = await asyncio.gather(
        *(client.post("/devices/D-V1/commands", json=TEST) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in found) == [201, 409, 409, 409]


async def test_only_a_device_in_use_is_ordered(
    client: httpx.AsyncClient, engine: AsyncEngine, devices: list[Device]
) -> None:
    async with db.transaction(engine) as session:
        await enrol(session, "SPARE")
        device = await session.get_one(Device, devices[0].id)
        await enrolment.retire(session, device, EIGHT)
    for code, status, said in (
        ("NOBODY", 404, "Không có thiết bị mã “NOBODY”; hãy kiểm tra mã."),
        ("D-V1", 409, "Thiết bị D-V1 đã ngừng dùng; không ra lệnh được nữa."),
        ("SPARE", 409, "Thiết bị SPARE chưa lắp trên cụm loa nào; lắp vào cụm loa"),
    ):
        answer = await client.post(f"/devices/{code}/commands", json=TEST)
        assert answer.status_code == status
        assert answer.json()["detail"].startswith(said)
    assert (await client.get("/commands/none")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "volume"},
        {"kind": "volume", "volume": 101},
        {"kind": "self_test", "volume": 50},
        {"kind": "journal_ack"},
        {},
    ],
)
async def test_what_no_device_could_obey_is_not_ordered(
    client: httpx.AsyncClient, body: Any
) -> None:
    answer = await client.post("/devices/D-V1/commands", json=body)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    "role", [Role.PROVINCE_MONITOR, Role.PROVINCE_EDITOR, Role.PROVINCE_APPROVER]
)
async def test_only_technicians_give_commands(
    engine: AsyncEngine, devices: list[Device], role: Role
) -> None:
    async with client_of(engine, role) as client:
        answer = await client.post("/devices/D-V1/commands", json=TEST)
        assert answer.status_code == 403
        assert (await client.get("/commands")).json()["items"] == []
