from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.areas.model import Area, AreaLineage, Level, Part
from broadcast.kit import clock
from broadcast.plays import texts
from broadcast.plays.closer import close_due
from broadcast.plays.routes import router
from broadcast.plays.settle import PlayState, Reason
from broadcast.stations.model import ClusterVillage, Grade
from broadcast.telemetry.presence import Presence
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from tests.devices.fleet import EIGHT, MINUTE, SECOND
from tests.plays.world import BEFORE, CLOSED, COMMUNE, WAIT, World, ended, skipped, started
from tests.web.calling import MONITOR, called_by

TO = {"from": (EIGHT - timedelta(hours=1)).isoformat(), "to": CLOSED.isoformat()}


@pytest.fixture
async def client(session: AsyncSession) -> AsyncIterator[httpx.AsyncClient]:
    """The ledger's routes on the session of the test."""
    app = FastAPI()
    app.state.limit = limit
    rest.install(app)
    app.include_router(router)
    app.state.settings = config.Settings()
    app.dependency_overrides[rest.transaction] = lambda: session
    called_by(app, MONITOR)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        yield client


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_plays_are_found_by_everything_people_ask_for(
    client: httpx.AsyncClient, world: World
) -> None:
    occurrence = await world.planned()
    await world.planned(starts_at=EIGHT + timedelta(days=1))
    await world.report(started(1, occurrence), ended(2, occurrence))
    await close_due(world.session, CLOSED, WAIT)

    items = (await get(client, "/plays", **TO))["items"]
    assert [(item["cluster"], item["state"]) for item in items] == [
        ("C-1", "played"), ("C-2", "missed"),
    ]  # fmt: skip
    assert items[1]["reason_text"] == texts.REASONS[Reason(items[1]["reason"])]
    for query, found in (
        ({"cluster": "C-2"}, ["C-2"]),
        ({"area": "V-1"}, ["C-1"]),
        ({"area": COMMUNE}, ["C-1", "C-2"]),
        ({"state": ["missed", "partial"]}, ["C-2"]),
        ({"reason": items[1]["reason"]}, ["C-2"]),
        ({"state": "partial"}, []),
    ):
        items = (await get(client, "/plays", **TO, **query))["items"]
        assert [item["cluster"] for item in items] == found, query
    assert len((await get(client, "/plays", occurrence=str(occurrence.id)))["items"]) == 2


async def test_plays_over_a_merger_are_those_of_each_day(
    client: httpx.AsyncClient, world: World
) -> None:
    """On the second day the commune goes into another, and its villages get new codes."""
    first, second = EIGHT.date(), EIGHT.date() + timedelta(days=1)
    for day in range(2):
        await world.planned(starts_at=EIGHT + timedelta(days=day))
    session = world.session
    await session.execute(
        sa.update(Area).where(Area.code.in_([COMMUNE, "V-1", "V-2"])).values(valid_to=first)
    )
    for code, level, parent in (
        ("N", Level.COMMUNE, "51"), ("W-1", Level.VILLAGE, "N"), ("W-2", Level.VILLAGE, "N"),
    ):  # fmt: skip
        session.add(Area(code=code, level=level, kind="xã", name=code, parent_code=parent,
                         valid_from=second, valid_to=None))  # fmt: skip
    for old, new in ((COMMUNE, "N"), ("V-1", "W-1"), ("V-2", "W-2")):
        session.add(AreaLineage(old_code=old, new_code=new, effective_on=second, part=Part.WHOLE,
                                legal_act="NQ"))  # fmt: skip
    await session.execute(sa.update(ClusterVillage).values(valid_to=first))
    for number in "12":
        session.add(ClusterVillage(cluster_id=world.clusters[f"C-{number}"].id,
                                   village_code=f"W-{number}", valid_from=second,
                                   valid_to=None, grade=Grade.PRIMARY))  # fmt: skip
    await session.flush()
    span = {"from": EIGHT.isoformat(), "to": (EIGHT + timedelta(days=2)).isoformat()}
    for area, count in (("51", 4), (COMMUNE, 4), ("N", 4), ("V-1", 2), ("W-2", 2)):
        items = (await get(client, "/plays", area=area, **span))["items"]
        assert len(items) == count, area


async def test_clashes_of_the_coming_days_are_listed(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: EIGHT)
    assert await get(client, "/plays/clashes") == []
    pair = [await world.planned(starts_at=EIGHT + at * SECOND) for at in (60, 90)]
    [found] = await get(client, "/plays/clashes")
    assert [found["occurrence_id"], found["other_occurrence_id"]] == [str(o.id) for o in pair]


async def test_plays_are_paged_by_cursor(client: httpx.AsyncClient, world: World) -> None:
    for hour in range(3):
        await world.planned(starts_at=EIGHT + timedelta(hours=hour))
    query = {"from": EIGHT.isoformat(), "to": (EIGHT + timedelta(hours=9)).isoformat()}
    seen, cursor = [], None
    while True:
        page = await get(
            client, "/plays", limit=4, **query, **({"cursor": cursor} if cursor else {})
        )
        seen += [(item["starts_at"], item["cluster"]) for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 6
    assert [at for at, _ in seen] == sorted(at for at, _ in seen)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/plays?cluster=C-9", 404, "C-9"),
        ("/plays?area=99999", 404, "99999"),
        ("/plays?from=2025-07-02T00:00:00Z&to=2025-07-01T00:00:00Z", 422, "from"),
        ("/plays?to=0001-01-01", 422, "to: phải là thời điểm"),
        ("/plays?from=9999-12-31T23:59:59", 422, "from: phải là thời điểm"),
        ("/plays/summary?from=2025-07-02T01:00&to=2025-07-01T18:00:00Z", 422, "phải trước"),
        ("/plays/2ccaa755-3c33-444e-a78f-e02d9256e3d7/C-1/explain", 404, "C-1"),
    ],
)
async def test_what_is_not_there_is_said(
    client: httpx.AsyncClient, world: World, path: str, status: int, said: str
) -> None:
    answer = await client.get(path)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


async def test_summary_counts_what_became_of_plays(
    client: httpx.AsyncClient, world: World
) -> None:
    one = await world.planned()
    two = await world.planned(starts_at=EIGHT + timedelta(hours=1))
    twice = await world.planned(starts_at=EIGHT + timedelta(hours=2))
    await world.planned(starts_at=EIGHT + timedelta(days=1))
    await world.report(started(1, one, EIGHT + 0.3 * SECOND), ended(2, one))
    late = EIGHT + timedelta(hours=1) + 61 * SECOND
    ends = ended(4, two, late + MINUTE, 60, "ends_by")
    await world.report(started(3, two, late), ends, at=late + 2 * MINUTE)
    again = EIGHT + timedelta(hours=2)
    anew = started(6, twice, again + 9 * SECOND)
    await world.report(started(5, twice, again), anew, at=again + MINUTE)
    await world.report(skipped(1, two, "late"), device="D-2")
    total = await get(
        client, "/plays/summary", **{**TO, "to": (EIGHT + timedelta(hours=3)).isoformat()}
    )
    total.pop("since"), total.pop("until")
    assert total == {
        "expected": 6, "played": 1, "partial": 1, "preempted": 0, "missed": 1,
        "missed_by_reason": {"late": 1}, "unexplained": 0, "waiting": 3, "cancelled": 0,
        "clock_wrong": 0, "restated": 0, "duplicates": 1, "late": 1, "start_error_ms_p50": 300,
        "start_error_ms_p99": 61_000,
    }  # fmt: skip


async def test_explanation_tells_the_whole_story_in_order(
    client: httpx.AsyncClient, world: World
) -> None:
    occurrence = await world.planned()
    await world.published(occurrence)
    await world.received()
    await world.ready(occurrence)
    await world.presence((Presence.ONLINE, BEFORE), (Presence.SILENT, EIGHT + 4 * MINUTE))
    await world.report(
        started(1, occurrence, EIGHT + 1.5 * SECOND),
        ended(2, occurrence, EIGHT + 40 * SECOND, 38.5, "local_override"),
    )
    told = await get(client, f"/plays/{occurrence.id}/C-1/explain")

    assert told["verdict"] == (
        "Phát một phần lúc 08:00:01 (muộn 1,5 giây), được 38,5/120,0 giây: "
        "loa đang được dùng hoặc tắt tại chỗ."
    )
    assert (told["device"], told["state"], told["reason"]) == ("D-1", "partial", "local_override")
    assert (told["window_minutes"], told["heard_minutes"]) == (5, 0)
    kinds = [entry["kind"] for entry in told["timeline"]]
    assert kinds == [
        "scheduled", "published", "presence", "received", "readiness", "planned_start", "journal",
        "journal", "late_limit", "presence", "planned_end",
    ]  # fmt: skip
    journal = [entry for entry in told["timeline"] if entry["kind"] == "journal"]
    assert journal[1]["data"]["played_seconds"] == 38.5
    assert journal[1]["text"] == "Kết thúc sau 38,5 giây: loa đang được dùng hoặc tắt tại chỗ"


async def test_explanation_of_silence_names_the_cause_and_its_restatement(
    client: httpx.AsyncClient, world: World
) -> None:
    occurrence = await world.planned()
    await world.listening(BEFORE, EIGHT - MINUTE)
    await world.listening(EIGHT + 9 * MINUTE, CLOSED)
    await close_due(world.session, CLOSED, WAIT)
    told = await get(client, f"/plays/{occurrence.id}/C-1/explain")
    assert told["verdict"] == "Không phát: máy chủ chưa gửi được chương trình đi trước giờ phát."
    assert "server_deaf" in [entry["kind"] for entry in told["timeline"]]
    await world.report(started(1, occurrence), ended(2, occurrence), at=CLOSED + MINUTE)
    told = await get(client, f"/plays/{occurrence.id}/C-1/explain")
    assert told["timeline"][-1]["text"] == "Sổ phát đổi từ “Không phát” sang “Đã phát”"


def test_every_state_and_reason_has_words() -> None:
    assert set(texts.STATES) == set(PlayState)
    assert set(texts.REASONS) == set(Reason)
    assert texts.reason("vì họp xã") == "vì họp xã"
    assert texts.reason("not_targeted") != "not_targeted"
