"""How communes stand on a day: their portals, what these published, and what they lack."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Level
from broadcast.areas.standing import homes
from broadcast.areas.tree import Lineage
from broadcast.areas.units import load_lineage, require_unit
from broadcast.portals.model import Portal, UpdateRule
from broadcast.portals.published import tallies
from broadcast.portals.updating import FIRST_RULE, Rule, Verdict


class Portals(NamedTuple):
    """The portals of a day.

    Attributes:
        of_commune: By the code of the commune of that day.
        undecided: Those whose commune was divided, or ended with none after it: somebody has to
            say whose they are.
    """

    of_commune: Mapping[str, Sequence[Portal]]
    undecided: Sequence[Portal]


class Standing(NamedTuple):
    """A commune on a day.

    Attributes:
        code: Of the commune.
        name: With its kind.
        verdict: Whether its portals are regularly updated.
    """

    code: str
    name: str
    verdict: Verdict


class Standings(NamedTuple):
    """The communes of a day.

    Attributes:
        rule: By which they are judged.
        communes: By code.
        undecided: As in `Portals`.
    """

    rule: Rule
    communes: Sequence[Standing]
    undecided: Sequence[Portal]


async def standings(session: AsyncSession, on: date, scope: str | None = None) -> Standings:
    """How communes stand on a day: all of them, or those in a province or district.

    Args:
        session: Where to read, whole.
        on: Local day; by its end.
        scope: Unit whose communes are wanted, itself included; of that day.

    Raises:
        InvalidInput: There is no such unit on that day.
    """
    lineage = await load_lineage(session, villages=False)
    tree = lineage.tree_on(on)
    if scope is None:
        units = list(tree)
    else:
        await require_unit(session, "scope", scope, on)
        units = [tree[scope], *tree.under(scope)]
    portals = await portals_on(session, lineage, on)
    rule = rule_on(await rules(session), on)
    ids = {code: [each.id for each in found] for code, found in portals.of_commune.items()}
    judged = await verdicts(session, ids, rule, on)
    none = Verdict((), rule)
    communes = [
        Standing(
            unit.code, unit.called, judged.get(unit.code, none)
        )
        for unit in sorted(units, key=lambda each: each.code)
        if unit.level is Level.COMMUNE
    ]  # fmt: skip
    return Standings(rule, communes, portals.undecided)


async def portals_on(session: AsyncSession, lineage: Lineage, on: date) -> Portals:
    """The portals of a day; each goes along with its commune when that becomes another one.

    Args:
        session: Where to read, whole.
        lineage: Without villages.
        on: Local day.
    """
    of_commune: defaultdict[str, list[Portal]] = defaultdict(list)
    undecided = []
    for portal in await session.scalars(
        sa.select(Portal)
        .where(Portal.valid_from <= on, sa.or_(Portal.ended_on.is_(None), Portal.ended_on >= on))
        .order_by(Portal.id)
    ):
        here = homes(lineage, portal.area_code, portal.valid_from, on)
        if len(here) == 1:
            of_commune[here[0]].append(portal)
        else:
            undecided.append(portal)
    return Portals(of_commune, undecided)


async def verdicts(
    session: AsyncSession, portals: Mapping[str, Sequence[int]], rule: Rule, as_of: date
) -> dict[str, Verdict]:
    """Judge the communes that have portals.

    Args:
        session: Where to read, whole.
        portals: Ids of the portals by commune.
        rule: Of the day.
        as_of: The day; by its end.
    """
    if not portals:
        return {}
    found = await tallies(session, portals, rule, as_of)
    return {code: Verdict([found[id_] for id_ in ids], rule) for code, ids in portals.items()}


class Decided(NamedTuple):
    """A rule of the province.

    Attributes:
        valid_from: First day on which it holds.
        rule: What it says.
        document: By which it was decided.
    """

    valid_from: date
    rule: Rule
    document: str


async def rules(session: AsyncSession) -> list[Decided]:
    """What the province has decided, the newest first."""
    rows = await session.scalars(sa.select(UpdateRule).order_by(UpdateRule.valid_from.desc()))
    return [Decided(row.valid_from, Rule(row.items, row.days), row.document) for row in rows]


def rule_on(known: Sequence[Decided], on: date) -> Rule:
    """The rule that holds on a day.

    Args:
        known: As `rules`.
        on: The day.
    """
    for each in known:
        if each.valid_from <= on:
            return each.rule
    return FIRST_RULE
