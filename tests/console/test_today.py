"""The start page: the day's sentence, its line, and what did not sound."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.console.today import STEPS, _Line, _result
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from broadcast.plays.schemas import OccurrenceCountsOut
from broadcast.plays.soundings import Sounding
from tests.console.conftest import Pages
from tests.visibility.world import World, build

EIGHT = datetime(2026, 11, 30, 8, tzinfo=LOCAL)


def counted(starts_at: datetime, **counts: int) -> OccurrenceCountsOut:
    return OccurrenceCountsOut(
        occurrence_id=uuid4(), schedule_id=uuid4(), bulletin_id=uuid4(), bulletin_revision=1,
        title="Bản tin sáng", class_="normal", starts_at=starts_at, audio_seconds=300.0,
        state="planned", clusters_count=sum(counts.values()),
        counts={Sounding(name): count for name, count in counts.items()},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "kind", "text"),
    [
        ({"sounded": 9}, "ok", "đã phát"),
        ({"sounded": 8, "silent": 1}, "partial", "phát một phần"),
        ({"sounded": 8, "partly": 1}, "partial", "phát một phần"),
        ({"silent": 9}, "bad", "không phát"),
        ({"sounded": 8, "unknown": 1}, "unknown", "chưa rõ"),
        ({"unknown": 9}, "unknown", "chưa rõ"),
        ({"sounded": 8, "playing": 1}, "waiting", "đang phát"),
        ({"sounded": 8, "waiting": 1}, "waiting", "chờ kết quả"),
        ({}, "unknown", "không có cụm loa nhận"),
    ],
)
def test_the_worst_that_was_heard_of_is_said(counts: dict[str, int], kind: str, text: str) -> None:
    assert _result(counted(EIGHT, **counts), EIGHT + timedelta(hours=1)) == (kind, text)


def test_what_is_ahead_is_coming() -> None:
    ahead = counted(EIGHT, waiting=9)
    assert _result(ahead, EIGHT - timedelta(hours=1)) == ("waiting", "sắp phát")


def test_the_line_holds_what_sounds_outside_of_the_usual_hours() -> None:
    midnight = EIGHT.replace(hour=0)
    usual = _Line.of([counted(EIGHT, waiting=1)], midnight)
    assert (usual.begins.hour, usual.begins.minute, usual.ends.hour) == (4, 30, 22)
    assert (usual.place(usual.begins), usual.place(usual.ends)) == (0.0, 100.0)
    assert [hour for hour, _ in usual.hours()] == [6, 9, 12, 15, 18, 21]
    wide = _Line.of([counted(EIGHT.replace(hour=2, minute=10), waiting=1)], midnight)
    assert wide.place(EIGHT.replace(hour=2, minute=10)) > 0


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    """Three communes with their stations, clusters and devices."""
    async with db.transaction(engine) as session:
        return await build(session, clock.now())


async def test_figures_are_those_of_rest_in_the_places_of_each(pages: Pages, world: World) -> None:
    for role, area in ((Role.PROVINCE_MONITOR, None), (Role.COMMUNE_MONITOR, world.a.commune)):
        pages.called_by(role, area)
        fleet = (await pages.client.get("/api/v1/fleet/summary?installed=true")).json()
        midnight = clock.now().astimezone(LOCAL).date()
        spans = {"from": f"{midnight}", "to": f"{midnight + timedelta(days=1)}"}
        rows = (await pages.client.get("/api/v1/plays/occurrences", params=spans)).json()
        online = sum(each["count"] for each in fleet["presence"] if each["value"] == "online")
        text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", (await pages.load("/")).text))
        planned = sum(row["state"] == "planned" for row in rows)
        assert f"Hôm nay {planned} buổi phát, {online}/{fleet['total']} cụm loa" in text


async def test_the_next_step_is_one_that_the_role_may_do(pages: Pages, world: World) -> None:
    for role in (Role.PROVINCE_MONITOR, Role.COMMUNE_BROADCASTER, Role.PROVINCE_APPROVER):
        pages.called_by(role, None if "province" in role else world.a.commune)
        text = (await pages.load("/")).text
        offered = [step for step in STEPS if f'href="{step.path}"' in text]
        assert all(step.path in pages.app.state.pages for step in offered)


async def test_a_part_is_the_page_without_its_frame(pages: Pages) -> None:
    part = (await pages.load("/today/day")).text
    assert part.lstrip().startswith('<div id="day"')
    assert 'hx-trigger="live" data-live="plays,' in part
    assert "<html" not in part
