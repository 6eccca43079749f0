"""Pages hear of what has changed, of nothing else, and not more often than agreed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.console import live
from broadcast.console.live import Hub, Topic, events
from broadcast.console.page import TEMPLATES
from broadcast.kit import db
from broadcast.kit.errors import Unavailable
from tests.console.conftest import Pages

HANG_SECONDS = 60


@pytest.fixture
async def hub(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hub]:
    for name in ("SLOW_SECONDS", "QUICK_SECONDS", "FETCH_SECONDS"):
        monkeypatch.setattr(live, name, 0.0)
    hub = Hub(pages.settings)
    yield hub
    await hub.stop()


async def told_of(stream: live.Stream) -> list[Topic]:
    changed = await stream.changes(HANG_SECONDS)
    assert changed, "nothing was told"
    return changed


async def test_a_committed_change_is_told_to_pages_of_its_topic(
    hub: Hub, engine: AsyncEngine
) -> None:
    registry, plays = hub.open([Topic.REGISTRY]), hub.open([Topic.PLAYS])
    assert await told_of(registry) == [Topic.REGISTRY]  # from now on it is listened to
    assert await told_of(plays) == [Topic.PLAYS]
    async with db.transaction(engine) as session:  # no row, no change
        await session.execute(sa.text("UPDATE plays SET state = state WHERE false"))
    async with db.transaction(engine) as session:
        await session.execute(
            sa.text(
                "INSERT INTO areas (code, level, kind, name, valid_from)"
                " VALUES ('51', 'province', 'tinh', 'Quảng Ngãi', '2025-07-01')"
            )
        )
    assert await told_of(registry) == [Topic.REGISTRY]
    assert await plays.changes(0) == []


async def test_a_lost_connection_counts_as_a_change_of_everything(
    hub: Hub, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RETRY_SECONDS", 0.0)
    stream = hub.open([Topic.PRESENCE])
    await told_of(stream)
    async with db.transaction(engine) as session:
        await session.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'broadcast.live' AND datname = current_database()"
            )
        )
    assert await told_of(stream) == [Topic.PRESENCE]


async def test_many_changes_are_told_once(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SLOW_SECONDS", 3600.0)
    hub = Hub(pages.settings)
    stream = live.Stream(Topic)
    told: list[Topic] = []
    monkeypatch.setattr(stream, "tell", told.append)
    hub._streams.add(stream)
    for _ in range(50):
        for topic in live.SLOW:
            hub.changed(topic)
    assert len(told) == 1  # the first at once, the others together in an hour
    [waiting] = {beat for beat in hub._beats.values() if beat.waiting is not None}
    assert waiting.changed == live.SLOW
    await hub.stop()


async def test_the_more_pages_are_open_the_less_often_they_are_told(pages: Pages) -> None:
    """So that what they fetch again takes no more than its share, however many they are."""
    pauses = []
    loop = asyncio.get_running_loop()
    for count in (1, 1000):
        hub = Hub(pages.settings)
        hub._streams.update(live.Stream([Topic.PLAYS]) for _ in range(count))
        hub.changed(Topic.PLAYS)
        hub.changed(Topic.PLAYS)
        [waiting] = {beat.waiting for beat in hub._beats.values() if beat.waiting is not None}
        pauses.append(waiting.when() - hub._beats[Topic.PLAYS].told_at)
        assert waiting.when() > loop.time()
        await hub.stop()
    assert pauses == pytest.approx([live.SLOW_SECONDS, 1000 * live.FETCH_SECONDS / live.SHARE])


def test_parts_are_fetched_again_by_the_one_event() -> None:
    """`live.js` tells a part once of all that has changed; nobody waits for another event."""
    texts = {file: file.read_text() for file in TEMPLATES.rglob("*.html")}
    assert not [file for file, text in texts.items() if "live:" in text]
    live_parts = [text for text in texts.values() if "data-live=" in text]
    assert live_parts
    assert all(re.search(r'hx-trigger="[^"]*\blive"', text) for text in live_parts)


async def test_a_stream_carries_names_and_ends_with_its_page(hub: Hub) -> None:
    stream = hub.open([Topic.BULLETINS])
    lines = events(hub, stream)
    assert await anext(lines) == "retry: 5000\n\n"
    async with asyncio.timeout(HANG_SECONDS):
        assert await anext(lines) == f"event: bulletins\ndata: {hub.version_name}\n\n"
    await lines.aclose()  # type: ignore[attr-defined]
    assert live.STREAMS._value.get() == 0


async def test_streams_leave_connections_for_requests(hub: Hub, pages: Pages) -> None:
    most = pages.settings.web.connections // 2
    for _ in range(most):
        hub.open([])
    with pytest.raises(Unavailable):
        hub.open([])


async def test_unknown_topics_are_named(pages: Pages) -> None:
    answer = await pages.client.get("/events?topics=plays,weather", headers={"Accept": "*/*"})
    assert answer.status_code == 422
    assert "topics" in answer.text
