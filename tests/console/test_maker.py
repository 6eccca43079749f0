"""A new bulletin on one page: what was typed, heard and trimmed, and what REST says of it."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.areas.model import Area, Level
from broadcast.auth.permissions import Role
from broadcast.bulletins import prepare_worker
from broadcast.console.waveform import wave
from broadcast.kit import db
from tests.bulletins.web import recording
from tests.console.conftest import Pages
from tests.console.figures import compare

TEXT = "Họp lúc 19h30, 98% số hộ dự."
FORM = {"title": "Họp thôn", "area_code": "21034", "class": "normal", "language": "vi"}
DRAFT = "/bulletin-drafts/new"


@pytest.fixture
async def maker(pages: Pages, engine: AsyncEngine) -> AsyncIterator[Pages]:
    """The pages for Lan of a commune, with a worker that prepares."""
    since = date(2025, 7, 1)
    async with db.transaction(engine) as session:
        session.add_all(
            Area(code=code, level=level, kind=kind, name=name, valid_from=since, parent_code=above)
            for code, level, kind, name, above in (
                ("51", Level.PROVINCE, "tỉnh", "Quảng Ngãi", None),
                ("21034", Level.COMMUNE, "xã", "An Phú", "51"),
                ("21035", Level.COMMUNE, "xã", "Ân Phú", "51"),
            )
        )
    pages.called_by(Role.COMMUNE_BROADCASTER, "21034", "Lan")
    worker = asyncio.create_task(prepare_worker.run(engine, pages.settings))
    yield pages
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


async def rest(pages: Pages, path: str) -> dict[str, Any]:
    answer = await pages.client.get(f"/api/v1{path}", headers={"Accept": "application/json"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def sound(pages: Pages) -> str:
    """The part with the sound, once it is prepared."""
    async with asyncio.timeout(60):
        while True:
            part = (await pages.load(f"{DRAFT}/sound")).text
            if "data-sound" in part:
                return html.unescape(part)
            assert "<progress" in part
            await asyncio.sleep(0.05)


async def test_a_text_is_typed_heard_and_submitted(maker: Pages) -> None:
    page = await maker.load("/bulletins/new")
    assert page.status_code == 200
    assert 'value="21034" selected' in page.text
    assert "21035" not in page.text
    typed = FORM | {"text": TEXT}
    heard = await maker.submit(f"{DRAFT}/finish", **typed, intent="submit")
    assert (heard.status_code, heard.json()["field"]) == (422, "text")  # nobody has heard it
    reading = await maker.submit(f"{DRAFT}/reading", **typed)
    assert "<progress" in reading.text
    part = await sound(maker)
    shown = await rest(maker, f"{DRAFT}/sound")
    for made in shown["renditions"]:
        assert f"codec={made['codec']}&sha256={made['sha256']}" in part
    left = await maker.load("/bulletins/new")
    assert TEXT in html.unescape(left.text)
    assert "Đã lưu nháp lúc" in left.text
    made = await maker.submit(f"{DRAFT}/finish", **typed, intent="submit")
    assert made.status_code == 204, made.text
    (bulletin,) = (await rest(maker, "/bulletins"))["items"]
    assert (bulletin["title"], bulletin["state"]) == ("Họp thôn", "submitted")
    assert TEXT not in (await maker.load("/bulletins/new")).text


async def test_where_and_when_comes_next_with_the_revision(maker: Pages) -> None:
    made = await maker.submit(f"{DRAFT}/finish", **FORM, text=TEXT, intent="schedule")
    (bulletin,) = (await rest(maker, "/bulletins"))["items"]
    assert made.headers["hx-redirect"] == f"/schedule/new?revision={bulletin['id']}/1"
    missing = {**FORM, "title": ""}
    refused = await maker.submit(f"{DRAFT}/finish", **missing, text=TEXT, intent="schedule")
    assert (refused.status_code, refused.json()["field"]) == (422, "title")


async def test_a_reading_is_corrected_where_it_stands_and_remembered(maker: Pages) -> None:
    words = html.unescape((await maker.submit(f"{DRAFT}/words", **FORM, text=TEXT)).text)
    assert re.findall(r'data-written="([^"]*)"', words) == ["19h30", "98%"]
    assert 'data-spoken="mười chín giờ ba mươi phút"' in words
    corrected = await maker.submit(
        f"{DRAFT}/correction", written="19h30", spoken="bảy giờ rưỡi tối", text=TEXT,
        area_code="21034",
    )  # fmt: skip
    assert 'class="reading lexicon" data-written="19h30"' in corrected.text
    assert "bảy giờ rưỡi tối" in corrected.text
    (entry,) = (await rest(maker, "/lexicon?area=21034"))["items"]
    assert (entry["written"], entry["spoken"]) == ("19h30", "bảy giờ rưỡi tối")
    elsewhere = await maker.submit(
        f"{DRAFT}/correction", written="x", spoken="ích", text=TEXT, area_code="21035"
    )
    assert elsewhere.status_code == 403
    wrong = await maker.submit(
        f"{DRAFT}/correction", written="x", spoken="98", text=TEXT, area_code="21034"
    )
    assert (wrong.status_code, wrong.json()["field"]) == (422, "spoken")


async def test_words_that_changed_are_heard_again_before_they_are_submitted(maker: Pages) -> None:
    typed = FORM | {"text": TEXT}

    async def hear() -> None:
        await maker.submit(f"{DRAFT}/reading", **typed)
        await sound(maker)

    async def correct(spoken: str) -> httpx.Response:
        return await maker.submit(
            f"{DRAFT}/correction", written="19h30", spoken=spoken, text=TEXT, area_code="21034"
        )

    await hear()
    corrected = await correct("bảy giờ rưỡi tối")
    assert '<div id="sound" hx-swap-oob="outerHTML"></div>' in corrected.text
    assert "data-sound" not in (await maker.load(f"{DRAFT}/sound")).text
    unheard = await maker.submit(f"{DRAFT}/finish", **typed, intent="submit")
    assert (unheard.status_code, unheard.json()["field"]) == (422, "text")
    await hear()
    # The station's lexicon changes from another page: what was heard is not what will be said.
    entry = {"spoken": "chín mươi tám phần"}
    added = await maker.client.put("/api/v1/lexicon/21034/98%25", json=entry)
    assert added.is_success, added.text
    other = await maker.submit(f"{DRAFT}/finish", **typed, intent="submit")
    assert (other.status_code, other.json()["field"]) == (422, "text")
    assert (await rest(maker, "/bulletins"))["items"] == []
    await hear()
    made = await maker.submit(f"{DRAFT}/finish", **typed, intent="submit")
    assert made.status_code == 204, made.text


async def test_a_recording_whose_phrases_changed_is_heard_again_before_it_goes(
    maker: Pages, engine: AsyncEngine
) -> None:
    await maker.client.post(
        f"/api/v1{DRAFT}/recording", files={"file": ("Thu.wav", recording(4), "audio/wav")}
    )
    await sound(maker)
    # An upgrade of the server prepares sound otherwise.
    async with db.transaction(engine) as session:
        await session.execute(sa.text("UPDATE preparations SET content_sha256 = 'before'"))
    asked = FORM | {"text": "", "intent": "submit"}
    anew = await maker.submit(f"{DRAFT}/finish", **asked)
    assert (anew.status_code, anew.headers["hx-retarget"]) == (200, "#sound")
    assert "<progress" in anew.text
    assert (await rest(maker, "/bulletins"))["items"] == []
    await sound(maker)
    assert (await maker.submit(f"{DRAFT}/finish", **asked)).status_code == 204


async def test_a_recording_that_becomes_a_phrase_is_prepared_without_a_chime(maker: Pages) -> None:
    await maker.client.post(
        f"/api/v1{DRAFT}/recording", files={"file": ("Thu.wav", recording(4), "audio/wav")}
    )
    await sound(maker)
    before = await rest(maker, f"{DRAFT}/sound")
    phrase = FORM | {"text": "", "phrase": "opening"}
    anew = await maker.submit(f"{DRAFT}/finish", **phrase, intent="submit")
    assert "<progress" in anew.text  # nobody has heard it without
    await sound(maker)
    assert (await rest(maker, f"{DRAFT}/sound"))["seconds"] < before["seconds"]
    made = await maker.submit(f"{DRAFT}/finish", **phrase, intent="submit")
    assert made.status_code == 204, made.text


async def test_a_recording_is_seen_and_trimmed(maker: Pages) -> None:
    sent = await maker.client.post(
        f"/api/v1{DRAFT}/recording", files={"file": ("Thu.wav", recording(4), "audio/wav")}
    )
    assert sent.status_code == 202, sent.text
    part = await sound(maker)
    shown = await rest(maker, f"{DRAFT}/sound")
    path = re.search(r'<path d="([^"]*)"', part)
    assert path
    assert path[1].count("M") == 300
    assert f'data-seconds="{shown["source_seconds"]}"' in part
    assert "Thu.wav" in part
    assert f'data-figure="/sound/loudness/words">{shown["loudness"]["words"]}<' in part
    await maker.submit(f"{DRAFT}/trim", start_seconds="1.0", end_seconds="3.0")
    part = await sound(maker)
    assert 'data-end="start" min="0" max="4.0" step="0.1" value="1.0"' in part
    assert "Dùng lại cả bản thu" in part
    made = await maker.submit(f"{DRAFT}/finish", **FORM, intent="submit")
    assert made.status_code == 204, made.text
    shown = html.unescape((await maker.load(made.headers["hx-redirect"])).text)
    assert "Đã cắt: chỉ dùng bản thu từ giây 1,0 đến giây 3,0." in shown
    (bulletin,) = (await rest(maker, "/bulletins"))["items"]
    revision = await rest(maker, f"/bulletins/{bulletin['id']}/revisions/1")
    assert f"/bulletins/{bulletin['id']}/edit" in shown
    outline = await rest(maker, f"/bulletins/{bulletin['id']}/revisions/1/outline")
    maker.called_by(Role.COMMUNE_APPROVER, "21034", "Hùng")
    # How loud it was, and how loud it will be; on the bulletin's page how long, too.
    for path, figures in (
        (f"/bulletins/{bulletin['id']}", 3), (f"/approvals/{bulletin['id']}/1", 2)
    ):  # fmt: skip
        assert f'<path d="{wave(outline["heights"])}"/>' in (await maker.load(path)).text
        assert await compare(maker, path) == figures
    assert revision["loudness_words"] in shown


async def test_a_trim_is_undone_and_a_sound_discarded(maker: Pages) -> None:
    await maker.client.post(f"/api/v1{DRAFT}/recording", files={"file": recording(4)})
    await sound(maker)
    await maker.submit(f"{DRAFT}/trim", start_seconds="1.0", end_seconds="3.0")
    assert "Dùng lại cả bản thu" in await sound(maker)
    await maker.submit(f"{DRAFT}/whole")
    assert "Dùng lại cả bản thu" not in await sound(maker)
    gone = await maker.submit(f"{DRAFT}/sound/discard")
    assert "data-sound" not in gone.text
    assert (await maker.submit(f"{DRAFT}/discard")).headers["hx-redirect"] == "/bulletins/new"


async def test_a_bulletin_gets_a_new_revision(maker: Pages) -> None:
    await maker.submit(f"{DRAFT}/finish", **FORM, text=TEXT, intent="schedule")
    (bulletin,) = (await rest(maker, "/bulletins"))["items"]
    page = await maker.load(f"/bulletins/{bulletin['id']}/edit")
    assert "Họp thôn" in page.text
    assert TEXT in html.unescape(page.text)
    edited = FORM | {"text": "Họp lúc 20 giờ."}
    page_name = f"/bulletin-drafts/{bulletin['id']}"
    again = await maker.submit(f"{page_name}/finish", **edited, intent="schedule")
    assert again.headers["hx-redirect"].endswith(f"{bulletin['id']}/2")
    maker.called_by(Role.COMMUNE_MONITOR, "21034", "Lan")
    assert (await maker.load("/bulletins/new")).status_code == 403


async def test_the_province_chooses_among_its_stations_in_order(maker: Pages) -> None:
    maker.called_by(Role.PROVINCE_EDITOR, None, "Lan")
    page = html.unescape((await maker.load("/bulletins/new")).text)
    stations = re.findall(r'<option value="(\d+)"', page)
    assert stations == ["21034", "21035", "51"]
