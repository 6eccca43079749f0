"""Grants after a merger: proposed from the lineage, and decided on by a person."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts import proposals
from broadcast.accounts.people import create_account
from broadcast.areas.model import AreaLineage, Level, Part
from broadcast.areas.tree import DAY, Lineage
from broadcast.auth.model import Grant
from broadcast.auth.permissions import Role
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import NotFound
from tests.areas.worlds import BEGIN, World, worlds
from tests.callers import LAN, caller
from tests.province import PROVINCE, area

ADMIN = caller("Lan", Role.PROVINCE_ADMIN)
NOW = datetime(2025, 7, 10, 3, tzinfo=UTC)
MERGED_ON = date(2025, 7, 1)
BEFORE = MERGED_ON - timedelta(days=1)


async def merged(session: AsyncSession, *, part: Part = Part.WHOLE) -> Grant:
    """Commune 20003 went into 20004 (and, if only a part did, into 20001): its approver."""
    heirs = ["20004"] if part is Part.WHOLE else ["20004", "20001"]
    session.add_all([
        area(PROVINCE, Level.PROVINCE),
        area("20001", Level.COMMUNE, PROVINCE),
        area("20003", Level.COMMUNE, PROVINCE, valid_to=BEFORE),
        area("20004", Level.COMMUNE, PROVINCE, valid_from=MERGED_ON),
        *(
            AreaLineage(
                old_code="20003", new_code=heir, effective_on=MERGED_ON, part=part, legal_act="NQ"
            )
            for heir in heirs
        ),
    ])  # fmt: skip
    account = await create_account(session, "Nguyễn Thị Mai", NOW)
    held = Grant(
        account_id=account.id, role=Role.COMMUNE_APPROVER, area_code="20003",
        valid_from=date(2025, 1, 1), valid_until=date(2026, 6, 30), granted_by=LAN,
        granted_at=datetime(2025, 1, 1, tzinfo=UTC), revoked_at=None,
    )  # fmt: skip
    session.add(held)
    await session.flush()
    return held


async def test_a_confirmed_successor_is_a_new_grant_and_ends_the_old_one(
    session: AsyncSession,
) -> None:
    held = await merged(session)
    (proposal,) = await proposals.proposals(session, NOW)
    assert (proposal.area_code, proposal.part, proposal.since) == ("20004", Part.WHOLE, MERGED_ON)
    following = await proposals.decide(session, held.id, "20004", ADMIN, NOW, is_confirmed=True)
    assert following is not None
    assert (following.role, following.area_code) == (held.role, "20004")
    assert (following.valid_until, following.granted_by) == (held.valid_until, LAN)
    assert held.revoked_at == NOW
    assert await proposals.proposals(session, NOW) == []
    with pytest.raises(NotFound):
        await proposals.decide(session, held.id, "20004", ADMIN, NOW, is_confirmed=True)


async def test_of_a_divided_commune_each_part_is_decided_on_alone(session: AsyncSession) -> None:
    held = await merged(session, part=Part.PART)
    assert [each.area_code for each in await proposals.proposals(session, NOW)] == [
        "20001",
        "20004",
    ]
    assert (
        await proposals.decide(session, held.id, "20001", ADMIN, NOW, is_confirmed=False) is None
    )
    assert held.revoked_at is None
    assert [each.area_code for each in await proposals.proposals(session, NOW)] == ["20004"]
    await proposals.decide(session, held.id, "20004", ADMIN, NOW, is_confirmed=True)
    assert held.revoked_at == NOW
    grants = await session.scalars(sa.select(Grant.area_code).where(Grant.revoked_at.is_(None)))
    assert set(grants) == {"20004"}


async def test_what_was_not_proposed_cannot_be_confirmed(session: AsyncSession) -> None:
    held = await merged(session)
    with pytest.raises(NotFound):
        await proposals.decide(session, held.id, "20001", ADMIN, NOW, is_confirmed=True)


async def test_a_grant_of_the_present_unit_is_no_proposal(session: AsyncSession) -> None:
    held = await merged(session)
    held.area_code, held.granted_at = "20004", NOW
    held.valid_from = NOW.astimezone(LOCAL).date()
    await session.flush()
    assert await proposals.proposals(session, NOW) == []


@given(worlds(), st.data())
def test_proposed_is_what_the_lineage_names_and_only_after_a_change(
    world: World, data: st.DataObject
) -> None:
    lineage = Lineage(world.units, world.steps)
    communes = [unit.code for unit in lineage.tree_on(BEGIN) if unit.level is Level.COMMUNE]
    code = data.draw(st.sampled_from(communes))
    for on in world.days:
        found = proposals.rearranged(lineage, code, BEGIN, on)
        assert (found is None) == lineage.is_same(code, BEGIN, on)
        if found is not None:
            heirs = {heir.code for heir in found.successors}
            # What it gave away while it went on is not among them.
            assert heirs <= {heir.code for heir in lineage.successors(code, BEGIN, on)}
            assert heirs <= {unit.code for unit in lineage.tree_on(on)}
            assert lineage.is_same(code, BEGIN, found.since - DAY)
