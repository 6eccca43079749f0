"""The page of Quy chế, and the page of a commune that says what holds there."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from tests.console.conftest import Pages
from tests.console.test_admin import send
from tests.stations import sample

NOW = datetime(2024, 12, 1, 8, tzinfo=LOCAL)
HX = {"HX-Request": "true"}
FORM = {
    "area_code": "21253", "number": "12/QC-UBND", "signed_on": "2024-11-20",
    "valid_from": "2024-12-02", "silent": "21:00-05:00, 11:30 – 13:30",
    "limited": "5:00-06:00 40%", "weekend": "silent", "sessions_per_day": "2",
}  # fmt: skip


@pytest.fixture(autouse=True)
async def province(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    async with db.transaction(engine) as session:
        await sample.everything(session)


async def test_one_is_entered_after_it_is_said_what_it_silences_and_taken_back(
    pages: Pages,
) -> None:
    checked = await pages.client.post("/admin/regulations/check", data=FORM, headers=HX)
    assert "Không buổi phát nào thay đổi." in checked.text
    assert (await pages.client.get("/api/v1/regulations")).json()["items"] == []
    stored = await pages.client.post("/admin/regulations", data=FORM, headers=HX)
    assert stored.headers["HX-Redirect"] == "/admin/regulations?area=21253"
    [made] = (await pages.client.get("/api/v1/regulations")).json()["items"]
    assert made["silent"] == [
        {"from": "21:00", "until": "05:00"}, {"from": "11:30", "until": "13:30"},
    ]  # fmt: skip
    assert made["limited"] == [{"from": "05:00", "until": "06:00", "volume": 40}]
    shown = (await pages.load("/admin/regulations", area="21253")).text
    assert "sắp áp dụng" in shown
    assert 'value="21:00-05:00, 11:30-13:30"' in shown
    assert 'value="05:00-06:00 40%"' in shown
    path = f"/admin/regulations/{made['id']}"
    asked = await pages.client.post(f"{path}/withdrawal", headers=HX)
    assert f'hx-post="{path}/withdraw"' in asked.text
    await pages.client.post(f"{path}/withdraw", headers=HX)
    assert "đã rút" in (await pages.load("/admin/regulations", area="21253")).text
    await pages.client.post(f"{path}/reinstate", headers=HX)
    [made] = (await pages.client.get("/api/v1/regulations")).json()["items"]
    assert made["withdrawn_at"] is None


async def test_a_commune_says_in_words_what_holds_there(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Chưa nhập Quy chế nào" in (await pages.load("/areas/21253")).text
    await pages.client.post("/admin/regulations", data=FORM, headers=HX)
    monkeypatch.setattr(clock, "now", lambda: NOW.replace(day=2))
    for path in ("/areas/21253", "/admin/regulations?area=21253"):
        said = (await pages.client.get(path)).text
        assert "Loa im 21:00–05:00, 11:30–13:30; chỉ cảnh báo khẩn cấp được phát." in said
        assert "05:00–06:00 (40%)" in said
        assert "Mỗi ngày nhiều nhất 2 buổi." in said
        assert "Quy chế 12/QC-UBND" in said


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"number": ""}, "number"),
        ({"valid_from": "2024-11-30"}, "valid_from"),
        ({"silent": "21h-5h"}, "silent"),
        ({"silent": "25:00-05:00"}, "silent"),
        ({"limited": "05:00-06:00"}, "limited"),
        ({"limited": "05:00-06:00 140%"}, "limited"),
        ({"sessions_per_day": "0"}, "sessions_per_day"),
        ({"clusters": "C-9"}, "clusters"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field(
    pages: Pages, changes: dict[str, str], field: str
) -> None:
    answer = await pages.client.post("/admin/regulations/check", data=FORM | changes, headers=HX)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field


async def test_who_does_not_approve_only_reads(pages: Pages) -> None:
    pages.called_by(Role.COMMUNE_BROADCASTER)
    shown = await pages.client.get("/admin/regulations?area=21253")
    assert shown.status_code == 200
    assert "Nhập Quy chế mới" not in shown.text


async def test_a_file_is_shown_row_by_row_with_what_falls_silent_and_then_stored(
    pages: Pages,
) -> None:
    path = "/admin/import/regulations"
    assert "regulations.csv" in (await pages.load(path)).text
    assert f'href="{path}"' in (await pages.load("/admin/regulations")).text
    assert f'href="{path}"' in (await pages.load("/admin")).text
    head = "area_code,number,signed_on,valid_from,silent\n"
    text = f"{head}21253,1/QC,2024-11-20,2024-12-02,21:00-5:00\n"
    shown = await send(pages, f"{path}/preview", ("r.csv", text))
    assert "21253" in shown.text
    assert "1/QC (2024-12-02)" in shown.text
    assert "Không buổi phát nào thay đổi." in shown.text
    (digest,) = re.findall(r'name="digest" value="(\w+)"', shown.text)
    stored = await send(pages, path, ("r.csv", text), digest=digest)
    assert "Đã ghi: thêm 1" in stored.text
    pages.called_by(Role.COMMUNE_APPROVER, "21253")
    assert (await pages.load(path)).status_code == 403
    for told in ("/admin", "/admin/regulations"):
        assert f'href="{path}"' not in (await pages.load(told)).text
