"""Starts that quiet hours or a Quy chế forbid at some of the clusters that they reach."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import NamedTuple

from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.kit.quiet import daily
from broadcast.schedules.expansion import DAY
from broadcast.schedules.grid import forbidden_text
from broadcast.schedules.model import Schedule
from broadcast.schedules.recurrence import Planned
from broadcast.schedules.targets import TargetResolver, Targets
from broadcast.wire.documents import Hours


class Forbidden(NamedTuple):
    """A start that would reach into silent hours."""

    starts_at: datetime
    hours: Hours
    cluster_ids: frozenset[int]
    """Where; none when the schedule reaches no cluster at all."""
    is_everywhere: bool
    """At all of the clusters that would hear it."""


async def forbidden(
    resolver: TargetResolver,
    schedule: Schedule,
    seconds: float,
    starts: Iterable[Planned],
    rules: Rules,
) -> list[Forbidden]:
    """Of some starts those that may not sound, those apart that a calendar keeps silent anyhow.

    Args:
        resolver: Of the transaction.
        schedule: What starts; need not be stored.
        seconds: How long it sounds.
        starts: When.
        rules: Quiet hours, where no Quy chế speaks of hours.
    """
    default, found = daily(rules.quiet_hours), []
    for each in starts:
        reached = await resolver.reach_at(schedule, each, None)
        if reached.silenced is not None:
            continue
        met = await resolver.rules.silencing(each.starts_at, seconds, reached.cluster_ids, default)
        found += [
            Forbidden(each.starts_at, hours, there, there == reached.cluster_ids)
            for hours, there in met
        ]
    return found


async def hours_at(
    resolver: TargetResolver,
    where: Targets,
    targets_on: date,
    first: date,
    last: date,
    rules: Rules,
) -> list[Hours]:
    """Windows that hold at one at least of the clusters of some targets, on some days.

    Args:
        resolver: Of the transaction.
        where: Targets.
        targets_on: Day under whose units they were meant.
        first: First day; windows that opened on the evening before count.
        last: Last day.
        rules: Quiet hours, where no Quy chế speaks of hours.
    """
    default = daily(rules.quiet_hours)
    reached = (await resolver.resolve(where, targets_on, first)).cluster_ids
    known = await resolver.rules.hours(reached, first - DAY, last + DAY, default)
    return [*dict.fromkeys(each for some in known.values() for each in some)] or [*default]


def refuse(found: Iterable[Forbidden]) -> None:
    """Refuse what may not sound (R-CUR-01).

    Raises:
        InvalidInput: Says which start, and why.
    """
    for each in found:
        where = "" if each.is_everywhere else f" ở {len(each.cluster_ids)} cụm loa"
        raise InvalidInput("starts_at", forbidden_text(each.starts_at, each.hours, LOCAL, where))
