"""The condition of clusters and areas: nothing unknown is called working or broken."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.situation.condition import (
    DEAF,
    Condition,
    Facts,
    Reason,
    Tally,
    judge,
    overall,
    tally,
)
from broadcast.telemetry.presence import Presence
from tests.devices.fleet import EIGHT, MINUTE

MONTH = timedelta(days=30)
ONLINE = Facts(reports=True, presence=Presence.ONLINE, since=EIGHT, last_seen_at=EIGHT)
ATTESTED = Facts(reports=False, attested_at=EIGHT - MONTH)
EARLIER = EIGHT - 60 * MINUTE


@pytest.mark.parametrize(
    ("facts", "condition", "reason", "since"),
    [
        (ONLINE, "ok", Reason.WORKING, EIGHT),
        (replace(ONLINE, presence=None), "bad", Reason.NO_DEVICE, None),
        (Facts(reports=True, presence=Presence.NEVER_SEEN), "unknown", Reason.NEVER_SEEN, None),
        (
            replace(ONLINE, presence=Presence.SILENT, last_seen_at=EARLIER),
            "unknown", Reason.SILENT, EARLIER,
        ),
        (
            replace(ONLINE, presence=Presence.OFFLINE, last_seen_at=EARLIER),
            "bad", Reason.OFFLINE, EARLIER,
        ),
        (
            replace(ONLINE, speaker_fault_since=EARLIER, is_unready=True),
            "bad", Reason.SPEAKER_FAULT, EARLIER,
        ),
        (replace(ONLINE, fault_since=EARLIER), "partial", Reason.DEVICE_FAULT, EARLIER),
        (replace(ONLINE, is_unready=True), "partial", Reason.NOT_READY, None),
        (replace(ONLINE, last_missed_at=EARLIER), "partial", Reason.MISSED_TODAY, EARLIER),
        (
            replace(ONLINE, presence=Presence.OFFLINE, outage_until=EIGHT + MINUTE),
            "partial", Reason.DECLARED_OUTAGE, None,
        ),
        (replace(ONLINE, outage_until=EIGHT + MINUTE), "ok", Reason.WORKING, EIGHT),
        (ATTESTED, "ok", Reason.ATTESTED, EIGHT - MONTH),
        (
            replace(ATTESTED, attested_at=EIGHT - MONTH - MINUTE),
            "unknown", Reason.NOT_ATTESTED, EIGHT - MONTH - MINUTE,
        ),
        (replace(ATTESTED, attested_at=None), "unknown", Reason.NOT_ATTESTED, None),
    ],
)  # fmt: skip
def test_a_cluster_is_judged_by_the_first_that_holds(
    facts: Facts, condition: str, reason: Reason, since: Any
) -> None:
    assert judge(facts, EIGHT, EIGHT, MONTH) == (Condition(condition), reason, since)


FACTS = st.builds(
    Facts,
    reports=st.just(True),
    presence=st.sampled_from(Presence),
    since=st.just(EIGHT),
    last_seen_at=st.just(EIGHT),
    speaker_fault_since=st.sampled_from([None, EARLIER]),
    fault_since=st.sampled_from([None, EARLIER]),
    is_unready=st.booleans(),
    last_missed_at=st.sampled_from([None, EARLIER]),
)


@given(FACTS, st.sampled_from([None, EIGHT - DEAF - MINUTE]))
def test_of_no_device_anything_is_known_while_the_server_does_not_listen(
    facts: Facts, heard_until: Any
) -> None:
    judged = judge(facts, EIGHT, heard_until, MONTH)
    assert judged == (Condition.UNKNOWN, Reason.SERVER_DEAF, heard_until)


COUNTS = st.builds(Tally, *[st.integers(0, 9)] * 4)


@given(COUNTS)
def test_an_area_works_only_where_all_that_is_known_works(counts: Tally) -> None:
    found = overall(counts)
    known = counts.total - counts.unknown
    assert (found is Condition.UNKNOWN) == (known == 0 or counts.unknown > known)
    if found is Condition.OK:
        assert counts.bad == counts.partial == 0
    if found is Condition.BAD:
        assert 2 * counts.bad >= known > 0


@given(st.lists(st.sampled_from(Condition)))
def test_clusters_are_counted(conditions: list[Condition]) -> None:
    counts = tally(conditions)
    assert counts.total == len(conditions)
    assert counts.bad == conditions.count(Condition.BAD)


def test_the_worse_of_two_halves_counts() -> None:
    assert overall(Tally(ok=1, bad=1)) is Condition.BAD
    assert overall(Tally(ok=2, bad=1)) is Condition.PARTIAL
    assert overall(Tally(ok=2, unknown=2)) is Condition.OK
    assert overall(Tally(ok=2, unknown=3)) is Condition.UNKNOWN
    assert overall(Tally()) is Condition.UNKNOWN
