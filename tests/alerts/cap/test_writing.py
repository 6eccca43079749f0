"""What we send is valid, and says when it is read what it said when it was written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast.alerts.cap import reading, signature, writing
from broadcast.alerts.cap.message import (
    Area,
    Category,
    Certainty,
    Circle,
    Info,
    Message,
    MsgType,
    Named,
    Reference,
    Resource,
    ResponseType,
    Scope,
    Severity,
    Status,
    Urgency,
)
from tests.alerts.cap.messages import NOW, Authority
from tests.examples import examples

words = st.sampled_from(
    ("Lũ quét", "Đak tơ", "a < b & c", "\u0303", "𝄞", "Nước lên\n0,5 m", "]]>")
)
names = st.text("abcxyz0189.-_:/@", min_size=1, max_size=12)
moments = st.integers(0, 10**9).map(lambda seconds: NOW + timedelta(seconds=seconds))
addresses = st.just("https://kttv.vn/a?b=1&c=2")
points = st.tuples(
    st.integers(-180_000_000, 180_000_000).map(lambda x: x / 1e6),
    st.integers(-90_000_000, 90_000_000).map(lambda y: y / 1e6),
)


def several(of: st.SearchStrategy, least: int = 0) -> st.SearchStrategy:  # type: ignore[type-arg]
    return st.lists(of, min_size=least, max_size=2).map(tuple)


def maybe(of: st.SearchStrategy) -> st.SearchStrategy:  # type: ignore[type-arg]
    return st.none() | of


named = st.builds(Named, words, words)
rings = st.lists(points, min_size=3, max_size=6, unique=True).map(lambda ring: (*ring, ring[0]))
areas = st.builds(
    Area,
    description=words,
    polygons=several(rings),
    circles=several(st.builds(Circle, points, st.integers(0, 20_000).map(float))),
    geocodes=several(named),
    altitude_ft=maybe(st.integers(0, 9000).map(str)),
    ceiling_ft=st.none(),
)
resources = st.builds(
    Resource,
    words,
    words,
    maybe(st.integers(0, 10**9)),
    maybe(addresses),
    maybe(names),
    maybe(names),
)
infos = st.builds(
    Info,
    event=words,
    urgency=st.sampled_from(Urgency),
    severity=st.sampled_from(Severity),
    certainty=st.sampled_from(Certainty),
    categories=several(st.sampled_from(Category), 1),
    language=st.sampled_from(["vi-VN", "hre", "en-US", "x-cor"]),
    response_types=several(st.sampled_from(ResponseType)),
    audience=maybe(words),
    event_codes=several(named),
    effective=maybe(moments),
    onset=st.none(),
    expires=maybe(st.just(NOW + timedelta(days=20_000))),
    sender_name=maybe(words),
    headline=maybe(words),
    description=maybe(words),
    instruction=maybe(words),
    web=maybe(addresses),
    contact=maybe(words),
    parameters=several(named),
    resources=several(resources),
    areas=several(areas),
)
messages = st.builds(
    Message,
    identifier=names,
    sender=names,
    sent=moments,
    status=st.sampled_from(Status),
    msg_type=st.sampled_from(MsgType),
    scope=st.just(Scope.PUBLIC),
    source=maybe(words),
    restriction=maybe(words),
    addresses=maybe(words),
    codes=several(words),
    note=maybe(words),
    references=several(st.builds(Reference, names, names, moments), 1),
    incidents=maybe(words),
    infos=several(infos),
)


@settings(max_examples=examples(40))
@given(messages)
def test_any_message_is_read_as_it_was_written(message: Message) -> None:
    document = writing.write(writing.element(message))
    assert reading.read(reading.parse(document)) == message


@settings(max_examples=examples(10))
@given(messages)
def test_a_signed_message_is_valid_and_says_the_same(
    authority: Authority, message: Message
) -> None:
    root = signature.signed(writing.element(message), authority.signer())
    received = reading.parse(writing.write(root))
    assert reading.read(received) == message
    assert reading.read(signature.verified(received, authority.anchor, NOW, NOW)) == message


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_times_have_an_offset_and_no_fraction() -> None:
    at = datetime(2026, 11, 29, 5, 30, 0, 999_999, tzinfo=UTC)
    assert writing.moment(at) == "2026-11-29T05:30:00-00:00"
    there = at.astimezone(timezone(timedelta(hours=7)))
    assert writing.moment(there) == "2026-11-29T12:30:00+07:00"


def test_what_xml_cannot_say_is_left_out() -> None:
    info = Info("Lũ\x00\x0b quét\ud800", Urgency.PAST, Severity.MINOR, Certainty.LIKELY,
                (Category.MET,))  # fmt: skip
    message = Message("1", "a", NOW, Status.ACTUAL, MsgType.ALERT, Scope.PUBLIC, infos=(info,))
    document = writing.write(writing.element(message))
    assert reading.read(reading.parse(document)).infos[0].event == "Lũ quét"
