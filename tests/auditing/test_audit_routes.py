"""Search and export over REST: who may, what is found, and that the export is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.accounts.people import create_with_token
from broadcast.auditing import export
from broadcast.auth.permissions import Role
from broadcast.kit import db
from tests.audit.world import World, world_of
from tests.schedules import province


@pytest.fixture
async def world(
    engine: AsyncEngine, postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with world_of(engine, postgres_dsn, tmp_path, monkeypatch) as world:
        async with db.transaction(engine) as session:
            for name, area in (("Kiểm", None), ("Lý Sơn", "536"), ("Nghĩa Phú", "522")):
                world.tokens[name] = await create_with_token(
                    session, name, Role.AUDITOR, province.NOW, area_code=area
                )
        yield world


async def found(world: World, query: str = "", who: str = "Kiểm") -> list[dict[str, Any]]:
    answer = await world.call("GET", f"/audit{query}", who)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def fill(world: World) -> str:
    """A schedule that Lan makes and Hùng changes, a refusal of Tâm; returns the schedule's id."""
    made = await world.call("POST", "/schedules", "Lan", json=world.schedule())
    id_: str = made.json()["id"]
    await world.call("PATCH", f"/schedules/{id_}", "Hùng", json={"volume": 40})
    await world.call("POST", "/schedules", "Tâm", json=world.schedule())
    await world.entries()
    return id_


async def test_entries_are_found_by_who_what_where_and_when(world: World) -> None:
    id_ = await fill(world)
    created, changed, refused = await found(world)
    assert [each["seq"] for each in (created, changed, refused)] == [1, 2, 3]
    assert (created["name"], created["address"]) == ("Lan", "192.0.2.9")
    (difference,) = changed["changes"]
    assert (difference["kind"], difference["key"]) == ("schedules", id_)
    assert (difference["before"]["volume"], difference["after"]["volume"]) == (None, 40)
    for query, expected in {
        f"?account={created['account_id']}": [created],
        "?name=Hùng": [changed],
        "?action=PATCH": [changed],
        "?action=/schedules": [created, changed, refused],
        f"?object=schedules/{id_}": [created, changed],
        f"?object=/api/v1/schedules/{id_}": [changed],
        "?area=21253": [created, changed],
        "?area=522": [created, changed],
        "?area=51": [created, changed],
        "?area=536": [],
        "?outcome=refused": [refused],
        "?from=2024-12-28T08:00:00&until=2024-12-28T08:00:01": [created, changed, refused],
        "?from=2024-12-28T08:00:01": [],
        "?until=2024-12-28T08:00:00": [],
        "?action=100%25": [],
    }.items():
        assert await found(world, query) == expected, query


async def test_pages_follow_each_other(world: World) -> None:
    await fill(world)
    first = (await world.call("GET", "/audit?limit=2", "Kiểm")).json()
    second = (await world.call("GET", f"/audit?limit=2&cursor={first['next']}", "Kiểm")).json()
    assert [each["seq"] for each in first["items"] + second["items"]] == [1, 2, 3]


async def test_who_sees_a_part_of_the_province_sees_its_entries(world: World) -> None:
    await fill(world)
    assert [each["seq"] for each in await found(world, who="Nghĩa Phú")] == [1, 2]
    assert await found(world, who="Lý Sơn") == []
    assert await found(world, "?area=51", who="Lý Sơn") == []


@pytest.mark.parametrize("who", ["Lan", "Hùng", "Tèo", "Tâm"])
@pytest.mark.parametrize("path", ["/audit", "/audit/export"])
async def test_others_may_not(world: World, who: str, path: str) -> None:
    assert (await world.call("GET", path, who)).status_code == 403
    await world.entries()  # refusals are written behind the answer
    (refusal,) = await found(world)
    assert (refusal["outcome"], refusal["action"]) == ("refused", f"GET /api/v1{path}")


async def test_an_export_is_whole_and_told(world: World) -> None:
    await fill(world)
    answer = await world.call("GET", "/audit/export?until=2024-12-29", "Kiểm")
    assert answer.headers["content-type"] == "application/jsonl"
    head, verdict = export.verify(answer.content.splitlines(keepends=True), None)
    assert (head.first, head.last, verdict.last.seq, verdict.findings) == (1, 3, 3, [])
    told = (await found(world))[-1]
    assert (told["name"], told["action"]) == ("Kiểm", "GET /api/v1/audit/export")
    assert told["details"]["last"] == 3


async def test_who_sees_a_part_cannot_export(world: World) -> None:
    answer = await world.call("GET", "/audit/export", "Lý Sơn")
    assert answer.status_code == 403
    assert "cả tỉnh" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "status"),
    [("?until=2024-01-01", 422), ("?from=x", 422), ("?to=2024-01-01", 422)],
)
async def test_a_mistake_is_told(world: World, query: str, status: int) -> None:
    assert (await world.call("GET", f"/audit/export{query}", "Kiểm")).status_code == status
    for unknown in ("area=999", "account=77777"):
        assert (await world.call("GET", f"/audit?{unknown}", "Kiểm")).status_code == 404


async def test_searching_is_no_entry(world: World) -> None:
    await found(world)
    assert await found(world) == []
