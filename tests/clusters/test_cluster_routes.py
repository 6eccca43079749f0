"""Clusters and what is installed on them, over REST."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.devices.model import Device
from broadcast.kit import clock, db
from broadcast.telemetry.model import DevicePresence, PresenceChange
from broadcast.telemetry.presence import Presence
from tests.stations import sample
from tests.stations.client import client_of


@pytest.fixture
async def client(engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with db.transaction(engine) as session:
        await sample.everything(session)
    async with client_of(engine, Role.TECHNICIAN) as client:
        yield client


def codes(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["code"] for item in answer.json()["items"]]


DAY_2024 = {"as_of": "2024-07-09"}

CLUSTER = {
    "code": "C-9",
    "name": "Trường học",
    "plant_code": "P-2",
    "power_feed": "471-E16.1",
    "installed_on": "2024-01-01",
    "villages": [{"village_code": "T-1", "grade": "primary"}],
}


async def enrol(client: httpx.AsyncClient, *names: str) -> None:
    for name in names:
        answer = await client.post("/devices", json={"code": name, "codecs": ["opus", "mp3"]})
        assert answer.status_code == 201, answer.text


async def test_a_cluster_is_created_changed_and_given_other_villages(
    client: httpx.AsyncClient,
) -> None:
    created = await client.post("/clusters", json=CLUSTER)
    assert created.status_code == 201, created.text
    shown = await client.get("/clusters/C-9")
    assert created.json() == shown.json()
    assert shown.json()["power_feed"] == "471-E16.1"
    body = CLUSTER | {"horns_count": 3}
    del body["code"], body["villages"]
    fresh = {"If-Match": shown.headers["etag"]}
    assert (await client.put("/clusters/C-9", json=body, headers=fresh)).status_code == 200
    assert (await client.put("/clusters/C-9", json=body, headers=fresh)).status_code == 412
    villages = {"valid_from": "2024-09-01", "villages": [{"village_code": "T-2"}]}
    answer = await client.put("/clusters/C-9/villages", json=villages)
    assert answer.json()["villages"] == [{"village_code": "T-2", "grade": "primary"}]
    served = (await client.get("/clusters/C-9/villages")).json()
    assert [(each["village_code"], each["valid_to"]) for each in served] == [
        ("T-1", "2024-08-31"),
        ("T-2", None),
    ]
    assert (await client.post("/clusters", json=CLUSTER)).status_code == 409


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"plant_code": "P-8"}, "plant_code"),
        ({"villages": [{"village_code": "T-9"}]}, "villages"),
        ({"villages": [{"village_code": "21253"}]}, "villages"),
        ({"villages": [{"village_code": "T-1", "grade": "partial"}]}, "villages"),
        ({"villages": []}, "villages"),
        ({"latitude": 15.1}, "latitude"),
        ({"latitude": 108.8, "longitude": 15.1}, "latitude"),
        ({"removed_on": "2023-01-01"}, "removed_on"),
        ({"code": "C/9"}, "code"),
    ],
)
async def test_a_wrong_cluster_is_refused_by_field(
    client: httpx.AsyncClient, change: dict[str, object], field: str
) -> None:
    answer = await client.post("/clusters", json=CLUSTER | change)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert (await client.get("/clusters/C-9")).status_code == 404


async def test_clusters_are_found_by_day_area_plant_and_evidence(
    client: httpx.AsyncClient,
) -> None:
    for query, found in (
        ({}, ["C-1", "C-2", "C-3", "C-4"]),
        ({"as_of": "2023-12-31"}, []),
        (DAY_2024 | {"area": "21253"}, ["C-1", "C-2"]),
        (DAY_2024 | {"area": "21142"}, ["C-3"]),
        ({"area": "21034"}, ["C-1", "C-2"]),
        ({"area": "21136"}, []),
        ({"area": "T-1"}, ["C-1", "C-2"]),
        ({"evidence": "attested"}, ["C-3"]),
        ({"plant": "P-4"}, ["C-4"]),
        ({"station": "S-2"}, ["C-2"]),
        ({"station": "S-2", "area": "T-4"}, []),
    ):
        assert codes(await client.get("/clusters", params=query)) == found, query


async def test_clusters_are_paged_without_gap_or_repetition(client: httpx.AsyncClient) -> None:
    found, cursor = [], None
    for _ in range(4):
        query = {"limit": "1"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/clusters", params=query)).json()
        found += [item["code"] for item in page["items"]]
        cursor = page["next"]
    assert (found, cursor) == (["C-1", "C-2", "C-3", "C-4"], None)


async def test_clusters_are_found_by_state(engine: AsyncEngine, client: httpx.AsyncClient) -> None:
    await enrol(client, "D-1", "D-2")
    for cluster, device in (("C-1", "D-1"), ("C-2", "D-2")):
        body = {"device": device, "installed_at": "2024-08-01T08:00:00+07:00"}
        assert (await client.post(f"/clusters/{cluster}/device", json=body)).status_code == 200
    now = clock.now()
    async with db.transaction(engine) as session:
        ids = dict((await session.execute(sa.select(Device.code, Device.id))).all())
        session.add(
            DevicePresence(
                device_id=ids["D-1"], presence=Presence.OFFLINE, since=now, session=1, seq=1,
                gone=False, last_seen_at=now, silent_after=now, clock_wrong=False, held={},
            )
        )  # fmt: skip
        session.add_all(
            PresenceChange(
                device_id=ids["D-1"], presence=presence, happened_at=at, recorded_at=at, cause=""
            )
            for presence, at in (
                (Presence.ONLINE, now - timedelta(days=3)),
                (Presence.OFFLINE, now - timedelta(minutes=1)),
            )
        )
    for state, found in (
        ("offline", ["C-1"]),
        ("never_seen", ["C-2"]),
        ("no_device", ["C-4"]),
        ("online", []),
    ):
        assert codes(await client.get("/clusters", params={"state": state})) == found
    listed = (await client.get("/clusters")).json()["items"]
    assert [(item["device_code"], item["state"]) for item in listed] == [
        ("D-1", "offline"),
        ("D-2", "never_seen"),
        (None, None),
        (None, "no_device"),
    ]
    two_days_ago = str(clock.today() - timedelta(days=2))
    past = {"state": "online", "as_of": two_days_ago}
    assert codes(await client.get("/clusters", params=past)) == ["C-1"]
    before_all = {"state": "no_device", "as_of": "2024-07-09"}
    assert codes(await client.get("/clusters", params=before_all)) == ["C-1", "C-2", "C-4"]


async def test_a_device_is_swapped_and_the_cluster_keeps_its_history(
    client: httpx.AsyncClient,
) -> None:
    await enrol(client, "D-1", "D-2")
    first = {"device": "D-1", "installed_at": "2024-08-01T08:00:00+07:00"}
    assert (await client.post("/clusters/C-1/device", json=first)).status_code == 200
    assert (await client.post("/clusters/C-1/device", json=first)).status_code == 200
    assert (await client.post("/clusters/C-1/device", json={"device": "D-2"})).status_code == 200
    history = (await client.get("/clusters/C-1/history")).json()
    assert [(each["device_code"], each["removed_at"] is None) for each in history] == [
        ("D-1", False),
        ("D-2", True),
    ]
    assert history[0]["removed_at"] == history[1]["installed_at"]
    assert (await client.get("/devices/D-2")).json()["cluster_code"] == "C-1"
    assert (await client.get("/devices/D-1/installations")).json() == history[:1]
    assert codes(await client.get("/devices", params={"installed": "false"})) == ["D-1"]

    answer = await client.post("/clusters/C-2/device", json={"device": "D-2"})
    assert answer.status_code == 409
    assert answer.json()["cluster"] == "C-1"
    moved = {"device": "D-2", "move": True}
    assert (await client.post("/clusters/C-2/device", json=moved)).status_code == 200
    assert (await client.delete("/clusters/C-2/device")).status_code == 204
    assert (await client.delete("/clusters/C-2/device")).status_code == 404
    # A cluster that had a device is not deleted.
    assert (await client.delete("/clusters/C-2")).status_code == 409


async def test_what_cannot_hang_is_refused(client: httpx.AsyncClient) -> None:
    await enrol(client, "D-1")
    unknown = await client.post("/clusters/C-1/device", json={"device": "D-9"})
    assert (unknown.status_code, unknown.json()["field"]) == (422, "device")
    assert (await client.post("/clusters/C-9/device", json={"device": "D-1"})).status_code == 404
    future = {"device": "D-1", "installed_at": (clock.now() + timedelta(hours=1)).isoformat()}
    answer = await client.post("/clusters/C-1/device", json=future)
    assert answer.json()["field"] == "installed_at"
