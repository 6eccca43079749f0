"""A bulletin in a real browser: said, typed and heard, uploaded, left and found again."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Page, expect

from broadcast.auth.permissions import Role
from broadcast.bulletins.audio.renditions import decode_pcm
from tests.bulletins.web import recording
from tests.console.journeys.conftest import DESKTOP, PHONE, RATE, TONES, SignIn

pytestmark = pytest.mark.asyncio(loop_scope="session")

BROADCASTER = Role.COMMUNE_BROADCASTER
NEW = "/bulletins/new"
READY_MS = 60_000


async def begin(sign_in: SignIn, size: tuple[int, int]) -> Page:
    """The page of a new bulletin, without what an earlier journey left."""
    page = await sign_in(BROADCASTER, size)
    await page.request.delete("/api/v1/bulletin-drafts/new", headers=await csrf(page))
    await page.goto(NEW)
    return page


async def csrf(page: Page) -> dict[str, str]:
    found = {each["name"]: each["value"] for each in await page.context.cookies()}
    return {"X-CSRF-Token": found["__Host-broadcast-csrf"]}


async def is_ready(page: Page) -> None:
    await expect(page.locator("#sound[data-sound=done]")).to_be_visible(timeout=READY_MS)


async def heard(page: Page, folder: Path) -> list[int]:
    """The tones that the prepared sound holds, in order, one for each half of a second or more."""
    answer = await page.request.get("/api/v1/bulletin-drafts/new/sound/audio?codec=opus")
    path = folder / "heard.opus"
    path.write_bytes(await answer.body())
    samples = decode_pcm(path).astype(float)
    step = RATE // 10
    found: list[int] = []
    for at in range(0, len(samples) - step, step):
        piece = samples[at : at + step]
        if np.abs(piece).max() < 1000:
            continue
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(step)))
        hertz = float(spectrum.argmax()) * RATE / step
        nearest = min(TONES, key=lambda tone: abs(tone - hertz))
        if abs(nearest - hertz) <= 20:
            found.append(nearest)
    return [tone for number, tone in enumerate(found) if found[number - 1 : number] != [tone]]


async def test_what_was_said_into_the_microphone_is_what_is_prepared(
    sign_in: SignIn, tmp_path: Path
) -> None:
    page = await begin(sign_in, PHONE)
    await page.get_by_role("button", name="Ghi âm").click()
    await page.get_by_role("button", name="Bắt đầu ghi").click()
    await expect(page.locator("[data-clock]")).to_have_text(re.compile("0:06"), timeout=READY_MS)
    meter = await page.locator("[data-level] meter").evaluate("each => each.value")
    assert meter > 50
    await page.get_by_role("button", name="Ghi xong").click()
    await is_ready(page)
    # The file begins anew when it ends: where the recording began in it is chance.
    said = " ".join(map(str, TONES * 3))
    got = await heard(page, tmp_path)
    longest = longest_run(got)
    assert " ".join(map(str, longest)) in said
    assert set(longest) == set(TONES)
    loud = await page.locator("[data-figure='/loudness/words']").inner_text()
    assert "tai" in loud or "dB" in loud

    start = page.locator("[data-end=start]")
    await start.focus()
    for _ in range(12):
        await page.keyboard.press("ArrowRight")
    assert float(await start.input_value()) == pytest.approx(1.2)
    await page.get_by_role("button", name="Cắt", exact=True).click()
    await expect(page.get_by_role("button", name="Dùng lại cả bản thu")).to_be_visible(
        timeout=READY_MS
    )


def longest_run(tones: list[int]) -> list[int]:
    """The longest stretch in the order of `TONES`, which goes round: the chimes are around it."""
    best: list[int] = []
    run: list[int] = []
    for tone in tones:
        follows = run and TONES[(TONES.index(run[-1]) + 1) % len(TONES)] == tone
        run = [*run, tone] if follows else [tone]
        best = max(best, run, key=len)
    return best


async def test_a_text_is_typed_heard_and_goes_on_to_where_and_when(sign_in: SignIn) -> None:
    page = await begin(sign_in, DESKTOP)
    await page.get_by_label("Tiêu đề").fill("Tiêm phòng trâu, bò")
    await page.get_by_label("Văn bản").fill("Họp thôn lúc 19h30.")
    await page.get_by_role("button", name="Xem lời sẽ đọc").click()
    await page.locator("button.reading", has_text="19h30").click()
    await page.get_by_label("Đọc là").fill("bảy giờ rưỡi tối")
    await page.get_by_role("button", name="Ghi nhớ").click()
    await expect(page.locator("button.reading.lexicon")).to_contain_text("bảy giờ rưỡi tối")
    await page.get_by_role("button", name="Nghe đọc thử").click()
    await is_ready(page)
    audio = page.locator("#sound audio")
    await audio.evaluate("each => { each.muted = true; return each.play(); }")
    assert await audio.evaluate("each => each.duration") > 3
    await page.get_by_role("button", name="Tiếp: ở đâu và khi nào").click()
    await page.wait_for_url(re.compile(r"/schedule/new\?revision=[0-9a-f-]{36}/1$"))
    answer = await page.request.get("/api/v1/bulletins?order=newest&limit=1")
    (made,) = (await answer.json())["items"]
    assert (made["title"], made["state"]) == ("Tiêm phòng trâu, bò", "draft")
    # Leaving the page must not bring back the draft that has become a bulletin.
    assert (await page.request.get("/api/v1/bulletin-drafts/new")).status == 404


async def test_a_draft_survives_a_closed_browser(sign_in: SignIn) -> None:
    page = await begin(sign_in, DESKTOP)
    await page.get_by_role("button", name="Tải tệp lên").click()
    file = {"name": "thu.wav", "mimeType": "audio/wav", "buffer": recording(2)}
    await page.locator("[data-file]").set_input_files(file)  # type: ignore[arg-type]
    await is_ready(page)
    await page.get_by_label("Tiêu đề").fill("Còn dở dang")
    await expect(page.locator("[data-saved]")).to_contain_text("Đã lưu nháp lúc", timeout=READY_MS)
    await page.context.close()

    again = await sign_in(BROADCASTER, PHONE, NEW)
    assert await again.get_by_label("Tiêu đề").input_value() == "Còn dở dang"
    await expect(again.locator("#sound .trim")).to_contain_text("thu.wav")
    await again.get_by_role("button", name="Gửi duyệt").click()
    await again.wait_for_url(re.compile(r"/(bulletins/[0-9a-f-]{36})?$"))
    answer = await again.request.get("/api/v1/bulletins?order=newest&limit=1")
    (made,) = (await answer.json())["items"]
    assert (made["title"], made["state"]) == ("Còn dở dang", "submitted")
