"""Drafts: what survives a closed browser, what is heard before anything is made of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.bulletins import preparations, scratch
from broadcast.bulletins.audio.renditions import decode_pcm
from broadcast.bulletins.model import Bulletin, Draft
from broadcast.kit import clock, db
from broadcast.upkeep.retention import delete_old
from tests.bulletins.audio.sources import RATE, silence, sine, write
from tests.bulletins.test_routes import FORM, TEXT
from tests.bulletins.web import Web, recording

NEW = "/bulletin-drafts/new"
FILLED = {
    "title": "Tiêm phòng", "area_code": "21034", "class": "priority", "text": TEXT,
    "subject": "health", "tags": "trâu bò",
}  # fmt: skip


async def sound(web: Web, page: str = NEW) -> dict[str, Any]:
    """The sound of Lan's draft, once its preparation is over, however that ended."""
    async with asyncio.timeout(60):
        while True:
            answer = await web.call("Lan", "GET", f"{page}/sound")
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            if found["state"] not in {"waiting", "running"}:
                return found
            assert answer.headers["retry-after"] == "1"
            await asyncio.sleep(0.05)


def tones(path: Path) -> bytes:
    """Three tones of 1.2 seconds, parted by silence of a fifth."""
    pieces = [piece for hertz in (440, 880, 1320) for piece in (sine(1.2, hertz), silence(0.2))]
    sounds = [sample for piece in pieces for sample in piece]
    import numpy as np  # noqa: PLC0415

    return write(path, np.array(sounds), codec="libopus").read_bytes()


async def test_what_was_typed_comes_back_to_its_author_alone(web: Web) -> None:
    assert (await web.call("Lan", "GET", NEW)).status_code == 404
    kept = await web.call("Lan", "PUT", NEW, json=FILLED)
    assert kept.status_code == 200, kept.text
    assert kept.json() | FILLED | {"language": "vi", "sound": None, "page": "new"} == kept.json()
    half = {"title": "Tiêm", "area_code": ""}
    await web.call("Lan", "PUT", NEW, json=half)
    found = (await web.call("Lan", "GET", NEW)).json()
    assert (found["title"], found["area_code"], found["text"]) == ("Tiêm", "", "")
    assert (await web.call("Hùng", "GET", NEW)).status_code == 404
    assert (await web.call("Tèo", "GET", NEW)).status_code == 403
    assert (await web.call("Lan", "DELETE", NEW)).status_code == 204
    assert (await web.call("Lan", "GET", NEW)).status_code == 404
    nowhere = "/bulletin-drafts/3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    assert (await web.call("Lan", "PUT", nowhere, json=half)).status_code == 404
    long = await web.call("Lan", "PUT", NEW, json={"text": "ạ" * 30_001})
    assert (long.status_code, long.json()["field"]) == (422, "text")


async def test_a_text_is_heard_before_it_is_a_bulletin_and_is_what_was_heard(
    web: Web, engine: AsyncEngine
) -> None:
    await web.call("Lan", "PUT", NEW, json=FILLED | {"text": ""})
    empty = await web.call("Lan", "POST", f"{NEW}/reading")
    assert (empty.status_code, empty.json()["field"]) == (422, "text")
    await web.call("Lan", "PUT", NEW, json=FILLED)
    asked = await web.call("Lan", "POST", f"{NEW}/reading")
    assert asked.status_code == 202, asked.text
    assert (asked.json()["kind"], asked.json()["state"]) == ("text", "waiting")
    heard = await sound(web)
    assert (heard["state"], heard["percent"]) == ("done", 100)
    assert heard["loudness"]["lufs"] == pytest.approx(-16, abs=0.5)
    preview = await web.call("Lan", "GET", f"{NEW}/sound/audio")
    assert preview.status_code == 200
    assert (await web.call("Hùng", "GET", f"{NEW}/sound/audio")).status_code == 404

    made = await web.call("Lan", "POST", f"{NEW}/revision")
    assert made.status_code == 201, made.text  # nothing is left to be prepared
    (revision,) = made.json()["revisions"]
    assert (made.json()["title"], made.json()["class"]) == ("Tiêm phòng", "priority")
    assert (made.json()["subject"], made.json()["tags"]) == ("health", ["trâu bò"])
    assert (revision["text"], revision["allowed"]) == (TEXT, ["submit", "withdraw"])
    path = f"/bulletins/{made.json()['id']}/revisions/1"
    assert (await web.call("Lan", "GET", f"{path}/audio")).content == preview.content
    outline = (await web.call("Lan", "GET", f"{path}/outline")).json()
    assert outline["seconds"] == revision["seconds"]
    assert max(outline["heights"]) > 50
    assert (await web.call("Lan", "GET", NEW)).status_code == 404


async def test_a_changed_text_is_unread_until_it_is_read_again(web: Web) -> None:
    await web.call("Lan", "PUT", NEW, json=FILLED)
    await web.call("Lan", "POST", f"{NEW}/reading")
    same = await web.call("Lan", "PUT", NEW, json=FILLED | {"title": "Khác"})
    assert same.json()["sound"]["kind"] == "text"
    changed = await web.call("Lan", "PUT", NEW, json=FILLED | {"text": "Khác hẳn."})
    assert changed.json()["sound"] is None


async def test_a_recording_is_trimmed_and_stays_whole(web: Web, tmp_path: Path) -> None:
    await web.call("Lan", "PUT", NEW, json=FILLED | {"text": ""})
    file = tones(tmp_path / "bell.webm")
    sent = await web.call(
        "Lan", "POST", f"{NEW}/recording", files={"file": ("Thu.webm", file, "audio/webm")}
    )
    assert sent.status_code == 202, sent.text
    whole = await sound(web)
    assert (whole["state"], whole["kind"], whole["name"]) == ("done", "upload", "Thu.webm")
    assert whole["source_seconds"] == pytest.approx(4.2, abs=0.1)
    heights = whole["outline"]
    assert 1000 <= len(heights) <= 1200
    gap = heights[len(heights) * 13 // 42]  # between the first tone and the second
    assert gap < 20 < heights[len(heights) * 20 // 42]
    assert "tăng" in whole["loudness"]["words"]

    trimmed = {"start_seconds": 1.4, "end_seconds": 2.6}
    chosen = await web.call("Lan", "PUT", f"{NEW}/sound/trim", json=trimmed)
    assert chosen.status_code == 200, chosen.text
    part = await sound(web)
    assert (part["trim_start_seconds"], part["trim_end_seconds"]) == (1.4, 2.6)
    assert part["source_seconds"] == whole["source_seconds"]
    assert part["outline"] == heights  # of all of it: the handles can be moved back
    assert part["seconds"] < 3
    heard = tmp_path / "heard.opus"
    heard.write_bytes((await web.call("Lan", "GET", f"{NEW}/sound/audio")).content)
    addressed = f"{NEW}/sound/audio?codec=opus&sha256="
    old, new = (each["renditions"][0]["sha256"] for each in (whole, part))
    assert (await web.call("Lan", "GET", addressed + new)).content == heard.read_bytes()
    assert (await web.call("Lan", "GET", addressed + old)).status_code == 404
    assert loudest_hertz(heard) == pytest.approx(880, abs=15)

    short = {"start_seconds": 4.1}
    await web.call("Lan", "PUT", f"{NEW}/sound/trim", json=short)
    refused = await sound(web)
    assert refused["state"] == "refused"
    assert "ngắn" in refused["detail"]
    unusable = await web.call("Lan", "POST", f"{NEW}/revision")
    assert (unusable.status_code, unusable.json()["field"]) == (422, "file")
    await web.call("Lan", "PUT", f"{NEW}/sound/trim", json=trimmed)
    made = await web.call("Lan", "POST", f"{NEW}/revision")
    assert made.status_code == 201, made.text
    (revision,) = made.json()["revisions"]
    assert (revision["source_kind"], revision["source_name"]) == ("upload", "Thu.webm")
    assert (revision["trim_start_seconds"], revision["trim_end_seconds"]) == (1.4, 2.6)
    assert "tăng" in revision["loudness_words"]


def loudest_hertz(path: Path) -> float:
    import numpy as np  # noqa: PLC0415

    samples = decode_pcm(path).astype(float)
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.fft.rfftfreq(len(samples), 1 / RATE)[spectrum.argmax()])


async def test_the_draft_of_a_bulletin_becomes_its_next_revision(web: Web) -> None:
    made = await web.call("Lan", "POST", "/bulletins", json=FORM | {"text": TEXT})
    page = f"/bulletin-drafts/{made.json()['id']}"
    await web.call("Lan", "PUT", page, json={"text": "Đổi sang Chủ nhật."})
    assert (await web.call("Lan", "POST", f"{page}/reading")).status_code == 202
    await sound(web, page)
    again = await web.call("Lan", "POST", f"{page}/revision")
    assert again.status_code == 201, again.text
    assert [each["number"] for each in again.json()["revisions"]] == [2, 1]
    assert again.json()["revisions"][0]["text"] == "Đổi sang Chủ nhật."


async def test_what_is_missing_is_said_by_its_field(web: Web) -> None:
    await web.call("Lan", "PUT", NEW, json={"text": TEXT})
    refused = await web.call("Lan", "POST", f"{NEW}/revision")
    assert refused.status_code == 422
    assert {each["field"] for each in refused.json()["errors"]} == {"title", "area_code"}
    await web.call("Lan", "PUT", NEW, json=FILLED | {"text": " "})
    refused = await web.call("Lan", "POST", f"{NEW}/revision")
    assert (refused.status_code, refused.json()["field"]) == (422, "text")
    other = FILLED | {"language": "hre"}
    await web.call("Lan", "PUT", NEW, json=other)
    refused = await web.call("Lan", "POST", f"{NEW}/reading")
    assert (refused.status_code, refused.json()["field"]) == (422, "language")


async def test_a_recording_goes_with_its_draft_and_not_before(
    web: Web, engine: AsyncEngine, tmp_path: Path
) -> None:
    content = tmp_path / "content"
    sent = await web.call("Lan", "POST", f"{NEW}/recording", files={"file": recording()})
    assert sent.status_code == 202, sent.text
    await sound(web)
    async with db.transaction(engine) as session:
        (name,) = await preparations.kept_sources(session)
    later = clock.now().timestamp() + 10 * scratch.SETTLING_SECONDS
    scratch.forget_all_but(content, {name}, later)
    assert scratch.source_path(content, name).is_file()
    wrong = await web.call(
        "Lan", "POST", f"{NEW}/recording", files={"file": b"x"}, data={"title": "x"}
    )
    assert (wrong.status_code, wrong.json()["field"]) == (422, "title")
    await web.call("Lan", "DELETE", f"{NEW}/sound")
    async with db.transaction(engine) as session:
        assert await preparations.kept_sources(session) == set()


async def test_an_old_draft_goes_and_makes_nothing(web: Web, engine: AsyncEngine) -> None:
    await web.call("Lan", "PUT", NEW, json=FILLED)
    settings = config.Upkeep()
    soon = clock.now() + timedelta(days=settings.draft_days - 1)
    assert (await delete_old(engine, settings, soon))["bulletin_drafts"] == 0
    late = clock.now() + timedelta(days=settings.draft_days + 1)
    assert (await delete_old(engine, settings, late))["bulletin_drafts"] == 1
    async with db.transaction(engine) as session:
        count = sa.select(sa.func.count())
        assert await session.scalar(count.select_from(Draft)) == 0
        assert await session.scalar(count.select_from(Bulletin)) == 0
