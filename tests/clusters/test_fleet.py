from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.permissions import Role
from broadcast.clusters.routes import router
from broadcast.devices.model import Installation
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from broadcast.stations.model import Cluster, Evidence, Plant
from broadcast.telemetry.model import DevicePresence
from broadcast.telemetry.presence import Presence
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from broadcast.wire.events import Network, Supply
from tests.callers import caller
from tests.devices.fleet import MINUTE, beat, enrol, record_all
from tests.web.calling import Known


@pytest.fixture
async def client(session: AsyncSession) -> AsyncIterator[httpx.AsyncClient]:
    """A plays well, B runs on its battery with a broken line, C is away, D was never heard."""
    now = clock.now()
    await db.ensure_partitions(session, now.astimezone(LOCAL).date())
    a, b, c, _ = await enrol(session, "A", "B", "C", "D")
    plant = Plant(code="P", name="P")
    session.add(plant)
    await session.flush()
    cluster = Cluster(
        code="K-1", name="Nhà văn hóa thôn 1", plant_id=plant.id, evidence=Evidence.TELEMETRY,
        installed_on=date(2020, 1, 1), horns_count=2,
    )  # fmt: skip
    session.add(cluster)
    await session.flush()
    session.add(
        Installation(device_id=a.id, cluster_id=cluster.id, installed_at=now - timedelta(days=1))
    )
    said = [
        beat(a, sent_at=now - MINUTE, firmware="2.4.1", network=Network(signal_dbm=-80),
             supply=Supply(mains=True), line="ok", temperature_celsius=41.5),
        beat(b, sent_at=now - MINUTE, firmware="2.4.0", network=Network(signal_dbm=-101),
             supply=Supply(mains=False), line="open"),
        beat(c, sent_at=now - MINUTE, firmware="2.4.0", network=Network(signal_dbm=-80),
             supply=Supply(mains=True), line="ok"),
    ]  # fmt: skip
    await record_all(session, [], said, [], now - MINUTE, live=True)
    (await session.get_one(DevicePresence, c.id)).presence = Presence.OFFLINE
    await session.flush()
    app = FastAPI()
    app.state.limit = limit
    rest.install(app)
    app.include_router(router)
    app.dependency_overrides[rest.transaction] = lambda: session
    app.add_middleware(Known, callers=[caller("Tâm", Role.TECHNICIAN)])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test/api/v1"
    ) as client:
        yield client


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_fleet_tells_what_is_known_and_what_is_not(client: httpx.AsyncClient) -> None:
    items = {item["device"]: item for item in (await get(client, "/fleet"))["items"]}
    assert [
        (code, item["presence"], item["signal"], item["power"], item["line"], item["firmware"])
        for code, item in items.items()
    ] == [
        ("A", "online", "good", "mains", "ok", "2.4.1"),
        ("B", "online", "weak", "battery", "open", "2.4.0"),
        ("C", "offline", "unknown", "unknown", "unknown", "2.4.0"),
        ("D", "never_seen", "unknown", "unknown", "unknown", ""),
    ]
    assert (items["A"]["cluster_name"], items["A"]["signal_dbm"]) == ("Nhà văn hóa thôn 1", -80)
    assert (items["A"]["temperature"], items["C"]["signal_dbm"]) == (41.5, None)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"text": "văn hóa"}, "A"),
        ({"text": "k-1"}, "A"),
        ({"text": "%"}, ""),
        ({"presence": "never_seen"}, "D"),
        ({"firmware": "2.4.0"}, "BC"),
        ({"signal": "weak"}, "B"),
        ({"power": "battery", "line": "open"}, "B"),
        ({"line": "unknown"}, "CD"),
        ({"installed": "false"}, "BCD"),
        ({"firmware": "2.4.0", "presence": "online"}, "B"),
    ],
)
async def test_devices_are_found_and_counted_by_the_same_filter(
    client: httpx.AsyncClient, query: dict[str, str], found: str
) -> None:
    page = await get(client, "/fleet", **query)
    assert "".join(item["device"] for item in page["items"]) == found
    summary = await get(client, "/fleet/summary", **query)
    assert summary["total"] == len(found)
    for facet in ("presence", "firmware", "signal", "power", "line"):
        assert sum(each["count"] for each in summary[facet]) == len(found)


async def test_the_most_frequent_value_is_counted_first(client: httpx.AsyncClient) -> None:
    summary = await get(client, "/fleet/summary")
    assert summary["firmware"][0] == {"value": "2.4.0", "count": 2}
    assert summary["signal"] == [
        {"value": "unknown", "count": 2}, {"value": "good", "count": 1},
        {"value": "weak", "count": 1},
    ]  # fmt: skip


async def test_pages_of_the_fleet_follow_each_other(client: httpx.AsyncClient) -> None:
    first = await get(client, "/fleet", limit=3)
    rest_ = await get(client, "/fleet", limit=3, cursor=first["next"])
    assert [item["device"] for item in (*first["items"], *rest_["items"])] == list("ABCD")
