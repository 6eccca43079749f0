from __future__ import annotations

from datetime import timedelta

import pytest

from broadcast.kit import clock
from tests.devices.fleet import EIGHT, MINUTE


@pytest.mark.parametrize(
    ("due_at", "is_due"),
    [
        (None, True),
        (EIGHT - MINUTE, True),
        (EIGHT, True),
        (EIGHT + MINUTE, False),
        (EIGHT + 5 * MINUTE, False),
        (EIGHT + 6 * MINUTE, True),
    ],
)
def test_what_is_due_though_the_clock_was_set_back(due_at: object, is_due: bool) -> None:
    assert clock.is_due(due_at, EIGHT, 5 * MINUTE) is is_due  # type: ignore[arg-type]


def test_what_is_done_every_turn_is_always_due() -> None:
    assert clock.is_due(EIGHT + timedelta(hours=1), EIGHT, timedelta(0))
