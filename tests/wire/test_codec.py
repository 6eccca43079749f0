"""Bytes ↔ messages: the golden payloads, and every way to spoil them."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.wire import WireError
from broadcast.wire.codec import (
    MAX_EVENT_BYTES,
    decode,
    decode_event,
    decode_heartbeat,
    encode,
)
from broadcast.wire.documents import Programme
from broadcast.wire.events import EVENTS, Heartbeat
from broadcast.wire.fields import Wire
from tests.wire.payloads import NAMES, TYPES, payload, type_of

Path = tuple[str | int, ...]


def walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every node of JSON data, with the way to it."""
    yield path, value
    steps: list[Any] = []
    if isinstance(value, dict | list):
        steps = list(value) if isinstance(value, dict) else list(range(len(value)))
    for step in steps:
        yield from walk(value[step], (*path, step))


def without(data: Any, path: Path, *value: Any) -> bytes:
    """The data with one node removed, or replaced when `value` is given."""
    data = copy.deepcopy(data)
    holder = data
    for step in path[:-1]:
        holder = holder[step]
    if value:
        holder[path[-1]] = value[0]
    else:
        del holder[path[-1]]
    return json.dumps(data).encode()


def field(path: Path) -> str:
    """A path as `WireError` names it."""
    return "$" + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path)


def test_every_message_and_document_has_a_golden_payload() -> None:
    assert TYPES.keys() <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_decoding_and_encoding_keep_a_golden_payload_to_the_byte(name: str) -> None:
    message = decode(payload(name), type_of(name))
    assert encode(message) == payload(name), "run `make golden`"


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_event_is_decoded_by_the_last_level_of_its_topic(name: str) -> None:
    assert decode_event(name, payload(name)) == decode(payload(name), type_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_unknown_fields_are_ignored_at_every_level(name: str) -> None:
    data = json.loads(payload(name))
    for path, node in walk(json.loads(payload(name))):
        if isinstance(node, dict) and path[-1:] != ("held",):
            spot = data
            for step in path:
                spot = spot[step]
            spot["x_vendor"] = {"anything": [1, None]}
    assert decode(json.dumps(data).encode(), type_of(name)) == decode(payload(name), type_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_null_in_an_optional_field_is_as_if_it_were_not_there(name: str) -> None:
    data = json.loads(payload(name))
    for info in msgspec.structs.fields(type_of(name)):
        if info.default is None:
            data[info.encode_name] = None
            spoilt = json.dumps(data).encode()
            assert getattr(decode(spoilt, type_of(name)), info.name) is None


SPOILT: list[tuple[str, Path, Any, str]] = [
    ("boot", ("session",), 0, "$.session"),
    ("boot", ("session",), 2**53, "$.session"),
    ("boot", ("session",), True, "$.session"),
    ("boot", ("session",), "1", "$.session"),
    ("boot", ("sent_at",), "2025-11-24T21:58:03", "$.sent_at"),
    ("boot", ("sent_at",), "24/11/2025", "$.sent_at"),
    ("boot", ("sent_at",), 1763900000, "$.sent_at"),
    ("boot", ("reason",), "boredom", "$.reason"),
    ("boot", ("codecs",), [], "$.codecs"),
    ("boot", ("codecs",), ["opus", "aac"], "$.codecs[1]"),
    ("boot", ("contract",), 2, "$.contract"),
    ("boot", ("journal_id",), "", "$.journal_id"),
    ("boot", ("journal_id",), "x" * 65, "$.journal_id"),
    ("boot", ("clock",), None, "$.clock"),
    ("boot", ("held", "area/51/programme"), 0, "$.held[...]"),
    ("boot", ("held",), {f"area/{n}/alerts": 1 for n in range(201)}, "$.held"),
    ("heartbeat", ("clock", "source"), "sundial", "$.clock.source"),
    ("heartbeat", ("volume",), 101, "$.volume"),
    ("heartbeat", ("volume",), 70.5, "$.volume"),
    ("heartbeat", ("uptime_seconds",), -1, "$.uptime_seconds"),
    ("heartbeat", ("temperature_celsius",), "41", "$.temperature_celsius"),
    ("heartbeat", ("journal_pending",), -1, "$.journal_pending"),
    ("heartbeat", ("supply", "battery_percent"), 101, "$.supply.battery_percent"),
    ("playback", ("records",), [], "$.records"),
    ("playback", ("records", 2, "event"), "sang", "$.records[2].event"),
    ("playback", ("records", 1, "reason"), "bored", "$.records[1].reason"),
    ("playback", ("records", 1, "played_seconds"), -0.1, "$.records[1].played_seconds"),
    ("playback", ("records", 0, "sha256"), "ABC", "$.records[0].sha256"),
    ("playback", ("records", 0, "seq"), 0, "$.records[0].seq"),
    ("playback", ("records", 4, "occurrence_id"), 7, "$.records[4].occurrence_id"),
    ("refusal", ("scope",), "area/+", "$.scope"),
    ("refusal", ("topic",), "x" * 201, "$.topic"),
    ("programme", ("scope",), "planet/51", "$.scope"),
    ("programme", ("revision",), 0, "$.revision"),
    ("programme", ("items", 0, "priority"), 256, "$.items[0].priority"),
    ("programme", ("items", 0, "late_limit_seconds"), 86_401, "$.items[0].late_limit_seconds"),
    ("programme", ("items", 0, "audio", 1, "bytes"), 0, "$.items[0].audio[1].bytes"),
    ("alerts", ("alerts", 0, "inline"), "!", "$.alerts[0].inline"),
    ("config", ("areas", 0), "51/+", "$.areas[0]"),
    ("config", ("quiet_hours", 0, "from"), "24:00", "$.quiet_hours[0].from"),
    ("config", ("heartbeat_seconds",), 4, "$.heartbeat_seconds"),
    ("command-volume", ("volume",), 1000, "$.volume"),
    ("command-volume", ("kind",), "louder", "$.kind"),
]


@pytest.mark.parametrize(("name", "path", "value", "named"), SPOILT)
def test_a_value_out_of_bounds_is_named(name: str, path: Path, value: Any, named: str) -> None:
    with pytest.raises(WireError) as caught:
        decode(without(json.loads(payload(name)), path, value), type_of(name))
    assert caught.value.field == named


FUTURE: list[tuple[str, Path, Any]] = [
    ("programme", ("items", 0, "class"), "urgent"),
    ("programme", ("items", 0, "on_preempt"), "fade"),
    ("programme", ("items", 0, "audio", 0, "codec"), "opus2"),
    ("programme", ("items", 1, "stream", "url"), "srt://radio.example:9000"),
    ("programme", ("items", 1, "stream", "fallback", 0, "codec"), "aac"),
    ("alerts", ("alerts", 0, "mode"), "draft"),
    ("alerts", ("alerts", 0, "audio", 0, "codec"), "aac"),
    ("config", ("keys", 1, "use"), "content"),
    ("config", ("keys", 0, "x"), "x" * 86),
    ("config", ("content_url",), "https+mirror://ttn.example"),
]


@pytest.mark.parametrize(("name", "path", "value"), FUTURE)
def test_what_an_enumeration_may_grow_to_breaks_no_document(
    name: str, path: Path, value: Any
) -> None:
    grown = without(json.loads(payload(name)), path, value)
    assert isinstance(decode(grown, type_of(name)), type_of(name))


REQUIRED = [
    (name, info.encode_name)
    for name in sorted(TYPES)
    for info in msgspec.structs.fields(TYPES[name])
    if info.required
]


@pytest.mark.parametrize(("name", "required"), REQUIRED)
def test_a_missing_field_is_named(name: str, required: str) -> None:
    with pytest.raises(WireError, match=f"`{required}`"):
        decode(without(json.loads(payload(name)), (required,)), type_of(name))


@pytest.mark.parametrize(
    "spoilt",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"boot"',
        b"\xff\xfe",
        b'{"session": 1',
        b'{"session": NaN}',
        b'{"firmware": "\xed\xa0\x80"}',
        b"[" * 100_000,
        b'{"x":' * 20_000,
    ],
)
@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_what_is_no_json_object_is_the_peers_fault(kind: str, spoilt: bytes) -> None:
    with pytest.raises(WireError):
        decode_event(kind, spoilt)


def test_an_unknown_kind_is_the_peers_fault() -> None:
    with pytest.raises(WireError, match="'reboot'"):
        decode_event("reboot", b"{}")


def test_a_payload_above_the_limit_is_refused_unread() -> None:
    data = json.loads(payload("fault")) | {"x_vendor": "x" * MAX_EVENT_BYTES}
    with pytest.raises(WireError, match=str(MAX_EVENT_BYTES)):
        decode_event("fault", json.dumps(data).encode())


def test_a_full_journal_batch_is_far_below_the_limit() -> None:
    data = json.loads(payload("playback"))
    data["records"] = data["records"][2:3] * 100
    assert len(decode_event("playback", json.dumps(data).encode()).records) == 100  # type: ignore[attr-defined]
    assert len(json.dumps(data)) < MAX_EVENT_BYTES / 2


def test_defaults_and_nulls_stay_off_the_wire() -> None:
    smallest = decode(payload("heartbeat-smallest"), Heartbeat)
    assert json.loads(encode(smallest)).keys() == {"session", "seq", "sent_at", "clock"}


@pytest.mark.parametrize(
    "instant",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-01:00",
        "9999-12-30T23:59:59-23:59",  # the 31st in UTC, the year 10000 in the province
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_an_instant_that_utc_does_not_have_is_refused(name: str, instant: str) -> None:
    data = json.loads(payload(name))
    instants = [path for path, value in walk(data) if path and is_instant(value)]
    for path in instants:
        spoilt = without(data, path, instant)
        with pytest.raises(WireError, match="calendar"):
            decode(spoilt, type_of(name))
        if name in EVENTS:
            with pytest.raises(WireError, match="calendar"):
                decode_event(name, spoilt)


def is_instant(value: Any) -> bool:
    return isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value) is not None


def test_an_instant_that_utc_does_not_have_is_refused_in_any_spelling() -> None:
    gone = b'{"sent_at":"\\u0030001-01-01T00:00:00+14:00","kind":"hot","open":true}'
    with pytest.raises(WireError, match="calendar"):
        decode_event("fault", gone)


def same(one: Heartbeat, other: Wire) -> bool:
    """Field by field: their classes differ."""
    return msgspec.structs.asdict(one) == msgspec.structs.asdict(other)


def outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except WireError as error:
        return error.reason, error.field


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("heartbeat")])
def test_a_heartbeat_whose_held_is_taken_apart_once_is_the_same_heartbeat(name: str) -> None:
    raw = payload(name)
    plain = decode(raw, Heartbeat)
    first, body, held = decode_heartbeat(raw, None)
    second, body_again, held_again = decode_heartbeat(bytes(bytearray(raw)), held)
    assert same(first, plain)
    assert same(second, plain)
    assert body == body_again == encode(msgspec.structs.replace(plain, held={}))
    assert held_again is held
    assert second.held is first.held


def test_what_a_device_holds_is_taken_apart_when_it_changes() -> None:
    data = json.loads(payload("heartbeat"))
    _, _, held = decode_heartbeat(json.dumps(data).encode(), None)
    data["held"]["area/51/programme"] = 7
    changed, _, now = decode_heartbeat(json.dumps(data).encode(), held)
    assert changed.held == data["held"] == now.revisions
    assert held.revisions != now.revisions
    del data["held"]
    without_any, _, _ = decode_heartbeat(json.dumps(data).encode(), now)
    assert without_any.held == {}


def test_every_way_to_spoil_a_heartbeat_is_refused_alike() -> None:
    data = json.loads(payload("heartbeat"))
    _, _, held = decode_heartbeat(payload("heartbeat"), None)
    for path, _ in walk(data):
        for spoilt in (
            [without(data, path, value) for value in (None, -1, "x", [], {"a": 0})] if path else []
        ):
            plain = outcome(lambda: decode_event("heartbeat", spoilt))  # noqa: B023
            for last in (None, held):
                found = outcome(lambda: decode_heartbeat(spoilt, last)[0])  # noqa: B023
                assert same(found, plain) if isinstance(plain, Heartbeat) else found == plain


def test_an_instant_without_a_zone_is_refused() -> None:
    spoilt = without(json.loads(payload("programme")), ("issued_at",), "2025-11-24T12:00:00")
    with pytest.raises(WireError) as caught:
        decode(spoilt, Programme)
    assert caught.value.field == "$.issued_at"


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=30)
    | st.sampled_from(["2025-02-30T00:00:00Z", "2016-12-31T23:59:60Z", "area/51", "x" * 600]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


@given(st.data())
def test_a_spoilt_node_is_taken_or_named(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    golden = json.loads(payload(name))
    path, _ = data.draw(st.sampled_from([node for node in walk(golden) if node[0]]))
    spoilt = without(golden, path, *([data.draw(junk)] if data.draw(st.booleans()) else []))
    try:
        message = decode(spoilt, type_of(name))
    except WireError as error:
        named, spoilt_at = error.field.replace("[...]", ""), field(path)
        assert spoilt_at.startswith(named) or named.startswith(spoilt_at), str(error)  # noqa: PT017  two outcomes
    else:
        assert decode(encode(message), type_of(name)) == message


@given(st.sampled_from(sorted(EVENTS)), st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_wire_error(kind: str, anything: bytes) -> None:
    try:
        decode_event(kind, anything)
    except WireError as error:
        assert error.field.startswith("$")  # noqa: PT017  two outcomes
