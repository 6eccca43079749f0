"""A broadcaster says where and when, with a remedy for what is in the way; moves by keyboard."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from broadcast.auth.permissions import Role
from broadcast.kit.clock import LOCAL
from tests.console.journeys.conftest import DESKTOP, PHONE, SignIn

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def rest(page: Page, path: str) -> Any:
    """An answer of REST, as the page's own scripts get it."""
    return await page.evaluate("async path => (await fetch('/api/v1' + path)).json()", path)


async def form(page: Page) -> None:
    """Open the form for a bulletin that is approved."""
    schedules = (await rest(page, "/schedules?state=active"))["items"]
    chosen = schedules[0]
    revision = f"{chosen['bulletin_id']}/{chosen['bulletin_revision']}"
    await page.goto(f"/schedule/new?revision={revision}")
    await expect(page.locator("#check [data-refused]")).to_be_attached()


def in_days(days: int) -> str:
    return str(datetime.now(LOCAL).date() + timedelta(days=days))


SAVED = re.compile(r"/schedule/[0-9a-f]{8}-[^/]*$")


async def three_villages(page: Page, time: str) -> None:
    """Fill the form in."""
    await form(page)
    boxes = page.locator("input[name=place]")
    for number in range(await boxes.count()):
        await boxes.nth(number).set_checked(number < 3)
    await page.locator("#field-day").fill(in_days(4))
    await page.locator("#field-time").fill(time)


async def accessible(page: Page) -> None:
    found = await Axe().run(page)
    assert [each["id"] for each in found.response["violations"]] == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_three_villages_and_a_remedy(sign_in: SignIn, size: tuple[int, int]) -> None:
    page = await sign_in(Role.COMMUNE_BROADCASTER, size)
    time = "09:00" if size == DESKTOP else "13:00"
    await three_villages(page, time)
    await page.locator("[data-save]").last.click()
    await page.wait_for_url(SAVED)
    await three_villages(page, time)
    clash = page.locator("[data-finding=clash]")
    await expect(clash).to_contain_text("Trùng giờ")
    await expect(page.locator("[data-save]").last).to_be_disabled()
    await accessible(page)
    await clash.locator("[data-remedy=other_time]").first.click()
    await expect(clash).to_have_count(0)
    at = await page.locator("#field-time").input_value()
    assert at != time
    await page.locator("[data-save]").last.click()
    await page.wait_for_url(SAVED)
    await expect(page.locator("main table")).to_contain_text(at)
    await accessible(page)
    schedule = page.url.rpartition("/")[2]
    rows = (await rest(page, f"/occurrences?schedule={schedule}"))["items"]
    assert [row["starts_at"][:16] for row in rows] == [f"{in_days(4)}T{at}"]
    assert len((await rest(page, f"/schedules/{schedule}"))["targets"]) == 3


async def test_an_occurrence_is_moved_by_keyboard_and_put_back(sign_in: SignIn) -> None:
    page = await sign_in(Role.COMMUNE_BROADCASTER)
    await form(page)
    await page.locator("#field-day").fill(in_days(5))
    await page.locator("#field-time").fill("10:00")
    await page.locator("#repeat-daily").check()
    await expect(page.locator("#check [data-refused=false]")).to_be_attached()
    await page.locator("[data-save]").last.click()
    await page.wait_for_url(SAVED)
    schedule = page.url.rpartition("/")[2]
    path = f"/occurrences?schedule={schedule}&from={in_days(5)}"
    first = (await rest(page, path))["items"][0]
    await page.goto(f"/schedule?on={in_days(5)}")
    block = page.locator(f"#o-{first['id']}")
    await block.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"):
        await page.keyboard.press(key)
    await expect(page.locator("#move-said")).to_contain_text("10:10")
    await page.keyboard.press("Enter")
    dialog = page.locator("#move")
    await expect(dialog).to_contain_text("chuyển sang 10:10")
    await accessible(page)
    await expect(dialog.locator("[data-yes-move]")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator(".notice.ok")).to_contain_text("10:10")
    moved = (await rest(page, path))["items"][0]
    assert (moved["id"], moved["starts_at"][11:16]) == (first["id"], "10:10")
    await page.get_by_role("button", name="Hoàn tác").click()
    await expect(page.locator(".notice.ok")).to_have_count(0)
    assert (await rest(page, path))["items"][0]["starts_at"][11:16] == "10:00"
