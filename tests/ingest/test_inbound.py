from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness import heartbeats
from broadcast.ingest.decode import Decoder
from broadcast.ingest.sharding import ShardAssignment
from broadcast.ingest.throttle import BURST, Throttle
from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.dead_letters import DeadLetter, RejectReason
from broadcast.wire.codec import MAX_EVENT_BYTES, encode
from broadcast.wire.events import CommandResult, Gone, Playback, Skipped, SkipReason
from tests.devices.fleet import Everyone
from tests.ingest.inbox import PREFIX, Inbox, Message

TOPIC = f"{PREFIX}/device/QN-1/event/gone"


def decoder() -> Decoder:
    return Decoder(PREFIX, ShardAssignment("alone"), Throttle(), Everyone())


def decoded(topic: str, payload: bytes, *, retain: bool = False) -> Arrival[Any] | DeadLetter:
    found = decoder().decode(Message(Inbox(), topic, payload, retain=retain), 0.0)
    assert found is not None
    return found


def test_good_message_arrives() -> None:
    found = decoded(TOPIC, b'{"session": 3, "unknown": [1]}')
    assert isinstance(found, Arrival)
    assert (found.device_code, found.kind, found.message) == ("QN-1", "gone", Gone(session=3))


@pytest.mark.parametrize(
    ("topic", "payload", "retain", "why", "code", "reason"),
    [
        (f"{PREFIX}/device/QN-1/state/config", b"{}", False, RejectReason.TOPIC, None, "no topic"),
        (f"{PREFIX}/device/QN%1/event/gone", b"{}", False, RejectReason.TOPIC, None, "no topic"),
        ("other/device/QN-1/event/gone", b"{}", False, RejectReason.TOPIC, None, "no topic"),
        ("device/QN-1/event/gone", b"{}", False, RejectReason.TOPIC, None, "no topic"),
        (TOPIC, b'{"session":3}', True, RejectReason.RETAINED, "QN-1", "without retain"),
        (
            f"{PREFIX}/device/QN-1/event/party",
            b"{}",
            False,
            RejectReason.KIND,
            "QN-1",
            "unknown event kind",
        ),
        (
            TOPIC,
            b" " * 1_000_000,
            False,
            RejectReason.TOO_LARGE,
            "QN-1",
            f"at most {MAX_EVENT_BYTES}",
        ),
        (TOPIC, b'{"session": "\xff"}', False, RejectReason.MALFORMED, "QN-1", ""),
        (TOPIC, b'{"session": 0}', False, RejectReason.MALFORMED, "QN-1", ">= 1"),
        (TOPIC, b'{"session": 1e999}', False, RejectReason.MALFORMED, "QN-1", ""),
        (TOPIC, b"[" * 60_000, False, RejectReason.MALFORMED, "QN-1", ""),
    ],
)
def test_what_cannot_be_taken_says_why(
    topic: Any, payload: Any, retain: Any, why: Any, code: Any, reason: Any
) -> None:
    found = decoded(topic, payload, retain=retain)
    assert isinstance(found, DeadLetter)
    assert (found.reject_reason, found.device_code) == (why, code)
    assert reason in found.reason


def test_what_is_for_another_worker_empty_or_too_much_is_left_alone() -> None:
    topics = [f"{PREFIX}/device/QN-{n}/event/gone" for n in range(100)]
    messages = [Message(Inbox(), topic, b'{"session":3}') for topic in topics]
    workers = [
        Decoder(PREFIX, ShardAssignment("shards", worker, 2), Throttle(), Everyone())
        for worker in (1, 2)
    ]
    for message in messages:
        assert [each.decode(message, 0.0) is None for each in workers].count(True) == 1
    assert decoder().decode(Message(Inbox(), TOPIC, b""), 0.0) is None
    one = decoder()
    passed = sum(one.decode(messages[0], 0.0) is not None for _ in range(2 * BURST))
    assert passed == BURST


def test_letter_names_the_field() -> None:
    found = decoded(TOPIC, b'{"session": "three"}')
    assert isinstance(found, DeadLetter)
    assert found.field == "$.session"


COMMAND_RESULT = f"{PREFIX}/device/QN-1/event/command_result"


@pytest.mark.parametrize(
    ("text", "storable"),
    [(rb"\u0000", False), (rb"a\\u0000", True), (rb"\\\u0000", False), (rb"\u0001", True)],
)
def test_nul_is_taken_out_before_the_database_sees_it(text: bytes, storable: Any) -> None:
    payload = b'{"sent_at":"2025-07-01T01:00:00Z","command_id":"%s","result":"done","detail":"%s"}'
    found = decoded(COMMAND_RESULT, payload % (b"c", text))
    assert isinstance(found, Arrival)
    assert isinstance(found.message, CommandResult)
    assert bool(found.message.detail) is storable
    named = decoded(COMMAND_RESULT, payload % (text, b"x"))
    assert isinstance(named, Arrival) is storable


@given(st.text(max_size=40), st.binary(min_size=1, max_size=200), st.booleans())
def test_nothing_that_comes_raises(topic: Any, payload: Any, retain: Any) -> None:
    for full in (topic, f"{PREFIX}/device/A/event/{topic}", TOPIC):
        assert isinstance(decoded(full, payload, retain=retain), Arrival | DeadLetter)


def test_a_journal_costs_its_records_and_a_boot_what_is_newly_held() -> None:
    """What it takes from the device's bucket; it was 0 for all but heartbeats once."""
    at = datetime(2026, 3, 2, tzinfo=UTC)
    missed = SkipReason.POWERED_OFF
    records = [Skipped(seq=n, at=at, occurrence_id=str(uuid4()), reason=missed) for n in (1, 2)]
    journal = encode(Playback(sent_at=at, journal_id="j1", records=list(records)))
    found = decoded(f"{PREFIX}/device/QN-1/event/playback", journal)
    assert isinstance(found, Arrival)
    assert found.rows == 2
    again, costs = decoder(), []
    for payload, kind in (
        (heartbeats.boot(1, at), "boot"),
        (heartbeats.heartbeat(1, 1, at), "heartbeat"),
        (heartbeats.boot(1, at), "boot"),
    ):
        message = Message(Inbox(), f"{PREFIX}/device/QN-1/event/{kind}", payload)
        arrival = again.decode(message, 0.0)
        assert isinstance(arrival, Arrival)
        costs.append(arrival.rows)
    assert costs == [len(heartbeats.held(1)), 0, 0], "what is held is told once"
