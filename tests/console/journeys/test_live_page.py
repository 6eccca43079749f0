"""An open page shows what has changed without being loaded again, and says when it cannot know."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import Route, expect

from broadcast.auth.permissions import Role
from broadcast.auth.session import COOKIE
from broadcast.demo.api import Api
from broadcast.demo.run import NOTICE
from broadcast.kit import clock
from tests.console.journeys.conftest import HANG_SECONDS, SignIn, System

pytestmark = pytest.mark.asyncio(loop_scope="session")

HANG_MS = HANG_SECONDS * 1000


async def test_a_new_broadcast_appears_on_an_open_page(system: System, sign_in: SignIn) -> None:
    page = await sign_in(Role.COMMUNE_MONITOR)
    title = "Thông báo cắt điện"
    await expect(page.locator("#day")).not_to_contain_text(title)
    seeded = system.seeded
    async with Api(system.url, seeded.broadcaster, seeded.approver, HANG_SECONDS) as api:
        bulletin = await api.approved_bulletin(title, NOTICE, seeded.commune)
        starts_at = clock.now() + timedelta(minutes=10)
        await api.schedule(bulletin, [{"area": seeded.commune}], starts_at)
    await expect(page.locator("#day")).to_contain_text(title, timeout=HANG_MS)


async def test_a_page_that_is_cut_off_says_so_and_catches_up(sign_in: SignIn) -> None:
    page = await sign_in(Role.COMMUNE_MONITOR)
    notice = page.locator("[data-offline]")
    await expect(notice).to_be_hidden()
    await page.route("**/events?*", lambda route: route.abort())
    await page.reload()
    await expect(notice).to_be_visible(timeout=HANG_MS)
    await page.unroute("**/events?*")
    await expect(notice).to_be_hidden(timeout=HANG_MS)


async def test_an_answer_to_a_cookie_that_was_just_replaced_does_not_sign_out(
    system: System, sign_in: SignIn
) -> None:
    """A second factor gives the session a new cookie while parts of the page are being fetched."""
    page = await sign_in(Role.COMMUNE_MONITOR)
    refused: list[int] = []

    async def with_the_cookie_before(route: Route) -> None:
        answer = await route.fetch(
            headers={**route.request.headers, "cookie": f"{COOKIE}=of-before"}
        )
        refused.append(answer.status)
        await route.fulfill(response=answer)

    await page.route("**/today/day", with_the_cookie_before, times=1)
    async with page.expect_response(
        lambda answer: answer.status == 200 and answer.url.endswith("/today/day")
    ):
        await page.locator("#day").dispatch_event("live")
    assert refused == [401]
    await expect(page).to_have_url(system.url + "/")

    await page.context.clear_cookies()
    await page.locator("#day").dispatch_event("live")
    await page.wait_for_url("**/sign-in?next=%2F")
