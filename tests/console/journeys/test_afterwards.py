"""Hearing a bulletin to its end, and approving it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2 as httpx
import pytest

from broadcast.auth.permissions import Role
from tests.console.journeys.conftest import PHONE, SignIn, System

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEXT = "Kính báo bà con: sáng thứ Bảy tiêm phòng trâu, bò."
TITLE = "Tiêm phòng để duyệt"

PLAY = """async (sound, from) => {
  if (!(sound.readyState >= 1)) await new Promise((done) => sound.addEventListener("loadedmetadata", done));
  sound.muted = true;
  sound.playbackRate = 4;
  sound.currentTime = from < 0 ? sound.duration + from : from;
  const ended = new Promise((done) => sound.addEventListener("ended", done, { once: true }));
  await sound.play();
  await ended;
}"""  # noqa: E501


async def submitted(system: System) -> str:
    """Path of a revision that a commune's broadcaster has submitted."""
    async with system.client(Role.COMMUNE_BROADCASTER) as http, asyncio.timeout(120):
        me = (await http.get("/me")).json()
        area = me["roles"][0]["area"]["code"]
        made = await http.post(
            "/bulletins", json={"title": TITLE, "area_code": area, "text": TEXT}
        )
        revision = f"/bulletins/{made.json()['id']}/revisions/1"
        while (await told(http, revision))["seconds"] is None:  # noqa: ASYNC110  over HTTP
            await asyncio.sleep(0.2)
        assert (await http.post(f"{revision}/submit")).status_code == 200
    return revision


async def told(http: httpx.AsyncClient, path: str) -> dict[str, Any]:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_who_approves_hears_it_to_its_end(sign_in: SignIn, system: System) -> None:
    revision = await submitted(system)
    page = await sign_in(Role.COMMUNE_APPROVER, PHONE, "/approvals")
    link = page.get_by_role("link", name=f"Nghe và duyệt: {TITLE}")
    address = await link.get_attribute("href") or ""
    await page.goto(address.removesuffix("#hear"))  # as who has not asked to hear it at once
    approve = page.get_by_role("button", name="Duyệt", exact=True)
    await approve.wait_for()
    assert TEXT in await page.locator("main").inner_text()
    sound = page.locator("#sound")
    await sound.evaluate(PLAY, -1)
    assert await approve.is_disabled(), "to jump to the end is not to hear it"
    await sound.evaluate(PLAY, 0)
    await approve.click()
    await page.wait_for_url("**/approvals")
    async with system.client(Role.COMMUNE_APPROVER) as http:
        approved = await told(http, revision)
    assert approved["state"] == "approved"
    assert approved["steps"][-1]["actor"]["name"] == "Bùi Văn Xã"
