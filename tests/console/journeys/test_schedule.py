"""A broadcaster says where and when, with a remedy for what is in the way, and moves it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import CDPSession, Locator, Page, expect

from broadcast.auth.permissions import Role
from broadcast.kit.clock import LOCAL
from tests.console.journeys.conftest import DESKTOP, PHONE, SignIn, System

pytestmark = pytest.mark.asyncio(loop_scope="session")


OWN = "Thông báo họp thôn"
"""A bulletin of the commune itself, approved."""


async def rest(page: Page, path: str) -> Any:
    """An answer of REST, as the page's own scripts get it."""
    return await page.evaluate("async path => (await fetch('/api/v1' + path)).json()", path)


async def form(page: Page) -> None:
    """Open the form for a bulletin that is approved."""
    schedules = (await rest(page, "/schedules?state=active"))["items"]
    chosen = next(each for each in schedules if each["title"] == OWN)
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
    await expect(page.get_by_role("table", name="Các buổi phát")).to_contain_text(at)
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


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_a_day_months_ahead_is_left_out_and_put_back_by_keyboard(
    sign_in: SignIn, size: tuple[int, int]
) -> None:
    page = await sign_in(Role.COMMUNE_BROADCASTER, size)
    time = "14:00" if size == DESKTOP else "14:30"
    await form(page)
    await page.locator("#field-day").fill(in_days(6))
    await page.locator("#field-time").fill(time)
    await page.locator("#repeat-daily").check()
    await expect(page.locator("#months .start").last).to_contain_text(time)
    await accessible(page)
    await expect(page.locator("#check [data-refused=false]")).to_be_attached()
    await page.locator("[data-save]").last.click()
    await page.wait_for_url(SAVED)
    schedule = page.url.rpartition("/")[2]
    later = page.get_by_role("link", name="Ba tháng sau")
    await later.focus()
    await page.keyboard.press("Enter")
    day = page.locator("#coming .month a").last
    await expect(day).to_contain_text(time)
    await day.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("day="))
    await accessible(page)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.locator("#day form[hx-post$=leave-out] button").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#day .notice.ok")).to_contain_text("Đã bỏ buổi")
    await accessible(page)
    span = f"from={in_days(90)}&to={in_days(200)}"

    async def left_out() -> int:
        found = await rest(page, f"/schedules/{schedule}/starts?{span}")
        return len([each for each in found if each["starts_at"] is None])

    assert await left_out() == 1
    undo = page.locator("#day .notice.ok button")
    await undo.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#day .notice.ok")).to_contain_text("lại phát")
    assert await left_out() == 0


class Finger:
    """A finger on the screen; it rests on what it drags, as people's do."""

    def __init__(self, devtools: CDPSession) -> None:
        self.devtools = devtools

    async def touch(self, kind: str, *at: float) -> None:
        points = [{"x": at[0], "y": at[1]}] if at else []
        await self.devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    async def drag(self, page: Page, block: Locator, x: float, y: float) -> None:
        box = await block.bounding_box()
        assert box is not None
        await self.touch("touchStart", box["x"] + 8, box["y"] + 8)
        await expect(block).to_have_class(re.compile("moving"))
        await self.touch("touchMove", (box["x"] + x) / 2, (box["y"] + y) / 2)
        await self.touch("touchMove", x, y)
        await self.touch("touchEnd")


class Mouse:
    """A mouse, which need not rest."""

    async def drag(self, page: Page, block: Locator, x: float, y: float) -> None:
        await block.hover()
        await page.mouse.down()
        await page.mouse.move(x, y, steps=3)
        await page.mouse.up()


@pytest.mark.parametrize(
    ("size", "reach"), [(DESKTOP, "following"), (PHONE, "all")], ids=["mouse", "finger"]
)
async def test_what_is_dragged_takes_along_what_is_chosen_and_is_put_back(
    sign_in: SignIn, system: System, size: tuple[int, int], reach: str
) -> None:
    has_touch = size == PHONE
    page = await sign_in(Role.COMMUNE_BROADCASTER, size, has_touch=has_touch)
    first = 4 if has_touch else 1
    async with system.client(Role.COMMUNE_BROADCASTER) as http:
        active = (await http.get("/schedules?state=active")).json()["items"]
        approved = next(each for each in active if each["title"] == OWN)
        wish = {
            "bulletin_id": approved["bulletin_id"], "targets": [{"area": system.seeded.commune}],
            "starts_at": f"{in_days(first)}T15:00:00+07:00", "rrule": "FREQ=DAILY;COUNT=3",
        }  # fmt: skip
        made = await http.post("/schedules", json=wish)
        assert made.status_code == 201, made.text
        schedule = made.json()["id"]

    async def starts() -> list[str]:
        title = (await rest(page, f"/schedules/{schedule}"))["title"]
        span = f"from={in_days(first)}&to={in_days(first + 3)}&state=planned"
        found = (await rest(page, f"/occurrences?{span}"))["items"]
        times = [each["starts_at"][11:16] for each in found if each["title"] == title]
        return [at for at in times if "15:00" <= at <= "16:30"]

    assert await starts() == ["15:00"] * 3
    second = in_days(first + 1)
    path = f"/occurrences?schedule={schedule}&from={second}"
    occurrence = (await rest(page, path))["items"][0]["id"]
    await page.goto(f"/schedule?on={second}")
    block = page.locator(f"#o-{occurrence}")
    later = page.locator(f"td[data-day='{second}'][data-hour='16']")
    await later.scroll_into_view_if_needed()
    box = await later.bounding_box()
    assert box is not None
    hand = Finger(await page.context.new_cdp_session(page)) if has_touch else Mouse()
    await hand.drag(page, block, box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.55)
    dialog = page.locator("#move")
    await expect(dialog).to_contain_text("chuyển sang 16:30")
    assert await dialog.get_by_label("Chỉ buổi này").is_checked()
    await dialog.locator(f"#reach-{reach}").check()
    await expect(dialog.locator(f"#reach-{reach}")).to_be_checked()
    await dialog.locator("[data-yes-move]:enabled").click()
    undo = page.get_by_role("button", name="Hoàn tác")
    await expect(undo).to_be_visible()
    moved = ["16:30"] * 3 if reach == "all" else ["15:00", "16:30", "16:30"]
    assert await starts() == moved
    await undo.click()
    await expect(undo).to_have_count(0)
    assert await starts() == ["15:00"] * 3


async def test_villages_are_chosen_on_the_map_and_the_form_is_there_on_another_device(
    sign_in: SignIn,
) -> None:
    page = await sign_in(Role.COMMUNE_BROADCASTER)
    await form(page)
    boxes = page.locator("input[name=place]")
    assert await boxes.count() == await page.locator("input[name=place]:checked").count()
    await page.get_by_text("Chọn trên bản đồ").click()
    commune = page.locator("[data-pick-commune]")
    spot = page.locator(".pick.spot").first
    await expect(commune).to_have_attribute("aria-checked", "true")
    codes = (await spot.get_attribute("data-pick-places") or "").split()
    await spot.click()
    await expect(spot).to_have_attribute("aria-checked", "false")
    rest_of_it = "mixed" if len(codes) < await boxes.count() else "false"
    await expect(commune).to_have_attribute("aria-checked", rest_of_it)
    for code in codes:
        box = page.locator(f"input[name=place][value='{code}']")
        await expect(box).not_to_be_checked()
        await box.check()  # the list changes the map, too
    await expect(spot).to_have_attribute("aria-checked", "true")
    await spot.press(" ")
    await expect(spot).to_have_attribute("aria-checked", "false")
    await page.locator("#field-time").fill("06:35")
    await accessible(page)
    await page.locator("#field-time").press("Tab")
    await expect(page.locator("#saved")).to_contain_text("Đã lưu nháp lúc")
    url = page.url
    kept = "async url => (await (await fetch(url)).text()).includes('value=\"06:35\"')"
    await page.wait_for_function(kept, arg=url)
    await page.context.close()

    other = await sign_in(Role.COMMUNE_BROADCASTER, PHONE)
    await other.goto(url)
    await expect(other.locator("#field-time")).to_have_value("06:35")
    for code in codes:
        await expect(other.locator(f"input[name=place][value='{code}']")).not_to_be_checked()
    await other.get_by_role("button", name="Làm lại từ đầu").click()
    await other.locator("#confirm").get_by_role("button", name="Đồng ý").click()
    await expect(other.locator("#saved button")).to_have_count(0)
    await expect(other.locator("#field-time")).to_have_value("17:00")
