"""Stations, plants and clusters are changed on pages as over REST: rules, versions, undo."""

from __future__ import annotations

import html as html_
import json
import re

import httpx2 as httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.kit import clock, db
from tests.boundaries.maps import feature, geojson, square
from tests.console.conftest import Pages
from tests.stations import sample

STATION = {"name": "Đài Nghĩa Phú", "commune_code": "21253", "valid_from": "2020-02-01"}


@pytest.fixture(autouse=True)
async def registered(engine: AsyncEngine, pages: Pages) -> None:
    async with db.transaction(engine) as session:
        await sample.areas(session)
        await sample.everything(session)


@pytest.fixture(autouse=True)
def on_a_day_of_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the merger, when its units are there."""
    now = clock.now().replace(year=2024, month=10, day=1)
    monkeypatch.setattr(clock, "now", lambda: now)
    monkeypatch.setattr(clock, "today", now.date)


async def version(pages: Pages, path: str) -> str:
    """What the forms of a page send, which is the version that REST tells."""
    answer = await pages.load(path)
    (first, *_) = re.findall(r"hx-headers='([^']+)'", answer.text)
    tag: str = json.loads(html_.unescape(first))["If-Match"]
    rest = await pages.client.get(path.replace("/admin", "/api/v1"))
    assert tag == rest.headers["etag"]
    return tag


async def post(
    pages: Pages, path: str, tag: str | None, **fields: str | list[str]
) -> httpx.Response:
    headers = {"HX-Request": "true"} | ({} if tag is None else {"If-Match": tag})
    return await pages.client.post(path, data=fields, headers=headers)


async def rest(pages: Pages, path: str) -> dict[str, object]:
    found: dict[str, object] = (await pages.client.get(f"/api/v1{path}")).json()
    return found


async def test_a_station_is_changed_from_the_version_that_is_shown_and_put_back(
    pages: Pages,
) -> None:
    before = await rest(pages, "/stations/S-1")
    tag = await version(pages, "/admin/stations/S-1")
    changed = await post(pages, "/admin/stations/S-1", tag, **STATION)
    assert changed.status_code == 200, changed.text
    assert (await rest(pages, "/stations/S-1"))["name"] == "Đài Nghĩa Phú"
    again = await post(pages, "/admin/stations/S-1", tag, **STATION | {"name": "Khác"})
    assert (again.status_code, again.json()["title"]) == (412, "Dữ liệu đã thay đổi")
    undo = changed.text.partition("Hoàn tác")[0]
    put_back = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', undo))
    tag = json.loads(html_.unescape(re.findall(r"hx-headers='([^']+)'", undo)[-1]))["If-Match"]
    undone = await post(pages, "/admin/stations/S-1", tag, **put_back)
    assert undone.status_code == 200, undone.text
    assert await rest(pages, "/stations/S-1") == before


async def test_a_field_that_is_wrong_is_named(pages: Pages) -> None:
    for fields, named in (
        ({"name": ""}, "name"), ({"valid_from": "hôm qua"}, "valid_from"),
        ({"commune_code": "99999"}, "commune_code"), ({"valid_to": "2019-01-01"}, "valid_to"),
    ):  # fmt: skip
        answer = await post(pages, "/admin/stations/S-1", None, **STATION | fields)
        assert (answer.status_code, answer.json()["field"]) == (422, named)


async def test_a_station_with_plant_and_cluster_is_made_and_deleted_again(pages: Pages) -> None:
    assert "Xã Nghĩa Phú" in (await pages.load("/admin/stations/new")).text
    made = await pages.submit(
        "/admin/stations", **STATION | {"commune_code": "21157"}, code="S-9",
        status="operating", cause="thành lập",
    )  # fmt: skip
    assert made.headers.get("hx-redirect") == "/admin/stations/S-9", made.text
    assert 'value="S-9"' in (await pages.load("/admin/plants/new", station="S-9")).text
    none = await pages.submit(
        "/admin/plants", station_code="S-9", code="P-9", name="Hệ thống", valid_from="2024-01-01"
    )
    assert none.json()["field"] == "technologies"
    made = await pages.submit(
        "/admin/plants", station_code="S-9", code="P-9", name="Hệ thống",
        valid_from="2024-01-01", technologies=["it", "fm"],
    )  # fmt: skip
    assert made.headers.get("hx-redirect") == "/admin/plants/P-9", made.text
    assert (await rest(pages, "/plants/P-9"))["technologies"] == ["fm", "it"]
    cluster = {"plant_code": "P-9", "name": "Đình", "installed_on": "2024-02-01"}
    without = await pages.submit("/admin/clusters", **cluster, code="C-9", villages=[""])
    assert without.json()["field"] == "villages"
    made = await pages.submit(
        "/admin/clusters", **cluster, code="C-9", villages=["T-1:primary", "", "T-2:partial"],
        latitude="15,12", longitude="108.88", evidence="telemetry",
    )  # fmt: skip
    assert made.headers.get("hx-redirect") == "/admin/clusters/C-9", made.text
    assert (await rest(pages, "/clusters/C-9"))["latitude"] == 15.12
    for path, back in (
        ("clusters/C-9", "/admin/plants/P-9"), ("plants/P-9", "/admin/stations/S-9"),
        ("stations/S-9", "/admin/stations"),
    ):  # fmt: skip
        tag = await version(pages, f"/admin/{path}")
        gone = await post(pages, f"/admin/{path}/delete", tag)
        assert gone.headers.get("hx-redirect") == back, gone.text
        assert (await pages.load(f"/admin/{path}")).status_code == 404
    kept = await post(pages, "/admin/stations/S-1/delete", None)
    assert (kept.status_code, "đã có hệ thống kỹ thuật" in kept.json()["detail"]) == (409, True)


async def test_states_hold_from_a_day_and_a_name_can_be_put_back(pages: Pages) -> None:
    tag = await version(pages, "/admin/stations/S-2")
    said = await post(
        pages, "/admin/stations/S-2/state", tag, state_from="2024-09-01", status="degraded",
        cause="hỏng tăng âm",
    )  # fmt: skip
    assert "hỏng tăng âm" in said.text
    assert (await rest(pages, "/stations/S-2"))["status"] == "degraded"
    tag = await version(pages, "/admin/plants/P-2")
    renamed = await post(pages, "/admin/plants/P-2", tag, name="Hệ thống mới")
    assert 'value="Hệ thống Nghĩa An"' in renamed.text.partition("Hoàn tác")[0]
    tag = await version(pages, "/admin/plants/P-2")
    moved = await post(
        pages, "/admin/plants/P-2/state", tag, state_from="2024-09-01", station_code="S-1",
        technologies=["it"], status="operating",
    )  # fmt: skip
    assert moved.status_code == 200, moved.text
    assert (await rest(pages, "/plants/P-2"))["station_code"] == "S-1"


async def test_a_cluster_is_moved_served_otherwise_and_taken_down(pages: Pages) -> None:
    assert "data-place-map" not in (await pages.load("/admin/clusters/C-1")).text
    outline = ("xa.geojson", geojson([feature("21253", square(0))]))
    given = await pages.client.post("/api/v1/boundaries/import", files={"boundaries": outline})
    assert given.status_code == 200, given.text
    shown = (await pages.load("/admin/clusters/C-1")).text
    assert "data-place-map" in shown
    assert "data-here" in shown
    facts = {
        "name": "Nhà văn hóa", "plant_code": "P-1", "latitude": "15.13", "longitude": "108.87",
        "horns_count": "3", "installed_on": "2024-01-01", "evidence": "telemetry",
    }  # fmt: skip
    tag = await version(pages, "/admin/clusters/C-1")
    assert (await post(pages, "/admin/clusters/C-1", tag, **facts)).status_code == 200
    found = await rest(pages, "/clusters/C-1")
    assert (found["latitude"], found["horns_count"]) == (15.13, 3)
    half = await post(pages, "/admin/clusters/C-1", None, **facts | {"longitude": ""})
    assert half.json()["field"] == "latitude"
    served = await post(
        pages, "/admin/clusters/C-1/villages", None, villages_from="2024-09-01",
        villages=["T-1:partial", "T-2:primary"],
    )  # fmt: skip
    assert served.status_code == 200, served.text
    assert (await rest(pages, "/clusters/C-1"))["villages"] == [
        {"village_code": "T-1", "grade": "partial"}, {"village_code": "T-2", "grade": "primary"},
    ]  # fmt: skip
    down = await post(pages, "/admin/clusters/C-1", None, **facts, removed_on="2024-09-20")
    assert "đã gỡ từ" in down.text


async def test_who_may_not_change_sees_no_form_and_is_refused(pages: Pages) -> None:
    pages.called_by(Role.COMMUNE_MONITOR, "21253")
    for path in ("stations/S-1", "plants/P-1", "clusters/C-1"):
        shown = await pages.load(f"/admin/{path}")
        assert shown.status_code == 200, path
        assert f'hx-post="/admin/{path}' not in shown.text
        assert (await post(pages, f"/admin/{path}/delete", None)).status_code == 403
    assert (await pages.load("/admin/clusters/C-4")).status_code == 404
    pages.called_by(Role.TECHNICIAN, "21253")
    assert (await post(pages, "/admin/stations/S-2", None, **STATION)).status_code == 404
