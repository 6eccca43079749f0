from __future__ import annotations

import re
from datetime import date, time, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.devices.model import Device, Installation
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from broadcast.stations.model import Cluster, Evidence, Plant
from broadcast.telemetry.model import DevicePresence
from broadcast.telemetry.presence import Presence
from broadcast.wire.events import Network, Supply
from tests.console.conftest import Pages
from tests.devices.fleet import MINUTE, beat, enrol, record_all

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
async def fleet(engine: AsyncEngine, pages: Pages) -> None:
    """A plays well on a cluster, B has been away for three hours, C was never heard."""
    now = clock.now()
    async with db.transaction(engine) as session:
        await db.ensure_partitions(session, now.astimezone(LOCAL).date())
        a, b, _ = await enrol(session, "A", "B", "C")
        plant = Plant(code="P", name="P")
        session.add(plant)
        await session.flush()
        cluster = Cluster(
            code="K-1", name="Nhà văn hóa thôn 1", plant_id=plant.id, horns_count=2,
            evidence=Evidence.TELEMETRY, installed_on=date(2020, 1, 1),
        )  # fmt: skip
        session.add(cluster)
        await session.flush()
        session.add(
            Installation(device_id=a.id, cluster_id=cluster.id, installed_at=now - 24 * HOUR)
        )
        said = [
            beat(device, sent_at=at, firmware="2.4.1", network=Network(signal_dbm=-80),
                 supply=Supply(mains=True), line="ok", temperature_celsius=41.5)
            for device, at in ((a, now - MINUTE), (b, now - 3 * HOUR))
        ]  # fmt: skip
        await record_all(session, [], said[1:], [], now - 3 * HOUR, live=True)
        await record_all(session, [], said[:1], [], now - MINUTE, live=True)
        (await session.get_one(DevicePresence, b.id)).presence = Presence.SILENT
    pages.called_by(Role.TECHNICIAN)


def quiet(pages: Pages, *windows: tuple[time, time]) -> None:
    rules = pages.settings.rules.model_copy(update={"quiet_hours": windows})
    pages.app.state.settings = pages.settings.model_copy(update={"rules": rules})


async def rest(pages: Pages, path: str, **query: str) -> Any:
    answer = await pages.client.get("/api/v1" + path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def figures(html: str) -> dict[str, str]:
    return dict(re.findall(r'data-figure="([^"]+)">([^<]+)<', html))


def at(document: Any, pointer: str) -> Any:
    for step in pointer.strip("/").split("/"):
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document


@pytest.mark.parametrize("query", [{}, {"presence": "silent"}, {"text": "văn hóa", "line": ""}])
async def test_the_figures_of_the_fleet_are_those_of_rest(
    pages: Pages, query: dict[str, str]
) -> None:
    html = (await pages.load("/devices", **query)).text
    given = {name: value for name, value in query.items() if value}
    summary = await rest(pages, "/fleet/summary", **given)
    shown = figures(html)
    assert shown["/total"] == str(summary["total"])
    assert {name: str(at(summary, name)) for name in shown} == shown
    listed = (await rest(pages, "/fleet", **given))["items"]
    assert re.findall(r'<a href="/devices/(\w+)">', html) == [item["device"] for item in listed]


async def test_a_device_that_is_away_is_unknown_and_says_since_when(pages: Pages) -> None:
    html = (await pages.load("/devices/B")).text
    assert 'class="state unknown"' in html
    assert "chưa rõ" in html
    assert "3 giờ trước" in html
    assert "đang kết nối" not in html.partition('id="chart"')[0]
    assert "Máy chủ chưa bao giờ nghe" in (await pages.load("/devices/C")).text


async def test_the_table_beside_the_chart_has_the_points_of_rest(pages: Pages) -> None:
    html = (await pages.load("/devices/A/chart", span="week")).text
    chart = await rest(pages, "/devices/A/chart", span="week")
    assert [point["temperature"] for point in chart["points"]] == [41.5]
    assert "<td>-80,0</td><td>41,5</td>" in html
    assert (await pages.load("/devices/Z")).status_code == 404


async def test_a_command_says_what_will_be_heard_and_is_listed(pages: Pages) -> None:
    quiet(pages)
    html = (await pages.load("/devices/A")).text
    assert "Loa tại Nhà văn hóa thôn 1 (0 thôn) sẽ kêu một tiếng thử ngắn" in html
    part = await pages.submit("/devices/A/commands", kind="self_test")
    assert part.status_code == 200, part.text
    assert "Tự thử loa" in part.text
    assert "đang chờ trả lời" in part.text
    (listed,) = (await rest(pages, "/commands", device="A"))["items"]
    assert (listed["kind"], listed["ordered_by"]["name"]) == ("self_test", "Tâm")
    assert listed["state_text"] in (await pages.load("/devices/A/commands")).text
    again = await pages.submit("/devices/A/commands", kind="self_test")
    assert again.status_code == 409
    wrong = await pages.submit("/devices/A/commands", kind="volume", volume="101")
    assert (wrong.status_code, wrong.json()["field"]) == (422, "volume")


async def test_quiet_hours_are_said_before_and_refused_after(pages: Pages) -> None:
    quiet(pages, (time(0), time(0)))
    said = "Cả ngày là giờ yên tĩnh"
    assert said in (await pages.load("/devices/A")).text
    refused = await pages.submit("/devices/A/commands", kind="identify")
    assert (refused.status_code, said in refused.json()["detail"]) == (409, True)


async def test_who_only_reads_is_offered_no_command(pages: Pages) -> None:
    pages.called_by(Role.PROVINCE_MONITOR)
    html = (await pages.load("/devices/A")).text
    assert 'hx-post="/devices' not in html
    assert (await pages.submit("/devices/A/commands", kind="reboot")).status_code == 403


async def test_a_device_is_installed_and_retired(pages: Pages, engine: AsyncEngine) -> None:
    swapped = await pages.submit("/devices/C/install", cluster="K-1")
    assert swapped.headers["hx-redirect"] == "/devices/C"
    assert (await rest(pages, "/devices/C"))["cluster_code"] == "K-1"
    missing = await pages.submit("/devices/A/install", cluster=" ")
    assert (missing.status_code, missing.json()["field"]) == (422, "cluster")
    assert (await pages.submit("/devices/C/retire")).status_code == 204
    html = (await pages.load("/devices/C")).text
    assert "đã ngừng dùng từ" in html
    assert "Ngừng dùng thiết bị" not in html
    async with db.transaction(engine) as session:
        assert (await session.get_one(Device, 3)).retired_at is not None
