"""An alert is at the broker before its plays are in the ledger, and nothing is lost in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine

from broadcast.devices.model import Device
from broadcast.kit import db
from broadcast.plays import ledger, reports
from broadcast.plays.model import Play, PlayState
from broadcast.telemetry.arrival import Arrival
from broadcast.wire.events import Playback, Started
from tests.alerts.world import AlertWorld
from tests.delivery.interleaving import Held, held

TOPIC = "area/21001/state/alerts"


class Killed(BaseException):
    """The process is gone: nobody handles it."""


class Mortal:
    """An engine and a broker that end the process before their n-th statement or message."""

    def __init__(self, world: AlertWorld) -> None:
        self.engine = create_async_engine(world.engine.url)
        self.left = -1
        sync = self.engine.sync_engine
        event.listen(sync, "before_cursor_execute", lambda *_: self._before())
        event.listen(sync, "commit", lambda *_: self._before())
        publish = world.broker.publish

        async def mortal(topic: str, payload: bytes, *, retain: bool = False) -> None:
            self._before()
            await publish(topic, payload, retain=retain)

        world.broker.publish = mortal  # type: ignore[method-assign]

    def _before(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


@pytest.fixture
async def mortal(world: AlertWorld) -> AsyncIterator[Mortal]:
    made = Mortal(world)
    world.engine_of_steps = made.engine
    world.restart()
    await world.turn()
    yield made
    await made.engine.dispose()


async def plays_of(world: AlertWorld, alert_id: UUID) -> Counter[PlayState]:
    async with db.transaction(world.engine) as session:
        return Counter(
            await session.scalars(sa.select(Play.state).where(Play.occurrence_id == alert_id))
        )


async def say_started(world: AlertWorld, alert_id: UUID) -> None:
    """The box of a village tells that it sounds."""
    started = Started(seq=1, occurrence_id=str(alert_id), at=world.now)
    said = Playback(sent_at=world.now, journal_id=str(alert_id), records=[started])
    async with db.transaction(world.engine) as session:
        device_id = await session.scalar(sa.select(Device.id).where(Device.code == "D-V1"))
        assert device_id is not None
        arrival = Arrival(device_id, "D-V1", said)
        await reports.record(session, [arrival], world.now, world.settings.rules.settle_after)


def told(world: AlertWorld) -> list[str]:
    """Alerts of the document at the broker."""
    held = TOPIC in world.broker.retained
    return [each.alert_id for each in world.alerts().alerts] if held else []


async def test_an_alert_is_published_though_its_plays_cannot_be_planned(
    world: AlertWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ValueError("a bug")

    alert_id = await world.issued()
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "plan", fail)
        await world.turn()
        assert told(world) == [str(alert_id)]
        assert not await plays_of(world, alert_id)
    await world.cancel(alert_id)
    await world.turn(after=timedelta(minutes=5))
    assert not told(world)
    assert await plays_of(world, alert_id) == {PlayState.CANCELLED: 2}


async def test_an_alert_that_nobody_was_told_of_has_no_plays(world: AlertWorld) -> None:
    alert_id = await world.issued()
    await world.cancel(alert_id)
    await world.turn()
    assert TOPIC not in world.broker.retained
    assert not await plays_of(world, alert_id)


FOLLOWING = {"keys", "roll", "occurrences", "documents", "publish"}
"""Steps of the next leader that bring it to the end."""


@pytest.mark.slow
@pytest.mark.parametrize("cancels", [False, True])
async def test_killed_at_any_instant_it_ends_in_the_same_documents_and_plays(
    world: AlertWorld, mortal: Mortal, cancels: bool
) -> None:
    """Before any statement, commit or message; devices and people do not wait for the leader."""
    at, killed, told_without_plays = 0, True, 0
    while killed:
        at += 1
        alert_id = await world.issued()
        world.dispatcher.steps.clear()
        mortal.left, killed = at, False
        try:
            await world.turn()
        except Killed:
            killed = True
        mortal.left = -1
        was_told = told(world) == [str(alert_id)]
        if was_told:
            told_without_plays += not await plays_of(world, alert_id)
            await say_started(world, alert_id)
        if cancels:
            await world.cancel(alert_id)
        world.restart()
        world.dispatcher.steps = [
            step for step in world.dispatcher.steps if step.name in FOLLOWING
        ]
        await world.turn()
        rest = PlayState.CANCELLED if cancels else PlayState.PLANNED
        wanted = {PlayState.PLAYING: 1, rest: 1} if was_told else {rest: 2}
        found = await plays_of(world, alert_id)
        assert found == wanted or (cancels and not was_told and not found), at
        assert told(world) == [str(alert_id)] * (not cancels), at
        if not cancels:
            await world.cancel(alert_id)
            await world.turn()
    assert told_without_plays > 5


@pytest.fixture
async def interleaved(world: AlertWorld) -> AsyncIterator[tuple[AlertWorld, Held]]:
    stepping = held(world.engine)
    world.engine_of_steps = stepping.engine
    world.restart()
    await world.turn()
    following = [step for step in world.dispatcher.steps if step.name in FOLLOWING]
    world.dispatcher.steps = following
    yield world, stepping
    await stepping.dispose()


@pytest.mark.slow
async def test_a_journal_that_comes_at_any_instant_is_in_the_play(
    interleaved: tuple[AlertWorld, Held],
) -> None:
    world, stepping = interleaved
    at, reached = 0, True
    while reached:
        alert_id = await world.issued()
        reached = await stepping.run(world.turn, at, lambda: say_started(world, alert_id))  # noqa: B023
        await world.turn()
        assert await plays_of(world, alert_id) == {PlayState.PLAYING: 1, PlayState.PLANNED: 1}, at
        await world.cancel(alert_id)
        await world.turn()
        at += 1
    assert at > 10
