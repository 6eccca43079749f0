from __future__ import annotations

import logging
from typing import Any

from broadcast.kit.logs import EVENTS_TOLD_APART, LINES_PER_MINUTE, Bounded


class Watch:
    """A handler behind the filter, with a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.written: list[logging.LogRecord] = []
        self._filter = Bounded(lambda: self.now)

    def say(self, message: Any) -> None:
        record = logging.makeLogRecord({"msg": message})
        if self._filter.filter(record):
            self.written.append(record)


def test_a_flood_of_one_event_is_bounded_and_hides_no_other() -> None:
    watch = Watch()
    for number in range(10_000):
        watch.say({"event": "ingest.message.refused", "topic": f"t/{number}"})
    watch.say({"event": "ingest.database.away"})
    assert len(watch.written) == LINES_PER_MINUTE + 1
    watch.now = 61
    watch.say({"event": "ingest.message.refused", "topic": "t"})
    assert watch.written[-1].msg["left_out"] == 10_000 - LINES_PER_MINUTE


def test_a_library_that_puts_its_text_together_is_bounded_too() -> None:
    watch = Watch()
    for number in range(100_000):
        watch.say(f"connection {number} failed")
    assert len(watch.written) <= EVENTS_TOLD_APART + LINES_PER_MINUTE


def test_what_was_left_out_is_told_in_plain_text_as_well() -> None:
    watch = Watch()
    for _ in range(LINES_PER_MINUTE + 5):
        watch.say("socket.accept() out of system resource")
    watch.now = 61
    watch.say("socket.accept() out of system resource")
    assert watch.written[-1].getMessage().endswith("(left out: 5)")
