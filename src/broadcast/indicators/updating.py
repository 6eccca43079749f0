"""Indicator 1.3: does a commune regularly update essential information on its portals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from broadcast.indicators.definitions import Definition
from broadcast.indicators.province import Commune, Province
from broadcast.indicators.reach import Assessment
from broadcast.indicators.results import Counting, Member, Reason
from broadcast.stations.model import Evidence


def _updated(assessment: Assessment, definition: Definition) -> Counting:
    del definition
    return [_member(assessment.province, each) for each in assessment.province.communes], []


def _member(province: Province, commune: Commune) -> Member:
    found = province.portals.get(commune.code)
    if found is None:
        return Member(commune.code, commune.name, Reason.NO_PORTAL, Evidence.NONE)
    share = min(Fraction(1), Fraction(found.counted, found.rule.items))
    if found.why is not None:
        return Member(commune.code, commune.name, Reason(found.why), Evidence.NONE, share)
    by_itself = found.by_tag >= found.rule.items
    evidence = Evidence.TELEMETRY if by_itself else Evidence.ATTESTED
    return Member(commune.code, commune.name, None, evidence, share)


def _has_portal(assessment: Assessment, definition: Definition) -> Counting:
    del definition
    members = []
    for commune in assessment.province.communes:
        found = assessment.province.portals.get(commune.code)
        reason: Reason | None = Reason.NO_PORTAL
        if found is not None:
            reason = None if found.is_read else Reason.PORTAL_NOT_READ
        evidence = Evidence.NONE if reason else Evidence.TELEMETRY
        members.append(Member(commune.code, commune.name, reason, evidence))
    return members, []


COUNTS: Mapping[str, Callable[[Assessment, Definition], Counting]] = {
    "TX": _updated,
    "CO": _has_portal,
}
"""By variant."""
