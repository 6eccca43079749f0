"""Incidents open, grow and close by themselves, and what is closed stays closed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from broadcast.incidents.grouping import Group, Kind
from broadcast.incidents.lifecycle import (
    DownDevice,
    IncidentChanges,
    LossKey,
    OpenIncident,
    TrackedLoss,
    advance,
)
from tests.devices.fleet import EIGHT, MINUTE, SECOND
from tests.incidents.test_grouping import LIMITS, PLACES, devices_in, province

OFFLINE = 10 * MINUTE
SILENT = 150 * SECOND
FEED = Group(Kind.POWER_FEED, "3A")
SMALL = province(communes=3, each=10)


@dataclass
class World:
    """Devices that fall and return, and what the passes make of it."""

    places: dict[int, list[Group]] = field(default_factory=lambda: PLACES)
    down: dict[int, datetime] = field(default_factory=dict)
    back: dict[int, datetime] = field(default_factory=dict)
    open: list[OpenIncident] = field(default_factory=list)
    closed: dict[int, tuple[datetime, frozenset[LossKey]]] = field(default_factory=dict)
    superseded: set[int] = field(default_factory=set)
    ids: int = 0

    def fall(self, devices: list[int], at: datetime) -> None:
        for device in devices:
            self.down.setdefault(device, at + (device * 7 % 60) * SECOND)

    def rise(self, devices: list[int], at: datetime) -> None:
        for device in devices:
            if self.down.pop(device, None):
                self.back[device] = at

    def look(self, now: datetime) -> IncidentChanges:
        """Two passes, the second of which closes what the first saw recovered."""
        changes = self._pass(now)
        self._pass(now)
        return changes

    def _pass(self, now: datetime) -> IncidentChanges:
        """Silence is known after two and a half minutes, as the sweep finds it."""
        down_devices = {
            device: DownDevice(device, at, now - at >= OFFLINE)
            for device, at in self.down.items()
            if now - at >= SILENT
        }
        before = {incident.id: incident for incident in self.open}
        recovered = {incident.id for incident in self.open if incident.recovered_at is not None}
        changes = advance(
            self.open, down_devices, self.back, self.places, LIMITS,
            now=now, known_until=now - SILENT, offline=OFFLINE,
        )  # fmt: skip
        self.superseded |= changes.superseded.keys()
        for id_, at in changes.closed.items():
            assert id_ not in self.closed
            self.closed[id_] = at, frozenset(each.key for each in before[id_].losses)
        self.open = []
        for update in changes.open:
            if update.id is None:
                self.ids += 1
            id_ = self.ids if update.id is None else update.id
            noticed_at = now if update.id is None else before[id_].noticed_at
            self.open.append(OpenIncident(id_, update.group, noticed_at, update.losses))
        self.check(now, down_devices, recovered)
        return changes

    def check(
        self, now: datetime, down_devices: dict[int, DownDevice], recovered: set[int]
    ) -> None:
        ids = [incident.id for incident in self.open]
        assert len(ids) == len(set(ids))
        assert not set(ids) & (self.closed.keys() | self.superseded)
        places = [each for incident in self.open for each in incident.losses]
        down = [each.device_id for each in places if each.returned_at is None]
        assert len(down) == len(set(down))
        assert (
            {d for d, each in down_devices.items() if each.offline}
            <= set(down)
            <= set(down_devices)
        )
        keys = {each.key for each in places}
        assert len(keys) == len(places)
        for _, once in self.closed.values():
            assert not once & keys
        for incident in self.open:
            assert incident.losses
            over = incident.recovered_at
            if (
                incident.id in recovered
                and over is not None
                and not incident.may_change(now, LIMITS)
            ):
                assert over + LIMITS.calm > now - SILENT

    def standing(self) -> set[tuple[Group, frozenset[int]]]:
        """Groups with the devices that are down in them."""
        return {
            (
                incident.group,
                frozenset(e.device_id for e in incident.losses if not e.returned_at),
            )
            for incident in self.open
        }


def test_feed_is_one_incident_from_its_fall_to_its_return() -> None:
    world, feed = World(), devices_in(FEED)
    world.fall(feed, EIGHT)
    world.look(EIGHT + 4 * MINUTE)
    (incident,) = world.open
    assert (incident.group, len(incident.losses)) == (FEED, 10)
    world.rise(feed, EIGHT + 50 * MINUTE)
    world.look(EIGHT + 51 * MINUTE)
    assert world.open[0].recovered_at == EIGHT + 50 * MINUTE
    assert not world.closed
    world.look(EIGHT + 68 * MINUTE)
    assert world.closed[incident.id][0] == EIGHT + 50 * MINUTE
    assert not world.open


def test_flapping_member_opens_no_second_incident() -> None:
    world, feed = World(), devices_in(FEED)
    world.fall(feed, EIGHT)
    world.look(EIGHT + 4 * MINUTE)
    for turn in range(6):
        at = EIGHT + (20 + 12 * turn) * MINUTE
        world.rise(feed[:1], at)
        world.look(at)
        world.fall(feed[:1], at + 5 * MINUTE)
        world.look(at + 8 * MINUTE)
    (incident,) = world.open
    assert (world.ids, len(incident.losses)) == (1, 10)


def test_single_device_that_was_back_for_a_moment_is_still_offline() -> None:
    world = World()
    world.fall([3000], EIGHT)
    world.look(EIGHT + 11 * MINUTE)
    world.rise([3000], EIGHT + 12 * MINUTE)
    world.look(EIGHT + 12 * MINUTE)
    world.fall([3000], EIGHT + 13 * MINUTE)
    world.look(EIGHT + 16 * MINUTE)  # silent again, not yet offline
    (incident,) = world.open
    assert (incident.id, incident.recovered_at, world.superseded) == (1, None, set())


def test_new_fall_after_the_calm_is_a_new_incident() -> None:
    world = World()
    for turn in range(2):
        at = EIGHT + turn * 2 * 60 * MINUTE
        world.fall([3000], at)
        world.look(at + 11 * MINUTE)
        world.rise([3000], at + 30 * MINUTE)
        world.look(at + 50 * MINUTE)
    assert (len(world.closed), world.open) == (2, [])


def test_incident_of_a_commune_is_taken_over_by_the_one_it_was_part_of() -> None:
    world = World()
    operator = Group(Kind.OPERATOR, "VIETTEL")
    first = devices_in(Group(Kind.OPERATOR, "VIETTEL", "21003"))
    world.fall(first, EIGHT)
    world.look(EIGHT + 5 * MINUTE)
    (small,) = world.open
    assert small.group == Group(Kind.OPERATOR, "VIETTEL", "21003")
    world.fall(devices_in(operator), EIGHT + 2 * MINUTE)
    world.look(EIGHT + 6 * MINUTE)
    (grown,) = world.open
    assert (grown.id, grown.group) == (small.id, operator)
    assert len(grown.losses) == len(devices_in(operator))


def test_singles_are_absorbed_by_the_group_that_they_were_the_first_of() -> None:
    world, feed = World(), devices_in(FEED)
    # Two fell and were noticed as offline; the messages of the rest were still waiting.
    world.fall(feed[:2], EIGHT)
    world.look(EIGHT + 12 * MINUTE)
    assert {incident.group.kind for incident in world.open} == {Kind.DEVICE}
    world.fall(feed[2:], EIGHT)
    changes = world.look(EIGHT + 13 * MINUTE)
    (incident,) = world.open
    assert (incident.group, len(incident.losses), incident.id) == (FEED, 10, 1)
    assert changes.superseded == {2: 1}


def test_device_that_is_taken_down_leaves_its_incident() -> None:
    world = World()
    world.fall([3000], EIGHT)
    world.look(EIGHT + 11 * MINUTE)
    del world.down[3000]  # no return on record
    world.look(EIGHT + 30 * MINUTE)
    assert world.open[0].recovered_at == EIGHT + 30 * MINUTE


def test_while_the_server_was_away_nothing_is_over() -> None:
    feed = devices_in(FEED)
    back = [TrackedLoss(d, EIGHT, EIGHT, EIGHT + MINUTE) for d in feed]
    changes = advance(
        [OpenIncident(1, FEED, EIGHT, back)], {}, {}, PLACES, LIMITS,
        now=EIGHT + 600 * MINUTE, known_until=EIGHT + 5 * MINUTE, offline=OFFLINE,
    )  # fmt: skip
    assert (len(changes.open), changes.closed) == (1, {})


# --- properties ----------------------------------------------------------------------------------


@st.composite
def falls(draw: st.DrawFn, until: int) -> dict[int, int]:
    """Device → second at which it fell."""
    everything = sorted({group for groups in SMALL.values() for group in groups})
    found: dict[int, int] = {}
    for group in draw(st.lists(st.sampled_from(everything), max_size=3)):
        at = draw(st.integers(0, until))
        for device, groups in SMALL.items():
            if group in groups and draw(st.integers(0, 9)):
                found.setdefault(device, at + device * 7 % 60)
    for device in draw(st.lists(st.sampled_from(sorted(SMALL)), max_size=5)):
        found.setdefault(device, draw(st.integers(0, until)))
    return found


@given(falls(300), st.randoms(use_true_random=False), st.lists(st.integers(1, 400), max_size=8))
def test_chunks_in_which_falls_become_known_end_in_the_same_incidents(
    fallen: dict[int, int], chance: random.Random, pauses: list[int]
) -> None:
    start = EIGHT + 3 * MINUTE
    at_once, piecemeal = World(SMALL), World(SMALL)
    for device, second in fallen.items():
        at_once.down[device] = EIGHT + second * SECOND
    order = sorted(fallen)
    chance.shuffle(order)
    now = start
    for pause in pauses:
        some = order[: max(1, len(order) // 3)]
        del order[: len(some)]
        piecemeal.down |= {device: EIGHT + fallen[device] * SECOND for device in some}
        now = min(now + pause * SECOND, start + LIMITS.calm - SECOND)
        piecemeal.look(now)
    piecemeal.down |= {device: EIGHT + fallen[device] * SECOND for device in order}
    end = start + LIMITS.calm - SECOND
    piecemeal.look(end)
    at_once.look(end)
    assert piecemeal.standing() == at_once.standing()


@given(st.data())
def test_through_any_hours_of_falls_and_returns(data: st.DataObject) -> None:
    """`World.check` holds after every pass: see there."""
    world, now = World(SMALL), EIGHT
    for _ in range(data.draw(st.integers(1, 12))):
        now += timedelta(seconds=data.draw(st.integers(5, 1500)))
        some = data.draw(falls(0))
        if data.draw(st.booleans()):
            world.fall(sorted(some), now - 2 * MINUTE)
        else:
            world.rise(sorted(some), now)
        world.look(now)
    world.rise(sorted(world.down), now)
    world.look(now)
    world.look(now + 2 * LIMITS.calm + SILENT)
    assert world.open == []
