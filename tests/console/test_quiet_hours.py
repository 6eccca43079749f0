"""What other quiet hours would silence is seen before anybody sets them."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.kit import clock
from tests.console.conftest import Pages
from tests.console.figures import compare
from tests.delivery.world import World


async def test_starts_that_reach_into_the_hours_are_counted_and_named(
    pages: Pages, engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(engine, tmp_path)
    await world.build()
    monkeypatch.setattr(clock, "now", lambda: world.now)
    bulletin = await world.bulletin(b"a")
    await world.schedule(bulletin, {"area": "21001"}, 3, "FREQ=DAILY")
    await world.schedule(bulletin, {"area": "21001"}, 5)
    await world.turn()
    planned = (await pages.client.get("/api/v1/occurrences")).json()["items"]
    first = min(each["starts_at"] for each in planned)
    daily = [each for each in planned if each["starts_at"][10:] == first[10:]]
    hour = int(first[11:13])
    page = f"/admin/quiet-hours?opens={hour:02}:00&closes={hour + 1:02}:00"
    answer = await pages.client.get(
        "/api/v1/quiet-hours/silenced",
        params={"opens": f"{hour:02}:00", "closes": f"{hour + 1:02}:00"},
    )
    told = answer.json()
    assert {each["id"] for each in told["listed"]} <= {each["id"] for each in daily}
    assert told["count"] == len(told["listed"]) >= 6
    assert await compare(pages, page) == 1
    html = (await pages.load(page)).text
    assert f"{told['count']} buổi phát của bảy ngày tới sẽ bị im" in html
    assert f'href="/schedule/{told["listed"][0]["schedule_id"]}"' in html
    assert f'QUIET_HOURS=[["{hour:02}:00"' in html
    elsewhere = await pages.client.get(
        "/api/v1/quiet-hours/silenced", params={"opens": "01:00", "closes": "01:30"}
    )
    assert elsewhere.json()["count"] == 0
