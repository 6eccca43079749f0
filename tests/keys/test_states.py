"""In no order of events does a device that follows the contract refuse the current programme."""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast.keys import states
from broadcast.keys.states import Evidence, OwnKey, Ring, State
from broadcast.kit.errors import Conflict, NotFound
from tests.examples import examples

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
AREA = "area"


@dataclass
class Signed:
    """A document: who signed it, and as a config what it names."""

    revision: int
    kid: str
    names: frozenset[str] = frozenset()


@dataclass
class Device:
    """A device as wire.md §2 to §5 wants it, as far as keys go."""

    enrolled: frozenset[str]
    config: Signed | None = None
    programme: Signed | None = None
    online: bool = False
    refused: list[str] = field(default_factory=list)

    @property
    def pinned(self) -> frozenset[str]:
        return self.config.names if self.config else self.enrolled

    def config_came(self, new: Signed) -> None:
        if new.kid not in self.pinned:
            self.refused.append("config")
        elif self.config is None or new.revision > self.config.revision:
            self.config = new
            if self.programme is not None and self.programme.kid not in new.names:
                self.programme = None

    def programme_came(self, new: Signed) -> None:
        if self.config is None:
            return  # it follows no area yet
        if new.kid not in self.pinned:
            self.refused.append("programme")
        elif self.programme is None or new.revision > self.programme.revision:
            self.programme = new

    @property
    def held(self) -> dict[str, int]:
        return {
            name: document.revision
            for name, document in (("config", self.config), (AREA, self.programme))
            if document is not None
        }


@dataclass
class Database:
    """What the server knows; a backup is a copy of it."""

    ring: Ring
    own: dict[int, OwnKey] = field(default_factory=dict)
    names: dict[int, dict[int, frozenset[str]]] = field(default_factory=dict)
    """Device → revision of its config → the keys that it names."""
    configs: dict[int, Signed] = field(default_factory=dict)
    programme: Signed | None = None
    signed_since: int = 0
    """First revision of the programme under its present key."""
    held: dict[int, dict[str, int]] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)


class World:
    """A server, its broker and a few devices."""

    def __init__(self, devices: int, order: random.Random) -> None:
        self.clock = 0
        self.order = order
        self.able: set[str] = set()
        self.gaps = 0
        """How often a device that held a programme was left without."""
        self.db = Database(())
        self.make_key()
        self.devices = [Device(frozenset(states.named(self.db.ring))) for _ in range(devices)]
        self.step()

    @property
    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.clock)

    def make_key(self) -> None:
        self.clock += 1
        kid = f"key-{self.clock}"
        self.able.add(kid)
        self.db.ring = states.announce(self.db.ring, kid, "programme", self.now)

    def evidence(self, number: int) -> Evidence:
        db, held = self.db, self.db.held.get(number, {})
        known = [
            names for revision, names in sorted(db.names.get(number, {}).items())
            if revision <= held.get("config", 0)
        ]  # fmt: skip
        config = db.configs.get(number)
        return Evidence(
            NOW,
            (known[-1] if known else frozenset()) if "config" in held else None,
            heard=number in db.held,
            has_old=AREA in held and held[AREA] < db.signed_since,
            refused=number in db.refused
            and (config is None or held.get("config") != config.revision),
        )

    def step(self) -> None:
        """The leader: activate what all have pinned, sign what is not signed as it should be."""
        db = self.db
        waiting = states.announced(db.ring, "programme")
        known = [self.evidence(number) for number in range(len(self.devices))]
        if waiting is not None and not states.waits_for(db.ring, waiting.kid, known):
            db.ring = states.activate(db.ring, waiting.kid, self.now)
        self.sign()

    def sign(self) -> None:
        db = self.db
        signer = states.signing(db.ring, "programme")
        assert signer is not None
        if signer.kid not in self.able:
            return
        for number in range(len(self.devices)):
            own = states.own_key(db.ring, self.able, self.evidence(number), db.own.get(number))
            if own is None:
                db.own.pop(number, None)
            else:
                db.own[number] = own
        for number, device in enumerate(self.devices):
            own = db.own.get(number)
            kid = own.kid if own and own.signs else signer.kid
            names = frozenset([*states.named(db.ring), *([own.kid] if own else [])])
            config = db.configs.get(number)
            if config is None or (config.kid, config.names) != (kid, names):
                self.clock += 1
                db.configs[number] = Signed(self.clock, kid, names)
                db.names.setdefault(number, {})[self.clock] = names
                db.refused.discard(number)
                if device.online:
                    self.deliver(number, ["config"])
        if db.programme is None or db.programme.kid != signer.kid:
            self.clock += 1
            db.programme, db.signed_since = Signed(self.clock, signer.kid), self.clock
            for number, device in enumerate(self.devices):
                if device.online:
                    self.deliver(number, [AREA])

    def deliver(self, number: int, what: list[str]) -> None:
        device, db = self.devices[number], self.db
        for each in what:
            had = device.programme is not None
            if each == "config":
                follows = device.config is not None
                device.config_came(db.configs[number])
                if not follows and db.programme is not None:
                    device.programme_came(db.programme)  # it subscribes, and gets what is retained
            elif db.programme is not None:
                device.programme_came(db.programme)
            self.gaps += had and device.programme is None
        if "config" in device.refused:
            db.refused.add(number)

    # Events ----------------------------------------------------------------------------------

    def connect(self, number: int) -> None:
        self.devices[number].online = True
        self.db.held[number] = self.devices[number].held  # its boot, before it subscribes
        retained = ["config", AREA]
        self.order.shuffle(retained)
        self.devices[number].refused = [
            each for each in self.devices[number].refused if each != "config"
        ]
        self.deliver(number, retained)

    def disconnect(self, number: int) -> None:
        self.devices[number].online = False

    def beat(self, number: int) -> None:
        """A heartbeat, and the documents that it shows to be missing."""
        device, db = self.devices[number], self.db
        if not device.online:
            return
        db.held[number] = device.held
        signer = states.signing(db.ring, "programme")
        assert signer is not None
        own = db.own.get(number)
        by = own.kid if own and own.signs else signer.kid
        if by not in device.pinned or by not in self.able:
            return  # it would not take the command
        behind = [
            name
            for name, wanted in (("config", db.configs.get(number)), (AREA, db.programme))
            if wanted is not None and device.held.get(name, 0) < wanted.revision
        ]
        self.deliver(number, behind)

    def rotate(self) -> None:
        if states.announced(self.db.ring, "programme") is None:
            self.make_key()
            self.step()

    def retire(self) -> None:
        for key in self.db.ring:
            if key.state is State.REPLACED:
                self.db.ring = states.retire(self.db.ring, key.kid, self.now)
        self.step()

    def force(self) -> None:
        waiting = states.announced(self.db.ring, "programme")
        if waiting is not None:
            self.db.ring = states.activate(self.db.ring, waiting.kid, self.now)
            self.sign()

    def lose_flash(self, number: int) -> None:
        device = self.devices[number]
        device.config = device.programme = None
        if device.online:
            self.connect(number)

    def restore(self, backup: Database) -> None:
        """An older database; a person adopts the keys that it does not know."""
        self.db = deepcopy(backup)
        for kid in sorted(self.able - {key.kid for key in self.db.ring}):
            self.db.ring = states.announce(self.db.ring, kid, "programme", self.now)
        self.clock += 1
        for number in range(len(self.devices)):
            self.db.configs.pop(number, None)  # issued anew, above what the broker retains
        self.db.programme = None
        self.sign()

    def everybody(self) -> None:
        """Everybody connects, and says what it holds."""
        for number in range(len(self.devices)):
            self.connect(number)
            self.beat(number)

    def settle(self) -> None:
        """Everything is there, for a while."""
        for _ in range(2 * len(self.able) + 4):
            self.everybody()
            self.step()

    def deaf(self) -> list[int]:
        return [
            number
            for number, device in enumerate(self.devices)
            if (device.config, device.programme) != (self.db.configs[number], self.db.programme)
        ]


DEVICES = 3
ORDINARY = ("rotate", "retire", "step", "connect", "disconnect", "beat")
DEVICE_EVENTS = ("connect", "disconnect", "beat", "lose_flash")


def _run(world: World, events: list[tuple[str, int]], *, known: Any = None) -> None:
    backup = deepcopy(world.db)
    for name, number in events:
        if name == "backup":
            backup = deepcopy(world.db)
        elif name == "restore":
            world.restore(backup)
        elif name in DEVICE_EVENTS:
            getattr(world, name)(number)
        else:
            getattr(world, name)()


def _events(*names: str) -> st.SearchStrategy[list[tuple[str, int]]]:
    return st.lists(st.tuples(st.sampled_from(names), st.integers(0, DEVICES - 1)), max_size=60)


@given(_events(*ORDINARY), st.randoms(use_true_random=False))
@settings(max_examples=examples(600))
def test_a_rotation_is_refused_by_nobody_and_interrupts_nothing(
    events: list[tuple[str, int]], order: random.Random
) -> None:
    world = World(DEVICES, order)
    _run(world, events)
    assert [device.refused for device in world.devices] == [[]] * DEVICES
    assert world.gaps == 0
    world.settle()
    assert world.deaf() == []
    assert [device.refused for device in world.devices] == [[]] * DEVICES


@given(
    _events(*ORDINARY, "force", "lose_flash", "backup", "restore"),
    st.randoms(use_true_random=False),
)
@settings(max_examples=examples(600))
def test_whatever_is_forced_lost_or_restored_every_device_hears_in_the_end(
    events: list[tuple[str, int]], order: random.Random
) -> None:
    world = World(DEVICES, order)
    _run(world, events)
    world.settle()
    assert world.deaf() == []


def test_a_device_that_was_away_for_the_whole_change_is_called_by_the_key_it_knows() -> None:
    world = World(1, random.Random(0))
    world.connect(0)
    world.beat(0)
    world.disconnect(0)
    old = world.devices[0].pinned
    world.rotate()
    world.force()
    world.retire()
    [new] = states.named(world.db.ring)
    assert new not in old
    assert world.db.configs[0].kid in old, "it would refuse any other"
    assert world.db.programme is not None
    assert world.db.programme.kid == new
    world.settle()
    assert world.devices[0].pinned == {new}
    assert world.db.own == {}


def test_devices_that_obey_a_key_of_after_the_backup_are_found_out_by_their_refusals() -> None:
    world = World(2, random.Random(0))
    world.everybody()
    backup = deepcopy(world.db)
    world.rotate()
    world.everybody()
    world.step()
    world.everybody()
    world.retire()
    world.everybody()
    [new] = states.named(world.db.ring)
    assert {device.pinned for device in world.devices} == {frozenset([new])}
    world.restore(backup)
    world.settle()
    assert world.deaf() == []
    assert any(device.refused for device in world.devices), "nothing else could have told"


def test_a_device_keeps_its_programme_until_it_has_the_one_of_the_new_key() -> None:
    world = World(1, random.Random(0))
    world.everybody()
    world.rotate()
    world.everybody()
    world.disconnect(0)
    world.step()
    world.retire()
    [old] = {world.db.own[0].kid}
    assert old in world.db.configs[0].names
    world.settle()
    assert (world.gaps, world.deaf(), world.db.own) == (0, [], {})


def test_a_key_signs_only_when_whoever_was_heard_has_pinned_it() -> None:
    ring = states.announce((), "old", "programme", NOW)
    ring = states.announce(ring, "new", "programme", NOW)
    both, old = frozenset({"old", "new"}), frozenset({"old"})
    never = Evidence(NOW, None, heard=False)
    devices = [Evidence(NOW, both), Evidence(NOW, old), Evidence(NOW, None), never]
    assert states.waits_for(ring, "new", devices) == 2
    assert states.waits_for(ring, "old", devices[:2]) == 0


def test_the_two_uses_do_not_touch_each_other() -> None:
    ring = states.announce((), "p", "programme", NOW)
    ring = states.announce(ring, "a", "alert", NOW)
    ring = states.announce(ring, "b", "alert", NOW)
    ring = states.activate(ring, "b", NOW)
    assert [key.state for key in ring] == [State.SIGNING, State.REPLACED, State.SIGNING]
    assert states.named(ring) == ["p", "b", "a"]
    assert states.named(states.retire(ring, "a", NOW)) == ["p", "b"]


def test_a_stranger_on_this_machine_does_not_stand_in_for_the_key_that_signs() -> None:
    ring = states.announce((), "ours", "programme", NOW)
    assert [key.kid for key in states.missing(ring, {"stranger"})] == ["ours"]
    assert states.missing(ring, {"stranger", "ours"}) == []


def test_a_key_goes_on_and_never_back() -> None:
    ring = states.announce((), "old", "programme", NOW)
    with pytest.raises(Conflict, match="đã có"):
        states.announce(ring, "old", "programme", NOW)
    with pytest.raises(Conflict, match="đang ký"):
        states.retire(ring, "old", NOW)
    with pytest.raises(Conflict, match="đã công bố"):
        states.activate(ring, "old", NOW)
    ring = states.activate(states.announce(ring, "new", "programme", NOW), "new", NOW)
    ring = states.retire(ring, "old", NOW)
    assert states.retire(ring, "old", NOW + timedelta(days=1)) == ring
    with pytest.raises(Conflict, match="đã công bố"):
        states.activate(ring, "old", NOW)
    for name in ("", "nobody"):
        with pytest.raises(NotFound):
            states.find(ring, name)
