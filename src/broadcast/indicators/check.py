"""Holding the figures against a full recomputation from the raw rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.indicators import raw, snapshot
from broadcast.indicators.cache import Memory
from broadcast.indicators.figures import percent, rule_of
from broadcast.indicators.observed import Cluster
from broadcast.indicators.results import Results
from broadcast.indicators.rules import evaluate


async def differences(session: AsyncSession, as_of: date, scope: str, now: datetime) -> list[str]:
    """What `compute` and `recompute` find differently, a sentence each; nothing when all is well.

    Args:
        session: In a transaction that sees one state of the database (REPEATABLE READ).
        as_of: As `compute`.
        scope: As `compute`.
        now: As `compute`.

    Raises:
        InvalidInput: As `compute`.
    """
    rule = await rule_of(session, as_of, scope, now)
    kept = await snapshot.load(session, as_of, scope, rule, now, Memory())
    anew = await raw.load(session, as_of, scope, rule, now)
    lines = []
    for number in sorted({*kept.clusters, *anew.clusters}):
        ours, theirs = kept.clusters.get(number), anew.clusters.get(number)
        if ours != theirs:
            lines += [f"cụm loa {line}" for line in _of_cluster(ours, theirs)]
    return lines + list(_of_figures(evaluate(kept, rule), evaluate(anew, rule)))


def _of_cluster(kept: Cluster | None, anew: Cluster | None) -> Iterator[str]:
    if kept is None or anew is None:
        one = kept or anew
        assert one is not None
        yield f"{one.code}: chỉ có trong {'số lưu' if anew is None else 'số tính lại'}"
        return
    for name, ours, theirs in zip(Cluster._fields, kept, anew, strict=True):
        if ours != theirs:
            yield f"{kept.code}: {name} lưu {ours}, tính lại {theirs}"


def _of_figures(kept: Results, anew: Results) -> Iterator[str]:
    for code, variants in anew.items():
        for variant, result in variants.items():
            ours = kept[code][variant]
            if ours == result:
                continue
            units = {member.code: member for member in ours.members}
            differing = [each.code for each in result.members if units.get(each.code) != each]
            yield (
                f"chỉ tiêu {code} {variant}: lưu {percent(ours.value)}, "
                f"tính lại {percent(result.value)}; khác ở {', '.join(differing)}"
            )
