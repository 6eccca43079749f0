"""One outage for the devices lost together, whatever the order in which it became known."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.incidents.grouping import (
    ContactLoss,
    CorrelatedOutage,
    Group,
    Kind,
    Limits,
    assign_ids,
    decide,
)
from tests.devices.fleet import EIGHT, MINUTE, SECOND

LIMITS = Limits(window=5 * MINUTE, devices=3, share=0.5, calm=15 * MINUTE, hold=90 * SECOND)
PROVINCE = Group(Kind.PROVINCE, "51")


def groups_of(
    device_id: int, commune: int, feed: str | None, operator: str, village: int
) -> tuple[int, list[Group]]:
    code = f"210{commune:02}"
    groups = [
        PROVINCE,
        Group(Kind.OPERATOR, operator),
        Group(Kind.OPERATOR, operator, code),
        Group(Kind.COMMUNE, code),
        Group(Kind.VILLAGE, f"{code}-{village}"),
    ]
    return device_id, [*groups, Group(Kind.POWER_FEED, feed)] if feed else groups


def province(communes: int = 20, each: int = 30) -> dict[int, list[Group]]:
    """Devices 1000·commune + n: feed A–C by tens, every third with MOBI, villages of five."""
    return dict(
        groups_of(
            1000 * commune + n,
            commune,
            f"{commune}{'ABC'[n // 10]}",
            "MOBI" if n % 3 == 0 else "VIETTEL",
            n // 5,
        )
        for commune in range(communes)
        for n in range(each)
    )


PLACES = province()


def fell(devices: Sequence[int], at: float = 0, *, offline: bool = False) -> list[ContactLoss]:
    """Falls within the minute after 08:00 + `at` minutes, as heartbeats tell them."""
    return [
        ContactLoss(EIGHT + at * MINUTE + (device * 7 % 60) * SECOND, device, offline=offline)
        for device in devices
    ]


def devices_in(group: Group) -> list[int]:
    return [device for device, groups in PLACES.items() if group in groups]


def outcome(incidents: Sequence[CorrelatedOutage]) -> dict[Group, set[int]]:
    assert len({incident.group for incident in incidents}) == len(incidents)
    return {incident.group: {loss.device_id for loss in incident.losses} for incident in incidents}


@pytest.mark.parametrize(
    "group",
    [
        Group(Kind.POWER_FEED, "3B"),
        Group(Kind.COMMUNE, "21003"),
        Group(Kind.OPERATOR, "VIETTEL", "21003"),
        Group(Kind.OPERATOR, "VIETTEL"),
        Group(Kind.OPERATOR, "MOBI"),
        PROVINCE,
    ],
)
def test_whole_group_is_one_incident_of_just_this_group(group: Group) -> None:
    devices = devices_in(group)
    assert outcome(decide(fell(devices), [], PLACES, LIMITS)) == {group: set(devices)}


def test_village_that_is_all_that_fell_is_named() -> None:
    village = Group(Kind.VILLAGE, "21003-1")
    devices = devices_in(village)  # half of the feed's, but the other half did not fall
    assert outcome(decide(fell(devices), [], PLACES, LIMITS)) == {village: set(devices)}


def test_commune_of_which_one_feed_fell_is_the_feeds_and_the_other_fall_its_own() -> None:
    # Two feeds of three and one more device: 21 of 30 of the commune.
    devices = [*range(3000, 3020), 3025]
    together = outcome(decide(fell(devices, offline=True), [], PLACES, LIMITS))
    assert together == {Group(Kind.COMMUNE, "21003"): set(devices)}
    feed = [*range(3000, 3010)]
    alone = outcome(decide(fell([*feed, 3025], offline=True), [], PLACES, LIMITS))
    assert alone == {
        Group(Kind.POWER_FEED, "3A"): set(feed),
        Group(Kind.DEVICE, "3025"): {3025},
    }


def test_storm_that_takes_six_tenths_of_everything_is_the_provinces() -> None:
    devices = [d for d in PLACES if random.Random(d).random() < 0.6]
    decided = outcome(decide(fell(devices), [], PLACES, LIMITS))
    assert decided[PROVINCE] == set(devices)


def test_silence_of_one_device_is_no_incident_until_it_is_offline() -> None:
    assert decide(fell([3000]), [], PLACES, LIMITS) == []
    (alone,) = decide(fell([3000], offline=True), [], PLACES, LIMITS)
    assert alone.group == Group(Kind.DEVICE, "3000")


def test_losses_far_apart_are_no_group() -> None:
    losses = [fell([3000 + n], at=6 * n, offline=True)[0] for n in range(10)]
    assert {each.group.kind for each in decide(losses, [], PLACES, LIMITS)} == {Kind.DEVICE}


def test_device_that_was_down_before_neither_counts_nor_belongs() -> None:
    feed = devices_in(Group(Kind.POWER_FEED, "3A"))
    long_gone = [
        CorrelatedOutage(Group(Kind.DEVICE, str(device)), fell([device], at=-9000), id=device)
        for device in feed[:6]
    ]
    decided = decide(fell(feed[6:]), long_gone, PLACES, LIMITS)
    new = [incident for incident in decided if incident.id is None]
    assert outcome(new) == {Group(Kind.POWER_FEED, "3A"): set(feed[6:])}


def test_later_loss_joins_while_half_are_down() -> None:
    feed = devices_in(Group(Kind.POWER_FEED, "3A"))
    first = fell(feed[:8])
    (late,) = fell(feed[9:], at=60)
    down = CorrelatedOutage(Group(Kind.POWER_FEED, "3A"), first, id=7)
    (joined,) = decide([late], [down], PLACES, LIMITS)
    assert (joined.id, late in joined.losses) == (7, True)
    back = [loss._replace(returned_at=EIGHT + 20 * MINUTE) for loss in first[:5]]
    mostly_back = CorrelatedOutage(Group(Kind.POWER_FEED, "3A"), [*back, *first[5:]], id=7)
    (stays, alone) = decide([late._replace(offline=True)], [mostly_back], PLACES, LIMITS)
    assert (len(stays.losses), alone.group.kind) == (8, Kind.DEVICE)


def test_second_wave_of_a_group_joins_its_first() -> None:
    feed = devices_in(Group(Kind.POWER_FEED, "3A"))
    first = CorrelatedOutage(Group(Kind.POWER_FEED, "3A"), fell(feed[:5]), id=7)
    (joined,) = decide(fell(feed[5:], at=30), [first], PLACES, LIMITS)
    assert {loss.device_id for loss in joined.losses} == set(feed)


# --- properties ----------------------------------------------------------------------------------


@st.composite
def disasters(draw: st.DrawFn) -> list[ContactLoss]:
    """What may befall a province within half an hour: groups, singles, returns."""
    everything = sorted({group for groups in PLACES.values() for group in groups})
    losses: dict[int, ContactLoss] = {}
    for group in draw(st.lists(st.sampled_from(everything), max_size=4)):
        at, part = draw(st.integers(0, 25)), draw(st.sampled_from([1.0, 0.8, 0.5, 0.3]))
        rest = random.Random(draw(st.integers(0, 9)))
        chosen = [device for device in devices_in(group) if rest.random() < part]
        losses |= {loss.device_id: loss for loss in fell(chosen, at)}
    for device in draw(st.lists(st.sampled_from(sorted(PLACES)), max_size=20)):
        losses[device] = fell([device], draw(st.integers(0, 25)))[0]
    away = draw(st.sampled_from([None, 3, 12, 40]))
    return [
        loss._replace(
            returned_at=loss.fell_at + away * MINUTE if away and loss.device_id % 2 else None,
            offline=draw(st.booleans()),
        )
        if index < 40
        else loss
        for index, loss in enumerate(losses.values())
    ]


@given(disasters(), st.randoms(use_true_random=False))
def test_order_in_which_losses_become_known_does_not_matter(
    losses: list[ContactLoss], chance: random.Random
) -> None:
    decided = decide(losses, [], PLACES, LIMITS)
    chance.shuffle(losses)
    places = list(PLACES.items())
    chance.shuffle(places)
    again = decide(losses, [], dict(places), LIMITS)
    key = lambda incident: (incident.group, sorted(incident.losses))  # noqa: E731
    assert sorted(map(key, decided)) == sorted(map(key, again))


@given(disasters())
def test_every_offline_device_is_in_exactly_one_incident(losses: list[ContactLoss]) -> None:
    decided = decide(losses, [], PLACES, LIMITS)
    placed = [loss for incident in decided for loss in incident.losses]
    assert len(placed) == len(set(placed))
    assert {loss for loss in losses if loss.offline} <= set(placed) <= set(losses)


@given(disasters())
def test_incident_of_a_group_holds_its_devices_only_and_enough_of_them(
    losses: list[ContactLoss],
) -> None:
    for incident in decide(losses, [], PLACES, LIMITS):
        if incident.group.kind is Kind.DEVICE:
            assert [str(loss.device_id) for loss in incident.losses] == [incident.group.code]
            continue
        assert len({loss.device_id for loss in incident.losses}) >= LIMITS.devices
        assert all(incident.group in PLACES[loss.device_id] for loss in incident.losses)


@given(disasters(), disasters())
def test_settled_outages_keep_what_they_have(
    old: list[ContactLoss], new: list[ContactLoss]
) -> None:
    shift = timedelta(hours=3)
    gone = {loss.device_id for loss in old if loss.returned_at is None}
    settled = decide(old, [], PLACES, LIMITS)
    for number, incident in enumerate(settled):
        incident.id = number
    late = [
        f._replace(fell_at=f.fell_at + shift, returned_at=None)
        for f in new
        if f.device_id not in gone
    ]
    decided = decide(late, settled, PLACES, LIMITS)
    kept = {incident.id: incident for incident in decided if incident.id is not None}
    assert len(kept) == len(settled)
    for before in settled:
        assert before.id is not None
        after = kept[before.id]
        assert after.group == before.group
        assert after.losses[: len(before.losses)] == before.losses


@given(disasters(), st.data())
def test_incident_that_grows_goes_on_under_its_id_and_takes_over_the_others(
    losses: list[ContactLoss], data: st.DataObject
) -> None:
    known = data.draw(st.lists(st.sampled_from(losses), unique=True)) if losses else []
    before = decide(known, [], PLACES, LIMITS)
    changeable = {
        number: (incident.group, frozenset(loss.device_id for loss in incident.losses))
        for number, incident in enumerate(before)
    }
    decided = decide(losses, [], PLACES, LIMITS)
    kept, heirs = assign_ids(decided, changeable)
    ids = [id_ for id_ in kept if id_ is not None]
    assert sorted([*ids, *heirs]) == sorted(changeable)
    for id_, place in heirs.items():
        if place is not None:
            taken = {loss.device_id for loss in decided[place].losses}
            assert taken & changeable[id_][1]
    for incident, id_ in zip(decided, kept, strict=True):
        if id_ is not None:
            assert {loss.device_id for loss in incident.losses} & changeable[id_][1]
