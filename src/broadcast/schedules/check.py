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

from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller
from broadcast.bulletins.model import Revision, RevisionState
from broadcast.bulletins.revisions import get_bulletin
from broadcast.calendars.days import Silence
from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict
from broadcast.schedules import (
    allowed_hours,
    availability,
    capacity,
    consequences,
    edits,
    exceptions,
    findings,
    free_times,
    occurrence_edits,
    planning,
    quota_check,
    targets,
)
from broadcast.schedules.allowed_hours import Forbidden
from broadcast.schedules.consequences import Consequence
from broadcast.schedules.edits import Columns
from broadcast.schedules.expansion import DAY
from broadcast.schedules.findings import Finding, Kind, Place, Remedy, RemedyKind
from broadcast.schedules.model import Occurrence, Schedule
from broadcast.schedules.neighbours import Neighbours, neighbours
from broadcast.schedules.places_heard import out_of_contact, places_of
from broadcast.schedules.planning import Plan
from broadcast.schedules.quota_check import Exceeded
from broadcast.schedules.quotas import Quota
from broadcast.schedules.recurrence import Planned
from broadcast.schedules.silent_days import Skipped, sentences
from broadcast.schedules.starts import Exceptions, exceptions_of, starts_of
from broadcast.schedules.warnings import warnings_of_reach
from broadcast.wire.documents import Hours

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
                session, schedule, revision, moved, rules, now, heeds_rules=False
            )
            await exceptions.put(session, schedule.id, row.recurrence_at, to, caller, now)
            others = await neighbours(session)  # the moved start among them
            resolver = await targets.target_resolver(session)
            start = Planned(row.recurrence_at, to)
            excepted = (await exceptions_of(session, [schedule.id]))[schedule.id]
            midnight = datetime.combine(on, time(), LOCAL)
            of_day = starts_of(schedule, excepted, max(midnight, now), midnight + DAY)
            of_day = [each for each in of_day if each.starts_at < midnight + DAY]
            counted = await quota_check.look(
                resolver, schedule, schedule.seconds_of(revision), of_day, others, now
            )
            found += [
                *await _forbidden(
                    resolver, schedule, schedule.seconds_of(revision), [start], places, rules
                ),
                *_exceeded(counted.exceeded, places),
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

    first = planning.first_start(schedule, excepted, now)
    if first is None or (is_new and schedule.starts_at <= now):
        text = f"{findings.moment(schedule.starts_at)} đã qua."
        remedies = await other_times([first or now])
        return Check([*found, Finding(Kind.PASSED, text, remedies=tuple(remedies))], None)
    plan = await planning.plan(
        session, schedule, revision, rules, now, excepted, others, heeds_rules=False
    )
    starts = [slot.starts_at for slot in plan.slots]
    resolver = await targets.target_resolver(session)
    asked = planning.starts_to_check(
        schedule, excepted, now, max(first, now) + planning.LOOK_AHEAD
    )
    on = (starts[0] if starts else now).astimezone(LOCAL).date()
    places = await places_of(session, schedule.targets, schedule.targets_on, on)
    found += [
        *await _forbidden(resolver, schedule, schedule.seconds_of(revision), asked, places, rules),
        *_exceeded(plan.exceeded, places),
        *findings.of_overlaps(plan.overlaps, places),
        *await _overfull(session, schedule, places, on, rules, now, others),
        *_unheard(places),
        *await not_ready(session, places, on),
        *(Finding(Kind.NOTICE, said) for said in sentences(_by_calendar(plan.skipped))),
    ]
    known = warnings_of_reach(plan.reached)
    found += [Finding(Kind.NOTICE, _sentence(each)) for each in plan.warnings if each not in known]
    needed = starts or [each.starts_at for each in asked]
    times = await other_times(needed) if any(each.kind in _BY_TIME for each in found) else []
    bulletin = await get_bulletin(session, schedule.bulletin_id)

    def remedied(each: Finding) -> Finding:
        remedies: list[Remedy] = [*each.remedies]
        remedies += times if each.kind in _BY_TIME else []
        if each.kind in _BY_PLACE:
            gone = [place for place in places if _concerns(each, place)]
            remedies += findings.fewer_villages(schedule.targets, places, gone)
        if each.kind is Kind.CLASH:
            remedies += findings.other_priorities(bulletin.class_, schedule.priority)
        if each.kind in {Kind.OVERFULL, Kind.EXCEEDED} and schedule.rrule is not None:
            remedies.append(Remedy(RemedyKind.ONCE, "Chỉ phát một lần", {"rrule": None}))
        return each._replace(remedies=tuple(remedies))

    return Check([remedied(each) for each in found], plan)


_BY_TIME = {Kind.PASSED, Kind.QUIET, Kind.CLASH, Kind.PREEMPTED, Kind.PREEMPTS}
_BY_PLACE = {Kind.CLASH, Kind.OVERFULL, Kind.UNHEARD, Kind.QUIET, Kind.EXCEEDED}


def _by_calendar(skipped: Iterable[Skipped]) -> list[Skipped]:
    """What calendars keep silent; what a Quy chế does is refused."""
    return [each for each in skipped if each.reason is not Silence.REGULATION]


def _concerns(finding: Finding, place: Place) -> bool:
    if place.is_village:
        return place.code in finding.villages
    return not place.cluster_ids.isdisjoint(finding.cluster_ids)


async def _forbidden(
    resolver: targets.TargetResolver,
    schedule: Schedule,
    seconds: float,
    starts: Iterable[Planned],
    places: Sequence[Place],
    rules: Rules,
) -> list[Finding]:
    """One finding for each time of day and window that forbids it."""
    groups: dict[tuple[time, Hours], list[Forbidden]] = {}
    for each in await allowed_hours.forbidden(resolver, schedule, seconds, starts, rules):
        at = each.starts_at.astimezone(LOCAL).time()
        alike = structs.replace(each.hours, first_on=None, last_on=None, except_on=())
        groups.setdefault((at, alike), []).append(each)
    found = []
    for (at, hours), some in sorted(groups.items(), key=lambda each: each[0][0]):
        there = frozenset[int]().union(*(each.cluster_ids for each in some))
        where = []
        if not all(each.is_everywhere for each in some):
            where = findings.at(places, there)
        more = f" ({len(some)} buổi)" if len(some) > 1 else ""
        more += " ở {names}" if where else ""
        text = (
            f"{at:%H:%M} là cuối tuần, Quy chế không cho phát{more}: loa sẽ không phát."
            if hours.days
            else f"{at:%H:%M} rơi vào giờ yên tĩnh {hours.from_}–{hours.until}{more}: loa sẽ"
            " không phát."
        )
        finding = findings.of_places(Kind.QUIET, text, where, there if where else ())
        found.append(
            finding._replace(
                starts_at=some[0].starts_at,
                starts_count=len({each.starts_at for each in some}),
                remedies=tuple(findings.no_weekends(schedule.rrule)) if hours.days else (),
            )
        )
    return found


def _exceeded(exceeded: Iterable[Exceeded], places: Sequence[Place]) -> list[Finding]:
    """The first day of each quota that is exceeded."""
    first: dict[Quota, Exceeded] = {}
    for each in exceeded:
        first.setdefault(each.excess.quota, each)
    return [
        findings.of_places(
            Kind.EXCEEDED,
            each.text.format(where="ở {names}"),
            findings.at(places, each.cluster_ids),
            each.cluster_ids,
        )
        for each in first.values()
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
