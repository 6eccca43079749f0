"""The pages of portals: a portal is tried, entered, read, decided about and ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from ipaddress import ip_network

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.areas.model import Level
from broadcast.auth.permissions import Role
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from broadcast.portals.checking import PortalReader
from tests import province as rows
from tests.alerts.cap.test_feeds import Site, serving
from tests.console.conftest import Pages
from tests.portals.test_checking import ESSENTIAL, feed

NOW = datetime(2025, 11, 28, 9, tzinfo=LOCAL)


@pytest.fixture
async def site(
    pages: Pages, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    near = config.Portals(pause=timedelta(), private_networks=(ip_network("127.0.0.0/8"),))
    pages.settings = pages.app.state.settings = pages.settings.model_copy(update={"portals": near})
    async with db.transaction(engine) as session:
        session.add_all([
            rows.area("51", Level.PROVINCE),
            rows.area("21025", Level.COMMUNE, "51", name="Nghĩa Hành"),
            rows.area("21034", Level.COMMUNE, "51", name="An Phú"),
        ])  # fmt: skip
    async with serving() as found:
        found.pages["/tin.rss"] = (
            "200 OK", feed(("1", "2025-11-20", ESSENTIAL), ("2", "2025-11-21", "Thể thao")),
        )  # fmt: skip
        yield found


async def test_a_portal_is_tried_entered_read_and_decided_about(
    pages: Pages, engine: AsyncEngine, site: Site
) -> None:
    form = {
        "area_code": "21025", "name": "Trang xã Nghĩa Hành", "url": site.url, "kind": "feed",
        "source_url": f"{site.url}/tin.rss", "tags": f"{ESSENTIAL}\nThông báo",
        "valid_from": "2025-07-01",
    }  # fmt: skip
    assert "Nghĩa Hành" in (await pages.load("/portals/new", area="21025")).text
    source = {name: form[name] for name in ("source_url", "kind")}
    tried = await pages.submit("/portals/trial", **source)
    assert tried.status_code == 200, tried.text
    assert ("Tin 1" in tried.text, "đọc được" in tried.text) == (True, True)
    for field, value in (("source_url", "ftp://x/y"), ("name", ""), ("item_class", "tin")):
        refused = await pages.submit("/portals", **form | {field: value})
        assert (refused.status_code, refused.json()["field"]) == (422, field)
    made = await pages.submit("/portals", **form)
    there = made.headers["hx-redirect"]
    assert "Chưa đọc lần nào" in (await pages.load(there)).text
    await PortalReader(engine, pages.settings.portals).run(NOW)
    shown = (await pages.load(there)).text
    assert "Tin 1" in shown
    assert "Tin 2" not in (await pages.load(there, counts="true")).text
    listed = (await pages.load("/portals")).text
    assert "quá ít tin thiết yếu" in listed
    assert "Nghĩa Hành" not in (await pages.load("/portals", why="no_portal")).text
    # A person says what the section does not, and the province what is enough.
    item = shown.partition('id="item-')[2].partition('"')[0]
    said = await pages.submit(f"{there}/items/{item}", is_essential="true")
    assert "do người xác nhận" in said.text
    rule = {"items": "2", "days": "30", "document": "Công văn 12", "valid_from": "2025-11-01"}
    assert (await pages.submit("/portals/rule", **rule)).status_code == 204
    listed = (await pages.load("/portals")).text
    assert "1 trên 2 xã thường xuyên cập nhật" in listed
    assert (await pages.submit(f"{there}/end")).status_code == 204
    assert "Không theo dõi nữa từ" in (await pages.load(there)).text


async def test_who_may_not_change_a_portal_sees_no_form(pages: Pages, site: Site) -> None:
    pages.called_by(Role.COMMUNE_BROADCASTER, "21034", "Lan")
    text = (await pages.load("/portals")).text
    assert "/portals/new" not in text
    assert "Nghĩa Hành" not in text, "another commune's"
    assert (await pages.load("/portals/new")).status_code == 403
