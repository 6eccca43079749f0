from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness import heartbeats
from broadcast.ingest.decode import Event, Reader, sender
from broadcast.telemetry.dead_letters import Letter, Why
from broadcast.wire.codec import MAX_EVENT_BYTES, encode
from broadcast.wire.events import CommandResult, Gone, Playback, Skipped, SkipReason
from tests.ingest.inbox import PREFIX

TOPIC = f"{PREFIX}/device/QN-1/event/gone"


def read(topic: str, payload: bytes, *, retain: bool) -> Event | Letter:
    return Reader(lambda _: True).read(topic, sender(topic, PREFIX), payload, retain=retain)


def test_good_message_is_an_event() -> None:
    found = read(TOPIC, b'{"session": 3, "unknown": [1]}', retain=False)
    assert found == Event("QN-1", "gone", Gone(session=3))


@pytest.mark.parametrize(
    ("topic", "payload", "retain", "why", "code", "reason"),
    [
        (f"{PREFIX}/device/QN-1/state/config", b"{}", False, Why.TOPIC, None, "no topic"),
        (f"{PREFIX}/device/QN%1/event/gone", b"{}", False, Why.TOPIC, None, "no topic"),
        ("other/device/QN-1/event/gone", b"{}", False, Why.TOPIC, None, "no topic"),
        ("device/QN-1/event/gone", b"{}", False, Why.TOPIC, None, "no topic"),
        (TOPIC, b'{"session":3}', True, Why.RETAINED, "QN-1", "without retain"),
        (
            f"{PREFIX}/device/QN-1/event/party",
            b"{}",
            False,
            Why.KIND,
            "QN-1",
            "unknown event kind",
        ),
        (TOPIC, b" " * 1_000_000, False, Why.TOO_LARGE, "QN-1", f"at most {MAX_EVENT_BYTES}"),
        (TOPIC, b"", False, Why.MALFORMED, "QN-1", "not JSON"),
        (TOPIC, b'{"session": "\xff"}', False, Why.MALFORMED, "QN-1", ""),
        (TOPIC, b'{"session": 0}', False, Why.MALFORMED, "QN-1", ">= 1"),
        (TOPIC, b'{"session": 1e999}', False, Why.MALFORMED, "QN-1", ""),
        (TOPIC, b"[" * 60_000, False, Why.MALFORMED, "QN-1", ""),
    ],
)
def test_what_cannot_be_taken_says_why(
    topic: Any, payload: Any, retain: Any, why: Any, code: Any, reason: Any
) -> None:
    found = read(topic, payload, retain=retain)
    assert isinstance(found, Letter)
    assert (found.why, found.device_code) == (why, code)
    assert reason in found.reason


def test_letter_names_the_field() -> None:
    found = read(TOPIC, b'{"session": "three"}', retain=False)
    assert isinstance(found, Letter)
    assert found.field == "$.session"


COMMAND_RESULT = f"{PREFIX}/device/QN-1/event/command_result"


@pytest.mark.parametrize(
    ("text", "storable"),
    [(rb"\u0000", False), (rb"a\\u0000", True), (rb"\\\u0000", False), (rb"\u0001", True)],
)
def test_nul_is_taken_out_before_the_database_sees_it(text: bytes, storable: Any) -> None:
    payload = b'{"sent_at":"2025-07-01T01:00:00Z","command_id":"%s","result":"done","detail":"%s"}'
    found = read(COMMAND_RESULT, payload % (b"c", text), retain=False)
    assert isinstance(found, Event)
    assert isinstance(found.message, CommandResult)
    assert bool(found.message.detail) is storable
    assert (
        isinstance(read(COMMAND_RESULT, payload % (text, b"x"), retain=False), Event) is storable
    )


@given(st.text(max_size=40), st.binary(max_size=200), st.booleans())
def test_nothing_that_comes_raises(topic: Any, payload: Any, retain: Any) -> None:
    for full in (topic, f"{PREFIX}/device/A/event/{topic}", TOPIC):
        assert isinstance(read(full, payload, retain=retain), Event | Letter)


def test_a_journal_costs_its_records_and_a_boot_what_is_newly_held() -> None:
    """What `Intake` takes from the device's budget; it was 0 for all but heartbeats once."""
    at = datetime(2026, 3, 2, tzinfo=UTC)
    missed = SkipReason.POWERED_OFF
    records = [Skipped(seq=n, at=at, occurrence_id=str(uuid4()), reason=missed) for n in (1, 2)]
    journal = encode(Playback(sent_at=at, journal_id="j1", records=list(records)))
    found = read(f"{PREFIX}/device/QN-1/event/playback", journal, retain=False)
    assert isinstance(found, Event)
    assert found.rows == 2
    reader, costs = Reader(lambda _: True), []
    for payload, kind in (
        (heartbeats.boot(1, at), "boot"),
        (heartbeats.heartbeat(1, 1, at), "heartbeat"),
        (heartbeats.boot(1, at), "boot"),
    ):
        event = reader.read("", ("QN-1", kind), payload, retain=False)
        assert isinstance(event, Event)
        costs.append(event.rows)
    assert costs == [len(heartbeats.held(1)), 0, 0], "what is held is told once"
