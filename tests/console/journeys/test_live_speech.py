"""Somebody speaks into a telephone, and the loudspeakers of the fleet hear it."""

from __future__ import annotations

import re

import av
import pytest
from playwright.async_api import expect

from broadcast.auth.permissions import Role
from tests.console.journeys.conftest import PHONE, SignIn, System

pytestmark = pytest.mark.asyncio(loop_scope="session")

WAIT = 60_000


async def test_who_speaks_into_a_phone_is_heard_by_loudspeakers(
    sign_in: SignIn, system: System
) -> None:
    page = await sign_in(Role.PROVINCE_APPROVER, PHONE, "/live")
    await page.get_by_label("Nói về việc gì").fill("Nói thử")
    await page.locator("fieldset input").first.check()
    await page.get_by_role("button", name="Tiếp tục: thử micro").click()
    await page.get_by_role("button", name="Bật micro, nói thử").click()
    begin = page.get_by_role("button", name=re.compile("Nhấn giữ để nói"))
    await expect(begin).to_be_visible()
    await begin.click()  # a touch alone does nothing
    await expect(begin).to_be_visible()
    await begin.dispatch_event("pointerdown")
    heard = page.locator("p[data-heard]")
    await expect(heard).to_contain_text(re.compile(r"[1-9]\d*/\d+ cụm nghe"), timeout=WAIT)
    live_id = page.url.rsplit("/", 1)[1]
    await page.get_by_role("button", name="Dừng phát").click()
    await expect(page.locator("#live")).to_contain_text("Đã dừng lúc", timeout=WAIT)
    async with system.client(Role.PROVINCE_APPROVER) as client:
        told = (await client.get(f"/live-sessions/{live_id}")).json()
    assert told["end_reason"] == "stopped"
    assert told["seconds"] > 1
    await expect(page.locator("#live audio")).to_be_visible(timeout=WAIT)
    async with page.expect_download() as begun:
        await page.get_by_role("link", name="Tải bản thu (MP3)").click()
    download = await begun.value
    with av.open(str(await download.path())) as recording:
        assert recording.format.name == "mp3"
        assert recording.duration is not None
        assert recording.duration / 1e6 == pytest.approx(told["seconds"], abs=0.5)
