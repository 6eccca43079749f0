"""Indicator 1.3: what counts of a commune's portals, and what explains it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.areas.model import Level
from broadcast.indicators.comparison import Order, compare
from broadcast.indicators.figures import Cache, evaluate, foresee, judge, results_of
from broadcast.indicators.needs import Step, needs
from broadcast.indicators.province import Province
from broadcast.indicators.reach import Assessment
from broadcast.indicators.results import Reason, Result
from broadcast.indicators.why import Level as Spoken
from broadcast.indicators.why import why
from broadcast.kit import db
from broadcast.kit.text import folded
from broadcast.portals.model import (
    CheckOutcome,
    Portal,
    PortalCheck,
    PortalItem,
    PortalKind,
    UpdateRule,
)
from broadcast.portals.updating import Rule, Tally, Verdict
from broadcast.stations.model import Evidence
from tests import province as rows
from tests.callers import LAN
from tests.indicators.invented import NOW
from tests.indicators.test_indicator_rules import RULE, _province

RULE_OF_PORTALS = Rule(items=4, days=30)
ENOUGH = Tally(7, "Trang A", by_tag=4, by_person=0, others=2, newest_on=None, is_read=True)


def province(**portals: Tally) -> Province:
    judged = {code: Verdict([each], RULE_OF_PORTALS) for code, each in portals.items()}
    return replace(_province(communes=("A", "B", "C", "D")), portals=judged)


SOME = province(
    A=ENOUGH,
    B=ENOUGH._replace(by_tag=3, by_person=1),
    C=ENOUGH._replace(by_tag=1, others=0, is_read=False),
)


def member_of(result: Result) -> dict[str, tuple[str | None, str]]:
    return {each.code: (each.reason, each.evidence.value) for each in result.members}


def test_who_counts_and_by_what_proof() -> None:
    results = evaluate(SOME)["1.3"]
    assert member_of(results["TX"]) == {
        "A": (None, "telemetry"),
        "B": (None, "attested"),
        "C": (Reason.PORTAL_TOO_FEW, "none"),
        "D": (Reason.NO_PORTAL, "none"),
    }
    assert member_of(results["CO"]) == {
        "A": (None, "telemetry"),
        "B": (None, "telemetry"),
        "C": (Reason.PORTAL_NOT_READ, "none"),
        "D": (Reason.NO_PORTAL, "none"),
    }


def test_what_helps_is_what_is_missing() -> None:
    assessment = Assessment(SOME, RULE)
    results = results_of(assessment)["1.3"]
    wanted = {
        "TX": {"C": Step.PUBLISH, "D": Step.RECORD},
        "CO": {"C": Step.REPAIR, "D": Step.RECORD},
    }
    for variant, steps in wanted.items():
        found = needs(assessment, results[variant])
        assert {change.code: change.step for change, _ in found.changes} == steps
        assert found.unclear == []


def test_the_reason_names_the_portals_and_what_each_has_published() -> None:
    assessment = Assessment(SOME, RULE)
    chain = why(assessment, results_of(assessment)["1.3"]["TX"], "C")
    assert [(each.level, each.name, each.is_well) for each in chain] == [
        (Spoken.UNIT, "C", False),
        (Spoken.PORTAL, "Trang A", False),
    ]
    assert "1 tin thiết yếu trong 30 ngày, cần ít nhất 4" in chain[0].text
    assert "chưa lần nào đọc được" in chain[1].text
    assert len(why(assessment, results_of(assessment)["1.3"]["TX"], "D")) == 1


def test_communes_are_compared_by_how_much_is_there() -> None:
    assessment = Assessment(SOME, RULE)
    found = compare(assessment, results_of(assessment), "1.3", Order.WORST)
    assert (found[0].code, found[0].share) == ("C", Fraction(1, 4))
    assert found[0].parts["TX"].reasons == (Reason.PORTAL_TOO_FEW,)


def a_portal(**changes: object) -> Portal:
    columns = {
        "area_code": "21025", "name": "Trang xã", "url": "https://xa.example/",
        "source_url": "https://xa.example/tin.rss", "kind": PortalKind.FEED, "item_class": "",
        "date_class": "", "tags": ["Thiết yếu"], "folded_tags": [folded("Thiết yếu")],
        "valid_from": date(2025, 7, 1), "ended_on": None, "entered_by": LAN, "entered_at": NOW,
        "source_since": NOW,
    }  # fmt: skip
    return Portal(**columns | changes)


async def test_what_becomes_of_a_portal_is_in_the_next_figure(session: AsyncSession) -> None:
    """Though the figure before is remembered: a portal, a look, an item, a word, a decision."""
    session.add_all([rows.area("51", Level.PROVINCE), rows.area("21025", Level.COMMUNE, "51")])
    await session.flush()
    cache = Cache()

    async def found() -> list[tuple[str | None, str]]:
        judged = await judge(session, NOW.date(), "51", NOW, cache)
        return [member_of(judged.results["1.3"][variant])["21025"] for variant in ("TX", "CO")]

    assert await found() == [(Reason.NO_PORTAL, "none")] * 2
    portal = a_portal()
    session.add(portal)
    await session.flush()
    assert await found() == [(Reason.PORTAL_NOT_READ, "none")] * 2
    session.add(
        PortalCheck(
            portal_id=portal.id, checked_at=NOW, outcome=CheckOutcome.ANSWERED, detail="",
            listed=4, added=4, etag="", modified="",
        )
    )  # fmt: skip
    await session.flush()
    assert await found() == [(Reason.PORTAL_TOO_FEW, "none"), (None, "telemetry")]
    items = [
        PortalItem(
            portal_id=portal.id, key=str(n), url=f"https://xa.example/{n}", title="", tags=["x"],
            seen_at=NOW,
            folded_tags=[folded("THIET YEU")], published_at=NOW - timedelta(days=n), is_old=False,
        )
        for n in range(4)
    ]  # fmt: skip
    session.add_all(items)
    await session.flush()
    assert (await found())[0] == (None, Evidence.TELEMETRY)
    items[0].is_essential, items[0].decided_by, items[0].decided_at = False, LAN, NOW
    await session.flush()
    assert (await found())[0] == (Reason.PORTAL_TOO_FEW, "none")
    session.add(
        UpdateRule(
            valid_from=NOW.date(), items=3, days=4, document="CV", decided_by=LAN, decided_at=NOW
        )
    )
    await session.flush()
    assert (await found())[0] == (None, Evidence.TELEMETRY)
    portal.ended_on = NOW.date() - timedelta(days=1)
    await session.flush()
    assert await found() == [(Reason.NO_PORTAL, "none")] * 2


@pytest.mark.parametrize("code", ["1.1", "1.2"])
async def test_portals_change_no_other_indicator(session: AsyncSession, code: str) -> None:
    session.add_all([rows.area("51", Level.PROVINCE), rows.area("21025", Level.COMMUNE, "51")])
    await session.flush()
    before = (await judge(session, NOW.date(), "51", NOW)).results[code]
    session.add(a_portal())
    await session.flush()
    assert (await judge(session, NOW.date(), "51", NOW)).results[code] == before


async def test_a_figure_that_failed_leaves_the_next_ones_well(engine: AsyncEngine) -> None:
    """What a process remembers of a register outlives the transaction that read it."""
    async with db.transaction(engine) as session:
        session.add_all([rows.area("51", Level.PROVINCE), rows.area("21025", Level.COMMUNE, "51")])
        await session.flush()
        session.add(a_portal())
        session.add(
            UpdateRule(
                valid_from=date(2025, 1, 1), items=3, days=4, document="CV", decided_by=LAN,
                decided_at=NOW,
            )
        )  # fmt: skip
    cache = Cache()
    with suppress(ZeroDivisionError):
        async with db.transaction(engine) as failing:
            await judge(failing, NOW.date(), "51", NOW, cache)
            raise ZeroDivisionError
    async with db.transaction(engine) as next_:
        judged = await judge(next_, NOW.date(), "51", NOW, cache)
    assert member_of(judged.results["1.3"]["TX"])["21025"] == (Reason.PORTAL_NOT_READ, "none")


async def test_units_of_a_day_to_come_are_judged_by_what_is_published_now(
    session: AsyncSession,
) -> None:
    session.add_all([rows.area("51", Level.PROVINCE), rows.area("21025", Level.COMMUNE, "51")])
    await session.flush()
    portal = a_portal()
    session.add(portal)
    await session.flush()
    session.add(
        PortalCheck(
            portal_id=portal.id, checked_at=NOW, outcome=CheckOutcome.ANSWERED, detail="",
            listed=0, added=0, etag="", modified="",
        )
    )  # fmt: skip
    await session.flush()
    found = await foresee(session, NOW.date() + timedelta(days=200), "51", NOW)
    assert member_of(found["1.3"]["CO"])["21025"] == (None, "telemetry")
