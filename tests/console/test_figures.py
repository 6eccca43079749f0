"""Every figure on the pages is the one that REST answers."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.console.page import TEMPLATES
from broadcast.kit import clock, db
from broadcast.kit.times import LOCAL
from broadcast.plays.model import Play
from broadcast.schedules.model import Occurrence
from broadcast.telemetry.dead_letters import DeadLetterRow
from tests.console.conftest import Pages
from tests.console.figures import Figure, Figures, compare, readings
from tests.indicators.invented import END, NOW, PROVINCE, invent

DAY = f"as_of={END}&scope={PROVINCE}"


@pytest.fixture
async def province(pages: Pages, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> Pages:
    """A province with everything that can happen to it."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(clock, "today", lambda: END)
    async with db.transaction(engine) as session:
        await invent(session, 9)
    return pages


async def links(pages: Pages, path: str, pattern: str) -> list[str]:
    """Addresses on a page."""
    text = (await pages.load(path)).text.replace("&amp;", "&")
    return list(dict.fromkeys(re.findall(rf'href="({pattern})"', text)))


async def test_every_figure_of_the_indicators_is_that_of_rest(province: Pages) -> None:
    pages = province
    assert await compare(pages, f"/indicators?{DAY}") == 10 * 3 + 2
    variants = await links(pages, f"/indicators?{DAY}", r"/indicators/1\.\d/[A-Z0-9]+\?[^\"]*")
    assert len(variants) == 10
    whys: list[str] = []
    for variant in variants:
        assert await compare(pages, variant) > 3
        path, query = variant.split("?")
        assert await compare(pages, f"{path}/needs?{query}") > 0
        whys += (await links(pages, variant, r"/indicators/[^\"]*/why/[^\"]*"))[:3]
    assert await compare(pages, f"/indicators/1.1/THON/trend?{DAY}&interval=day") > 30
    for code in ("1.1", "1.2", "1.3"):
        assert await compare(pages, f"/indicators/{code}/compare?{DAY}&sort=name") > 9
    clusters: list[str] = []
    for why in dict.fromkeys(whys):
        assert await compare(pages, why) >= 3
        clusters += await links(pages, why, r"/indicators/clusters/[^\"]*")
    assert clusters
    days = []
    for cluster in dict.fromkeys(clusters):
        assert await compare(pages, cluster) > 0
        days += await links(pages, cluster, r"/indicators/clusters/[^\"]*/days/[^\"]*")
    plays = []
    for day in days[:12]:
        await compare(pages, day)
        plays += await links(pages, day, r"/indicators/clusters/[^\"]*/plays/[^\"]*")
    assert plays
    for play in plays[:2]:
        assert await compare(pages, play) > 4


async def test_every_figure_of_areas_devices_and_plays_is_that_of_rest(
    province: Pages, engine: AsyncEngine
) -> None:
    pages = province
    assert await compare(pages, f"/areas/{PROVINCE}") > 9
    communes = await links(pages, f"/areas/{PROVINCE}", r"/areas/\d+")
    assert await compare(pages, communes[0]) >= 3
    assert await compare(pages, "/devices") > 3
    assert await compare(pages, "/devices?presence=online") > 0
    async with db.transaction(engine) as session:
        played = await session.scalar(sa.select(Play.occurrence_id).limit(1))
    assert await compare(pages, f"/plays/{played}") > 0


async def test_every_figure_of_the_pages_that_watch_is_that_of_rest(
    province: Pages, engine: AsyncEngine
) -> None:
    pages = province
    assert await compare(pages, "/map") > 8
    assert await compare(pages, "/wall/states") > 2
    assert await compare(pages, "/wall/incidents") == 1
    assert await compare(pages, "/wall/indicators") > 20
    async with db.transaction(engine) as session:
        latest = await session.scalar(sa.select(sa.func.max(Occurrence.starts_at)))
        session.add(
            DeadLetterRow(
                received_at=NOW, topic="ttn/v1/device/A/event/x", device_code="A", size_bytes=1,
                payload=b"{", field="", reason="", reject_reason="kind", more=3,
            )
        )  # fmt: skip
    assert latest is not None
    assert await compare(pages, "/admin/refused") == 1
    with pytest.MonkeyPatch.context() as patch:  # a moment of a day on which something sounds
        patch.setattr(clock, "now", lambda: latest)
        patch.setattr(clock, "today", lambda: latest.astimezone(LOCAL).date())
        assert await compare(pages, "/") > 2
        assert await compare(pages, "/on-air") > 0


ELSEWHERE = {
    "components/index.html": "of development: its figures are made up",
    "admin/_import_preview.html": "the answer of a POST, which a GET does not repeat",
    "schedule/_import_preview.html": "the answer of a POST, which a GET does not repeat",
}
"""Templates with figures that name no answer of REST, and why."""


def test_whoever_shows_a_figure_names_the_answer_that_it_is_of() -> None:
    unnamed = {
        str(path.relative_to(TEMPLATES))
        for path in TEMPLATES.rglob("*.html")
        if re.search(r"ui\.(figure|shown)\(|data-figure=", text := path.read_text())
        and not re.search(r'data-rest=|ui\.shown\(.*"/api/v1/', text)
    }
    assert unnamed == ELSEWHERE.keys()


async def test_why_a_commune_is_not_counted_takes_three_clicks(province: Pages) -> None:
    pages = province
    assert "/indicators" in await links(pages, "/", '[^"]*')
    variant = next(
        each
        for each in await links(pages, "/indicators", r"/indicators/[^\"]*")
        if "/1.1/TH?" in each
    )
    why = (await links(pages, variant, r"/indicators/1\.1/TH/why/[^\"]*"))[0]
    assert "không được tính vì" in (await pages.load(why)).text


async def test_a_commune_sees_its_own_figures_alone(province: Pages) -> None:
    pages = province
    pages.called_by(Role.COMMUNE_MONITOR, "21034")
    text = (await pages.load("/indicators/1.1/TH")).text
    assert "why/21034" in text
    assert "why/21002" not in text
    assert (await pages.load("/indicators/1.1/TH", scope="21002")).status_code == 404


async def test_a_question_that_is_none_is_answered_with_the_remedy(province: Pages) -> None:
    answer = await province.load("/indicators", as_of="2099-01-01")
    assert answer.status_code == 422
    assert "hãy chọn hôm nay" in answer.text
    assert (await province.load("/indicators/1.9/compare")).status_code == 404


def test_a_wrong_figure_would_be_noticed() -> None:
    html = '<div data-rest="/x"><p>a <b data-figure="/value">93,7 %</b><br></p></div>'
    (figure,) = Figures(html).found
    assert figure == Figure("/x", "/value", "93,7 %")
    assert "93,7 %" in set(readings(0.9375))
    assert "93,8 %" not in set(readings(0.9375))
    assert "–" in set(readings(None))
    assert "05:30" in set(readings("2025-07-02T05:30:00+07:00"))
