"""The map, a unit and the wall: the figures of REST in words, for who may read them."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.kit import clock, db
from broadcast.telemetry.model import DevicePresence, ListeningSpan
from broadcast.telemetry.presence import Presence
from tests import province
from tests.console.conftest import Pages

XA = "21025"


@pytest.fixture(autouse=True)
async def fleet(engine: AsyncEngine) -> None:
    """A commune with three clusters: one online, one offline, one never seen."""
    now = clock.now()
    async with db.transaction(engine) as session:
        stored = await province.commune(
            session, XA, {"T-1": "A", "T-2": "B", "T-3": "C"}, now - timedelta(hours=1)
        )
        session.add(
            ListeningSpan(started_at=now - timedelta(hours=9), until=now + timedelta(hours=1))
        )
        for name, presence in (("A", Presence.ONLINE), ("B", Presence.OFFLINE)):
            session.add(
                DevicePresence(
                    device_id=stored.devices[f"D-{name}"].id, presence=presence, since=now,
                    session=1, seq=1, last_seen_at=now, silent_after=now, held={},
                )
            )  # fmt: skip


def without_tags(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text))


async def test_the_map_shows_what_rest_says(pages: Pages) -> None:
    answer = await pages.load("/map")
    assert answer.status_code == 200, answer.text
    said = (await pages.client.get("/api/v1/areas/51/situation")).json()["clusters"]
    assert said == {"ok": 1, "partial": 0, "bad": 1, "unknown": 1, "total": 3}
    lead = "1 trên 3 cụm loa hoạt động. 1 cụm không hoạt động. 1 cụm chưa rõ."
    assert lead in without_tags(answer.text)
    drawn = (await pages.client.get("/api/v1/areas/51/map")).json()
    assert drawn["areas"][0]["path"] in answer.text
    assert f'data-area="{XA}" data-condition="bad"' in answer.text
    assert f'data-place="{XA}" data-condition="bad"' in answer.text
    assert "không phải địa giới" in answer.text


async def test_a_state_chosen_hides_other_communes_and_is_kept_by_the_part(pages: Pages) -> None:
    for path in ("/map", "/map/states"):
        text = (await pages.load(path, condition="ok")).text
        assert re.search(rf'data-place="{XA}"[^>]* hidden', text), path
        assert 'hx-get="/map/states?condition=ok"' in text
    assert (await pages.load("/map", condition="purple")).status_code == 422


async def test_a_commune_says_what_is_down_and_what_to_do(pages: Pages) -> None:
    text = (await pages.load(f"/areas/{XA}")).text
    assert "mất liên lạc" in text
    assert "hỏi thôn có điện không, rồi cử kỹ thuật viên" in text
    assert 'href="/areas/T-2"' in text
    assert text.index("mất liên lạc") < text.index("Các thôn, tổ dân phố")
    village = (await pages.load("/areas/T-2")).text
    assert "0 trên 1 cụm loa hoạt động" in without_tags(village)
    part = (await pages.load(f"/areas/{XA}/state")).text
    assert part.lstrip().startswith("<section")


async def test_who_answers_for_a_commune_sees_that_one_alone(pages: Pages) -> None:
    pages.called_by(Role.COMMUNE_BROADCASTER, XA)
    answer = await pages.load("/map")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/areas/{XA}")
    assert (await pages.load(f"/areas/{XA}")).status_code == 200
    for path in ("/areas/51", "/areas/T-9"):
        assert (await pages.load(path)).status_code == 404, path
    for path in ("/map/states", "/wall", "/wall/on-air", "/wall/incidents", "/wall/indicators"):
        assert (await pages.load(path)).status_code == 403, path


async def test_the_wall_shows_the_province_part_by_part(pages: Pages) -> None:
    pages.called_by(Role.PROVINCE_MONITOR)
    text = (await pages.load("/wall")).text
    assert "1 trên 3 cụm loa hoạt động" in without_tags(text)
    for part in ("states", "on-air", "incidents", "indicators"):
        assert f"/wall/{part}" in text
        assert (await pages.load(f"/wall/{part}")).status_code == 200, part
    assert "Không có sự cố nào đang mở" in (await pages.load("/wall/incidents")).text
    assert "không có buổi phát nào" in (await pages.load("/wall/on-air")).text
    figures = (await pages.client.get("/api/v1/indicators")).json()["indicators"]
    shown = (await pages.load("/wall/indicators")).text
    assert all(each["title"] in shown for each in figures)


async def test_english_words_and_vietnamese_names(pages: Pages) -> None:
    pages.client.cookies.set("language", "en")
    text = (await pages.load(f"/areas/{XA}")).text
    assert "1 of 3 loudspeakers works." in without_tags(text)
    assert "out of contact" in text
