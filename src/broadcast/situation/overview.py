"""The situation of an area: each cluster judged, then counted for every area that it serves."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import partial
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope, units
from broadcast.areas.model import Level
from broadcast.areas.tree import Tree, Unit
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.indicators.definitions import operating_rule
from broadcast.kit import clock
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import NotFound
from broadcast.plays.model import PlayState
from broadcast.situation import facts, texts
from broadcast.situation.condition import Condition, Judged, is_deaf, judge, overall, tally
from broadcast.situation.facts import Known
from broadcast.situation.recent import Recent
from broadcast.situation.schemas import (
    ClusterConditionOut,
    CountsOut,
    NamedOut,
    PlaceOut,
    PlaysOut,
    SituationOut,
)
from broadcast.telemetry.sweep import listened_until

URGENCY = (Condition.BAD, Condition.PARTIAL, Condition.UNKNOWN, Condition.OK)
"""What needs somebody first."""


class _Cluster(NamedTuple):
    known: Known
    judged: Judged


async def situation(
    session: AsyncSession, caller: Caller, code: str, now: datetime, recent: Recent
) -> SituationOut:
    """How an area of today is for somebody; for who finds everything at most a second old.

    Raises:
        NotFound: There is no such unit today, or it is not the caller's to read.
    """
    await scope.require_readable_unit(session, caller, Permission.READ, code, clock.today())
    if not scope.is_whole(caller, Permission.READ):
        return await look(session, code, now)
    return await recent.get(code, partial(look, session, code, now))


async def look(session: AsyncSession, code: str, now: datetime) -> SituationOut:
    """How an area of today is, and what lies in it: as far as the transaction finds it.

    Raises:
        NotFound: There is no such unit today.
    """
    today = now.astimezone(LOCAL).date()
    lineage = (await scope.territory_of(session)).lineage
    tree = lineage.tree_on(today)
    if code not in tree:
        detail, codes = units.missing(lineage, code, today)
        raise NotFound(detail, replaced_by=codes)
    unit = tree[code]
    async with scope.whole(session):
        heard_until = await listened_until(session)
    rule = operating_rule(today)
    whole = unit.level is Level.PROVINCE
    read = await facts.read(
        session, tree, None if whole else tree.villages(code), now, rule.speaker_faults
    )
    clusters = [
        _Cluster(each, judge(each.facts, now, heard_until, rule.attestation)) for each in read
    ]
    inside = _inside(tree, code, clusters)
    below = _below(tree, unit)
    small = unit.level in {Level.COMMUNE, Level.VILLAGE}
    return SituationOut(
        **dict(_place(unit, inside[code])),
        at=now,
        heard_until=heard_until,
        listening=not is_deaf(heard_until, now),
        above=[NamedOut(code=each.code, name=each.name) for each in tree.chain(code)[1:]],
        areas=sorted(
            (_place(each, inside.get(each.code, [])) for each in below),
            key=lambda place: URGENCY.index(place.condition),
        ),
        listed=[_listed(each) for each in sorted(inside[code], key=_urgency)] if small else [],
    )


def _below(tree: Tree, unit: Unit) -> list[Unit]:
    if unit.level is Level.VILLAGE:
        return []
    level = Level.VILLAGE if unit.level is Level.COMMUNE else Level.COMMUNE
    return tree.under(unit.code, level)


def _inside(tree: Tree, code: str, clusters: Iterable[_Cluster]) -> dict[str, list[_Cluster]]:
    """Clusters by the units that they serve, each once for a unit; up to the unit asked for."""
    above: dict[str, frozenset[str]] = {}
    found: dict[str, list[_Cluster]] = {code: []}
    for each in clusters:
        places: set[str] = set()
        for village in each.known.villages:
            if village not in above:
                above[village] = frozenset(unit.code for unit in tree.chain(village))
            places |= above[village]
        if code not in places:
            continue
        for place in places:
            found.setdefault(place, []).append(each)
    return found


def _urgency(each: _Cluster) -> tuple[int, str]:
    return URGENCY.index(each.judged.condition), each.known.code


def _place(unit: Unit, clusters: Collection[_Cluster]) -> PlaceOut:
    counts = tally(each.judged.condition for each in clusters)
    return PlaceOut(
        code=unit.code,
        name=unit.name,
        level=unit.level,
        condition=overall(counts),
        summary=texts.summary(unit.name, counts),
        clusters=CountsOut(**counts._asdict(), total=counts.total),
        plays=_plays(clusters),
        incidents=len({number for each in clusters for number in each.known.incidents}),
    )


def _plays(clusters: Iterable[_Cluster]) -> PlaysOut:
    out = PlaysOut()
    for each in clusters:
        for state, count in each.known.plays.items():
            match state:
                case PlayState.PLAYED:
                    out.played += count
                case PlayState.PARTIAL | PlayState.PREEMPTED:
                    out.partial += count
                case PlayState.MISSED:
                    out.missed += count
                case _:
                    out.waiting += count
    return out


def _listed(each: _Cluster) -> ClusterConditionOut:
    known, judged = each
    return ClusterConditionOut(
        code=known.code,
        name=known.name,
        condition=judged.condition,
        reason=judged.reason,
        text=texts.why(judged.reason, judged.since),
        advice=texts.ADVICE[judged.reason],
        since=judged.since,
        device=known.device,
        villages=list(known.villages),
        latitude=known.latitude,
        longitude=known.longitude,
        plays=_plays([each]),
    )
