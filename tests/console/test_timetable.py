"""Rules as a form shows them."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from broadcast.console.timetable import Recurrence, Repeat, recurrence_of, rule_text
from broadcast.kit.clock import LOCAL
from broadcast.schedules.expansion import starts_between
from broadcast.schedules.rrule import parse

AT = datetime(2024, 12, 28, 5, tzinfo=LOCAL)


@pytest.mark.parametrize(
    ("until", "shown"),
    [
        ("20241231T045959", date(2024, 12, 30)),  # divided before 31 December
        ("20241231T050000", date(2024, 12, 31)),
        ("20241231T170000", date(2024, 12, 31)),
        ("20241231", date(2024, 12, 31)),
    ],
)
def test_the_last_day_is_one_on_which_it_sounds(until: str, shown: date) -> None:
    rule = parse(f"FREQ=DAILY;UNTIL={until}", LOCAL)
    found = recurrence_of(rule, AT)
    assert found == Recurrence(Repeat.DAILY, until=shown)
    posted = parse(rule_text(found) or "", LOCAL)
    end = AT.replace(year=2025)
    assert starts_between(posted, AT, AT, end, LOCAL) == starts_between(rule, AT, AT, end, LOCAL)
