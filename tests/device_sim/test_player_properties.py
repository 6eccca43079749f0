"""Promises that hold whatever the link, the power and the clock do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from broadcast.wire.documents import Item, Programme, QuietHours
from broadcast.wire.events import Ended, Record, Skipped, Started
from broadcast.wire.fields import OnPreempt
from broadcast.wire.topics import scope_topic
from device_sim.chance import fraction
from device_sim.harness import Device, Harness, Sound
from device_sim.timekeeping import SLOWEST_REPLY_SECONDS
from device_sim.voice import latest_start
from tests.counting import calls_of
from tests.device_sim.province import START, Province, alert, at, audio, item
from tests.examples import examples

MOMENT = timedelta(milliseconds=10)
CLOCK_ERROR = timedelta(seconds=SLOWEST_REPLY_SECONDS / 2) + MOMENT
"""How wrong a clock can be that was set over a link that delays one direction only."""

SCOPES = ("area/51", "area/21550", "device/d1")
AREAS = ("51", "21550")

documents = st.lists(
    st.tuples(
        st.sampled_from(SCOPES),
        st.lists(
            st.tuples(
                st.sampled_from("abcdef"), st.integers(10, 40), st.sampled_from([10, 50, 90])
            ),
            max_size=4,
            unique_by=lambda planned: planned[0],
        ),
    ),
    min_size=1,
    max_size=8,
)


def programme(revision: int, scope: str, planned: list[tuple[str, int, int]]) -> Programme:
    return Programme(
        scope=scope,
        revision=revision,
        issued_at=START,
        not_after=START + timedelta(days=7),
        items=[item(name, at(minute), priority=priority) for name, minute, priority in planned],
    )


@given(documents, st.data())
@settings(max_examples=examples(60), deadline=None)
def test_any_order_loss_and_repetition_ends_in_the_same_programme(
    made: list[tuple[str, list[tuple[str, int, int]]]], data: st.DataObject
) -> None:
    issued = [programme(n, scope, planned) for n, (scope, planned) in enumerate(made, start=1)]
    arrives = data.draw(st.lists(st.sampled_from(issued), max_size=20))
    latest = {document.scope: document for document in issued}
    outcomes = []
    for sequence in (issued, [*arrives, *latest.values()]):
        province = Province()
        province.content(audio("news"))
        device = province.device(areas=AREAS)
        for document in sequence:
            topic = scope_topic(document.scope, "programme")
            province.harness.deliver(device, topic, province.sign(document))
        assert device.player
        programme_then = dict(device.player.items)
        province.harness.advance(4 * 3600)
        outcomes.append((programme_then, [s.occurrence_id for s in device.sounds]))
    assert outcomes[0] == outcomes[1]


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong, and when."""

    second: int
    kind: str
    amount: int


items = st.builds(
    lambda name, second, late, length, priority, on_preempt, size: item(
        name,
        at(0, second),
        late_limit_seconds=late,
        ends_by=at(0, second + late + 2 * length),
        priority=priority,
        on_preempt=on_preempt,
        audio=[audio(f"n{length}", length, size=size)],
    ),
    st.sampled_from("abcdefghij"),
    st.integers(60, 3000),
    st.sampled_from([0, 30, 300]),
    st.sampled_from([7, 23, 55]),
    st.sampled_from([10, 50, 90]),
    st.sampled_from(OnPreempt),
    st.sampled_from([3_000, 30_000]),
)
troubles = st.builds(
    Trouble,
    st.integers(0, 3600),
    st.sampled_from(["crash", "cut", "unlink", "step", "withdraw", "move", "alert", "repeat"]),
    st.integers(0, 60),
)


@dataclass(frozen=True)
class Chaos:
    items: list[Item]
    troubles: list[Trouble]
    loss: int
    """Messages of a hundred that are lost; as many are repeated, later."""
    quiet: bool
    ntp: bool
    skew: int


chaos = st.builds(
    Chaos,
    st.lists(items, min_size=1, max_size=10, unique_by=lambda item: item.occurrence_id),
    st.lists(troubles, max_size=12),
    st.sampled_from([0, 10, 40]),
    st.booleans(),
    st.booleans(),
    st.integers(-3000, 3000),
)

QUIET_FROM, QUIET_UNTIL = at(25), at(35)
QUIET = [QuietHours(from_="08:25", until="08:35")]


class World:
    """A run of one device through one chaos, and everything that was ever planned in it."""

    def __init__(self, plan: Chaos) -> None:
        self.loss = plan.loss / 100
        self.count = 0
        self.province = Province(delays=self.delays)
        self.quiet = plan.quiet
        settings = {"quiet_hours": QUIET} if plan.quiet else {}
        self.device = self.province.device(
            ntp=plan.ntp,
            skew=timedelta(seconds=plan.skew),
            heartbeat_seconds=60,
            **settings,
        )
        self.current = {planned.occurrence_id: planned for planned in plan.items}
        self.versions: dict[str, list[Item]] = defaultdict(list)
        self.alerts: list[str] = []
        self.publish()
        for trouble in sorted(plan.troubles, key=lambda t: t.second):
            self.run_to(trouble.second)
            getattr(self, trouble.kind)(trouble.amount)
        self.loss = 0.0
        self.device.crash_after = None
        self.run_to(3700)
        self.province.harness.power_on(self.device)
        self.province.harness.connect(self.device)
        self.run_to(6 * 3600)

    def run_to(self, second: int) -> None:
        self.province.harness.advance(max(0, second - self.province.harness.elapsed))

    def delays(self, _device: Device, topic: str, _payload: bytes) -> list[float]:
        self.count += 1
        luck = fraction("link", self.count)
        if luck < self.loss:
            return []
        if luck < 2 * self.loss:
            return [0, 90 * fraction("delay", self.count)]
        return [0]

    def publish(self) -> None:
        for planned in self.current.values():
            self.versions[planned.occurrence_id].append(planned)
        self.province.programme(*self.current.values())

    def crash(self, amount: int) -> None:
        self.device.crash_after = amount

    def cut(self, amount: int) -> None:
        self.province.harness.power_cut(self.device, 1 + amount * 5)

    def unlink(self, amount: int) -> None:
        self.province.harness.disconnect(self.device, 1 + amount * 10)

    def step(self, amount: int) -> None:
        self.device.skew += timedelta(minutes=amount - 30)

    def withdraw(self, amount: int) -> None:
        names = sorted(self.current)
        if names:
            del self.current[names[amount % len(names)]]
            self.publish()

    def move(self, amount: int) -> None:
        names = sorted(self.current)
        if not names:
            return
        planned = self.current[names[amount % len(names)]]
        shift = timedelta(seconds=amount * 20)
        self.current[planned.occurrence_id] = Item(
            **{name: getattr(planned, name) for name in planned.__struct_fields__}
            | {"starts_at": planned.starts_at + shift, "ends_by": planned.ends_by + shift}
        )
        self.publish()

    def alert(self, amount: int) -> None:
        name = f"alert-{amount}"
        if name not in self.alerts:
            self.alerts.append(name)
            self.province.alerts(alert(name, self.province.harness.now))

    def repeat(self, _amount: int) -> None:
        if self.device.online:
            self.province.harness.redeliver(self.device)

    @property
    def records(self) -> list[Record]:
        return [r for _, r in sorted(self.province.records.get("d1", {}).items())]


@given(chaos)
@settings(
    max_examples=examples(100),
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_whatever_happens_once_or_not_at_all_and_nothing_unexplained(plan: Chaos) -> None:
    world = World(plan)
    sounded = by_occurrence(world.device.sounds)
    for name, sounds in sounded.items():
        if name in world.alerts:
            assert_heard_once(sounds)
        else:
            if world.versions[name][0].on_preempt is not OnPreempt.RESTART:
                assert_heard_once(sounds)
            assert_in_time(world, sounds, MOMENT if plan.ntp else CLOCK_ERROR)
    assert [record.seq for record in world.records] == list(range(1, len(world.records) + 1))
    assert not world.device.flash.load().records, "unconfirmed"
    recorded = by_occurrence(world.records)
    for name, records in recorded.items():
        assert_told_truly(records, sounded[name])
    held = world.device.player.items if world.device.player else {}
    assert set(world.current) <= set(held)
    assert set(held) <= set(recorded), "an item the device holds is not accounted for"


def by_occurrence(things: list[Any]) -> dict[str, list[Any]]:
    sorted_out: dict[str, list[Any]] = defaultdict(list)
    for thing in things:
        sorted_out[thing.occurrence_id].append(thing)
    return sorted_out


def assert_heard_once(sounds: list[Sound]) -> None:
    heard = sorted(sound.heard for sound in sounds)
    assert all(b[0] >= a[1] - 0.001 for a, b in pairwise(heard)), "words are heard twice"
    assert sum(began == 0 < ended for began, ended in heard) <= 1, "begins twice"


def assert_in_time(world: World, sounds: list[Sound], slack: timedelta) -> None:
    versions = world.versions[sounds[0].occurrence_id]
    for sound in sounds:
        assert sound.ended_at is not None
        assert sound.ended_at <= max(version.ends_by for version in versions) + slack
        if world.quiet:
            before = sound.ended_at <= QUIET_FROM + slack
            assert before or sound.started_at >= QUIET_UNTIL - slack, "sounds in quiet hours"
        if sound.offset == 0:
            assert any(
                version.starts_at - slack <= sound.started_at <= latest_start(version) + slack
                for version in versions
            ), "starts outside of its window"


def assert_told_truly(records: list[Record], sounds: list[Sound]) -> None:
    kinds = [type(record) for record in records]
    assert kinds == [Skipped] or kinds == [Started, Ended] * (len(kinds) // 2), kinds
    last = records[-1]
    if isinstance(last, Ended):
        true_seconds = sum(ended - began for began, ended in (sound.heard for sound in sounds))
        assert last.played_seconds <= true_seconds + 0.01, "claims more than sounded"


def cut_after_every_effect(run: Callable[[int], tuple[Province, Device]]) -> int:
    """Run again and again, the power going after one more effect each time; runs it took."""
    for crash_after in range(2000):
        province, device = run(crash_after)
        assert [r.seq for r in records(province)] == list(range(1, len(records(province)) + 1))
        sounds, told = by_occurrence(device.sounds), by_occurrence(records(province))
        for name, mine in told.items():
            assert_heard_once(sounds[name])
            assert_told_truly(mine, sounds[name])
        if device.crash_after:
            return crash_after
    raise AssertionError("it never ends")


def records(province: Province) -> list[Record]:
    return [r for _, r in sorted(province.records.get("d1", {}).items())]


def test_a_power_cut_after_any_effect_loses_no_account_and_repeats_no_word() -> None:
    planned = [
        item("a", at(2), audio=[audio("music", 40)]),
        item("b", at(2.2), priority=90, on_preempt=OnPreempt.DROP, audio=[audio("n1", 10)]),
        item("c", at(2.3), priority=95, audio=[audio("n1", 10)]),
        item("d", at(2.4), priority=95, late_limit_seconds=2, audio=[audio("n1", 10)]),
    ]

    def run(crash_after: int) -> tuple[Province, Device]:
        province = Province(off_seconds=2)
        device = province.device()
        device.crash_after = crash_after
        province.programme(*planned)
        province.harness.advance(1200)
        assert {name for _, name, *_ in province.journal()} == {"a", "b", "c", "d"}
        return province, device

    assert cut_after_every_effect(run) > 40


def test_a_programme_that_has_rolled_on_leaves_no_miss_untold_wherever_power_goes() -> None:
    def run(crash_after: int) -> tuple[Province, Device]:
        province = Province(off_seconds=2)
        province.answers_time = False
        device = province.device(ntp=False)
        province.programme(item("a", at(5)), item("b", at(90)))
        province.harness.power_cut(device)
        province.harness.advance(1800)
        province.programme(item("b", at(90)))
        device.crash_after = crash_after
        province.harness.power_on(device)
        province.harness.connect(device)
        province.harness.advance(600)
        assert province.journal() == [("skipped", "a", "powered_off")]
        return province, device

    assert cut_after_every_effect(run) > 10


@pytest.mark.slow
def test_a_hundred_players_play_a_week() -> None:
    province = Province()
    harness: Harness = province.harness
    week = [
        item(
            f"w{day}-{hour}",
            START + timedelta(days=day, hours=hour),
            priority=10 * (hour % 3),
            audio=[audio(f"n{hour}", 60, size=3000)],
        )
        for day in range(7)
        for hour in range(12)
    ]
    devices = [
        province.device(f"d{number}", areas=("51",), heartbeat_seconds=3600)
        for number in range(100)
    ]
    province.programme(*week)
    harness.advance(7 * 86_400)
    for device in devices:
        assert [s.occurrence_id for s in device.sounds] == [i.occurrence_id for i in week]
        assert len(province.records[device.identity.device_id]) == 2 * len(week)
        assert not device.flash.load().records


def test_a_player_with_nothing_to_do_returns_at_once() -> None:
    province = Province()
    device = province.device()
    province.programme(*(item(f"i{n}", at(60 + n)) for n in range(500)))
    province.harness.advance(10)
    player = device.player
    assert player
    wakeup = player.next_wakeup()
    assert wakeup is not None
    now = province.harness.look(device)
    assert now.monotonic < wakeup
    assert player.tick(now) == []
    # Itself and a look at the clock, however many items there are.
    assert calls_of(lambda: player.tick(now)) <= 4
