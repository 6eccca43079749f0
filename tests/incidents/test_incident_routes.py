"""Incidents over REST and on the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from typer.testing import CliRunner

from broadcast.areas.model import Area, AreaLineage, Level, Part
from broadcast.cli import app as command
from broadcast.incidents import causes, texts
from broadcast.incidents.causes import Cause
from broadcast.incidents.grouping import Kind
from broadcast.incidents.model import Incident, IncidentLoss
from broadcast.incidents.routes import router
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from tests.devices.fleet import EIGHT, MINUTE
from tests.incidents.world import World
from tests.web.calling import MONITOR, called_by

TODAY = date(2025, 7, 1)


@pytest.fixture
async def client(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """The routes on a day on which feed F-3 fell, a device is dead, and feed F-0 is back."""
    monkeypatch.setattr(clock, "today", lambda: TODAY)
    await db.ensure_partitions(session, EIGHT.astimezone(LOCAL).date())
    world = World(session, each=20)
    await world.build(4)
    await world.fall(world.feed(0))
    await world.run(5)
    await world.rise(world.feed(0), "power_on")
    await world.run(30)
    await world.fall([*world.feed(3), 70])
    await world.run(15)
    app = FastAPI()
    app.state.limit = limit
    rest.install(app)
    app.include_router(router)
    app.dependency_overrides[rest.transaction] = lambda: session
    called_by(app, MONITOR)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        yield client


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_open_incidents_say_what_happened_and_what_to_do(client: httpx.AsyncClient) -> None:
    line, alone = (await get(client, "/incidents", open=True))["items"]
    assert line["title"] == "Mất điện tuyến F-3: 10 cụm loa, 2 thôn, từ 08:34"
    assert line["advice"] == (
        "Còn 10 cụm mất liên lạc: hỏi Điện lực giờ có điện lại; loa tự phát tiếp lịch khi có điện."
    )
    assert (line["state"], line["kind"], line["cause"]) == ("open", "power_feed", "power")
    assert alone["title"] == "Mất liên lạc cụm loa Cụm 70, từ 08:34"
    assert alone["advice"] == ("Cho người kiểm tra nguồn điện, SIM và thiết bị tại cụm loa.")
    assert (alone["code"], alone["state"]) == ("D-70", "open")


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ({}, ["F-0", "F-3", "D-70"]),
        ({"open": False}, ["F-0"]),
        ({"area": "21001"}, ["F-3"]),
        ({"area": "V-21003-2"}, ["D-70"]),
        ({"area": "51", "cause": "power"}, ["F-0", "F-3"]),
        ({"cause": "network"}, []),
        ({"since": "2025-07-01T08:30:00+07:00"}, ["F-3", "D-70"]),
    ],
)
async def test_incidents_are_found_by_state_area_cause_and_time(
    client: httpx.AsyncClient, query: dict[str, Any], codes: list[str]
) -> None:
    items = (await get(client, "/incidents", **query))["items"]
    assert [item["code"] for item in items] == codes


async def test_newest_come_first_where_that_is_asked(client: httpx.AsyncClient) -> None:
    first = await get(client, "/incidents", newest_first=True, limit=1)
    second = await get(client, "/incidents", newest_first=True, cursor=first["next"])
    assert [i["code"] for i in (*first["items"], *second["items"])] == ["D-70", "F-3", "F-0"]


async def test_the_work_list_begins_with_what_hurts_most_and_counts_it(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: EIGHT + 95 * MINUTE)
    found = await get(client, "/incidents/work-list")
    feed, alone = found["items"]
    assert (feed["code"], feed["silent_villages_count"]) == ("F-3", 2)
    assert feed["silent_hours"] == pytest.approx(2.0, abs=0.1)
    # One of the five clusters of its village: the others are heard.
    assert (alone["code"], alone["silent_villages_count"], alone["silent_hours"]) == ("D-70", 0, 0)
    assert (found["total"], found["silent_villages"], found["unassigned"]) == (2, 2, 2)
    assert {each["value"]: each["count"] for each in found["age"] if each["count"]} == {"1": 2}
    assert {each["value"]: each["count"] for each in found["state"]} == {"open": 2, "recovered": 0}


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ({"kind": "device"}, ["D-70"]),
        ({"cause": "power", "area": "21001"}, ["F-3"]),
        ({"state": "recovered"}, []),
        ({"assigned": "me"}, []),
        ({"assigned": "nobody", "hours": 1}, ["F-3", "D-70"]),
        ({"hours": 2}, []),
    ],
)
async def test_the_work_list_is_filtered(
    client: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    query: dict[str, Any],
    codes: list[str],
) -> None:
    monkeypatch.setattr(clock, "now", lambda: EIGHT + 100 * MINUTE)
    found = await get(client, "/incidents/work-list", **query)
    assert [each["code"] for each in found["items"]] == codes
    assert found["total"] == len(codes)


async def test_pages_of_the_work_list_go_on_by_the_time_of_the_first(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: EIGHT + 100 * MINUTE)
    first = await get(client, "/incidents/work-list", limit=1)
    monkeypatch.setattr(clock, "now", lambda: EIGHT + 200 * MINUTE)
    second = await get(client, "/incidents/work-list", cursor=first["next"])
    assert [each["code"] for each in (*first["items"], *second["items"])] == ["F-3", "D-70"]
    assert (second["as_of"], second["next"]) == (first["as_of"], None)
    for wrong in ("x", "1.2", "99999999999999.1.1"):
        answer = await client.get("/incidents/work-list", params={"cursor": wrong})
        assert (answer.status_code, answer.json()["field"]) == (404, "cursor")


async def test_an_incident_tells_of_silent_villages_history_and_its_like(
    client: httpx.AsyncClient, session: AsyncSession
) -> None:
    line, alone = (await get(client, "/incidents", open=True))["items"]
    found = await get(client, f"/incidents/{line['id']}")
    assert [each["name"] for each in found["silent_villages"]] == ["thôn Thôn 2", "thôn Thôn 3"]
    assert found["recurrence"] == {"count": 1, "days": 30, "text": "", "earlier": []}
    history = await get(client, f"/incidents/{line['id']}/history")
    assert [each["text"] for each in history["items"]] == ["phát hiện 10 cụm loa mất liên lạc"]
    assert (await get(client, f"/incidents/{line['id']}/commands"))["items"] == []
    loss = (
        await session.scalars(
            sa.select(IncidentLoss).where(IncidentLoss.incident_id == alone["id"])
        )
    ).one()
    for days in (3, 20, 40):
        at = EIGHT - timedelta(days=days)
        before = incident(
            kind=Kind.DEVICE, code="D-OLD", opened_at=at, noticed_at=at, recovered_at=at,
            closed_at=at,
        )  # fmt: skip
        before.id = 100 + days
        session.add(before)
        await session.flush()
        session.add(
            IncidentLoss(
                device_id=loss.device_id, fell_at=at, incident_id=before.id,
                cluster_id=loss.cluster_id,
                noticed_at=at, returned_at=at, evidence=causes.Evidence.NONE,
            )
        )  # fmt: skip
    recurrence = (await get(client, f"/incidents/{alone['id']}"))["recurrence"]
    assert recurrence["text"] == "Lần thứ 3 trong 30 ngày tại cụm loa này."
    assert [each["id"] for each in recurrence["earlier"]] == [103, 120]


async def test_list_comes_in_pages(client: httpx.AsyncClient) -> None:
    first = await get(client, "/incidents", limit=2)
    second = await get(client, "/incidents", limit=2, cursor=first["next"])
    assert [i["code"] for i in (*first["items"], *second["items"])] == ["F-0", "F-3", "D-70"]
    assert second["next"] is None


async def test_incident_shows_its_devices_in_pages(client: httpx.AsyncClient) -> None:
    over = (await get(client, "/incidents", open=False))["items"][0]
    assert over["advice"] == "Đã trở lại lúc 08:05; không cần làm gì."
    first = await get(client, f"/incidents/{over['id']}", limit=6)
    cursor = first["falls"]["next"]
    second = await get(client, f"/incidents/{over['id']}", limit=6, cursor=cursor)
    falls = [*first["falls"]["items"], *second["falls"]["items"]]
    assert sorted(fall["device"] for fall in falls) == sorted(f"D-{n}" for n in range(10))
    assert {fall["returned_at"] for fall in falls} == {"2025-07-01T08:05:00+07:00"}
    assert {(fall["evidence"], fall["evidence_text"]) for fall in falls} == {("power", "mất điện")}


async def test_what_does_not_exist_is_said(client: httpx.AsyncClient) -> None:
    assert (await client.get("/incidents/999")).status_code == 404
    answer = await client.get("/incidents", params={"area": "99999"})
    assert (answer.status_code, answer.json()["field"]) == (404, "area")
    assert (await client.get("/incidents", params={"since": "hôm qua"})).status_code == 422


def incident(**changes: Any) -> Incident:
    at = EIGHT + 6 * 60 * MINUTE
    facts: dict[str, Any] = {
        "kind": Kind.POWER_FEED, "code": "471-E16.1", "within": "", "name": "471-E16.1",
        "cause": Cause.POWER, "opened_at": at + 2 * MINUTE, "noticed_at": at + 5 * MINUTE,
        "recovered_at": None, "closed_at": None, "superseded": False, "superseded_by": None,
        "devices_count": 38, "down_count": 38, "villages_count": 9, "communes_count": 2,
        "version": 1,
    } | changes  # fmt: skip
    return Incident(id=7, **facts)


def test_title_names_cause_place_size_and_time() -> None:
    said = "Mất điện tuyến 471-E16.1: 38 cụm loa, 2 xã, từ 14:02"
    assert texts.title(incident(), TODAY) == said
    later = texts.title(incident(), TODAY + timedelta(days=1))
    assert later == f"{said} ngày 01/07/2025"
    operator = incident(kind=Kind.OPERATOR, name="VIETTEL, xã Nghĩa An", cause=Cause.NETWORK)
    assert texts.title(operator, TODAY).startswith("Mất mạng VIETTEL, xã Nghĩa An: 38 cụm loa")


def test_title_does_not_say_cluster_twice() -> None:
    named = incident(kind=Kind.DEVICE, name="Cụm loa Thôn 2", cause=Cause.DEVICE)
    assert texts.title(named, TODAY) == "Mất liên lạc cụm loa Thôn 2, từ 14:02"


BACK: datetime = EIGHT + 7 * 60 * MINUTE


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"down_count": 30}, "Còn 30 cụm mất liên lạc, 8 đã trở lại: hỏi Điện lực"),
        ({"down_count": 2}, "Còn 2 cụm mất liên lạc, 36 đã trở lại: cho người kiểm tra tại chỗ"),
        ({"down_count": 0, "recovered_at": BACK}, "Đã trở lại lúc 15:00; đang theo dõi"),
        (
            {"down_count": 0, "recovered_at": BACK, "closed_at": BACK},
            "Đã trở lại lúc 15:00; không cần làm gì.",
        ),
        ({"closed_by_hand_at": BACK}, "Còn 38 cụm mất liên lạc. Đã có người đóng; nếu"),
        ({"closed_by_hand_at": BACK, "down_count": 0}, "Đã có người đóng; nếu có cụm"),
        ({"superseded": True, "superseded_by": 3}, "Đã gộp vào sự cố số 3"),
        ({"superseded": True}, "Không còn là một sự cố chung"),
        (
            {"kind": Kind.DEVICE, "devices_count": 1, "down_count": 1},
            "Cho người kiểm tra cầu dao, nguồn điện tại cụm loa.",
        ),
        ({"kind": Kind.COMMUNE, "cause": Cause.AREA}, "Còn 38 cụm mất liên lạc: hỏi cơ sở"),
    ],
)
def test_advice_says_what_to_do_next(changes: dict[str, Any], said: str) -> None:
    assert texts.advice(incident(**changes), TODAY).startswith(said)


@pytest.fixture
async def province(engine: AsyncEngine, postgres_dsn: str) -> str:
    """Address of a database with one open incident."""
    async with db.transaction(engine) as session:
        await db.ensure_partitions(session, EIGHT.astimezone(LOCAL).date())
        world = World(session, each=20)
        await world.build(2)
        await world.fall(world.feed(3))
        await world.run(5)
    return postgres_dsn


def test_command_lists_open_incidents(province: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", province)
    monkeypatch.setenv("COLUMNS", "200")
    told = CliRunner().invoke(command, ["incidents"])
    assert told.exit_code == 0, told.output
    assert "Mất điện tuyến F-3: 10 cụm loa" in told.output
    assert "hỏi Điện lực" in told.output
    as_json = CliRunner().invoke(command, ["incidents", "--all", "--area", "21001", "--json"])
    assert '"code":"F-3"' in as_json.output
    none = CliRunner().invoke(command, ["incidents", "--cause", "network"])
    assert none.output == "Không có sự cố nào.\n"


@pytest.mark.parametrize(
    ("area", "codes"),
    [
        ("51", ["F-0", "F-3", "D-70"]),
        ("V-21003-2", ["D-70"]),
        ("W-1", ["D-70"]),
        ("N", ["D-70"]),
    ],
)
async def test_incidents_are_found_under_the_units_of_the_day_they_fell(
    client: httpx.AsyncClient,
    session: AsyncSession,
    monkeypatch: pytest.MonkeyPatch,
    area: str,
    codes: list[str],
) -> None:
    """The day after, a village goes into a new commune under a new code."""
    tomorrow = TODAY + timedelta(days=1)
    monkeypatch.setattr(clock, "today", lambda: tomorrow)
    await session.execute(sa.update(Area).where(Area.code == "V-21003-2").values(valid_to=TODAY))
    for code, level, parent in (("N", Level.COMMUNE, "51"), ("W-1", Level.VILLAGE, "N")):
        session.add(Area(code=code, level=level, kind="xã", name=code, parent_code=parent,
                         valid_from=tomorrow, valid_to=None))  # fmt: skip
    session.add(AreaLineage(old_code="V-21003-2", new_code="W-1", effective_on=tomorrow,
                            part=Part.WHOLE, legal_act="NQ"))  # fmt: skip
    await session.flush()
    items = (await get(client, "/incidents", area=area))["items"]
    assert [item["code"] for item in items] == codes
