"""A province for a week with edits, alerts, storms, outages; `make bench ONLY=month` has more."""

from __future__ import annotations

import pytest

from tests.scenarios.month import COMMUNES, Month, Size


@pytest.mark.slow
def test_every_promise_holds_in_a_province_that_people_change_all_the_time() -> None:
    month = Month(Size(days=7))
    month.live()
    told = month.told()
    assert told.devices == COMMUNES
    assert told.plays == sum(told.states.values())
    assert {"played", "missed", "cancelled"} <= told.states.keys()
    assert told.spoken > 0
    assert told.over_quota > 0
    assert told.kept_silent > 0
    assert told.states["played"] > 0.5 * told.plays  # what is planned in quiet hours never is
