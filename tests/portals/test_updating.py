"""How much counts as regularly updated."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from broadcast.portals.updating import Rule, Tally, Verdict, Why

DAY = date(2025, 11, 30)
QUIET = Tally(1, "Trang xã", 0, 0, 0, None, is_read=True)
UNREAD = QUIET._replace(is_read=False)


def why(*portals: Tally, least: int = 1) -> Why | None:
    return Verdict(portals, Rule(least, 30)).why


def test_a_portal_that_nobody_could_read_is_told_from_a_quiet_one() -> None:
    assert why() is Why.NO_PORTAL
    assert why(UNREAD) is Why.NOT_READ
    assert why(QUIET) is Why.TOO_FEW
    assert why(UNREAD, QUIET) is Why.TOO_FEW
    assert why(UNREAD._replace(others=3)) is Why.TOO_FEW


def test_portals_of_a_commune_count_together() -> None:
    one = QUIET._replace(by_tag=1, others=2, newest_on=date(2025, 11, 29))
    other = UNREAD._replace(by_person=1, newest_on=DAY)
    found = Verdict((one, other), Rule(2, 30))
    assert (found.by_tag, found.by_person, found.others) == (1, 1, 2)
    assert (found.newest_on, found.is_read, found.why) == (DAY, True, None)
    assert why(one, other, least=3) is Why.TOO_FEW


counts = st.integers(0, 4)
portals = st.lists(
    st.builds(
        QUIET._replace, by_tag=counts, by_person=counts, others=counts, is_read=st.booleans()
    )
)


@given(portals, st.integers(1, 6), st.randoms())
def test_it_is_counted_in_any_order_and_more_never_does_harm(
    found: list[Tally], least: int, random: object
) -> None:
    before = why(*found, least=least)
    random.shuffle(found)  # type: ignore[attr-defined]
    assert why(*found, least=least) is before
    if before is None:
        assert why(*found, UNREAD, least=least) is None
