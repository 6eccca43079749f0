"""Somebody who has never seen it: how few steps each errand takes. The steps are counted.

How many seconds the first of them takes says `python -m benchmarks newcomer`.
"""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from broadcast.auth.permissions import Role
from tests.console.journeys.conftest import SignIn, System
from tests.console.journeys.newcomer import HEARD, Newcomer, say_where_and_when

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUICKLY = 4
"""How much faster a sound is played."""


async def test_typed_heard_scheduled_and_submitted_in_six_steps(sign_in: SignIn) -> None:
    someone = Newcomer(await sign_in(Role.COMMUNE_BROADCASTER))
    page = someone.page
    await someone.type_and_listen()
    await page.locator("#sound audio").evaluate(HEARD, QUICKLY)
    await say_where_and_when(someone)
    assert someone.steps <= 6
    schedule = page.url.rpartition("/")[2]
    told = await (await page.request.get(f"/api/v1/schedules/{schedule}")).json()
    assert told["state"] == "proposed"
    revision = f"/api/v1/bulletins/{told['bulletin_id']}/revisions/1"
    assert (await (await page.request.get(revision)).json())["state"] == "submitted"


async def test_approved_in_two_steps(sign_in: SignIn, system: System) -> None:
    someone = Newcomer(await sign_in(Role.COMMUNE_APPROVER))
    page = someone.page
    await someone.click(page.locator("#waiting a").first)
    await page.wait_for_url(re.compile("/approvals/"))
    revision = page.url.partition("/approvals/")[2].partition("#")[0].replace("/", "/revisions/")
    await page.locator("#sound").evaluate(HEARD, QUICKLY)
    await someone.click(page.get_by_role("button", name="Duyệt", exact=True))
    await page.wait_for_url("**/approvals")
    assert someone.steps <= 2
    async with system.client(Role.COMMUNE_APPROVER) as http:
        told = (await http.get(f"/bulletins/{revision}")).json()
    assert (told["state"], told["steps"][-1]["actor"]["name"]) == ("approved", "Bùi Văn Xã")


async def test_why_a_village_did_not_hear_it_is_three_steps_away(sign_in: SignIn) -> None:
    someone = Newcomer(await sign_in(Role.COMMUNE_MONITOR))
    page = someone.page
    link = page.locator("#day a[href^='/plays/']")
    if not await link.first.is_visible():
        await someone.click(page.locator("#day details > summary"))
    await someone.click(link.first)
    await expect(page.locator("#result table")).to_contain_text("Thôn")
    await someone.click(page.locator("#result tbody a").first)
    await expect(page.locator("main")).to_contain_text("Bằng chứng")
    assert someone.steps <= 3


async def test_why_a_commune_is_not_counted_is_three_steps_away(sign_in: SignIn) -> None:
    someone = Newcomer(await sign_in(Role.PROVINCE_MONITOR))
    page = someone.page
    await someone.click(page.get_by_role("link", name="Chỉ tiêu"))
    await someone.click(page.locator("main a[href^='/indicators/1.1/']").first)
    commune = page.locator("tr", has_text="chưa được tính").first.locator("a[href*='/why/']")
    name = await commune.inner_text()
    await someone.click(commune)
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)
    await expect(page.locator("main .lead")).to_contain_text("không được tính vì")
    assert someone.steps <= 3
