"""Communes side by side: what counts in each, by every variant of an indicator. Pure."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from broadcast.indicators.reach import Assessment
from broadcast.indicators.results import Member, Result, Results


class Order(StrEnum):
    """Orders of a comparison."""

    WORST = "worst"
    """Least share first, the larger commune before the smaller one."""
    BEST = "best"
    NAME = "name"
    CLUSTERS_DOWN = "clusters_down"
    """Most clusters that do not operate first."""


class Part(NamedTuple):
    """Units of a commune in one variant: itself, its villages or its stations."""

    counted: int
    units: int
    reasons: tuple[str, ...]
    """Reasons why units do not count, each once."""


class CommuneRow(NamedTuple):
    """A commune in the comparison."""

    code: str
    name: str
    share: Fraction | None
    """1.1: villages reached ÷ villages. 1.2: villages on converted plants ÷ on any. 1.3: items of
    essential information ÷ items wanted."""
    villages: int
    villages_reached: int
    clusters: int
    clusters_operating: int
    parts: Mapping[str, Part]
    """By variant."""


RANKING: Mapping[str, str] = {"1.1": "TH", "1.2": "XA", "1.3": "TX"}
"""Code → variant whose units are communes, each with its share."""


def compare(
    assessment: Assessment, results: Results, code: str, order: Order = Order.WORST
) -> list[CommuneRow]:
    """Put the communes of a scope side by side, in an order."""
    province = assessment.province
    commune_of: dict[str, str | None] = {each.code: each.code for each in province.communes}
    commune_of |= {village.code: village.commune for village in province.villages}
    commune_of |= {station.code: station.commune for station in province.stations.values()}
    parts: dict[str, dict[str, Part]] = {
        variant: _parts(result, commune_of) for variant, result in results[code].items()
    }
    shares = {member.code: member.share for member in results[code][RANKING[code]].members}
    clusters: defaultdict[str, set[int]] = defaultdict(set)
    for service in province.services:
        where = commune_of.get(service.village)
        if where is not None:
            clusters[where].add(service.cluster_id)
    rows = []
    for commune in province.communes:
        tally = assessment.tallies.get(commune.code)
        own = clusters[commune.code]
        rows.append(
            CommuneRow(
                code=commune.code,
                name=commune.name,
                share=shares.get(commune.code),
                villages=tally.known if tally else 0,
                villages_reached=tally.reached if tally else 0,
                clusters=len(own),
                clusters_operating=sum(not assessment.operations[each].causes for each in own),
                parts={
                    variant: found[commune.code]
                    for variant, found in parts.items()
                    if commune.code in found
                },
            )
        )
    return sort(rows, order)


def _parts(result: Result, commune_of: Mapping[str, str | None]) -> dict[str, Part]:
    members: defaultdict[str, list[Member]] = defaultdict(list)
    for member in result.members:
        commune = commune_of.get(member.code)
        if commune is not None:
            members[commune].append(member)
    return {
        code: Part(
            sum(each.counted for each in units),
            len(units),
            tuple(sorted({each.reason for each in units if each.reason is not None})),
        )
        for code, units in members.items()
    }


def sort(rows: Iterable[CommuneRow], order: Order) -> list[CommuneRow]:
    """Rows in an order; without a share they come last, equal ones by code."""

    def key(row: CommuneRow) -> tuple[object, ...]:
        if order is Order.NAME:
            return _vietnamese(row.name), row.code
        if order is Order.CLUSTERS_DOWN:
            return row.clusters_operating - row.clusters, row.code
        share = row.share if row.share is not None else Fraction(0)
        sign = 1 if order is Order.WORST else -1
        return row.share is None, sign * share, -row.villages, row.code

    return sorted(rows, key=key)


def _vietnamese(name: str) -> tuple[str, str]:
    """Key by which names come in the order of the alphabet: letters first, then their marks."""
    marked = unicodedata.normalize("NFD", name.casefold().replace("đ", "d\u0335"))
    return "".join(each for each in marked if not unicodedata.combining(each)), marked
