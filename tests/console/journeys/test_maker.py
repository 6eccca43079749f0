"""A bulletin in a real browser: said, typed and heard, uploaded, left and found again."""

from __future__ import annotations

import asyncio
import re
import wave
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Page, Route, expect

from broadcast.auth.permissions import Role
from broadcast.bulletins.audio.renditions import decode_pcm
from broadcast.kit import clock
from tests.bulletins.web import recording
from tests.console.journeys.conftest import DESKTOP, PHONE, RATE, TONES, SignIn, System

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


def tones_of(samples: NDArray[np.int16]) -> list[int]:
    """The tones that a sound holds, in order; the chimes around them may look like some."""
    step = RATE // 10
    found: list[int] = []
    for at in range(0, len(samples) - step, step):
        piece = samples[at : at + step].astype(float)
        if np.abs(piece).max() < 1000:
            continue
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(step)))
        hertz = float(spectrum.argmax()) * RATE / step
        nearest = min(TONES, key=lambda tone: abs(tone - hertz))
        if abs(nearest - hertz) <= 20:
            found.append(nearest)
    return [tone for number, tone in enumerate(found) if found[number - 1 : number] != [tone]]


def is_what_was_said(samples: NDArray[np.int16]) -> bool:
    """Tell whether a sound holds every tone, in the order in which they were said.

    The file that the microphone hears begins anew when it ends: where the recording began in it
    is chance.
    """
    longest = longest_run(tones_of(samples))
    said = " ".join(map(str, TONES * 3))
    return set(longest) == set(TONES) and " ".join(map(str, longest)) in said


async def test_what_was_said_into_the_microphone_is_prepared_and_aired(
    sign_in: SignIn, system: System, tmp_path: Path
) -> None:
    page = await begin(sign_in, PHONE)
    await page.get_by_label("Tiêu đề").fill("Nói vào micro")
    await page.get_by_role("button", name="Ghi âm").click()
    await page.get_by_role("button", name="Bắt đầu ghi").click()
    await expect(page.locator("[data-clock]")).to_have_text(re.compile("0:06"), timeout=READY_MS)
    meter = await page.locator("[data-level] meter").evaluate("each => each.value")
    assert meter > 50
    await page.get_by_role("button", name="Ghi xong").click()
    await is_ready(page)
    answer = await page.request.get("/api/v1/bulletin-drafts/new/sound/audio?codec=opus")
    prepared = tmp_path / "prepared.opus"
    prepared.write_bytes(await answer.body())
    assert is_what_was_said(decode_pcm(prepared))
    loud = await page.locator("[data-figure$='/loudness/words']").inner_text()
    assert "tai" in loud or "dB" in loud
    await page.get_by_role("button", name="Tiếp: ở đâu và khi nào").click()
    await page.wait_for_url(re.compile("/schedule/new"))
    bulletin, _, _ = page.url.rpartition("revision=")[2].partition("/")
    assert is_what_was_said(await aired(system, bulletin))


async def aired(system: System, bulletin: str) -> NDArray[np.int16]:
    """Have a bulletin approved and broadcast at one pole; the samples that its loudspeaker got."""
    code, device = system.seeded.clusters[0], system.seeded.devices[0]
    steps = f"/bulletins/{bulletin}/revisions/1"
    async with AsyncExitStack() as stack, asyncio.timeout(180):
        author, approver = [
            await stack.enter_async_context(system.client(role))
            for role in (Role.COMMUNE_BROADCASTER, Role.COMMUNE_APPROVER)
        ]
        assert (await author.post(f"{steps}/submit")).status_code == 200
        assert (await approver.post(f"{steps}/approve")).status_code == 200
        while True:
            # Late rather than never: the machine may be busy, or something else on the air there.
            wish = {
                "bulletin_id": bulletin, "targets": [{"cluster": code}], "late_limit_seconds": 600,
                "starts_at": (clock.now() + timedelta(seconds=5)).isoformat(),
            }  # fmt: skip
            made = await author.post("/schedules", json=wish)
            if made.status_code == 201:
                break
            assert made.status_code in {409, 422}, made.text
            await asyncio.sleep(1)
        found = await author.get(f"/occurrences?schedule={made.json()['id']}")
        (occurrence,) = found.json()["items"]
        recording = system.world.folder / "recordings" / device / f"{occurrence['id']}.wav"
        while not await asyncio.to_thread(recording.exists):  # noqa: ASYNC110  another process
            await asyncio.sleep(0.2)
        ended = f"/plays/{occurrence['id']}/{code}/explain"
        while (await author.get(ended)).json()["state"] != "played":  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    with wave.open(str(recording), "rb") as file:
        assert (file.getnchannels(), file.getframerate()) == (1, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


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

    async def too_large(route: Route) -> None:
        await route.fulfill(status=413, content_type="text/html", body="<h1>413</h1>")

    # A proxy between refuses it, with a page of its own; the recording is still here.
    await page.route("**/recording", too_large, times=1)
    await page.locator("[data-file]").set_input_files(file)  # type: ignore[arg-type]
    await expect(page.locator("#field-file-error")).to_contain_text("Tệp lớn hơn mức máy chủ nhận")
    await expect(page.get_by_role("link", name="Lưu bản thu về máy")).to_be_visible()
    await page.get_by_role("button", name="Gửi lại").click()
    await is_ready(page)
    start = page.locator("[data-end=start]")
    for _ in range(5):
        await start.press("ArrowRight")
    assert float(await start.input_value()) == pytest.approx(0.5)
    await page.get_by_role("button", name="Cắt", exact=True).click()
    await expect(page.get_by_role("button", name="Dùng lại cả bản thu")).to_be_visible()
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
