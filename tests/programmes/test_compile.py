"""What a programme says, and when it is issued again."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from broadcast.kit.clock import LOCAL
from broadcast.programmes.compile import (
    CONFIG_REISSUE,
    CONFIG_VALID,
    PROGRAMME_VALID,
    Carried,
    held_until,
    is_equivalent,
    is_stale,
    issued,
    items,
    next_revision,
    programme,
)
from broadcast.wire.codec import decode, encode
from broadcast.wire.documents import Audio, Config, Passed, Programme
from broadcast.wire.envelope import SigningKey, Verifier
from broadcast.wire.fields import BulletinClass, Codec, OnPreempt
from broadcast.wire.limits import DOCUMENT_BYTES, ITEM_BYTES, MOST_ITEMS, MOST_PASSED, PASSED_BYTES

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
SPAN = timedelta(days=7)
UNTIL = NOW + SPAN
MINUTE = timedelta(minutes=1)
MP3 = Audio(sha256="a" * 64, bytes=20, seconds=60, codec=Codec.MP3)
WORST: dict[str, Any] = {
    "occurrence_id": str(UUID(int=2**128 - 1)), "bulletin_id": str(UUID(int=2**128 - 1)),
    "bulletin_revision": 2**31 - 1, "class_": BulletinClass.EMERGENCY, "priority": 255,
    "on_preempt": OnPreempt.RESTART, "volume": 100, "late_limit_seconds": 86_400,
    "ends_by": datetime(2026, 3, 2, 23, 59, 59, 999999, tzinfo=UTC),
    "audio": tuple(
        Audio(sha256="a" * 64, bytes=512 * 2**20, seconds=3599.1234567890123, codec=codec)
        for codec in Codec
    ),
    "seconds": 86399.123456,
}  # fmt: skip
"""Every field of an item as long as it can be, but for the title."""
OPUS = Audio(sha256="b" * 64, bytes=10, seconds=60, codec=Codec.OPUS)


def carried(number: int, starts_at: datetime = NOW + MINUTE) -> Carried:
    return Carried(
        occurrence_id=f"o-{number:05}", bulletin_id="b", bulletin_revision=1, title="Tin",
        class_=BulletinClass.PRIORITY, priority=128, on_preempt=OnPreempt.RESTART, volume=60,
        starts_at=starts_at, late_limit_seconds=300, ends_by=starts_at + 7 * MINUTE,
        audio=(MP3, OPUS),
    )  # fmt: skip


def test_an_item_says_all_that_a_device_needs() -> None:
    [item] = items([carried(1)], NOW, UNTIL)
    assert (item.occurrence_id, item.bulletin_revision, item.priority) == ("o-00001", 1, 128)
    assert (item.class_, item.on_preempt) == (BulletinClass.PRIORITY, OnPreempt.RESTART)
    assert (item.starts_at, item.ends_by) == (NOW + MINUTE, NOW + 8 * MINUTE)
    assert (item.late_limit_seconds, item.volume, item.title) == (300, 60, "Tin")
    assert [audio.codec for audio in item.audio] == [Codec.OPUS, Codec.MP3]


@given(st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)))  # noqa: DTZ001
def test_a_programme_reaches_to_a_local_midnight_at_least_its_span_away(moment: datetime) -> None:
    now = moment.replace(tzinfo=UTC)
    until = held_until(now, SPAN, LOCAL)
    assert now + SPAN < until <= now + SPAN + timedelta(days=1)
    assert until.astimezone(LOCAL).time() == time(0)


def test_a_programme_holds_what_has_not_ended_and_starts_within_the_span() -> None:
    starts = [
        NOW - 7 * MINUTE, NOW - 6 * MINUTE, NOW, NOW + SPAN - MINUTE, NOW + SPAN,
    ]  # fmt: skip
    wanted = items([carried(n, at) for n, at in enumerate(starts)], NOW, UNTIL)
    assert [item.starts_at for item in wanted] == starts[1:4]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=20), st.randoms())
def test_the_order_of_occurrences_is_of_no_account(
    offsets: list[int], chance: random.Random
) -> None:
    occurrences = [carried(n, NOW + offset * MINUTE) for n, offset in enumerate(offsets)]
    shuffled = list(occurrences)
    chance.shuffle(shuffled)
    first = programme("area/51", items(occurrences, NOW, UNTIL), 7, NOW)
    assert encode(first) == encode(programme("area/51", items(shuffled, NOW, UNTIL), 7, NOW))


def test_more_items_than_the_contract_allows_are_the_nearest_ones() -> None:
    occurrences = [carried(n, NOW + timedelta(seconds=n)) for n in range(MOST_ITEMS + 2)]
    document = programme("area/51", items(occurrences, NOW, UNTIL), 1, NOW)
    assert len(decode(encode(document), Programme).items) == MOST_ITEMS
    assert document.items[-1].occurrence_id == f"o-{MOST_ITEMS - 1:05}"


def test_what_a_document_does_not_hold_is_left_out_lowest_priority_first() -> None:
    low = [carried(n, NOW + timedelta(seconds=n)) for n in range(10)]
    high = [
        replace(carried(n, NOW + timedelta(seconds=n)), priority=129)
        for n in range(10, MOST_ITEMS + 3)
    ]
    held = [item.occurrence_id for item in items([*low, *high], NOW, UNTIL)]
    assert held == [each.occurrence_id for each in [*low[:7], *high]]


def test_five_thousand_items_with_the_longest_vietnamese_titles_are_signed_and_read() -> None:
    longest = [replace(carried(n), **WORST, title="ệ" * 200) for n in range(MOST_ITEMS)]
    document = programme("area/51", items(longest, NOW, UNTIL), 7, NOW)
    key = SigningKey.generate("programme")
    read = Verifier([key.public()]).document(key.sign(document))
    assert isinstance(read, Programme)
    assert len(read.items) == MOST_ITEMS


def test_no_item_is_longer_than_the_schedules_reckon_with() -> None:
    [item] = items([replace(carried(1), **WORST, title="")], NOW, UNTIL)
    assert len(encode(item)) + len('"title":"",') < ITEM_BYTES


def test_items_that_are_longer_than_that_are_left_out_until_the_document_is_read() -> None:
    """Titles of characters of four bytes: as many items as fit, and not one less."""
    huge = [replace(carried(n), **WORST, title="\U0001f4e2" * 200) for n in range(MOST_ITEMS)]
    longest = Passed("o" * 36, NOW.replace(microsecond=123456), 86399.123456)
    passed = [longest] * (MOST_PASSED + 1)
    document = programme("area/51", items(huge, NOW, UNTIL), 7, NOW, passed)
    key = SigningKey.generate("programme")
    token = key.sign(document)
    assert len(encode(longest)) + 1 <= PASSED_BYTES
    assert len(document.passed) == MOST_PASSED
    assert DOCUMENT_BYTES - 5000 < len(token) <= DOCUMENT_BYTES
    assert Verifier([key.public()]).document(token) == document


@given(
    st.lists(st.integers(-10, 60), max_size=8, unique=True),
    st.lists(st.integers(-10, 60), max_size=8, unique=True),
    st.integers(0, 80),
)
def test_only_what_is_new_to_a_device_is_news(
    before: list[int], after: list[int], minutes: int
) -> None:
    """What has ended meanwhile is no news; everything else that differs is."""

    def at(offsets: list[int], now: datetime) -> Programme:
        occurrences = [carried(offset + 10, NOW + offset * MINUTE) for offset in offsets]
        return programme("area/51", items(occurrences, now, UNTIL), 1, now)

    later = NOW + minutes * MINUTE
    held, compiled = at(before, NOW), at(after, later)
    live = {offset for offset in before if NOW + offset * MINUTE + 7 * MINUTE > later}
    live &= {offset for offset in before if NOW + offset * MINUTE + 7 * MINUTE > NOW}
    coming = {offset for offset in after if NOW + offset * MINUTE + 7 * MINUTE > later}
    assert is_equivalent(held, compiled, later) == (live == coming)


def test_any_changed_field_is_news() -> None:
    held = programme("area/51", items([carried(1)], NOW, UNTIL), 1, NOW)
    [item] = held.items
    for change in (
        {"volume": 61},
        {"starts_at": item.starts_at + MINUTE},
        {"ends_by": item.ends_by + MINUTE},
        {"bulletin_revision": 2},
        {"audio": [OPUS]},
        {"title": "Tin khác"},
    ):
        compiled = structs.replace(held, items=[structs.replace(item, **change)])
        assert not is_equivalent(held, compiled, NOW), change


def test_a_config_is_news_when_anything_but_its_times_differs() -> None:
    held = Config(
        scope="device/d", revision=3, issued_at=NOW, not_after=NOW, areas=["51"], keys=[]
    )
    later = structs.replace(held, revision=9, issued_at=NOW + SPAN, not_after=NOW + SPAN)
    assert is_equivalent(held, later, NOW)
    assert not is_equivalent(held, structs.replace(later, areas=[]), NOW)


def test_a_programme_grows_old_at_local_midnight_unless_it_is_empty() -> None:
    document = programme("area/51", items([carried(1)], NOW, UNTIL), 1, NOW)
    midnight = NOW + timedelta(hours=16)
    assert not is_stale(document, midnight - MINUTE, LOCAL)
    assert is_stale(document, midnight, LOCAL)
    assert timedelta(days=1) <= PROGRAMME_VALID - SPAN
    assert not is_stale(structs.replace(document, items=[]), NOW + 9 * SPAN, LOCAL)


def test_a_config_grows_old_long_before_it_lapses() -> None:
    held = Config(
        scope="device/d", revision=3, issued_at=NOW, not_after=NOW, areas=["51"], keys=[]
    )
    assert not is_stale(held, NOW + CONFIG_REISSUE, LOCAL)
    assert is_stale(held, NOW + CONFIG_REISSUE + MINUTE, LOCAL)
    assert 4 * CONFIG_REISSUE < CONFIG_VALID


@given(
    st.integers(0, 2**52),
    st.datetimes(datetime(2024, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001
)
def test_a_revision_always_grows_and_is_never_behind_the_clock(
    previous: int, moment: datetime
) -> None:
    now = moment.replace(tzinfo=UTC)
    revision = next_revision(previous, now)
    assert revision > previous
    assert revision >= int(now.timestamp() * 1000)


def test_times_on_the_wire_have_milliseconds() -> None:
    document = issued(programme("area/51", [], 1, NOW), 5, NOW + timedelta(microseconds=123_456))
    assert (document.revision, document.issued_at.microsecond) == (5, 123_000)
    assert document.not_after == document.issued_at + PROGRAMME_VALID
