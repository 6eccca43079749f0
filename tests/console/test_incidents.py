"""The list of incidents and the page of one: figures of REST, words, and what people do there."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from urllib.parse import urlencode

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.areas.model import Level
from broadcast.areas.topology import touch
from broadcast.auth.model import Grant
from broadcast.auth.permissions import Role
from broadcast.console import incidents
from broadcast.incidents.causes import Cause, Evidence
from broadcast.incidents.grouping import Kind
from broadcast.incidents.model import ClosingReason, Incident, IncidentLoss
from broadcast.kit import clock, db
from broadcast.stations.model import Plant
from tests import province as rows
from tests.callers import HUNG, TAM
from tests.console.conftest import Pages
from tests.console.figures import compare
from tests.devices.fleet import EIGHT

HOUR = timedelta(hours=1)
NOW = EIGHT + 3 * HOUR


def lost(incident: Incident, number: int, at: datetime) -> IncidentLoss:
    return IncidentLoss(
        device_id=number, cluster_id=number, fell_at=at, incident_id=incident.id, noticed_at=at,
        returned_at=None, evidence=Evidence.POWER,
    )  # fmt: skip


def incident(kind: Kind, code: str, at: datetime, **columns: object) -> Incident:
    given = {"name": code, "cause": Cause.POWER, "devices_count": 1, "down_count": 1,
             "villages_count": 1, "communes_count": 1}  # fmt: skip
    return Incident(kind=kind, code=code, opened_at=at, noticed_at=at, **given | columns)


@pytest.fixture(autouse=True)
async def numbers(engine: AsyncEngine, pages: Pages, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Two villages of commune 20001 are silent by a feed; in 20002 one of two clusters is away."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    async with db.transaction(engine) as session:
        session.add(rows.area(rows.PROVINCE, Level.PROVINCE))
        for commune in ("20001", "20002"):
            session.add(rows.area(commune, Level.COMMUNE, rows.PROVINCE))
        for village, commune in (("V-1", "20001"), ("V-2", "20001"), ("V-3", "20002")):
            session.add(rows.area(village, Level.VILLAGE, commune, name=village))
        plant = Plant(code="P", name="P")
        session.add(plant)
        await session.flush()
        for number, village in enumerate(("V-1", "V-2", "V-3", "V-3"), start=1):
            cluster = rows.cluster(f"K-{number}", plant, id=number, name=f"Cụm {number}")
            device = rows.device(f"D-{number}", EIGHT, id=number)
            session.add_all([cluster, device])
            await session.flush()
            session.add_all([
                rows.service(cluster, village), rows.installation(device, cluster, EIGHT)
            ])  # fmt: skip
        feed = incident(Kind.POWER_FEED, "F-1", EIGHT + HOUR, devices_count=2, down_count=2)
        alone = incident(Kind.DEVICE, "D-3", EIGHT, name="Cụm 3", cause=Cause.DEVICE)
        session.add_all([alone, feed])
        await session.flush()
        session.add_all([
            lost(feed, 1, EIGHT + HOUR), lost(feed, 2, EIGHT + 1.5 * HOUR), lost(alone, 3, EIGHT),
            Grant(account_id=HUNG, role=Role.TECHNICIAN, area_code="20001",
                  valid_from=rows.SINCE, valid_until=None, granted_by=None, granted_at=EIGHT,
                  revoked_at=None),
        ])  # fmt: skip
        await touch(session)
        found = [feed.id, alone.id]
    pages.called_by(Role.TECHNICIAN)
    return found


def seen(html: str) -> str:
    """The version that a page was shown with."""
    found = re.search(r'name="seen" value="(\d+)"', html)
    assert found
    return found[1]


@pytest.mark.parametrize("query", [{}, {"cause": "power", "hours": "1"}, {"assigned": "me"}])
async def test_every_figure_is_that_of_rest(
    pages: Pages, numbers: list[int], query: dict[str, str]
) -> None:
    address = f"/incidents?{urlencode(query)}"
    html = (await pages.load(address)).text
    found = await compare(pages, address)
    assert found > 8 or "assigned" in query
    shown = [int(each) for each in re.findall(r'<h2><a href="/incidents/(\d+)"', html)]
    listed = await pages.client.get("/api/v1/incidents/work-list", params=query)
    assert shown == [each["id"] for each in listed.json()["items"]]
    for number in numbers:
        assert await compare(pages, f"/incidents/{number}") >= 4


async def test_the_list_says_what_hurts_most_in_words(pages: Pages, numbers: list[int]) -> None:
    feed, alone = numbers
    html = (await pages.load("/incidents")).text
    assert html.index(f'href="/incidents/{feed}"') < html.index(f'href="/incidents/{alone}"')
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "2 sự cố chưa đóng; 2 thôn không nghe được loa; 2 sự cố chưa ai phụ trách" in text
    assert "2 thôn không nghe được loa, cộng lại 3,5 giờ" in text
    assert "các thôn vẫn nghe được cụm loa khác" in text
    none = (await pages.load("/incidents", area="20002", cause="power")).text
    assert "Không có sự cố nào như vậy." in none
    assert "Bỏ lọc" in none


async def test_a_page_of_one_tells_what_happened_and_what_to_do(
    pages: Pages, numbers: list[int]
) -> None:
    html = (await pages.load(f"/incidents/{numbers[0]}")).text
    for said in (
        "Mất điện tuyến F-1: 2 cụm loa", "hỏi Điện lực giờ có điện lại", "Tôi nhận việc này",
        "thôn V-1", 'href="/areas/V-2"', 'href="/devices/D-1"',
        'href="/indicators/clusters/K-2"', "Chưa ra lệnh nào", "phát hiện 1 cụm loa mất liên lạc",
        "thêm 1 cụm loa mất liên lạc", '<option value="1000002">Hùng</option>',
    ):  # fmt: skip
        assert said in html, said
    devices = (await pages.load(f"/incidents/{numbers[0]}/devices")).text
    assert "Cụm 1" in devices


async def test_one_press_takes_it_and_a_closing_leaves_the_list(
    pages: Pages, numbers: list[int]
) -> None:
    here = f"/incidents/{numbers[0]}"
    version = seen((await pages.load(here)).text)
    taken = await pages.submit(f"{here}/assign", seen=version)
    assert taken.status_code == 200, taken.text
    assert "Phụ trách: Tâm" in taken.text
    assert "Phụ trách: Tâm" in (await pages.load("/incidents", assigned="me")).text
    stale = await pages.submit(f"{here}/close", seen=version, reason="repaired")
    assert (stale.status_code, "vừa thay đổi" in stale.text) == (409, True)
    version = seen(taken.text)
    for fields, field in (({}, "reason"), ({"reason": "other"}, "note")):
        refused = await pages.submit(f"{here}/close", seen=version, **fields)
        assert (refused.status_code, refused.json()["field"]) == (422, field)
    closed = await pages.submit(
        f"{here}/close", seen=version, reason="others", note="Điện lực hẹn 15 giờ"
    )
    assert closed.status_code == 200, closed.text
    assert "Tâm đóng lúc 11:00 thứ Ba 1/7: Điện lực hoặc nhà mạng đang xử lý" in closed.text
    assert f'href="{here}"' not in (await pages.load("/incidents")).text
    assert f'href="{here}"' in (await pages.load("/incidents", state="closed")).text
    assert "Mất điện tuyến F-1" not in (await pages.load("/")).text
    opened = await pages.submit(f"{here}/reopen", seen=seen(closed.text))
    assert opened.status_code == 200, opened.text
    released = await pages.submit(f"{here}/release", seen=seen(opened.text))
    assert "Chưa ai phụ trách." in released.text
    assert "Mất điện tuyến F-1" in (await pages.load("/")).text


async def test_the_area_is_chosen_by_name_among_ones_own(pages: Pages) -> None:
    names = r'<option value="([^"]+)"[^>]*>((?:xã|thôn) [^<]+)<'
    html = (await pages.load("/incidents", area="V-3")).text
    assert re.findall(names, html) == [
        ("V-3", "thôn V-3"), ("20001", "xã 20001"), ("20002", "xã 20002"),
    ]  # fmt: skip
    assert '<option value="V-3" selected>' in html
    pages.called_by(Role.COMMUNE_BROADCASTER, "20002")
    assert re.findall(names, (await pages.load("/incidents")).text) == [
        ("V-3", "thôn V-3"), ("20002", "xã 20002"),
    ]  # fmt: skip


async def test_over_rest_a_decision_names_the_version_it_was_made_from(
    pages: Pages, numbers: list[int]
) -> None:
    there = f"/api/v1/incidents/{numbers[0]}"
    tag = (await pages.client.get(there)).headers["etag"]
    taken = await pages.client.post(
        f"{there}/assign", json={"account_id": TAM}, headers={"If-Match": tag}
    )
    assert taken.status_code == 200, taken.text
    body = {"reason": "planned"}
    stale = await pages.client.post(f"{there}/close", json=body, headers={"If-Match": tag})
    assert stale.status_code == 412
    tag = (await pages.client.get(there)).headers["etag"]
    closed = await pages.client.post(f"{there}/close", json=body, headers={"If-Match": tag})
    assert (closed.status_code, closed.json()["state"]) == (200, "closed")
    note = {"json": {"text": "Hẹn 15 giờ"}, "headers": {"Idempotency-Key": "once"}}
    for _ in range(2):
        assert (await pages.client.post(f"{there}/notes", **note)).status_code == 201
    history = (await pages.client.get(f"{there}/history")).json()["items"]
    assert [each["note"] for each in history].count("Hẹn 15 giờ") == 1


async def test_it_is_assigned_to_who_may_and_notes_are_kept_as_written(
    pages: Pages, numbers: list[int]
) -> None:
    here = f"/incidents/{numbers[0]}"
    version = seen((await pages.load(here)).text)
    refused = await pages.submit(f"{here}/assign", seen=version, account_id="1000001")
    assert (refused.status_code, refused.json()["field"]) == (422, "account_id")
    given = await pages.submit(f"{here}/assign", seen=version, account_id=str(HUNG))
    assert "Phụ trách: Hùng" in given.text
    assert "giao cho Hùng" in given.text
    noted = await pages.submit(f"{here}/notes", text="Cầu chì <cháy>\nđã thay")
    assert "Cầu chì &lt;cháy&gt;\nđã thay" in noted.text
    empty = await pages.submit(f"{here}/notes", text=" ")
    assert (empty.status_code, empty.json()["field"]) == (422, "text")


async def test_who_only_reads_sees_no_button_and_a_part_of_the_places_may_note(
    pages: Pages, numbers: list[int]
) -> None:
    pages.called_by(Role.PROVINCE_MONITOR)
    html = (await pages.load(f"/incidents/{numbers[0]}")).text
    assert "Tôi nhận việc này" not in html
    assert "Lưu ghi chú" not in html
    assert 'href="/incidents"' in html
    pages.called_by(Role.COMMUNE_BROADCASTER, "20002")
    assert (await pages.load(f"/incidents/{numbers[0]}")).status_code == 404
    own = (await pages.load(f"/incidents/{numbers[1]}")).text
    assert "Tôi nhận việc này" in own
    assert "Hùng" not in own


async def test_the_parts_that_change_by_themselves_are_those_of_the_page(
    pages: Pages, numbers: list[int]
) -> None:
    here = f"/incidents/{numbers[0]}"
    whole = (await pages.load(here)).text
    for part in ("state", "more"):
        html = (await pages.load(f"{here}/{part}")).text
        assert html.strip() in whole
    listed = (await pages.load("/incidents/list")).text
    assert 'data-live="incidents"' in listed
    assert listed.strip() in (await pages.load("/incidents")).text


def test_every_value_has_its_words() -> None:
    assert incidents.REASONS.keys() == set(ClosingReason)
    assert incidents.KINDS.keys() == set(Kind)
    assert incidents.CAUSES.keys() == set(Cause)
    assert incidents.EVIDENCE.keys() == set(Evidence)
