from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Role
from broadcast.devices.model import Device
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.telemetry import dead_letters, faults, texts
from broadcast.telemetry.dead_letters import Budget, DeadLetter, RejectReason
from broadcast.telemetry.faults import Report
from broadcast.telemetry.model import DeadLetterRow, Refusal
from broadcast.telemetry.routes import router
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from broadcast.wire import events
from tests.callers import caller
from tests.devices.fleet import EIGHT, MINUTE, Everyone, beat, boot, enrol, record_all
from tests.web.calling import MONITOR, Known


@pytest.fixture
def callers() -> list[Caller]:
    """Who asks; the last one counts."""
    return [caller("Tâm", Role.TECHNICIAN)]


@pytest.fixture
async def client(session: AsyncSession, callers: list[Caller]) -> AsyncIterator[httpx.AsyncClient]:
    """The routes on the session of the test, with devices A (heard) and B (never)."""
    await db.ensure_partitions(session, EIGHT.astimezone(LOCAL).date())
    (device, _) = await enrol(session, "A", "B")
    said = beat(device, held={"area/51/programme": 3}, volume=55)
    await record_all(session, [], [said], [], EIGHT, live=True)
    await faults.keep(session, [Report(device.id, "hot", True, EIGHT, "71 °C")])
    await faults.keep(session, [Report(device.id, "line_open", True, EIGHT)])
    await faults.keep(session, [Report(device.id, "line_open", False, EIGHT + MINUTE)])
    letter = DeadLetter(
        RejectReason.MALFORMED, "ttn/v1/device/A/event/gone", "A", b"{", "not JSON"
    )
    await dead_letters.keep(session, [letter], EIGHT, Budget(Everyone()))
    app = FastAPI()
    app.state.limit = limit
    app.state.settings = config.Settings()
    rest.install(app)
    app.include_router(router)
    app.dependency_overrides[rest.transaction] = lambda: session
    app.add_middleware(Known, callers=callers)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        yield client


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_presence_of_one_device_tells_what_it_last_said(client: httpx.AsyncClient) -> None:
    told = await get(client, "/devices/A/presence")
    assert (told["presence"], told["session"], told["held"]) == (
        "online", 1, {"area/51/programme": 3},
    )  # fmt: skip
    assert told["heartbeat"]["volume"] == 55
    never = await get(client, "/devices/B/presence")
    assert (never["presence"], never["since"], never["heartbeat"]) == ("never_seen", None, None)
    assert (await client.get("/devices/C/presence")).status_code == 404


async def test_a_session_number_that_comes_again_shows_no_heartbeat_of_the_earlier_one(
    client: httpx.AsyncClient, session: AsyncSession
) -> None:
    device = (await session.scalars(sa.select(Device).where(Device.code == "A"))).one()
    later = EIGHT + 20 * MINUTE
    again = [boot(device, sent_at=later)]
    await record_all(session, again, [], [], later, live=True)
    said = beat(device, sent_at=later, volume=90)
    await record_all(session, [], [said], [], later, live=True)
    told = await get(client, "/devices/A/presence")
    assert (told["last_seen_at"], told["heartbeat"]) == ("2025-07-01T08:20:00+07:00", None)


@pytest.mark.parametrize(
    ("presence", "devices"),
    [(None, ["A", "B"]), ("online", ["A"]), ("never_seen", ["B"]), ("offline", [])],
)
async def test_devices_are_found_by_presence(
    client: httpx.AsyncClient, presence: str | None, devices: list[str]
) -> None:
    query = {} if presence is None else {"presence": presence}
    page = await get(client, "/presence", **query)
    assert [item["device"] for item in page["items"]] == devices


async def test_changes_of_presence_are_dated_when_they_happened(client: httpx.AsyncClient) -> None:
    (change,) = (await get(client, "/devices/A/presence/changes"))["items"]
    assert (change["presence"], change["happened_at"], change["cause"]) == (
        "online", "2025-07-01T08:00:00+07:00", "heartbeat",
    )  # fmt: skip


async def test_faults_are_open_ones_unless_asked(client: httpx.AsyncClient) -> None:
    items = (await get(client, "/faults"))["items"]
    assert [(item["device"], item["kind"], item["detail"]) for item in items] == [
        ("A", "hot", "71 °C")
    ]
    items = (await get(client, "/faults", closed=True, device="A", kind="line_open"))["items"]
    assert items[0]["closed_at"] == "2025-07-01T08:01:00+07:00"
    assert (await get(client, "/faults", device="B"))["items"] == []


async def test_dead_letters_are_for_technicians(
    client: httpx.AsyncClient, callers: list[Caller]
) -> None:
    (letter,) = (await get(client, "/dead-letters", device="A"))["items"]
    assert (letter["reason"], base64.b64decode(letter["payload_base64"])) == ("not JSON", b"{")
    callers.append(MONITOR)
    assert (await client.get("/dead-letters")).status_code == 403


async def test_a_dead_letter_is_explained_in_words(
    client: httpx.AsyncClient, session: AsyncSession
) -> None:
    (letter,) = (await get(client, "/dead-letters", device="A"))["items"]
    assert letter["reject_reason"] == "malformed"
    assert letter["explained"].startswith("Nội dung không đúng quy ước")
    await session.execute(sa.update(DeadLetterRow).values(reject_reason=None))
    (letter,) = (await get(client, "/dead-letters", device="A"))["items"]
    assert letter["explained"] == texts.UNKNOWN_LETTER


def test_every_reason_has_its_words() -> None:
    assert texts.LETTERS.keys() == set(RejectReason)
    (reasons,) = (f.type.__args__ for f in structs.fields(events.Refusal) if f.name == "reason")
    assert texts.REFUSALS.keys() == set(reasons)


async def test_what_a_device_refused_is_explained_in_words(
    client: httpx.AsyncClient, session: AsyncSession
) -> None:
    device = (await session.scalars(sa.select(Device).where(Device.code == "A"))).one()
    for reason in ("expired", "of another version"):
        session.add(
            Refusal(
                device_id=device.id, topic="ttn/v1/area/51/programme", reason=reason,
                sent_at=EIGHT, received_at=EIGHT + MINUTE,
            )
        )  # fmt: skip
    await session.flush()
    known, strange = (await get(client, "/refusals", device="A"))["items"]
    assert known["explained"].startswith("Đã quá hạn khi tới thiết bị")
    assert (strange["explained"], strange["device"]) == (texts.UNKNOWN_REFUSAL, "A")
    assert (await get(client, "/refusals", device="B"))["items"] == []


async def test_a_chart_has_the_steps_of_its_span(client: httpx.AsyncClient) -> None:
    chart = await get(client, "/devices/A/chart", to="2025-07-01T09:00:00+07:00", span="week")
    assert (chart["step_seconds"], chart["since"]) == (3600, "2025-06-24T09:00:00+07:00")
    assert chart["presence"][-1] == {
        "presence": "online",
        "since": "2025-07-01T08:00:00+07:00",
        "until": "2025-07-01T09:00:00+07:00",
    }
    assert (await client.get("/devices/C/chart")).status_code == 404
