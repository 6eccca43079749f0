"""Check of a schedule before it is saved: everything that its author should know, with remedies.

The checks are those of saving (`edits`, `planning`, `clashes`, `capacity`), made in a savepoint
that is rolled back: what is found here is what would be refused, and nothing is changed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, time
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller
from broadcast.bulletins.model import Revision, RevisionState
from broadcast.bulletins.revisions import get_bulletin
from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict
from broadcast.kit.quiet import quiet_window
from broadcast.schedules import (
    availability,
    capacity,
    consequences,
    edits,
    exceptions,
    findings,
    free_times,
    occurrence_edits,
    planning,
    recurrence,
    targets,
)
from broadcast.schedules.consequences import Consequence
from broadcast.schedules.edits import Columns
from broadcast.schedules.findings import Finding, Kind, Place, Remedy, RemedyKind
from broadcast.schedules.model import Occurrence, Schedule
from broadcast.schedules.neighbours import Neighbours, neighbours
from broadcast.schedules.places_heard import out_of_contact, places_of
from broadcast.schedules.planning import Plan
from broadcast.schedules.silent_days import sentences
from broadcast.schedules.starts import Exceptions, rule_of
from broadcast.schedules.warnings import warnings_of_reach

MOST_REMEDIES = 3
"""Other times that a finding offers."""


class Check(NamedTuple):
    """What a schedule would come to, and what is to be known of it."""

    findings: list[Finding]
    plan: Plan | None = None
    """None where there is nothing to plan: it has passed, or is about one start only."""
    consequence: Consequence | None = None
    """Of a change: what becomes of the starts that are planned."""

    @property
    def refused(self) -> bool:
        """It would not be saved so."""
        return any(finding.refuses for finding in self.findings)


@asynccontextmanager
async def dry_run(session: AsyncSession) -> AsyncIterator[None]:
    """Roll back what is done meanwhile, locks and notifications included."""
    savepoint = await session.begin_nested()
    try:
        yield
    finally:
        await savepoint.rollback()


async def of_new(
    session: AsyncSession,
    bulletin_id: UUID,
    columns: Columns,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> Check:
    """Check a schedule that is not stored; its revision need not be approved yet.

    Raises:
        BroadcastError: As `edits.draft`.
    """
    async with dry_run(session):
        schedule, revision = await edits.draft(
            session, bulletin_id, columns, caller, now, approved=False
        )
        session.add(schedule)
        await session.flush()
        return await _check(session, schedule, revision, {}, rules, now, is_new=True)


async def of_change(
    session: AsyncSession,
    schedule: Schedule,
    since: datetime | None,
    columns: Columns,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> Check:
    """Check a change of a stored schedule, of all of it or from a start on.

    Raises:
        BroadcastError: As `edits.change` and `edits.split`, but for what is a finding.
    """
    before = await consequences.coming_starts(session, schedule, now, since)
    async with dry_run(session):
        if since is not None:
            schedule, columns = await edits.divide(session, schedule, since, columns, caller, now)
        revision, excepted, warnings = await edits.rewrite(session, schedule, columns, caller, now)
        check = await _check(session, schedule, revision, excepted, rules, now)
        coming = [] if check.plan is None else [slot.starts_at for slot in check.plan.slots]
        after = [at for at in coming if at < now + rules.horizon]
        consequence = await consequences.of_starts(session, schedule, before, after, now)
    notices = [Finding(Kind.NOTICE, _sentence(warning)) for warning in warnings]
    return check._replace(findings=[*check.findings, *notices], consequence=consequence)


async def of_move(
    session: AsyncSession,
    row: Occurrence,
    to: datetime,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> Check:
    """Check the move of one start.

    Raises:
        BroadcastError: As `occurrence_edits.move`, but for what is a finding.
    """
    was = row.starts_at
    async with dry_run(session):
        schedule, revision, moved = await occurrence_edits.prepare_move(
            session, row, to, caller, now
        )
        on = to.astimezone(LOCAL).date()
        places = await places_of(session, schedule.targets, schedule.targets_on, on)
        found: list[Finding] = []
        if to <= now:
            found.append(Finding(Kind.PASSED, f"{findings.moment(to)} đã qua."))
        else:
            overlaps = await planning.collisions(
                session, schedule, revision, moved, _all_day(rules), now
            )
            await exceptions.put(session, schedule.id, row.recurrence_at, to, caller, now)
            others = await neighbours(session)  # the moved start among them
            found += [
                *_quiet([(to, schedule.seconds_of(revision))], rules),
                *findings.of_overlaps(overlaps, places),
                *await _overfull(session, schedule, places, on, rules, now, others),
                *await not_ready(session, places, on),
            ]
        if any(each.kind in _BY_TIME for each in found):
            [day] = await availability.free_days(
                session, schedule, schedule.seconds_of(revision), [on], rules, now
            )
            nearest = free_times.nearest(day.starts, to, MOST_REMEDIES)
            times = tuple(findings.other_times(nearest, to))
            found = [
                each._replace(remedies=times) if each.kind in _BY_TIME else each for each in found
            ]
        consequence = await consequences.of_starts(session, schedule, [was], [to], now)
    return Check(found, consequence=consequence)


async def of_cancellation(
    session: AsyncSession, row: Occurrence, caller: Caller, now: datetime
) -> Check:
    """What the cancellation of one start comes to.

    Raises:
        BroadcastError: As `occurrence_edits.cancel_occurrence`.
    """
    was = row.starts_at
    async with dry_run(session):
        schedule = await occurrence_edits.open_for_change(session, row, caller, now)
        consequence = await consequences.of_starts(session, schedule, [was], [], now)
    return Check([], consequence=consequence)


def _all_day(rules: Rules) -> Rules:
    """Rules without quiet hours: the first start in them would hide everything else."""
    return rules.model_copy(update={"quiet_hours": ()})


async def _check(
    session: AsyncSession,
    schedule: Schedule,
    revision: Revision,
    excepted: Exceptions,
    rules: Rules,
    now: datetime,
    *,
    is_new: bool = False,
) -> Check:
    found: list[Finding] = []
    if revision.state is not RevisionState.APPROVED:
        found.append(
            Finding(Kind.NOT_APPROVED, "Bản tin chưa được duyệt; duyệt xong lịch mới có hiệu lực.")
        )

    others = await neighbours(session)

    async def other_times(starts: Sequence[datetime]) -> list[Remedy]:
        free = await availability.other_starts(
            session,
            schedule,
            schedule.seconds_of(revision),
            starts,
            MOST_REMEDIES,
            rules,
            now,
            others,
        )
        return findings.other_times(free, schedule.starts_at)

    first = recurrence.first_after(rule_of(schedule), schedule.starts_at, now, LOCAL)
    if first is None or (is_new and schedule.starts_at <= now):
        text = f"{findings.moment(schedule.starts_at)} đã qua."
        remedies = await other_times([first or now])
        return Check([*found, Finding(Kind.PASSED, text, remedies=tuple(remedies))], None)
    plan = await planning.plan(session, schedule, revision, _all_day(rules), now, excepted, others)
    starts = [slot.starts_at for slot in plan.slots]
    on = (starts[0] if starts else now).astimezone(LOCAL).date()
    places = await places_of(session, schedule.targets, schedule.targets_on, on)
    found += [
        *_quiet(
            ((s.starts_at, (s.ends_at - s.starts_at).total_seconds()) for s in plan.slots), rules
        ),
        *findings.of_overlaps(plan.overlaps, places),
        *await _overfull(session, schedule, places, on, rules, now, others),
        *_unheard(places),
        *await not_ready(session, places, on),
        *(Finding(Kind.NOTICE, said) for said in sentences(plan.skipped)),
    ]
    known = warnings_of_reach(plan.reached)
    found += [Finding(Kind.NOTICE, _sentence(each)) for each in plan.warnings if each not in known]
    times = await other_times(starts) if any(each.kind in _BY_TIME for each in found) else []
    bulletin = await get_bulletin(session, schedule.bulletin_id)

    def remedied(each: Finding) -> Finding:
        remedies: list[Remedy] = [*times] if each.kind in _BY_TIME else []
        if each.kind in _BY_PLACE:
            gone = [place for place in places if _concerns(each, place)]
            remedies += findings.fewer_villages(schedule.targets, places, gone)
        if each.kind is Kind.CLASH:
            remedies += findings.other_priorities(bulletin.class_, schedule.priority)
        if each.kind is Kind.OVERFULL and schedule.rrule is not None:
            remedies.append(Remedy(RemedyKind.ONCE, "Chỉ phát một lần", {"rrule": None}))
        return each._replace(remedies=tuple(remedies))

    return Check([remedied(each) for each in found], plan)


_BY_TIME = {Kind.PASSED, Kind.QUIET, Kind.CLASH, Kind.PREEMPTED, Kind.PREEMPTS}
_BY_PLACE = {Kind.CLASH, Kind.OVERFULL, Kind.UNHEARD}


def _concerns(finding: Finding, place: Place) -> bool:
    if place.is_village:
        return place.code in finding.villages
    return not place.cluster_ids.isdisjoint(finding.cluster_ids)


def _quiet(sounds: Iterable[tuple[datetime, float]], rules: Rules) -> list[Finding]:
    silenced: dict[tuple[time, time, time], list[datetime]] = {}
    for starts_at, seconds in sounds:
        window = quiet_window(starts_at, seconds, rules.quiet_hours, LOCAL)
        if window is not None:
            at = starts_at.astimezone(LOCAL).time()
            silenced.setdefault((at, *window), []).append(starts_at)
    return [
        Finding(
            Kind.QUIET,
            f"{at:%H:%M} rơi vào giờ yên tĩnh {opens:%H:%M}–{closes:%H:%M}"
            f"{f' ({len(starts)} buổi)' if len(starts) > 1 else ''}: loa sẽ không phát.",
            starts_at=starts[0],
            starts_count=len(starts),
        )
        for (at, opens, closes), starts in sorted(silenced.items())
    ]


async def _overfull(
    session: AsyncSession,
    schedule: Schedule,
    places: Sequence[Place],
    on: date,
    rules: Rules,
    now: datetime,
    others: Neighbours,
) -> list[Finding]:
    try:
        await capacity.refuse_overfull(session, schedule, rules, now, others)
    except Conflict as error:
        family, _, code = str(error.extra["scope"]).partition("/")
        resolver = await targets.target_resolver(session)
        full = await resolver.villages([{"area": code}], on, on) if family == "area" else {}
        there = [place for place in places if place.is_village and place.code in full]
        return [findings.of_places(Kind.OVERFULL, error.detail, there)]
    return []


def _unheard(places: Sequence[Place]) -> list[Finding]:
    unheard = [place for place in places if not place.cluster_ids]
    if not unheard:
        return []
    text = "Không cụm loa nào phục vụ {names}: ở đó không ai nghe được."
    return [findings.of_places(Kind.UNHEARD, text, unheard)]


async def not_ready(session: AsyncSession, places: Sequence[Place], on: date) -> list[Finding]:
    """Clusters at these places that lack a device, or are out of contact."""
    heard = frozenset[int]().union(*(place.cluster_ids for place in places))
    resolver = await targets.target_resolver(session)
    equipped = await resolver.equipped(heard, on)
    lost = await out_of_contact(session, equipped)
    found = []
    for clusters, text in (
        (heard - equipped, "{count} cụm loa chưa lắp thiết bị nên không phát được ({names})."),
        (lost, "{count} cụm loa đang mất liên lạc ({names}): chỉ phát nếu kịp nối lại."),
    ):
        if clusters:
            there = findings.at(places, clusters)
            found.append(
                findings.of_places(
                    Kind.NOT_READY, text.replace("{count}", str(len(clusters))), there, clusters
                )
            )
    return found


def _sentence(warning: str) -> str:
    return f"{warning[:1].upper()}{warning[1:]}."
