"""The page of marked days, and the calendar that shows them."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from tests.console.conftest import Pages
from tests.stations import sample

NOW = datetime(2026, 12, 1, 8, tzinfo=LOCAL)
HX = {"HX-Request": "true"}
FORM = {
    "kind": "mourning", "name": "Quốc tang", "area_code": "51", "first_on": "2026-12-15",
    "last_on": "2026-12-16", "document": "Thông cáo 1",
}  # fmt: skip


@pytest.fixture(autouse=True)
async def province(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    async with db.transaction(engine) as session:
        await sample.everything(session)


async def test_days_are_marked_after_it_is_said_what_they_silence(pages: Pages) -> None:
    shown = await pages.client.get("/admin/calendars")
    assert re.search(r"Mồng một Tết sắp tới: [^.]*6/2", shown.text)
    assert "Giỗ Tổ Hùng Vương" in shown.text
    checked = await pages.client.post("/admin/calendars/check", data=FORM, headers=HX)
    assert "Không buổi phát nào thay đổi." in checked.text
    assert (await pages.client.get("/api/v1/calendar-days")).json()["items"] == []
    stored = await pages.client.post("/admin/calendars", data=FORM, headers=HX)
    assert stored.headers["HX-Redirect"] == "/admin/calendars"
    [marked] = (await pages.client.get("/api/v1/calendar-days")).json()["items"]
    assert (marked["name"], marked["last_on"]) == ("Quốc tang", "2026-12-16")
    shown = await pages.client.get("/admin/calendars")
    assert "Thông cáo 1" in shown.text
    sheet = await pages.client.get("/schedule?view=month&on=2026-12-01")
    assert sheet.text.count('class="mark mourning"') == 2
    assert "âm 1/11" in sheet.text
    removal = await pages.client.post(f"/admin/calendars/{marked['id']}/removal", headers=HX)
    assert "Bỏ đánh dấu" in removal.text
    await pages.client.post(f"/admin/calendars/{marked['id']}/remove", headers=HX)
    assert (await pages.client.get("/api/v1/calendar-days")).json()["items"] == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"first_on": ""}, "first_on"),
        ({"name": ""}, "name"),
        ({"last_on": "2026-12-01"}, "last_on"),
        ({"clusters": "C-1, C-9"}, "clusters"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field(
    pages: Pages, changes: dict[str, str], field: str
) -> None:
    for path in ("/admin/calendars/check", "/admin/calendars"):
        answer = await pages.client.post(path, data=FORM | changes, headers=HX)
        assert answer.status_code == 422, answer.text
        assert answer.json()["field"] == field


async def test_who_only_reads_marks_nothing(pages: Pages) -> None:
    pages.called_by(Role.PROVINCE_MONITOR)
    shown = await pages.client.get("/admin/calendars")
    assert shown.status_code == 200
    assert "Đánh dấu ngày" not in shown.text
