"""One bad measurement never costs its message, and a healthy box is heard for ten years."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.wire import WireError
from broadcast.wire.codec import decode_event
from broadcast.wire.events import EVENTS, Boot, Heartbeat, Lost, Playback, Readiness
from broadcast.wire.repair import Repaired, repaired
from tests.wire.payloads import NAMES, payload, type_of
from tests.wire.test_codec import Path, walk, without

NOW = datetime(2035, 11, 24, 22, 15, 5, tzinfo=UTC)
YEARS = 10 * 366 * 86_400
UPWARD = [name for name in NAMES if type_of(name) in EVENTS.values()]

TEN_YEARS = {
    "session": 4000 * 65_536 + 65_535,
    "seq": YEARS // 5,
    "oldest_seq": 10**7,
    "uptime_seconds": float(YEARS),
    "data_used_bytes": 10**15,
    "storage_free_bytes": 512 * 2**30,
    "journal_pending": 20_000,
    "boot_count": 10**6,
    "played_seconds_today": 86_400.0,
    "offset_ms": -YEARS * 1000,
    "uncertainty_ms": YEARS * 1000,
    "clock_offset_ms": -YEARS * 1000,
    "clock_uncertainty_ms": YEARS * 1000,
    "held": 2_080_000_000_000,
    "bulletin_revision": 10**6,
    "played_seconds": 86_400.0,
    "relayed_seconds": 86_400.0,
    "offset_seconds": 86_400.0,
    "volume": 100,
    "volts": 260.0,
    "modem_volts": 48.0,
    "battery_percent": 100,
    "temperature_celsius": -41.5,
    "signal_dbm": -140,
    "frequency_khz": 108_000,
    "rssi_dbm": -140,
    "snr_db": 90.0,
    "latitude": -89.9,
    "longitude": 179.9,
}
"""What a healthy box says of itself after ten years, by the name of the field."""


def numbers(name: str) -> Iterator[tuple[Path, Any]]:
    for path, value in walk(json.loads(payload(name))):
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield path, value


NUMBERS = [(name, path) for name in UPWARD for path, _ in numbers(name)]


def of_field(path: Path) -> str:
    return "held" if path[0] == "held" else next(s for s in reversed(path) if isinstance(s, str))


def take(name: str, raw: bytes) -> Repaired:
    """As the inbound path does it."""
    kind = name.split("-", maxsplit=1)[0]
    try:
        decode_event(kind, raw)
    except WireError as error:
        return repaired(raw, error, lambda text: decode_event(kind, text), NOW)
    return Repaired(raw, [])


def message(name: str, raw: bytes) -> Any:
    return decode_event(name.split("-", maxsplit=1)[0], take(name, raw).payload)


@pytest.mark.parametrize(("name", "path"), NUMBERS)
def test_a_healthy_box_is_heard_for_ten_years(name: str, path: Path) -> None:
    aged = without(json.loads(payload(name)), path, TEN_YEARS[of_field(path)])
    assert take(name, aged).dropped == []


BAD = ["-1e30", "1e999", "NaN", "nan", "-inf", "Infinity", '"12"', "[]", "{}", "true", "null",
       "9" * 5000, "0.5e-400", '"\\u0000"', "1e30"]  # fmt: skip


def required(name: str) -> set[str]:
    return {info.encode_name for info in msgspec.structs.fields(type_of(name)) if info.required}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(
    ("name", "path"), [(n, p) for n, p in NUMBERS if n in {"heartbeat", "boot", "readiness"}]
)
def test_one_bad_number_costs_itself_and_nothing_else(name: str, path: Path, bad: str) -> None:
    marked = without(json.loads(payload(name)), path, "HERE")
    raw = marked.replace(b'"HERE"', bad.encode())
    if path[-1] in required(name):
        with pytest.raises(WireError):
            take(name, raw)
        return
    whole, found = message(name, payload(name)), message(name, raw)
    for field in type_of(name).__struct_fields__:
        if field != path[0]:
            assert getattr(found, field) == getattr(whole, field)
    if isinstance(found, Readiness):
        assert [item.occurrence_id for item in found.items] == [
            item.occurrence_id
            for item in whole.items
            if item is not whole.items[path[1]]  # type: ignore[call-overload]
        ] or found == whole


def test_what_was_dropped_is_named_as_the_contract_names_it() -> None:
    data = json.loads(payload("heartbeat"))
    data["supply"]["volts"] = -1
    data["temperature_celsius"] = 255
    data["network"]["interface"] = "nb-iot"
    data["flags"] = ["fine", "x" * 51]
    data["position"]["latitude"] = 91
    data["held"]["area/51/programme"] = "new"
    raw = json.dumps(data).encode()
    found = message("heartbeat", raw)
    assert isinstance(found, Heartbeat)
    assert set(take("heartbeat", raw).dropped) == {
        "supply.volts", "temperature_celsius", "network.interface", "flags",
        "position.latitude", "position", "held",
    }  # fmt: skip
    assert found.supply is not None
    assert (found.supply.mains, found.supply.volts, found.position) == (True, None, None)
    assert found.flags == ["fine"]
    assert "area/51/programme" not in found.held
    assert found.held["area/21034/programme"] == 1763985600000


@pytest.mark.parametrize("sent_at", ["2165-165-165T165:165:85Z", "", 0, "9999-12-31T00:00:00Z"])
def test_a_broken_clock_chip_does_not_make_a_box_look_dead(sent_at: Any) -> None:
    """2165-165-165 is what a DS3231 answers whose bus is stuck."""
    found = message("heartbeat", without(json.loads(payload("heartbeat")), ("sent_at",), sent_at))
    assert (found.sent_at, found.clock.trusted) == (NOW, False)


def test_an_unknown_codec_costs_no_boot() -> None:
    raw = without(json.loads(payload("boot")), ("codecs",), ["aac", "opus"])
    found = message("boot", raw)
    assert isinstance(found, Boot)
    assert found.codecs == ["opus"]


RECORD_SPOILT: list[tuple[Path, Any]] = [
    (("records", 1, "at"), "yesterday"),
    (("records", 1, "at"), "9999-12-31T23:59:59Z"),
    (("records", 1, "event"), "paused"),
    (("records", 1, "reason"), "bored"),
    (("records", 1, "occurrence_id"), 7),
]


@pytest.mark.parametrize(("path", "value"), RECORD_SPOILT)
def test_a_record_that_cannot_be_read_holds_up_no_journal(path: Path, value: Any) -> None:
    whole = message("playback", payload("playback"))
    raw = without(json.loads(payload("playback")), path, value)
    found = message("playback", raw)
    assert isinstance(found, Playback)
    assert found.records[1] == Lost(seq=4102)
    assert [*found.records[:1], *found.records[2:]] == [*whole.records[:1], *whole.records[2:]]
    # Repeated an hour later it is the same record.
    error = WireError("x")
    later = repaired(raw, error, lambda text: decode_event("playback", text), NOW + timedelta(1))
    assert decode_event("playback", later.payload) == found


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("records", 1, "played_seconds"), -1, "played_seconds"),
        (("records", 0, "volume"), 1000, "volume"),
        (("records", 3, "evidence"), "neighbour", "evidence"),
    ],
)
def test_a_bad_measurement_costs_no_record(path: Any, value: Any, field: str) -> None:
    raw = without(json.loads(payload("playback")), path, value)
    assert take("playback", raw).dropped == [f"records.{field}"]
    assert [record.seq for record in message("playback", raw).records] == [*range(4101, 4108)]


def test_every_record_may_be_spoilt_at_once() -> None:
    data = json.loads(payload("playback"))
    data["records"] = [{"event": "x", "seq": seq} for seq in range(1, 101)]
    assert message("playback", json.dumps(data).encode()).records == [
        Lost(seq=seq) for seq in range(1, 101)
    ]


def test_a_record_without_a_number_can_be_nobodys() -> None:
    raw = without(json.loads(payload("playback")), ("records", 1, "seq"), "many")
    with pytest.raises(WireError) as caught:
        take("playback", raw)
    assert re.search(r"records\[1\]\.seq", caught.value.field)


def test_what_identifies_a_message_is_never_made_up() -> None:
    for name in UPWARD:
        for field in required(name) - {"sent_at"}:
            with pytest.raises(WireError):
                take(name, without(json.loads(payload(name)), (field,), {"no": "value"}))


@given(st.sampled_from(UPWARD), st.data())
def test_whatever_is_spoilt_is_taken_whole_or_refused(name: str, data: st.DataObject) -> None:
    golden = json.loads(payload(name))
    path, _ = data.draw(st.sampled_from([node for node in walk(golden) if node[0]]))
    junk = st.none() | st.integers() | st.text(max_size=9) | st.lists(st.integers(), max_size=2)
    raw = without(golden, path, data.draw(junk))
    try:
        found = message(name, raw)
    except WireError:
        return
    assert type(found) is EVENTS[name.split("-", maxsplit=1)[0]]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"session":1,"seq":1,"x":"' + b'\\"' * 30_000,
        b'"' * 60_000,
        b'{"session":1,"seq":1,"sent_at":"2025-07-01T00:00:00Z","firmware":"\\ud800"}',
        b"nan " * 15_000,
    ],
)
def test_what_is_made_to_take_long_does_not(raw: bytes) -> None:
    """A second pass over every character of these would take minutes."""
    with pytest.raises(WireError):
        take("heartbeat", raw)


@given(st.sampled_from(sorted(EVENTS)), st.binary(max_size=200))
def test_any_bytes_are_mended_or_a_wire_error(kind: str, anything: bytes) -> None:
    try:
        take(kind, anything)
    except WireError as error:
        assert error.field.startswith("$")  # noqa: PT017  two outcomes
