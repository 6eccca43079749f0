"""What was said a minute before a start, held against what the loudspeakers then did.

Server rules and simulated players back to back, with everything going wrong until a while before;
the forecast holds if nothing changes, so a play counts if nothing did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from broadcast.plays.forecast import Cause, Forecast, Outlook, forecast
from broadcast.wire.documents import Quotas
from broadcast.wire.fields import BulletinClass
from device_sim.journal import Flash
from tests.device_sim.province import START
from tests.examples import examples
from tests.scenarios.server import Play, Schedule
from tests.scenarios.test_back_to_back import (
    COMMUNE,
    Plan,
    Trouble,
    World,
    small_worlds,
    troubles_of,
    week,
)

CALM = timedelta(minutes=20)
"""Four heartbeats: what was reported is how it is, and what was sent has come."""

MINUTE = 60


@dataclass
class Said:
    """A forecast, and whether the device had power and a link then."""

    play: Play
    found: Forecast
    powered: bool
    online: bool
    restarted: bool
    """It has had no link since it started last: it may not know the time, and nobody knows."""


class Watched(World):
    """A world in which somebody looks a minute ahead, every minute."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.said: dict[Play, Said] = {}
        self.restarted: set[str] = set()
        self.changes: dict[str, list[float]] = {each: [] for each in self.server.follows}
        for name in ("connect", "disconnect", "power_on", "power_cut"):
            self._note(name)
        self.harness.at(MINUTE, self.look_ahead)

    def _note(self, name: str) -> None:
        """Write down when a device gets or loses its power or its link."""
        whole: Callable[..., Any] = getattr(self.harness, name)

        def noted(device: Any, *args: Any, **options: Any) -> None:
            before = (device.online, device.player is not None)
            whole(device, *args, **options)
            if before != (device.online, device.player is not None):
                self.changes[device.identity.device_id].append(self.harness.elapsed)
            if name == "power_on":
                self.restarted.add(device.identity.device_id)
            elif device.online:
                self.restarted.discard(device.identity.device_id)

        setattr(self.harness, name, noted)

    def look_ahead(self) -> None:
        now = self.harness.now
        for play in self.server.plays if self.server.away_since is None else []:
            occurrence = self.server.occurrences[play[0]]
            until_start = (occurrence.carried.starts_at - now).total_seconds()
            if (
                not occurrence.is_alert
                and occurrence.cancelled is None
                and 0 < until_start <= MINUTE
            ):
                device = self.harness.devices[play[1]]
                found = forecast(self.server.ahead(*play), now)
                self.said[play] = Said(
                    play,
                    found,
                    device.player is not None,
                    device.online,
                    play[1] in self.restarted,
                )
        self.harness.at(MINUTE, self.look_ahead)

    def was_calm(self, play: Play) -> bool:
        """Nothing changed from a while before the forecast until the last moment to start."""
        occurrence = self.server.occurrences[play[0]]
        begin = self._second(occurrence.carried.starts_at - CALM)
        end = self._second(max(occurrence.carried.ends_by, occurrence.latest_at)) + MINUTE
        touched = [*self.changes[play[1]], *(float(each.second) for each in self.plan.troubles)]
        away = any(self._second(a) < end and begin < self._second(b) for a, b in self.server._away)
        return not away and not any(begin <= at <= end for at in touched)

    def _second(self, at: Any) -> float:
        return float((at - self.harness._starts_at).total_seconds())


def judged(world: Watched) -> Counter[tuple[Outlook, Cause | None]]:
    """Hold every forecast of a calm play against the loudspeaker; how many there were of each."""
    counts: Counter[tuple[Outlook, Cause | None]] = Counter()
    for play, said in world.said.items():
        if not world.was_calm(play) or world.server.occurrences[play[0]].cancelled is not None:
            continue
        sounded = any(
            sound.occurrence_id == play[0] for sound in world.harness.devices[play[1]].sounds
        )
        counts[said.found] += 1
        match said.found:
            case Forecast(Outlook.READY):
                assert sounded, said
            case Forecast(Outlook.MISSES | Outlook.ON_THE_WAY):
                assert not sounded, said
            case Forecast(Outlook.UNSURE, Cause.ALONE):
                # It plays by itself; without power, or the time, it does not.
                assert sounded == said.powered or (said.restarted and not sounded), said
    return counts


@given(small_worlds)
@settings(max_examples=examples(12), suppress_health_check=[HealthCheck.too_slow])
def test_what_was_foretold_is_what_sounds(plan: Plan) -> None:
    plan.loss = 0.0
    world = Watched(plan)
    world.live()
    judged(world)


@pytest.mark.slow
def test_a_week_knows_ready_and_quiet() -> None:
    troubles = [each for each in troubles_of(7, 3, 5) if each.kind in {"unlink", "cut", "step"}]
    world = Watched(Plan(week(), troubles[::2], days=7, devices=3))
    world.live()
    counts = judged(world)
    assert counts[Forecast(Outlook.READY)] > counts.total() / 2
    assert counts[Forecast(Outlook.MISSES, Cause.QUIET_HOURS)] > 0


def test_who_restarts_without_a_link_does_not_know_the_time_and_nobody_can_tell() -> None:
    """Found by a random world: a crash at the first start, a minute after the link went."""
    first = Schedule("first", COMMUNE, START + timedelta(minutes=1), seconds=7)
    then = Schedule("then", COMMUNE, START + timedelta(minutes=27), seconds=240)
    troubles = [Trouble(0, "crash", 0, 2), Trouble(26, "unlink", 0, 71)]
    world = Watched(Plan([first, then], troubles))
    world.live()
    judged(world)
    (said,) = [
        each
        for play, each in world.said.items()
        if play[1] == "d0" and named(world, play) == "then"
    ]
    assert said.found == Forecast(Outlook.UNSURE, Cause.ALONE)
    assert (said.powered, said.restarted) == (True, True)


NEWS = Schedule("news", COMMUNE, START + timedelta(hours=3), seconds=60, late_limit_seconds=60)


def watched(
    lost: tuple[str, ...] = (), more: tuple[Schedule, ...] = (), quotas: Quotas | None = None
) -> Watched:
    """Two devices without NTP whose link loses everything under topics with these words."""
    world = Watched(Plan([], devices=2, quotas=quotas))
    for device in world.devices:
        device.ntp = False
        device.skew = timedelta(hours=8)
    world.harness.delays = lambda _device, topic, _payload: (
        [] if any(each in topic for each in lost) else [0]
    )
    for schedule in (NEWS, *more):
        world.server.plan(schedule)
    return world


def foretold(world: Watched) -> set[Forecast]:
    world.live()
    judged(world)
    return {each.found for play, each in world.said.items() if named(world, play) == "news"}


def named(world: Watched, play: Play) -> str:
    return world.server.occurrences[play[0]].schedule.name


@pytest.mark.parametrize(
    ("lost", "cause"),
    [
        (("content/",), Cause.NO_AUDIO),
        (("time_reply",), Cause.CLOCK_UNTRUSTED),
        (("state/programme", "resend"), Cause.NOT_RECEIVED),
    ],
)
def test_what_a_link_lost_is_missed_and_named(lost: tuple[str, ...], cause: Cause) -> None:
    world = watched(lost)
    for device in world.devices:  # the power comes again, and nothing is left of before
        world.harness.power_cut(device)
        device.flash = Flash("new")
        world.harness.power_on(device)
        world.harness.connect(device)
    assert foretold(world) == {Forecast(Outlook.MISSES, cause)}


def test_who_was_offline_when_it_was_planned_misses_it() -> None:
    world = Watched(Plan([], devices=2))
    world.harness.disconnect(world.devices[0])
    world.harness.advance(30 * MINUTE)
    world.server.plan(NEWS)
    world.harness.at(6 * 3600, lambda: world.harness.connect(world.devices[0]))
    assert foretold(world) == {
        Forecast(Outlook.MISSES, Cause.OFFLINE),
        Forecast(Outlook.READY),
    }


def test_who_is_alone_plays_if_it_has_power() -> None:
    world = watched()
    cut, alone = world.devices
    world.harness.at(3600, lambda: world.harness.power_cut(cut))
    world.harness.at(3600, lambda: world.harness.disconnect(alone))
    assert foretold(world) == {Forecast(Outlook.UNSURE, Cause.ALONE)}
    assert [len(each.sounds) for each in (cut, alone)] == [0, 1]


def test_what_is_over_quota_is_passed_over_and_keeps_nothing_waiting() -> None:
    world = watched(quotas=Quotas(sessions_per_day=1))
    early = Schedule("early", COMMUNE, NEWS.starts_at - timedelta(hours=2), seconds=60)
    world.server.plan(early)
    assert foretold(world) == {Forecast(Outlook.MISSES, Cause.QUOTA)}
    said = {named(world, play): each.found for play, each in world.said.items()}
    assert said["early"] == Forecast(Outlook.READY)
    world = watched(quotas=Quotas(minutes_per_day=3))
    world.server.plan(
        Schedule(
            "long", COMMUNE, NEWS.starts_at - timedelta(seconds=30), seconds=240,
            class_=BulletinClass.PRIORITY,
        )
    )  # fmt: skip
    assert foretold(world) == {Forecast(Outlook.READY)}


def test_who_must_wait_too_long_misses_it() -> None:
    urgent = Schedule(
        "siren", COMMUNE, NEWS.starts_at - timedelta(seconds=30), seconds=240,
        class_=BulletinClass.EMERGENCY,
    )  # fmt: skip
    world = watched(more=(urgent,))
    assert foretold(world) == {Forecast(Outlook.MISSES, Cause.OUTRANKED)}
