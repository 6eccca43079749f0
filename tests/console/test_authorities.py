"""The page of the order of authorities."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from tests.console.conftest import Pages
from tests.stations import sample

NOW = datetime(2026, 12, 1, 8, tzinfo=LOCAL)
PATH = "/admin/authorities"


@pytest.fixture(autouse=True)
async def province(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    async with db.transaction(engine) as session:
        await sample.everything(session)


async def test_an_order_is_shown_and_another_one_chosen(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages.called_by(Role.PROVINCE_APPROVER)
    shown = (await pages.load(PATH)).text
    assert "Hôm nay: Tỉnh → Huyện → Xã." in shown
    assert "<td>144</td><td>136</td><td>128</td>" in shown
    assert "Chưa chọn thứ tự nào" in shown
    stored = await pages.submit(PATH, order="commune,province,district", valid_from="2026-12-05")
    assert stored.headers["HX-Redirect"] == PATH
    orders = (await pages.client.get("/api/v1/authority-orders")).json()
    assert [(each["valid_from"], each["levels"]) for each in orders] == [
        ("2026-12-05", ["commune", "province", "district"])
    ]
    shown = (await pages.load(PATH)).text
    assert "Hôm nay: Tỉnh → Huyện → Xã." in shown
    assert "chưa đến" in shown
    monkeypatch.setattr(clock, "now", lambda: NOW.replace(day=5))
    assert "Hôm nay: Xã → Tỉnh → Huyện." in (await pages.load(PATH)).text


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"valid_from": ""}, "valid_from"),
        ({"valid_from": "2026-12-01"}, "valid_from"),
        ({"order": "x"}, "order"),
        ({"order": "commune,commune,province"}, "levels"),
    ],
)
async def test_what_is_no_order_is_said_at_its_field(
    pages: Pages, fields: dict[str, str], field: str
) -> None:
    pages.called_by(Role.PROVINCE_APPROVER)
    given = {"order": "commune,district,province", "valid_from": "2026-12-05"} | fields
    refused = await pages.submit(PATH, **given)
    assert refused.status_code == 422
    assert refused.json()["field"] == field


async def test_who_may_not_choose_sees_the_order_only(pages: Pages) -> None:
    pages.called_by(Role.COMMUNE_BROADCASTER, "21253")
    shown = await pages.load(PATH)
    assert "Hôm nay: Tỉnh → Huyện → Xã." in shown.text
    assert 'name="order"' not in shown.text
    given = {"order": "commune,district,province", "valid_from": "2026-12-05"}
    assert (await pages.submit(PATH, **given)).status_code == 403
