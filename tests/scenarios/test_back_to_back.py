"""Server rules and simulated players back to back: weeks in memory, with everything going wrong.

Sounds are judged by true time at the loudspeakers, never by what devices or server believe.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import lru_cache, partial
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.kit.quiet import OFFSET, daily
from broadcast.plays.settle import OPEN, PlayState, Reason, Settlement
from broadcast.schedules import grid
from broadcast.wire import quotas
from broadcast.wire.documents import Alerts, Hours, Live, Programme, Quotas
from broadcast.wire.envelope import read_own
from broadcast.wire.events import Skipped, SkipReason
from broadcast.wire.fields import BulletinClass, OnPreempt
from broadcast.wire.hours import silent_window
from broadcast.wire.merge import merge_items
from device_sim.box import Identity
from device_sim.harness import Device, Harness, Sound
from device_sim.journal import Change, Flash
from device_sim.timekeeping import SLOWEST_REPLY_SECONDS
from device_sim.voice import ON_TIME
from tests.device_sim.province import KEYS, START
from tests.examples import examples
from tests.scenarios.server import RULES, Journals, Occurrence, Play, Schedule, Server

HOUR, DAY = 3600, 86_400
MOMENT = timedelta(milliseconds=10)
CLOCK_ERROR = timedelta(seconds=SLOWEST_REPLY_SECONDS / 2) + MOMENT
"""How wrong a clock can be that was set over a link that delays one direction only."""

PROVINCE, COMMUNE, VILLAGE = "area/51", "area/21550", "area/2155001"

NEVER_HELD = {
    Reason.NOT_PUBLISHED,
    Reason.NOT_RECEIVED,
    Reason.OFFLINE,
    Reason.POWERED_OFF,
    Reason.SERVER_AWAY,
}
"""What the ledger may say of a device that the programme never reached."""


class NotingFlash(Flash):
    """Flash that notes which occurrences it was ever given to hold."""

    def __init__(self, journal_id: str) -> None:
        super().__init__(journal_id)
        self.ever_held: set[str] = set()

    def write(self, change: Change) -> None:
        super().write(change)
        for token in change.documents.values():
            if token:
                self.ever_held |= named_in(token)


@lru_cache(maxsize=256)
def named_in(token: bytes) -> frozenset[str]:
    document = read_own(token)
    if isinstance(document, Alerts):
        return frozenset(alert.alert_id for alert in document.alerts)
    if isinstance(document, Live):
        return frozenset(session.session_id for session in document.sessions)
    items = document.items if isinstance(document, Programme) else []
    return frozenset(item.occurrence_id for item in items)


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong, or is changed: when, what, at which device, and how badly."""

    second: int
    kind: str
    device: int = 0
    amount: int = 50
    """0 to 100."""


@dataclass
class Plan:
    """A run: who, what, how long, and what happens meanwhile."""

    schedules: list[Schedule]
    troubles: list[Trouble] = field(default_factory=list)
    days: int = 1
    devices: int = 2
    loss: float = 0.0
    """Share of messages that are lost; as many are repeated, and as many are late."""
    seed: int = 0
    heartbeat_seconds: int = 300
    rolls_every: int = HOUR
    quotas: Quotas | None = None


class World:
    """One run of a plan, from Monday 08:00 to a night in which everything has healed."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loss = plan.loss
        self.chance = random.Random(plan.seed)
        self.harness = Harness(START, delays=self.fate)
        self.server = Server(self.harness, plan.heartbeat_seconds)
        self.devices = [self.device(number) for number in range(plan.devices)]
        for schedule in plan.schedules:
            self.server.plan(schedule, checked=not schedule.name.startswith("n5"))
        self.harness.at(plan.rolls_every, self.roll)
        for trouble in plan.troubles:
            self.harness.at(trouble.second, partial(self.suffer, trouble))

    def device(self, number: int) -> Device:
        """Every third has no NTP, every second hangs in the second village."""
        device_id = f"d{number}"
        village = f"{VILLAGE.removeprefix('area/')[:-1]}{1 + number % 2}"
        self.server.enrol(device_id, ["51", "21550", village], quotas=self.plan.quotas)
        return self.harness.add(
            Device(
                Identity(device_id=device_id, keys=KEYS),
                NotingFlash(f"journal-{device_id}"),
                ntp=number % 3 != 1,
                skew=timedelta(minutes=self.chance.randint(-3000, 3000)),
            )
        )

    def fate(self, _device: Device, _topic: str, _payload: bytes) -> list[float]:
        luck = self.chance.random() if self.loss else 1.0
        if luck < self.loss:
            return []
        if luck < 2 * self.loss:
            return [0, self.chance.uniform(0, 900)]
        return [self.chance.uniform(0, 90)] if luck < 3 * self.loss else [0]

    def roll(self) -> None:
        self.server.roll()
        self.harness.at(self.plan.rolls_every, self.roll)

    def live(self) -> None:
        """Let the days pass; then heal, and give everybody until 03:00 to tell."""
        self.harness.advance(self.plan.days * DAY - 12 * HOUR)  # 20:00
        self.loss = 0.0
        self.server.come_back()
        for device in self.devices:
            device.crash_after = None
            self.harness.power_on(device)
            self.harness.connect(device)
        self.harness.advance(7 * HOUR)

    # Troubles ------------------------------------------------------------------------------------

    def suffer(self, trouble: Trouble) -> None:
        device = self.devices[trouble.device % len(self.devices)]
        getattr(self, trouble.kind)(device, trouble.amount)

    def crash(self, device: Device, amount: int) -> None:
        device.crash_after = amount

    def cut(self, device: Device, amount: int) -> None:
        self.harness.power_cut(device, 1 + (amount / 20) ** 6)  # up to four hours

    def unlink(self, device: Device, amount: int) -> None:
        self.harness.disconnect(device, 1 + (amount / 16) ** 6)  # up to seventeen hours

    def step(self, device: Device, amount: int) -> None:
        device.skew += timedelta(minutes=amount - 50)

    def redeliver(self, device: Device, _amount: int) -> None:
        if device.online:
            self.harness.redeliver(device)

    def forget(self, _device: Device, _amount: int) -> None:
        """The broker lost what it retained."""
        for parent, levels in list(self.harness._retained.items()):
            for level in list(levels):
                self.harness.publish(f"{parent}/{level}", b"", retain=True)

    def away(self, _device: Device, amount: int) -> None:
        self.server.go_away()
        self.harness.at(amount * DAY / 100, self.server.come_back)

    def withdraw(self, _device: Device, amount: int) -> None:
        standing = [each for each in self.server.schedules if not each.withdrawn]
        if standing and self.server.away_since is None:
            self.server.withdraw(standing[amount % len(standing)])

    def leave_out(self, _device: Device, amount: int) -> None:
        coming = self.server.coming()
        if coming and self.server.away_since is None:
            self.server.leave_out(coming[amount % len(coming)])

    def move(self, _device: Device, amount: int) -> None:
        coming = self.server.coming()
        if coming and self.server.away_since is None:
            self.server.move(coming[amount % len(coming)], timedelta(minutes=3 * amount - 150))

    def urgent(self, device: Device, amount: int) -> None:
        """A single broadcast that starts within minutes."""
        starts_at = self.harness.now + timedelta(seconds=6 * amount + 1)
        scope = [PROVINCE, COMMUNE, f"device/{device.identity.device_id}"][amount % 3]
        schedule = Schedule(
            f"n{amount % 50}",
            scope,
            starts_at.replace(microsecond=0),
            seconds=5 + amount,
            class_=[BulletinClass.EMERGENCY, BulletinClass.PRIORITY][amount % 2],
            late_limit_seconds=10 * (amount % 7),
        )
        if self.server.away_since is None and all(
            each.starts_at != schedule.starts_at for each in self.server.schedules
        ):
            try:
                self.server.plan(schedule)
            except InvalidInput:  # quiet hours
                return

    def alert(self, device: Device, amount: int) -> None:
        """An emergency that sounds at once, and for up to two hours where it could not."""
        now = self.harness.now
        scope = [PROVINCE, COMMUNE, f"device/{device.identity.device_id}"][amount % 3]
        if self.server.away_since is None:
            valid = timedelta(minutes=5 + amount)
            self.server.alert(f"alert {now.isoformat()}", scope, 5 + amount, valid)


# What must hold ----------------------------------------------------------------------------------


def assert_promises(world: World) -> dict[Play, Settlement]:
    """Everything that is promised, whatever has happened."""
    for device in world.devices:
        sounds: defaultdict[str, list[Sound]] = defaultdict(list)
        for sound in device.sounds:
            sounds[sound.occurrence_id].append(sound)
        for occurrence_id, heard in sounds.items():
            assert_once(world, occurrence_id, heard)
            assert_in_time(world, device, occurrence_id, heard)
        assert_holds_the_newest(world, device)
        assert not device.flash.load().records, "unconfirmed"
        assert_quotas(world, device)
    ledger = world.server.ledger()
    assert_explained(world, ledger)
    assert_independent_of_delivery(world, ledger)
    return ledger


def assert_once(world: World, occurrence_id: str, sounds: list[Sound]) -> None:
    occurrence = world.server.occurrences[occurrence_id]
    if occurrence.schedule.on_preempt is OnPreempt.RESTART or occurrence.is_live:
        return  # live speech goes on where it is by then
    heard = sorted(sound.heard for sound in sounds)
    assert all(b[0] >= a[1] - 0.001 for a, b in pairwise(heard)), "words are heard twice"
    assert sum(began == 0 < ended for began, ended in heard) <= 1, "begins twice"


def assert_in_time(world: World, device: Device, occurrence_id: str, sounds: list[Sound]) -> None:
    slack = MOMENT if device.ntp else CLOCK_ERROR
    occurrence = world.server.occurrences[occurrence_id]
    if occurrence.is_alert:
        return  # it passes quiet hours, and a clock that nobody trusts: wire.md §8, rule 11
    versions = occurrence.versions
    hours = world.server.hours.get(device.identity.device_id, daily(RULES.quiet_hours))
    for sound in sounds:
        assert sound.ended_at is not None
        assert sound.ended_at <= max(each.ends_by for each in versions) + slack, "after ends_by"
        heard = sound.started_at + slack, sound.ended_at - slack
        assert not is_quiet(hours, *heard), "in quiet hours"
        if sound.offset == 0:
            assert any(
                each.starts_at - slack
                <= sound.started_at
                <= each.starts_at
                + max(timedelta(seconds=each.late_limit_seconds), ON_TIME)
                + slack
                for each in versions
            ), "starts outside of its window"


def is_quiet(hours: Sequence[Hours], begin: datetime, end: datetime) -> bool:
    seconds = (end - begin).total_seconds()
    return seconds > 0 and silent_window(hours, OFFSET, begin, seconds) is not None


def assert_quotas(world: World, device: Device) -> None:
    """Where nobody changed a day that the device knew whole, its plan alone decides."""
    held = world.server.quotas.get(device.identity.device_id)
    if held is None:
        return
    assert isinstance(device.flash, NotingFlash)
    sounded = {sound.occurrence_id for sound in device.sounds}
    kept_back = {
        record.occurrence_id
        for (name, *_), record in world.server.journals.records.items()
        if name == device.identity.device_id
        and isinstance(record, Skipped)
        and record.reason is SkipReason.QUOTA
    }
    scopes = world.server.follows[device.identity.device_id]
    days: defaultdict[date, dict[str, Occurrence]] = defaultdict(dict)
    for name, each in world.server.occurrences.items():
        if each.is_item and each.schedule.scope in scopes:
            for version in each.versions:
                days[version.starts_at.astimezone(LOCAL).date()][name] = each
    for day, items in days.items():
        if items.keys() <= device.flash.ever_held and not any(
            each.cancelled
            or len(each.versions) > 1
            or each.changed_at.astimezone(LOCAL).date() >= day
            for each in items.values()
        ):
            over = quotas.over(
                quotas.on_day([held], day),
                {
                    name: quotas.Sound(at, at + timedelta(seconds=each.schedule.seconds))
                    for name, each in items.items()
                    for at in (each.carried.starts_at,)
                },
            )
            assert not over & sounded, "over quota"
            assert not (kept_back & items.keys()) - over, "kept back for a quota that holds it"


def assert_holds_the_newest(world: World, device: Device) -> None:
    assert device.player is not None
    wanted = world.server.wanted(device.identity.device_id)
    assert device.player.held == wanted
    documents = [read_own(world.server.tokens[key][1]) for key in wanted]
    programmes = [document for document in documents if isinstance(document, Programme)]
    assert device.player.items == merge_items(programmes)


def assert_explained(world: World, ledger: dict[Play, Settlement]) -> None:
    told = {(r.occurrence_id, device) for (device, *_), r in world.server.journals.records.items()}
    held = {
        (occurrence_id, device.identity.device_id)
        for device in world.devices
        if isinstance(device.flash, NotingFlash)
        for occurrence_id in device.flash.ever_held
    }
    for play, settlement in ledger.items():
        occurrence = world.server.occurrences[play[0]]
        assert settlement.state not in OPEN, settlement
        assert settlement.reason != Reason.UNEXPLAINED, settlement
        assert (settlement.state is PlayState.PLAYED) == (settlement.reason == ""), settlement
        if occurrence.schedule.on_preempt is not OnPreempt.RESTART and not occurrence.is_live:
            assert settlement.fresh_starts <= 1, settlement
        if occurrence.cancelled is None:
            assert (play in told) == (play in held), settlement
        if play not in held and occurrence.cancelled is None:
            # A programme that comes before the config is refused for its scope.
            refused = settlement.reason == Reason.REFUSED and play[1] in world.server.refused
            assert refused or settlement.reason in NEVER_HELD, settlement


def assert_independent_of_delivery(world: World, ledger: dict[Play, Settlement]) -> None:
    messages = world.server.playbacks * 2
    world.chance.shuffle(messages)
    again = Journals()
    for device_id, message, received_at in messages:
        again.take(device_id, message, received_at)
    assert world.server.ledger(again) == ledger


# Weeks -------------------------------------------------------------------------------------------


def local(hour: int, minute: int = 0) -> datetime:
    """A first start on the Monday on which worlds begin."""
    return datetime.combine(START.astimezone(LOCAL).date(), time(hour, minute), LOCAL)


def week() -> list[Schedule]:
    """What a province and its communes put out in an ordinary week."""
    return [
        Schedule("news", PROVINCE, local(5), "FREQ=DAILY;BYHOUR=5,17", seconds=180),
        Schedule(
            "notice", COMMUNE, local(5, 1), "FREQ=DAILY",
            seconds=120, class_=BulletinClass.PRIORITY,
        ),
        Schedule(
            "music", VILLAGE, local(11), "FREQ=WEEKLY;BYDAY=MO,WE,FR,SU",
            seconds=300, on_preempt=OnPreempt.DROP,
        ),
        Schedule(
            "siren", COMMUNE, local(11, 2), "FREQ=DAILY;INTERVAL=2",
            seconds=45, class_=BulletinClass.EMERGENCY, late_limit_seconds=0,
        ),
        Schedule(
            "n50", PROVINCE, local(23), "FREQ=DAILY", seconds=60,
        ),  # somebody switched the server's quiet hours off
        Schedule(
            "n40", PROVINCE, local(17, 1), "FREQ=DAILY",
            seconds=200, on_preempt=OnPreempt.RESTART, late_limit_seconds=1200,
        ),
        Schedule("n41", COMMUNE, local(17, 5), "FREQ=DAILY", seconds=100,
                 class_=BulletinClass.PRIORITY, late_limit_seconds=60),
        Schedule("n42", "device/d0", local(21, 57), "FREQ=DAILY;COUNT=9", seconds=150,
                 late_limit_seconds=900),
    ]  # fmt: skip


DEVICE_TROUBLES = ("crash", "cut", "unlink", "step", "redeliver")
SERVER_TROUBLES = (
    "forget", "away", "withdraw", "leave_out", "move", "urgent", "urgent", "alert",
)  # fmt: skip


AIMED = 0.5
"""Share of the troubles that come around a broadcast; the others hit silence as a rule."""


def troubles_of(days: int, devices: int, seed: int) -> list[Trouble]:
    """A few for every device and day, some for the server."""
    chance = random.Random(seed)
    end = days * DAY - 14 * HOUR

    def one(kind: str, device: int) -> Trouble:
        second = chance.randrange(end)
        if chance.random() < AIMED:
            hour = chance.choice([5, 11, 17])
            second += (hour - 8) * HOUR - second % DAY + chance.randrange(-900, 300)
        return Trouble(max(second, 0), kind, device, chance.randrange(101))

    own = [
        one(kind, device)
        for device in range(devices)
        for _ in range(days)
        for kind in DEVICE_TROUBLES
    ]
    common = [one(kind, chance.randrange(devices)) for kind in SERVER_TROUBLES * (days // 2)]
    withdrawals = [each for each in common if each.kind == "withdraw"]
    return [*own, *(each for each in common if each not in withdrawals[2:])]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("days", "devices", "loss", "seed"),
    [
        pytest.param(14, 20, 0.05, 1, id="two weeks of twenty devices"),
        pytest.param(21, 3, 0.25, 2, id="three weeks on a link that loses every fourth message"),
        pytest.param(14, 3, 0.0, 3, id="two weeks without loss"),
    ],
)
def test_weeks_of_trouble_leave_nothing_unexplained_and_nothing_heard_twice(
    days: int, devices: int, loss: float, seed: int
) -> None:
    plan = Plan(
        week(),
        troubles_of(days, devices, seed),
        days=days,
        devices=devices,
        loss=loss,
        seed=seed,
        heartbeat_seconds=600,
        rolls_every=3 * HOUR,
    )
    world = World(plan)
    world.live()
    ledger = assert_promises(world)
    states = {settlement.state for settlement in ledger.values()}
    assert {PlayState.PLAYED, PlayState.PARTIAL, PlayState.MISSED} <= states
    played = sum(settlement.state is PlayState.PLAYED for settlement in ledger.values())
    assert played > len(ledger) / 4


# Small worlds ------------------------------------------------------------------------------------


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    return Schedule(
        f"n{draw(st.integers(0, 49))}",
        draw(st.sampled_from([PROVINCE, COMMUNE, VILLAGE, "device/d0"])),
        START + timedelta(minutes=draw(st.integers(1, 600))),
        draw(st.sampled_from([None, "FREQ=DAILY", "FREQ=DAILY;BYHOUR=9,10,11;BYMINUTE=0,7"])),
        seconds=draw(st.sampled_from([7, 55, 240])),
        class_=draw(st.sampled_from(BulletinClass)),
        late_limit_seconds=draw(st.sampled_from([0, 30, 900])),
        on_preempt=draw(st.sampled_from(OnPreempt)),
    )


small_worlds = st.builds(
    Plan,
    st.lists(schedules(), min_size=1, max_size=6, unique_by=lambda each: each.name),
    st.lists(
        st.builds(
            Trouble,
            st.integers(0, 12 * HOUR - 1),
            st.sampled_from([*DEVICE_TROUBLES, *sorted(set(SERVER_TROUBLES))]),
            st.integers(0, 1),
            st.integers(0, 100),
        ),
        max_size=15,
    ),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    seed=st.integers(0, 1000),
)


@given(small_worlds)
@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.too_slow])
def test_whatever_goes_wrong_in_a_day_the_promises_hold(plan: Plan) -> None:
    world = World(plan)
    world.live()
    assert_promises(world)


@given(st.lists(schedules(), min_size=1, max_size=6, unique_by=lambda each: each.name))
@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.too_slow])
def test_what_meets_nothing_of_its_rank_on_the_grid_is_played_on_the_second(
    planned: list[Schedule],
) -> None:
    world = World(Plan(planned))
    world.live()
    ledger = assert_promises(world)
    for device in world.devices:
        scopes = world.server.follows[device.identity.device_id]
        here = [o for o in world.server.occurrences.values() if o.schedule.scope in scopes]
        # What waits or is interrupted may sound until its `ends_by`.
        outcomes: defaultdict[UUID, set[grid.Outcome]] = defaultdict(set)
        for pair in grid.overlaps(
            [slot(o, o.carried.starts_at + timedelta(seconds=o.schedule.seconds)) for o in here],
            [slot(o, o.carried.ends_by) for o in here],
        ):
            outcomes[pair.new.occurrence_id].add(pair.outcome)
        for occurrence in here:
            name = occurrence.carried.occurrence_id
            play = (name, device.identity.device_id)
            if play in ledger and outcomes[UUID(name)] <= {grid.Outcome.PREEMPTS}:
                assert ledger[play].state is PlayState.PLAYED
                assert ledger[play].start_error_ms is not None
                assert abs(ledger[play].start_error_ms or 0) <= MOMENT / timedelta(milliseconds=1)


def slot(occurrence: Occurrence, ends_at: datetime) -> grid.Slot:
    return grid.Slot(
        UUID(occurrence.carried.occurrence_id),
        occurrence.schedule.name,
        occurrence.carried.starts_at,
        ends_at,
        occurrence.carried.priority,
        frozenset({1}),
    )


# Autonomy ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("loses", ["server", "link"])
def test_a_device_plays_its_week_alone_and_nothing_after_its_programme_has_lapsed(
    loses: str,
) -> None:
    harness = Harness(START)
    server = Server(harness, heartbeat_seconds=600, span=timedelta(days=10))
    server.enrol("d0", ["51"])
    device = harness.add(
        Device(Identity(device_id="d0", keys=KEYS), NotingFlash("journal-d0"), ntp=False)
    )
    server.plan(Schedule("news", PROVINCE, local(5), "FREQ=DAILY;BYHOUR=5,11,17", seconds=300))
    harness.advance(HOUR)
    left_at, lapses_at = harness.now, START + timedelta(days=8)
    server.go_away()
    if loses == "link":
        harness.disconnect(device)
    harness.advance(9 * DAY)
    coming = sorted(
        (each.carried.starts_at, name)
        for name, each in server.occurrences.items()
        if left_at < each.carried.starts_at <= harness.now
    )
    held = [(at, name) for at, name in coming if at <= lapses_at]
    assert len(coming) > len(held) >= 3 * 7
    assert [sound.occurrence_id for sound in device.sounds] == [name for _, name in held]
    for sound, (at, _) in zip(device.sounds, held, strict=True):
        assert abs(sound.started_at - at) <= CLOCK_ERROR
    server.come_back()
    harness.connect(device)
    harness.advance(HOUR)
    ledger = server.ledger()
    for at, name in coming:
        expected = ("played", "") if at <= lapses_at else ("missed", "late")
        assert (ledger[name, "d0"].state, ledger[name, "d0"].reason) == expected
