"""Warnings about a schedule that may be saved: shown to its author with the plan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins.model import Revision
from broadcast.bulletins.revisions import newest_approved
from broadcast.kit.clock import LOCAL
from broadcast.schedules import recurrence, rule_edits
from broadcast.schedules.model import Schedule
from broadcast.schedules.rrule import Rule
from broadcast.schedules.targets import TargetResolver


class Reached(NamedTuple):
    """Clusters that one target reaches on the day of the first start."""

    target: dict[str, str]
    cluster_count: int
    with_device_count: int


async def reach_targets(
    resolver: TargetResolver, schedule: Schedule, first: datetime
) -> list[Reached]:
    """Return the clusters of each target, and how many of them have a device."""
    on = first.astimezone(LOCAL).date()
    found = []
    for target in schedule.targets:
        clusters = (await resolver.resolve([target], schedule.targets_on, on)).cluster_ids
        equipped = await resolver.equipped(clusters, on)
        found.append(Reached(target, len(clusters), len(equipped)))
    return found


def warnings_of(rule: Rule | None, starts_at: datetime, first: datetime) -> list[str]:
    """Return warnings about starts that the rule has not, and lost days."""
    warnings = []
    if rule is not None and not recurrence.fires(rule, starts_at, starts_at, LOCAL):
        warnings.append(
            f"starts_at không khớp quy tắc lặp; buổi phát đầu là "
            f"{first.astimezone(LOCAL):%H:%M %d/%m/%Y}"
        )
    if rule is not None:
        lost = rule_edits.lost_at_the_end(rule, starts_at, LOCAL)
        warnings += [
            f"UNTIL kết thúc lúc {rule.until:%H:%M} nên ngày cuối {at:%d/%m/%Y} không phát lúc "
            f"{at:%H:%M}; muốn phát cả ngày đó hãy ghi UNTIL={at:%Y%m%d}"
            for at in lost
        ]
    return warnings


def warnings_of_reach(reached: Sequence[Reached]) -> list[str]:
    """Return warnings about missing clusters and devices."""
    warnings = []
    for each in reached:
        name = next(iter(each.target.values()))
        if not each.cluster_count:
            warnings.append(f"đích “{name}” không có cụm loa nào nhận lịch này")
        elif each.with_device_count < each.cluster_count:
            missing = each.cluster_count - each.with_device_count
            warnings.append(
                f"{missing} cụm loa của “{name}” chưa lắp thiết bị nên không phát được"
            )
    return warnings


def warnings_of_repeats(repeats: Sequence[tuple[date, frozenset[int]]]) -> list[str]:
    """Return the warning about one audio twice on a day, where a Quy chế asks for it."""
    if not repeats:
        return []
    day, clusters = repeats[0]
    more = f" và {len(repeats) - 1} ngày khác" if len(repeats) > 1 else ""
    return [
        f"ngày {day:%d/%m/%Y}{more} cùng một âm thanh phát hơn một lần ở {len(clusters)} cụm loa"
    ]


async def warnings_of_revision(session: AsyncSession, revision: Revision) -> list[str]:
    """Return the warning about a newer approved revision, if there is one."""
    newest = await newest_approved(session, revision.bulletin_id)
    if newest is None or newest.number <= revision.number:
        return []
    return [f"đã có phiên bản {newest.number} mới hơn được duyệt; lịch này phát bản cũ"]
