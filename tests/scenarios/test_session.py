"""A session around a relay, within quotas, back to back: the planner's starts at players.

Whatever happens, the relay begins and ends at its second, and one voice at a time is heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast.areas.model import Level
from broadcast.grid.planner import Bounds, Entry, Filled, Kind, fill
from broadcast.grid.room import Room
from broadcast.kit.clock import LOCAL
from broadcast.schedules.priority import priority
from broadcast.wire.documents import Quotas, Stream
from broadcast.wire.fields import BulletinClass
from broadcast.wire.quotas import Sound as Sounding
from broadcast.wire.quotas import on_day
from device_sim.box import Identity
from device_sim.harness import Device, Harness, Sound
from device_sim.journal import Flash
from tests.device_sim.province import KEYS, START
from tests.examples import examples
from tests.scenarios.server import Schedule, Server

COMMUNE = "area/21550"
BEGIN = datetime.combine(START.astimezone(LOCAL).date(), datetime.min.time(), LOCAL) + timedelta(
    hours=9
)
"""An hour after the world begins."""
MOMENT = timedelta(milliseconds=10)
STREAM = Stream(url="http://radio.example/vov", codec="mp3")
RELAY = UUID(int=999)
N, P = BulletinClass.NORMAL, BulletinClass.PRIORITY


class Planned(NamedTuple):
    """An item of the session."""

    entry: Entry
    class_: BulletinClass


def item(number: int, seconds: float, class_: BulletinClass = N, kind: Kind = Kind.OWN) -> Planned:
    weight = priority(class_, Level.COMMUNE)
    return Planned(Entry(UUID(int=number), kind, seconds, weight), class_)


def relay(minute: int, seconds: int) -> Planned:
    at = BEGIN + timedelta(minutes=minute)
    entry = Entry(RELAY, Kind.RELAY, seconds, priority(N, Level.COMMUNE), at)
    return Planned(entry, N)


class Station:
    """A commune with a session, and two boxes: one that nothing befalls, and one at the end of
    the road."""

    def __init__(self, limits: Quotas | None = None) -> None:
        self.harness = Harness(START)
        self.server = Server(self.harness)
        self.room = Room(on_day([] if limits is None else [limits], BEGIN.date()), {})
        self.well, self.poor = [self._box(each, limits) for each in ("d0", "d1")]
        self._standing: dict[tuple[UUID, datetime], Schedule] = {}

    def _box(self, device_id: str, limits: Quotas | None) -> Device:
        self.server.enrol(device_id, [COMMUNE.removeprefix("area/")], quotas=limits)
        flash = Flash(f"journal-{device_id}")
        return self.harness.add(Device(Identity(device_id=device_id, keys=KEYS), flash))

    def put(self, items: Sequence[Planned], seconds: int) -> Filled:
        """Fill the session anew: what keeps its start keeps its occurrence."""
        ends_at = BEGIN + timedelta(seconds=seconds)
        filled = fill(
            [each.entry for each in items], Bounds(BEGIN, ends_at, False, None, (self.room,))
        )
        for key in self._standing.keys() - filled.starts.items():
            self.server.withdraw(self._standing.pop(key))
        by_id = {each.entry.id: each for each in items}
        for id_, at in filled.starts.items():
            if (id_, at) not in self._standing:
                entry, class_ = by_id[id_]
                schedule = Schedule(
                    str(id_.int), COMMUNE, at, seconds=entry.seconds, class_=class_,
                    late_limit_seconds=120, stream=None if entry.at is None else STREAM,
                )  # fmt: skip
                self.server.plan(schedule)
                self._standing[id_, at] = schedule
        return filled

    def heard(self, device: Device) -> list[tuple[UUID, Sound]]:
        """What sounded, by time."""
        names = self.server.occurrences
        found = [
            (UUID(int=int(names[each.occurrence_id].schedule.name)), each)
            for each in device.sounds
        ]
        return sorted(found, key=lambda pair: pair[1].started_at)


def assert_on_time(station: Station, items: Sequence[Planned], filled: Filled) -> None:
    """At a box that nothing befalls everything sounds whole, at the second at which it is to."""
    lengths = {each.entry.id: each.entry.seconds for each in items}
    heard = station.heard(station.well)
    assert [id_ for id_, _ in heard] == list(filled.starts)
    for id_, sound in heard:
        assert sound.ended_at is not None
        assert abs(sound.started_at - filled.starts[id_]) < MOMENT
        assert abs(sound.ended_at - sound.started_at - timedelta(seconds=lengths[id_])) < MOMENT


def assert_ends_hard(station: Station, begin: datetime, seconds: float) -> None:
    """Whatever befalls a box: nothing of the relay outside of its time, one voice at a time."""
    heard = station.heard(station.poor)
    for id_, sound in heard:
        assert sound.ended_at is not None
        if id_ == RELAY:
            assert sound.started_at >= begin - MOMENT
            assert sound.ended_at <= begin + timedelta(seconds=seconds) + MOMENT
    for (_, one), (_, two) in pairwise(heard):
        assert one.ended_at is not None
        assert one.ended_at <= two.started_at + MOMENT


def test_the_news_of_the_capital_at_its_minute_amid_the_commune_s_own() -> None:
    station = Station()
    items = [
        item(1, 30, kind=Kind.SIGNATURE), item(2, 200), item(3, 100), relay(5, 900), item(4, 60),
        item(5, 20, kind=Kind.CLOSING),
    ]  # fmt: skip
    station.put(items, 1500)
    station.harness.advance(1800)
    urgent = item(6, 240, P, Kind.ABOVE)
    items.insert(1, urgent)
    filled = station.put(items, 1500)
    assert [id_.int for id_ in filled.starts] == [1, 6, RELAY.int, 2, 4, 5]
    assert [id_.int for id_ in filled.dropped] == [3]
    station.harness.advance(7200)
    assert_on_time(station, items, filled)


LENGTHS = st.floats(5, 600).map(lambda seconds: round(seconds, 1))
ITEMS = st.lists(
    st.tuples(LENGTHS, st.sampled_from([N, N, P]), st.sampled_from([Kind.OWN, Kind.ABOVE])),
    max_size=6,
).map(lambda rows: [item(number, *row) for number, row in enumerate(rows)])
TROUBLES = st.lists(
    st.tuples(st.integers(3000, 6600), st.sampled_from(["cut", "unlink", "silence", "sound"])),
    max_size=6,
)


LIMITS = st.none() | st.builds(
    Quotas, sessions_per_day=st.none() | st.integers(1, 2),
    minutes_per_session=st.none() | st.integers(1, 30),
    minutes_per_day=st.none() | st.integers(1, 30),
)  # fmt: skip


@settings(max_examples=examples(30), deadline=None)
@given(
    ITEMS, st.integers(0, 6), st.integers(0, 6), st.integers(0, 20), st.integers(60, 1200),
    TROUBLES, st.integers(600, 2400), LIMITS,
)  # fmt: skip
def test_whatever_stands_around_it_and_whatever_happens(
    items: list[Planned], there: int, place: int, minute: int, seconds: int,
    troubles: list[tuple[int, str]], length: int, limits: Quotas | None,
) -> None:  # fmt: skip
    station = Station(limits)
    for second, kind in troubles:
        station.harness.at(second, partial(befall, station, kind))
    relayed = relay(minute, seconds)
    ends_at = BEGIN + timedelta(minutes=minute, seconds=seconds)
    alone = {RELAY: Sounding(relayed.entry.at or BEGIN, ends_at)}
    fits = minute * 60 + seconds <= length and station.room.holds(alone)
    items.insert(place, relayed)
    station.put(items[there:], length)
    station.harness.advance(1800)
    filled = station.put(items, length)
    assert (RELAY in filled.starts) is fits
    station.harness.advance(8000)
    assert_on_time(station, items, filled)
    assert relayed.entry.at is not None
    assert_ends_hard(station, relayed.entry.at, seconds)


def befall(station: Station, kind: str) -> None:
    match kind:
        case "cut":
            station.harness.power_cut(station.poor, 40)
        case "unlink":
            station.harness.disconnect(station.poor, 400)
        case "silence":
            station.harness.set_streams(station.poor, ())
        case _:
            station.harness.set_streams(station.poor, (STREAM.url,))
