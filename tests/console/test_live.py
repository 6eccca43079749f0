"""Pages hear of what has changed, of nothing else, and not more often than agreed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.console import live
from broadcast.console.live import Hub, Topic, events
from broadcast.kit import db
from broadcast.kit.errors import Unavailable
from tests.console.conftest import Pages

HANG_SECONDS = 60


@pytest.fixture
async def hub(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hub]:
    monkeypatch.setattr(live, "EVERY_SECONDS", dict.fromkeys(Topic, 0.0))
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
    monkeypatch.setattr(live, "EVERY_SECONDS", dict.fromkeys(Topic, 3600.0))
    hub = Hub(pages.settings)
    stream = live.Stream([Topic.PLAYS])
    told: list[Topic] = []
    monkeypatch.setattr(stream, "tell", told.append)
    hub._streams.add(stream)
    for _ in range(50):
        hub.changed(Topic.PLAYS)
    assert told == [Topic.PLAYS]  # the first at once, the others together in an hour
    await hub.stop()


async def test_a_stream_carries_names_and_ends_with_its_page(hub: Hub) -> None:
    stream = hub.open([Topic.BULLETINS])
    lines = events(hub, stream)
    assert await anext(lines) == "retry: 5000\n\n"
    async with asyncio.timeout(HANG_SECONDS):
        assert await anext(lines) == "event: bulletins\ndata: 1\n\n"
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
