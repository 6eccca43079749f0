"""Areas and the village register over REST."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2 as httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.areas.imports import official_files
from broadcast.auth.permissions import Role
from tests.stations import sample
from tests.stations.client import client_of

Files = list[tuple[str, tuple[str, bytes]]]


@pytest.fixture
async def client(engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(engine) as client:
        yield client


@pytest.fixture
async def official(client: httpx.AsyncClient) -> httpx.AsyncClient:
    areas, lineage = official_files()
    answer = await client.post(
        "/areas/import",
        files={"areas": (areas.name, areas.data), "lineage": (lineage.name, lineage.data)},
    )
    assert answer.status_code == 200
    assert answer.json()["added"] == 399 + 283
    return client


async def pages(client: httpx.AsyncClient, path: str, **query: str) -> list[dict[str, object]]:
    items: list[dict[str, object]] = []
    cursor: str | None = None
    while True:
        more = {"cursor": cursor} if cursor else {}
        answer = (await client.get(path, params={**query, "limit": "50", **more})).json()
        items += answer["items"]
        cursor = answer["next"]
        if cursor is None:
            return items


async def test_units_are_listed_as_of_a_day(official: httpx.AsyncClient) -> None:
    for on, count in (("2024-07-09", 173), ("2025-01-04", 170), ("2025-07-01", 96)):
        listed = await pages(official, "/areas", as_of=on, level="commune", under="51")
        assert len({unit["code"] for unit in listed}) == len(listed) == count


async def test_a_unit_is_shown_with_what_is_above_and_below(official: httpx.AsyncClient) -> None:
    unit = (await official.get("/areas/522", params={"as_of": "2024-07-09"})).json()
    assert [each["code"] for each in unit["chain"]] == ["51"]
    assert unit["counts"] == {"commune": 23}
    island = (await official.get("/areas/536", params={"as_of": "2024-07-09"})).json()
    assert island["counts"] == {}
    province = (await official.get("/areas/51")).json()
    assert province["counts"] == {"commune": 96}


async def test_a_unit_that_is_no_more_is_not_found_and_names_its_replacements(
    official: httpx.AsyncClient,
) -> None:
    answer = await official.get("/areas/21253", params={"as_of": "2025-07-01"})
    assert answer.status_code == 404
    assert answer.json()["replaced_by"] == ["21034"]
    assert "nay là 21034 Xã An Phú" in answer.json()["detail"]
    answer = await official.get("/areas", params={"under": "522"})
    assert answer.status_code == 404


async def test_lineage_is_traced_both_ways(official: httpx.AsyncClient) -> None:
    old = (await official.get("/areas/21253/lineage")).json()
    assert old["unit"]["name"] == "Xã Nghĩa Phú"
    assert [each["code"] for each in old["successors"]] == ["21034"]
    new = (await official.get("/areas/21034/lineage")).json()
    assert {each["code"] for each in new["origins"]} >= {"21253", "21262"}
    assert new["origins_on"] == "2020-02-01"
    reused = (await official.get("/areas/21262/lineage", params={"as_of": "2025-01-04"})).json()
    assert reused["unit"]["name"] == "Xã An Phú"
    assert [(each["code"], each["part"]) for each in reused["origins"]] == [
        ("21253", "whole"),
        ("21262", "whole"),
    ]
    assert {act["legal_act"] for act in reused["acts"]} == {
        "1279/NQ-UBTVQH15",
        "1677/NQ-UBTVQH15",
    }
    assert (await official.get("/areas/99999/lineage")).status_code == 404


async def test_history_shows_every_name_of_a_code(official: httpx.AsyncClient) -> None:
    names = [unit["name"] for unit in (await official.get("/areas/21220/history")).json()]
    assert names == ["Xã Tịnh Hà", "Thị trấn Tịnh Hà", "Xã Sơn Tịnh"]
    assert (await official.get("/areas/99999/history")).status_code == 404


async def test_a_refused_import_tells_row_column_and_remedy(client: httpx.AsyncClient) -> None:
    text = b"code,level,kind,name,parent_code,valid_from,valid_to\n51,province,x,y,,01/01/2020,\n"
    answer = await client.post("/areas/import", files={"areas": ("areas.csv", text)})
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert (fault["file"], fault["row"], fault["column"]) == ("areas.csv", 2, "valid_from")
    assert (await client.post("/areas/import")).status_code == 422


async def test_a_dry_run_over_rest_changes_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.post("/areas/load", params={"province": "51", "dry_run": "true"})
    assert (answer.json()["added"], answer.json()["dry_run"]) == (97, True)
    assert (await client.get("/areas")).json()["items"] == []


async def test_only_an_administrator_changes_areas(engine: AsyncEngine) -> None:
    async with client_of(engine, Role.TECHNICIAN) as client:
        answer = await client.post("/areas/load", params={"province": "51"})
        assert answer.status_code == 403


async def test_a_village_is_listed_placed_and_released(official: httpx.AsyncClient) -> None:
    answer = await official.post(
        "/villages/import", files={"villages": ("villages.csv", sample.VILLAGES.encode())}
    )
    assert answer.json()["added"] == 4
    query = {"as_of": "2025-07-01"}
    (waiting,) = (await official.get("/villages/unplaced", params=query)).json()
    assert waiting == {
        "code": "T-3",
        "name": "Thôn Tây",
        "commune_code": "21142",
        "since": "2025-07-01",
        "candidates": ["21136", "21157"],
        "lies_in": "51",
    }
    path = "/villages/T-3/2025-07-01"
    body = {"kind": "thôn", "name": "Thôn Tây", "commune_code": "21157"}
    assert (await official.put(path, json=body)).status_code == 200
    assert (await official.get("/villages/unplaced", params=query)).json() == []
    assert (await official.get("/areas/T-3")).json()["parent_code"] == "21157"

    row = await official.get(path)
    stale = {"If-Match": '"0"'}
    assert (await official.put(path, json=body, headers=stale)).status_code == 412
    fresh = {"If-Match": row.headers["etag"]}
    assert (await official.put(path, json=body, headers=fresh)).status_code == 200
    assert len((await official.get("/villages/T-3")).json()) == 2
    assert (await official.delete(path, headers=fresh)).status_code == 204
    assert len((await official.get("/villages/unplaced", params=query)).json()) == 1
    assert (await official.delete(path)).status_code == 404


async def test_a_village_in_no_commune_is_refused(official: httpx.AsyncClient) -> None:
    body = {"kind": "thôn", "name": "Thôn Tây", "commune_code": "21253"}
    answer = await official.put("/villages/T-9/2025-07-01", json=body)
    assert answer.status_code == 422
    assert answer.json()["field"] == "commune_code"
    assert "nay là 21034" in answer.json()["detail"]
    assert (await official.get("/villages/T-9")).status_code == 404
