"""Clusters that are heard together, on their pages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.kit import clock, db
from broadcast.wire.events import Started
from tests.console.conftest import Pages
from tests.devices.fleet import EIGHT, MINUTE
from tests.plays.world import ended, make


async def test_a_group_is_drawn_explained_and_corrected(
    pages: Pages, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: EIGHT + 10 * MINUTE)
    async with db.transaction(engine) as session:
        world = await make(session)
        for code, latitude in (("C-1", 15.1), ("C-2", 15.103)):
            world.clusters[code].latitude, world.clusters[code].longitude = latitude, 108.8
        occurrence = await world.planned()
        for device, late, offset in (("D-1", 12, 0), ("D-2", 5, 120)):
            began = Started(
                seq=1, occurrence_id=str(occurrence.id), at=EIGHT + timedelta(milliseconds=late),
                clock_offset_ms=offset, clock_uncertainty_ms=20,
            )  # fmt: skip
            await world.report(began, ended(2, occurrence), device=device)
    html = (await pages.load("/earshot")).text
    assert 'href="/earshot/C-1"' in html
    assert "1 cụm lệch quá 50 ms" in html
    html = (await pages.load("/earshot/C-2")).text
    assert html.count("<circle cx=") >= 2
    assert "sớm 115 ms" in html
    assert "NTP" in html
    assert f'href="/plays/{occurrence.id}"' in html
    answer = await pages.submit("/earshot/C-1/pairs", one="C-1", other="C-2", heard="false")
    assert answer.status_code < 400, answer.text
    assert "đặt tay" in (await pages.load("/earshot/C-1")).text
    assert "Không có cụm loa nào" in (await pages.load("/earshot")).text
    answer = await pages.submit("/earshot/C-1/pairs", one="C-1", other="C-2", heard="")
    assert answer.status_code < 400, answer.text
    assert 'href="/earshot/C-1"' in (await pages.load("/earshot")).text
