"""What a schedule would exceed of the quotas of Quy chế, with all that sounds there already.

Relays and what comes from above count as any other sound; alerts do not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa

from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict
from broadcast.regulations.rules import Limits
from broadcast.schedules import quotas, targets
from broadcast.schedules.grid import Slot
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule
from broadcast.schedules.neighbours import Neighbours
from broadcast.schedules.quotas import Excess, Quota
from broadcast.schedules.recurrence import Planned
from broadcast.schedules.slots import slots_between, slots_of
from broadcast.schedules.targets import TargetResolver
from broadcast.wire import quotas as rule
from broadcast.wire.quotas import Sound

DAY = timedelta(days=1)

MOST_DAYS = 14
"""Days of a schedule that are looked at, from its first start: two weeks of any rule."""


class Exceeded(NamedTuple):
    """A quota that is exceeded on a day."""

    on: date
    excess: Excess
    cluster_ids: frozenset[int]

    @property
    def text(self) -> str:
        """For people; `{where}` stands for the places."""
        said = _TEXTS[self.excess.quota]
        return said.format(
            day=f"{self.on:%d/%m/%Y}",
            found=f"{self.excess.found:.3g}".replace(".", ","),
            allowed=self.excess.allowed,
            where="{where}",
        )


_TEXTS = {
    Quota.SESSIONS: "Ngày {day} sẽ có {found} buổi phát {where}, Quy chế cho phép {allowed} buổi.",
    Quota.SESSION: "Ngày {day} có buổi phát dài {found} phút {where}, Quy chế cho phép {allowed}"
    " phút mỗi buổi.",
    Quota.DAY: "Ngày {day} sẽ phát {found} phút {where}, Quy chế cho phép {allowed} phút mỗi"
    " ngày.",
}


class Found(NamedTuple):
    """What is too much, and days on which one audio would sound twice where that is said."""

    exceeded: list[Exceeded]
    repeats: list[tuple[date, frozenset[int]]]


async def look(
    resolver: TargetResolver,
    schedule: Schedule,
    seconds: float,
    starts: Sequence[Planned],
    others: Neighbours,
    now: datetime,
) -> Found:
    """What starts of a schedule would exceed, on the first days on which it sounds.

    Args:
        resolver: Of the transaction.
        schedule: Need not be stored.
        seconds: Length of its sound.
        starts: Those that are to sound, by time.
        others: What else sounds.
        now: Present; what has begun today counts as it is stored, whatever the rules say by now.
    """
    by_day: defaultdict[date, list[Planned]] = defaultdict(list)
    for each in starts:
        by_day[_day(each.starts_at)].append(each)
    days = sorted(by_day)[:MOST_DAYS]
    limits = {day: await resolver.rules.limits(day) for day in days}
    found = Found([], [])
    if not any(limits.values()):
        return found
    begin = datetime.combine(days[0], time(), LOCAL)
    end = datetime.combine(days[-1] + DAY, time(), LOCAL)
    there = await slots_between(resolver, schedule, others.readable, begin, end)
    same = {each.schedule.id for each in others.readable if _is_same(each.schedule, schedule)}
    repeated = await slots_between(
        resolver, schedule, (n for n in others.readable if n.schedule.id in same), begin, end
    )
    begun = await begun_today(resolver, now)
    for day in days:
        mine = await slots_of(resolver, schedule, seconds, by_day[day])
        sounding = frozenset[int]().union(*(slot.cluster_ids for slot in mine))
        concerned = {c: limits[day][c] for c in sounding & limits[day].keys()}
        of_day = [
            *mine, *(begun if day == now.astimezone(LOCAL).date() else ()),
            *(s for s in there if s.starts_at >= now and _day(s.starts_at) == day),
        ]  # fmt: skip
        sounds: defaultdict[int, list[Sound]] = defaultdict(list)
        for slot in of_day:
            for cluster in slot.cluster_ids & concerned.keys():
                sounds[cluster].append(Sound(slot.starts_at, slot.ends_at))
        found.exceeded.extend(exceeded(day, concerned, sounds))
        warned = frozenset(c for c, limit in concerned.items() if limit.warns_repeats)
        alike = [s for s in repeated if _day(s.starts_at) == day]
        twice = frozenset(
            c for c in warned if sum(c in slot.cluster_ids for slot in [*mine, *alike]) > 1
        )
        if twice:
            found.repeats.append((day, twice))
    return found


async def begun_today(resolver: TargetResolver, now: datetime) -> list[Slot]:
    """What was planned to start today before now, and was not cancelled, by start."""
    today = _day(now)
    return await stored(resolver, today, until=now)


async def stored(resolver: TargetResolver, on: date, until: datetime | None = None) -> list[Slot]:
    """What is planned on a local day as it is stored, by start; alerts and live speech apart.

    Args:
        resolver: Of the transaction.
        on: The day.
        until: Only what starts before.
    """
    begin = datetime.combine(on, time(), LOCAL)
    rows = await resolver.session.scalars(
        sa.select(Occurrence)
        .where(
            Occurrence.alert_mode.is_(None),
            Occurrence.live_key.is_(None),
            Occurrence.state == OccurrenceState.PLANNED,
            Occurrence.starts_at >= begin,
            Occurrence.starts_at < (until or begin + DAY),
        )
        .order_by(Occurrence.starts_at, Occurrence.id)
    )
    return [
        Slot(
            row.id, row.title, row.starts_at,
            row.starts_at + timedelta(seconds=targets.seconds_of(row)), row.priority,
            await resolver.clusters_of(row.scopes, on),
        )
        for row in rows
    ]  # fmt: skip


async def over_quota(
    resolver: TargetResolver, slots: Iterable[Slot]
) -> dict[UUID, frozenset[int]]:
    """Which of all that is planned on some days is over quota, and at which clusters.

    By the rule of devices (`wire.quotas`).
    """
    if not resolver.rules.regulations:
        return {}
    days: defaultdict[date, list[Slot]] = defaultdict(list)
    for slot in slots:
        days[_day(slot.starts_at)].append(slot)
    found: defaultdict[UUID, set[int]] = defaultdict(set)
    for day, of_day in days.items():
        limits = await resolver.rules.limits(day)
        heard: defaultdict[int, dict[UUID, Sound]] = defaultdict(dict)
        for slot in of_day:
            for cluster in slot.cluster_ids & limits.keys():
                heard[cluster][slot.occurrence_id] = Sound(slot.starts_at, slot.ends_at)
        alike: defaultdict[tuple[Limits, frozenset[UUID]], list[int]] = defaultdict(list)
        for cluster, sounds in heard.items():
            alike[limits[cluster], frozenset(sounds)].append(cluster)
        for (limit, _), there in alike.items():
            for id_ in rule.over(limit.quotas, heard[there[0]]):
                found[id_].update(there)
    return {id_: frozenset(there) for id_, there in found.items()}


def refuse(found: Iterable[Exceeded]) -> None:
    """Refuse what exceeds a quota.

    Raises:
        Conflict: With `quota` and `on`.
    """
    for each in found:
        where = f"ở {len(each.cluster_ids)} cụm loa"
        raise Conflict(
            f"{each.text.format(where=where)} Hãy đổi ngày, rút ngắn, hoặc bỏ bớt nơi phát.",
            quota=each.excess.quota,
            on=each.on,
        )


def _day(at: datetime) -> date:
    return at.astimezone(LOCAL).date()


def _is_same(other: Schedule, schedule: Schedule) -> bool:
    return (other.bulletin_id, other.bulletin_revision) == (
        schedule.bulletin_id, schedule.bulletin_revision,
    )  # fmt: skip


def exceeded(
    day: date, limits: Mapping[int, Limits], sounds: Mapping[int, Sequence[Sound]]
) -> list[Exceeded]:
    """Quotas that what sounds on a day exceeds, by cluster."""
    alike: defaultdict[tuple[Limits, tuple[Sound, ...]], set[int]] = defaultdict(set)
    for cluster, heard in sounds.items():
        alike[limits[cluster], tuple(sorted(heard))].add(cluster)
    found: defaultdict[Excess, set[int]] = defaultdict(set)
    for (limit, together), clusters in alike.items():
        for excess in quotas.excesses(limit.quotas, together):
            found[excess] |= clusters
    return [Exceeded(day, excess, frozenset(clusters)) for excess, clusters in found.items()]
