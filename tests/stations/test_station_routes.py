"""Stations, plants, clusters, outages, attestations and devices over REST."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2 as httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.kit import clock, db
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

STATION = {
    "code": "S-9",
    "name": "Đài truyền thanh phường Trương Quang Trọng",
    "commune_code": "21172",
    "valid_from": "2024-01-01",
    "status": "planned",
    "cause": "chủ trương đầu tư",
    "document": "12/QĐ-UBND",
}


async def test_a_station_lives_from_plan_to_operation(client: httpx.AsyncClient) -> None:
    created = await client.post("/stations", json=STATION)
    assert created.status_code == 201, created.text
    assert created.headers["location"] == "/api/v1/stations/S-9"
    state = {"status": "operating", "cause": "nghiệm thu", "document": "3/BB"}
    answer = await client.put("/stations/S-9/states/2024-06-01", json=state)
    assert answer.status_code == 200, answer.text
    early = (await client.get("/stations/S-9", params={"as_of": "2024-02-01"})).json()
    assert (early["status"], early["status_from"]) == ("planned", "2024-01-01")
    assert (await client.get("/stations/S-9")).json()["status"] == "operating"
    states = (await client.get("/stations/S-9/states")).json()
    assert [(each["valid_from"], each["cause"]) for each in states] == [
        ("2024-01-01", "chủ trương đầu tư"),
        ("2024-06-01", "nghiệm thu"),
    ]


async def test_creating_twice_with_one_key_makes_one_station(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = await client.post("/stations", json=STATION, headers=key)
    again = await client.post("/stations", json=STATION, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert (await client.post("/stations", json=STATION)).status_code == 409


async def test_a_key_is_its_callers_not_his_namesakes(engine: AsyncEngine) -> None:
    async with db.transaction(engine) as session:
        await sample.everything(session)
    key = {"Idempotency-Key": "k-1"}
    async with (
        client_of(engine, Role.TECHNICIAN) as one,
        client_of(engine, Role.TECHNICIAN) as two,
    ):
        first = await one.post("/stations", json=STATION, headers=key)
        other = await two.post("/stations", json=STATION, headers=key)
    assert (first.status_code, other.status_code) == (201, 409)


async def test_stations_are_found_by_day_area_and_status(client: httpx.AsyncClient) -> None:
    assert codes(await client.get("/stations", params=DAY_2024)) == ["S-1", "S-2", "S-3", "S-4"]
    city = DAY_2024 | {"area": "522"}
    assert codes(await client.get("/stations", params=city)) == ["S-1", "S-2"]
    assert codes(await client.get("/stations", params=city | {"status": "degraded"})) == ["S-1"]
    assert codes(await client.get("/stations", params=DAY_2024 | {"area": "536"})) == ["S-4"]
    gone = await client.get("/stations", params={"as_of": "2025-07-01", "area": "21253"})
    assert gone.status_code == 404
    assert gone.json()["replaced_by"] == ["21034"]


async def test_a_change_needs_the_version_it_was_made_from(client: httpx.AsyncClient) -> None:
    shown = await client.get("/stations/S-1")
    body = {"name": "Tên mới", "commune_code": "21253", "valid_from": "2020-02-01"}
    stale = await client.put("/stations/S-1", json=body, headers={"If-Match": '"0"'})
    assert stale.status_code == 412
    fresh = {"If-Match": shown.headers["etag"]}
    changed = await client.put("/stations/S-1", json=body, headers=fresh)
    assert changed.json()["name"] == "Tên mới"
    assert (await client.put("/stations/S-1", json=body, headers=fresh)).status_code == 412


async def test_a_station_in_use_is_closed_not_deleted(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/stations/S-1")
    assert answer.status_code == 409
    assert "valid_to" in answer.json()["detail"]
    assert len((await client.get("/stations/S-1/states")).json()) == 1
    await client.post("/stations", json=STATION)
    assert (await client.delete("/stations/S-9")).status_code == 204
    assert (await client.get("/stations/S-9")).status_code == 404


async def test_a_merger_is_followed_over_rest(client: httpx.AsyncClient) -> None:
    answer = await client.post("/stations/follow", data={"on": "2025-07-01", "dry_run": "true"})
    assert answer.json()["report"]["added"] == 2
    assert codes(await client.get("/stations")) == ["S-1", "S-2", "S-3", "S-4"]
    answer = await client.post("/stations/follow", data={"on": "2025-07-01"})
    assert answer.json()["undecided"] == [
        {"code": "S-3", "commune_code": "21142", "candidates": ["21136", "21157"]}
    ]
    assert codes(await client.get("/stations")) == ["DTT-21034", "DTT-21548", "S-3"]
    merged = await client.get("/plants", params={"station": "DTT-21034"})
    assert codes(merged) == ["P-1", "P-2"]
    before = await client.get("/plants", params={"station": "S-1", "as_of": "2025-06-30"})
    assert codes(before) == ["P-1"]

    # A person gives the plant of the divided commune to one of its heirs and closes the station.
    heir = STATION | {"code": "S-8", "commune_code": "21157", "valid_from": "2025-07-01"}
    assert (await client.post("/stations", json=heir)).status_code == 201
    state = {"station_code": "S-8", "technologies": ["fm"]}
    answer = await client.put("/plants/P-3/states/2025-07-01", json=state)
    assert answer.json()["station_code"] == "S-8"
    closed = {
        "name": "Trà Bùi", "commune_code": "21142", "valid_from": "2020-02-01",
        "valid_to": "2025-06-30",
    }  # fmt: skip
    assert (await client.put("/stations/S-3", json=closed)).status_code == 200
    answer = await client.post("/stations/follow", data={"on": "2025-07-01"})
    assert answer.json()["undecided"] == []


async def test_a_plant_keeps_what_it_was(client: httpx.AsyncClient) -> None:
    plant = {
        "code": "P-9", "name": "Hệ thống mới", "station_code": "S-2", "valid_from": "2024-01-01",
        "technologies": ["fm", "wired"],
    }  # fmt: skip
    created = await client.post("/plants", json=plant)
    assert created.json()["technologies"] == ["fm", "wired"]
    state = {"station_code": "S-2", "technologies": ["it"], "document": "nghiệm thu"}
    await client.put("/plants/P-9/states/2024-06-01", json=state)
    states = (await client.get("/plants/P-9/states")).json()
    assert [each["technologies"] for each in states] == [["fm", "wired"], ["it"]]
    wired = {"technology": "wired"}
    assert codes(await client.get("/plants", params=wired)) == ["P-1"]
    march = wired | {"as_of": "2024-03-01"}
    assert codes(await client.get("/plants", params=march)) == ["P-1", "P-9"]
    renamed = await client.put("/plants/P-9", json={"name": "Hệ thống 9"})
    assert renamed.json()["name"] == "Hệ thống 9"
    assert (await client.delete("/plants/P-1")).status_code == 409
    assert (await client.delete("/plants/P-9")).status_code == 204
    assert (await client.get("/plants/P-9")).status_code == 404
    assert (await client.get("/plants/P-9/states")).status_code == 404


async def test_the_baseline_list_is_kept(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/baseline")).json()["items"]
    assert [(entry["station_code"], entry["technologies"]) for entry in listed] == [
        ("S-1", ["fm", "wired"]),
        ("S-3", ["fm"]),
    ]
    body = {"listed_on": "2024-07-09", "technologies": ["wired"]}
    assert (await client.put("/baseline/S-2", json=body)).status_code == 200
    assert (await client.put("/baseline/S-9", json=body)).status_code == 422
    converted = body | {"technologies": ["it"]}
    assert (await client.put("/baseline/S-2", json=converted)).status_code == 422
    assert (await client.delete("/baseline/S-2")).status_code == 204
    assert (await client.delete("/baseline/S-2")).status_code == 404


CLUSTER = {
    "code": "C-9",
    "name": "Trường học",
    "plant_code": "P-2",
    "power_feed": "471-E16.1",
    "installed_on": "2024-01-01",
    "villages": [{"village_code": "T-1", "grade": "primary"}],
}


PLANT = {
    "code": "P-8",
    "name": "Hệ thống mới",
    "station_code": "S-2",
    "valid_from": "2024-01-01",
    "technologies": ["fm"],
}
DEVICE = {"code": "D-8", "codecs": ["opus"]}


async def test_a_code_that_resembles_one_in_use_is_refused(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    new = {"plants": PLANT, "clusters": CLUSTER, "devices": DEVICE}
    for kind, body in new.items():
        made = await client.post(f"/{kind}", json=body | {"code": "00123"})
        assert made.status_code == 201, made.text
        for code in ("123", "123.0", "0123"):
            refused = await client.post(f"/{kind}", json=body | {"code": code})
            assert (refused.status_code, refused.json()["field"]) == (422, "code"), refused.text
    refused = await client.post("/stations", json=STATION | {"code": "s-1"})
    assert (refused.status_code, refused.json()["similar"]) == (422, "S-1")
    wrong = await client.post("/clusters", json=CLUSTER | {"code": "K-1", "plant_code": "123"})
    assert "(có phải “00123”?)" in wrong.json()["detail"]
    village = {"kind": "thôn", "name": "Thôn Một", "commune_code": "21253"}
    async with client_of(engine, Role.PROVINCE_ADMIN) as admin:
        for code, status in (("TH-a", 200), ("th-A", 422), ("021253.0", 422)):
            answer = await admin.put(f"/villages/{code}/2024-01-01", json=village)
            assert answer.status_code == status, answer.text


async def test_codes_that_resemble_each_other_in_a_file_are_refused(
    client: httpx.AsyncClient,
) -> None:
    header, line = sample.CLUSTERS.splitlines()[:2]
    rows = [line.replace("C-1", code, 1) for code in ("00123", "123", "c-1", "C-9")]
    upload = [("files", ("clusters.csv", "\n".join([header, *rows]).encode()))]
    answer = await client.post("/stations/import", files=upload)
    assert answer.status_code == 422, answer.text
    assert [(each["row"], each["column"]) for each in answer.json()["errors"]] == [
        (3, "code"),
        (4, "code"),
    ]


async def test_outages_are_declared_corrected_and_withdrawn(client: httpx.AsyncClient) -> None:
    body = {
        "kind": "power_cut", "area_code": "21034",
        "starts_at": "2025-08-01T07:00:00+07:00", "ends_at": "2025-08-01T11:00:00+07:00",
    }  # fmt: skip
    created = await client.post("/outages", json=body)
    assert created.status_code == 201, created.text
    assert created.json()["declared_by"]["name"] == "Người thử"
    path = f"/outages/{created.json()['id']}"
    shown = await client.get(path)
    longer = body | {"ends_at": "2025-08-01T12:00:00+07:00"}
    fresh = {"If-Match": shown.headers["etag"]}
    changed = await client.put(path, json=longer, headers=fresh)
    assert changed.json()["ends_at"] == "2025-08-01T12:00:00+07:00"
    single = {**body, "area_code": None, "cluster_code": "C-1", "kind": "maintenance"}
    assert (await client.post("/outages", json=single)).status_code == 201
    in_province = (await client.get("/outages", params={"area": "51"})).json()["items"]
    assert [outage["area_code"] for outage in in_province] == ["21034"]
    of_cluster = (await client.get("/outages", params={"cluster": "C-1"})).json()["items"]
    assert [outage["cluster_code"] for outage in of_cluster] == ["C-1"]
    late = {"since": "2025-08-01T04:30:00Z"}
    assert len((await client.get("/outages", params=late)).json()["items"]) == 1
    for wall, count in (("2025-08-01T10:59", 2), ("2025-08-01T11:30", 1), ("2025-08-01", 2)):
        since = await client.get("/outages", params={"since": wall})
        assert len(since.json()["items"]) == count, wall
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("area", "found"),
    [("51", ["21253", "21262"]), ("21253", ["21253"]), ("21262", ["21262"]), ("21142", [])],
)
async def test_outages_are_found_under_the_units_of_their_day(
    client: httpx.AsyncClient, area: str, found: list[str]
) -> None:
    for code, day in (("21253", "2024-12-30"), ("21262", "2025-01-02")):
        body = {
            "kind": "power_cut", "area_code": code,
            "starts_at": f"{day}T07:00", "ends_at": f"{day}T11:00",
        }  # fmt: skip
        assert (await client.post("/outages", json=body)).status_code == 201
    items = (await client.get("/outages", params={"area": area})).json()["items"]
    assert [item["area_code"] for item in items] == found


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cluster_code": "C-1"}, "cluster_code"),
        ({"area_code": None}, "cluster_code"),
        ({"area_code": "21253"}, "area_code"),
        ({"area_code": None, "cluster_code": "C-99"}, "cluster_code"),
        ({"ends_at": "2025-08-01T07:00:00+07:00"}, "ends_at"),
        ({"starts_at": "0001-01-01T00:00:00"}, "starts_at"),
        ({"starts_at": 1754006400}, "starts_at"),
    ],
)
async def test_a_wrong_outage_is_refused_by_field(
    client: httpx.AsyncClient, change: dict[str, object], field: str
) -> None:
    body = {
        "kind": "power_cut", "area_code": "21034",
        "starts_at": "2025-08-01T07:00:00+07:00", "ends_at": "2025-08-01T11:00:00+07:00",
    }  # fmt: skip
    answer = await client.post("/outages", json=body | change)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


async def test_a_cluster_without_telemetry_is_attested(client: httpx.AsyncClient) -> None:
    body = {
        "cluster_code": "C-3", "attested_at": "2025-08-01T05:10:00+07:00",
        "attested_by": "Trưởng thôn", "reference": "anh/1.jpg",
    }  # fmt: skip
    created = await client.post("/attestations", json=body)
    assert created.status_code == 201, created.text
    path = f"/attestations/{created.json()['id']}"
    assert (await client.get(path)).json()["attested_by"] == "Trưởng thôn"
    listed = (await client.get("/attestations", params={"cluster": "C-3"})).json()["items"]
    assert len(listed) == 1
    answer = await client.post("/attestations", json=body | {"cluster_code": "C-1"})
    assert "evidence=telemetry" in answer.json()["detail"]
    tomorrow = (clock.now() + timedelta(days=1)).isoformat()
    answer = await client.post("/attestations", json=body | {"attested_at": tomorrow})
    assert answer.json()["field"] == "attested_at"
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404


async def test_files_are_imported_over_rest(client: httpx.AsyncClient) -> None:
    upload = [("files", (file.name, file.data)) for file in sample.FILES]
    report = (await client.post("/stations/import", files=upload)).json()
    assert (report["added"], report["unchanged"]) == (0, 14)
    text = sample.CLUSTERS + "C-5,Cụm,P-9,,,1,,,2024-01-01,,T-1\n"
    bad = [("files", ("clusters.csv", text.encode()))]
    answer = await client.post("/stations/import", files=bad)
    assert answer.status_code == 422
    assert [(fault["row"], fault["column"]) for fault in answer.json()["errors"]] == [
        (6, "plant_code")
    ]
    devices = b"code,codecs,cluster_code\nD-1,opus,C-1\n"
    both = [*upload, ("files", ("devices.csv", devices))]
    answer = await client.post("/devices/import", files=both, data={"dry_run": "true"})
    assert answer.json()["added"] == 1
    assert codes(await client.get("/devices")) == []


async def test_a_monitor_may_look_and_not_touch(
    engine: AsyncEngine, client: httpx.AsyncClient
) -> None:
    async with client_of(engine, Role.PROVINCE_MONITOR) as monitor:
        assert codes(await monitor.get("/stations")) == ["S-1", "S-2", "S-3", "S-4"]
        for answer in (
            await monitor.post("/stations", json=STATION),
            await monitor.post("/clusters", json=CLUSTER),
            await monitor.post("/devices", json={"code": "D-1", "codecs": ["opus"]}),
            await monitor.post("/clusters/C-1/device", json={"device": "D-1"}),
            await monitor.post("/stations/follow", data={"on": "2025-07-01"}),
            await monitor.delete("/stations/S-1"),
        ):
            assert answer.status_code == 403


# --- devices -------------------------------------------------------------------------------------


async def enrol(client: httpx.AsyncClient, *names: str) -> None:
    for name in names:
        answer = await client.post("/devices", json={"code": name, "codecs": ["opus", "mp3"]})
        assert answer.status_code == 201, answer.text


async def test_a_device_is_changed_and_retired(client: httpx.AsyncClient) -> None:
    await enrol(client, "D-1")
    shown = await client.get("/devices/D-1")
    fresh = {"If-Match": shown.headers["etag"]}
    body = {"codecs": ["opus"], "volume": 40}
    changed = await client.put("/devices/D-1", json=body, headers=fresh)
    assert (changed.json()["volume"], changed.json()["codecs"]) == (40, ["opus"])
    assert (await client.delete("/devices/D-1", headers=fresh)).status_code == 412
    assert (await client.delete("/devices/D-1")).status_code == 204
    assert codes(await client.get("/devices")) == []
    assert codes(await client.get("/devices", params={"retired": "true"})) == ["D-1"]
    answer = await client.post("/devices", json={"code": "D-1", "codecs": ["opus"]})
    assert answer.status_code == 409
