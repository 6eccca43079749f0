"""A month of a province in memory: every commune with programmes of its own, edited by people.

There are alerts and live speech, and Quy chế with silent hours and quotas in every fourth commune.

What the province plans, and what befalls the server, follow from the seed alone; nothing that a
device says changes it. So a part of the communes can be simulated apart from the others and hears
the same as in the whole, which is how a benchmark uses two processes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.kit.quiet import daily
from broadcast.live.packing import FRAME_MS, Packer
from broadcast.plays.settle import Reason
from broadcast.regulations import rules
from broadcast.regulations.rules import Provisions, Weekend, Window
from broadcast.wire.documents import Hours, Quotas
from broadcast.wire.fields import BulletinClass, OnPreempt
from broadcast.wire.live import Packet, key_text, seal
from device_sim.box import Identity
from device_sim.harness import Device
from tests.device_sim.province import KEYS, START
from tests.scenarios.server import RULES as SETTINGS
from tests.scenarios.server import Schedule
from tests.scenarios.test_back_to_back import (
    DAY,
    HOUR,
    PROVINCE,
    NotingFlash,
    Plan,
    Trouble,
    World,
    assert_promises,
    troubles_of,
)

COMMUNES = 96
FIRST_DAY: date = START.astimezone(LOCAL).date()


REGULATED = 4
"""Every so manieth commune has a Quy chế of its own."""

REGULATION = Provisions(
    silent=(Window("20:00", "05:30"), Window("12:00", "13:30")),
    limited=(Window("05:30", "06:30", volume=60),),
    weekend=Weekend.SILENT,
    sessions_per_day=2,
    minutes_per_day=4,
)
"""Its mornings begin later than those of the province, whose news at 5:00 are silent there."""

SPEECH_SECONDS = 9


class Told(NamedTuple):
    """What a month came to.

    Attributes:
        spoken: Sounds of live speech.
        over_quota: Plays that were left out because of a quota.
        kept_silent: Plays that were left out because of silent hours.
    """

    devices: int
    plays: int
    sounds: int
    spoken: int
    over_quota: int
    kept_silent: int
    states: Counter[str]


@dataclass
class Size:
    """How much is simulated.

    Attributes:
        communes: Numbers of those in this world, of 0 to 95.
        clusters: Of each commune, in two villages.
    """

    days: int = 30
    communes: Sequence[int] = range(COMMUNES)
    clusters: int = 1
    seed: int = 1
    loss: float = 0.02


def area(commune: int, village: int | None = None) -> str:
    """Scope of a commune, or of one of its two villages."""
    return f"area/{21000 + commune}" + ("" if village is None else f"0{1 + village}")


class Month(World):
    """The communes of a province, and their people."""

    def __init__(self, size: Size) -> None:
        self.size = size
        devices = size.clusters * len(size.communes)
        super().__init__(
            Plan(
                [*news(), *(each for c in size.communes for each in programme_of(c, size.seed))],
                [*server_troubles(size), *device_troubles(size)],
                days=size.days,
                devices=devices,
                loss=size.loss,
                seed=size.seed,
                heartbeat_seconds=3600,
                rolls_every=6 * HOUR,
            )
        )

    def device(self, number: int) -> Device:
        """Every fourth has no NTP."""
        commune = self.size.communes[number // self.size.clusters]
        scopes = area(commune), area(commune, number % 2)
        device_id = f"{21000 + commune}-{number % self.size.clusters}"
        codes = ["51", *(each.removeprefix("area/") for each in scopes)]
        if commune % REGULATED:
            self.server.enrol(device_id, codes)
        else:
            self.server.enrol(device_id, codes, *regulated())
        return self.harness.add(
            Device(
                Identity(device_id=device_id, keys=KEYS),
                NotingFlash(f"journal-{device_id}"),
                ntp=number % 4 != 1,
                skew=timedelta(minutes=self.chance.randint(-3000, 3000)),
            )
        )

    def storm(self, _device: Device, amount: int) -> None:
        """Every third commune has no power, or no link, for up to half a day."""
        for number, device in enumerate(self.devices):
            commune = self.size.communes[number // self.size.clusters]
            if commune % 3 == amount % 3:
                how = self.harness.power_cut if number % 2 else self.harness.disconnect
                how(device, 1800 + amount * 400)

    def warn(self, _device: Device, amount: int) -> None:
        """An emergency in the province or in a commune, at any hour."""
        now = self.harness.now
        scope = PROVINCE if amount % 4 == 0 else area(amount % COMMUNES)
        if self.server.away_since is None:
            valid = timedelta(minutes=10 + amount)
            self.server.alert(f"alert {now:%m%dT%H%M%S}", scope, 20 + amount % 30, valid)

    def speak(self, _device: Device, amount: int) -> None:
        """Somebody speaks live to a commune, while the link loses what it loses."""
        now, commune = self.harness.now, amount % COMMUNES
        if self.server.away_since is not None or not 8 <= now.astimezone(LOCAL).hour < 19:
            return
        key = Ed25519PrivateKey.generate()
        name = f"speech {commune} {now:%m%dT%H%M%S}"
        session = self.server.speak(name, area(commune), SPEECH_SECONDS, key_text(key))
        if commune not in self.size.communes:
            return  # nobody here hears it
        name, packer = session.carried.occurrence_id, Packer()

        def say(packet: Packet | None) -> None:
            if packet is not None:
                self.harness.publish(f"live/{name}/sound", seal(packet, name, key), retain=False)

        count = SPEECH_SECONDS * 1000 // FRAME_MS
        for number in range(count):
            self.harness.at(
                (number + 1) * FRAME_MS / 1000,
                lambda number=number: say(packer.add(number, number.to_bytes(4, "big"))),
            )
        self.harness.at(SPEECH_SECONDS + 0.001, lambda: say(packer.last()))

    def change(self, _device: Device, amount: int) -> None:
        """This and following: a commune's series ends, another takes its place."""
        now, scope = self.harness.now, area(amount % COMMUNES)
        standing = [
            each
            for each in self.server.schedules
            if each.scope == scope and each.rrule and not each.withdrawn
        ]
        if not standing or self.server.away_since is not None:
            return
        old = standing[amount % len(standing)]
        starts_at = datetime.combine(now.astimezone(LOCAL).date(), time(6 + amount % 12), LOCAL)
        self.server.withdraw(old)
        self.server.plan(
            Schedule(
                f"series {amount % COMMUNES} {now:%m%dT%H%M%S}",
                scope,
                starts_at + timedelta(days=1),
                old.rrule,
                seconds=old.seconds,
                class_=old.class_,
                on_preempt=old.on_preempt,
            )
        )

    def once(self, _device: Device, amount: int) -> None:
        """A notice that sounds a single time, hours ahead."""
        starts_at = (self.harness.now + timedelta(minutes=10 + 7 * amount)).replace(microsecond=0)
        if self.server.away_since is not None:
            return
        commune = amount % COMMUNES
        name = f"notice {commune} {starts_at:%m%dT%H%M%S}"
        try:
            self.server.plan(
                Schedule(name, area(commune), starts_at, seconds=30, class_=BulletinClass.PRIORITY)
            )
        except InvalidInput:  # quiet hours
            return

    def told(self) -> Told:
        """Judge the month by the promises.

        Raises:
            AssertionError: One of them is broken.
        """
        ledger = assert_promises(self)
        states = Counter(settlement.state.value for settlement in ledger.values())
        reasons = Counter(settlement.reason for settlement in ledger.values())
        sounds = [each.sha256 for device in self.devices for each in device.sounds]
        return Told(
            devices=len(self.devices),
            plays=len(ledger),
            sounds=len(sounds),
            spoken=sounds.count(None),
            over_quota=reasons[Reason.QUOTA],
            kept_silent=reasons[Reason.QUIET_HOURS],
            states=states,
        )


def regulated() -> tuple[list[Hours], Quotas]:
    """Hours and quotas of the communes that have a Quy chế."""
    found = rules.limits([REGULATION]).quotas
    return rules.hours([REGULATION], daily(SETTINGS.quiet_hours)), Quotas(**found._asdict())


def at(hour: int, minute: int = 0) -> datetime:
    """A first start on the first day."""
    return datetime.combine(FIRST_DAY, time(hour, minute), LOCAL)


def news() -> list[Schedule]:
    """What the province puts out."""
    return [
        Schedule("news", PROVINCE, at(5), "FREQ=DAILY;BYHOUR=5,17", seconds=60),
        Schedule("farming", PROVINCE, at(11), "FREQ=WEEKLY;BYDAY=TU,SA", seconds=90),
        Schedule("n50", PROVINCE, at(23), "FREQ=DAILY", seconds=60),  # no server would plan it
    ]


RULES = (
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=3",
    "FREQ=WEEKLY;BYDAY=MO,WE,FR",
    "FREQ=WEEKLY;BYDAY=SA,SU",
    "FREQ=MONTHLY;BYMONTHDAY=1,15,-1",
)

CLASSES = BulletinClass.NORMAL, BulletinClass.NORMAL, BulletinClass.PRIORITY


def programme_of(commune: int, seed: int) -> list[Schedule]:
    """One to three series of a commune, at the hours at which the others have theirs, too."""
    chance = random.Random(f"{seed} {commune}")
    return [
        Schedule(
            f"series {commune} {number}",
            area(commune, chance.choice([None, None, 0, 1])),
            at(chance.choice([5, 6, 11, 17, 18]), chance.choice([0, 1, 15, 30])),
            chance.choice(RULES),
            seconds=chance.choice([20, 45, 90]),
            class_=chance.choice(CLASSES),
            late_limit_seconds=chance.choice([60, 300, 900]),
            on_preempt=chance.choice(list(OnPreempt)),
        )
        for number in range(chance.randint(1, 3))
    ]


SERVER_TROUBLES = {
    "away": 3, "forget": 4, "storm": 4, "warn": 20, "leave_out": 40, "move": 60, "change": 40,
    "once": 120, "speak": 40,
}  # fmt: skip
"""How often each happens in thirty days."""


def server_troubles(size: Size) -> list[Trouble]:
    """Those of the whole province, the same for every part of it."""
    chance = random.Random(size.seed)
    end = size.days * DAY - 14 * HOUR
    return [
        Trouble(chance.randrange(end), kind, 0, chance.randrange(101))
        for kind, times in SERVER_TROUBLES.items()
        for _ in range(max(1, times * size.days // 30))
    ]


def device_troubles(size: Size) -> list[Trouble]:
    """One of every kind for each device in ten days."""
    devices = size.clusters * len(size.communes)
    chance = random.Random(f"{size.seed} {size.communes}")
    often = [
        each
        for each in troubles_of(size.days, devices, size.seed)
        if each.kind in {"crash", "cut", "unlink", "step", "redeliver"}
    ]
    return [each for each in often if chance.random() < 0.1]
