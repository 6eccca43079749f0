"""Placing a priority bulletin from above in the day of each commune that it is for.

It is an item of the next session of the commune's programme grid (`in_session`), or begins the
next session that is none of a grid (`placing`); where there is none within a day, or something
from above sounds there, it gets a free time. Where no time is left, the item waits in the inbox
and the commune picks a time itself. The leader does so, after the bulletin was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.areas import scope
from broadcast.areas.model import Area
from broadcast.audit.recording import Record
from broadcast.auth.caller import Caller, HeldRole
from broadcast.auth.model import Account
from broadcast.auth.permissions import Permission, Role
from broadcast.bulletins.model import Bulletin, Revision
from broadcast.bulletins.revisions import newest_approved
from broadcast.config import Rules
from broadcast.inbox import answers, in_session, items
from broadcast.inbox.model import Answer, InboxItem, OrderChoice
from broadcast.inbox.placing import Arrangement, Own, arrange, collides, sessions
from broadcast.kit import db, failures
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import BroadcastError, Conflict, InvalidInput
from broadcast.kit.quiet import OFFSET
from broadcast.schedules import edits, neighbours, occurrence_edits
from broadcast.schedules.allowed_hours import hours_at
from broadcast.schedules.authority import ABOVE
from broadcast.schedules.expansion import DAY
from broadcast.schedules.grid import Slot
from broadcast.schedules.locking import lock_schedule_grid, lock_schedules
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule
from broadcast.schedules.targets import TargetResolver, target_resolver
from broadcast.wire.documents import Hours
from broadcast.wire.fields import BulletinClass
from broadcast.wire.hours import silent_window

log = structlog.get_logger()

STEP = "inbox"
"""Name under which failures are recorded."""

DECIDED_BEFORE = timedelta(minutes=5)
"""Until so long before a session the commune may change the order."""

SOONEST = timedelta(minutes=15)
"""From now to a session that something is placed in: time to decide, and to get the audio out."""

NEXT = timedelta(days=1)
"""In which the next session is looked for."""


class Planned(NamedTuple):
    """A coming occurrence where somebody hears it."""

    slot: Slot
    own: Own
    is_from_above: bool
    area_code: str
    """Whose station speaks."""
    class_: BulletinClass


async def coming(session: AsyncSession, begin: datetime, end: datetime) -> list[Planned]:
    """Occurrences that are planned in a span, with the clusters that they reach."""
    level = (
        sa.select(Area.level)
        .where(Area.code == Bulletin.area_code)
        .order_by(Area.valid_from.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = await session.execute(
        sa.select(
            Occurrence,
            Schedule,
            sa.func.coalesce(Occurrence.relay_seconds, Revision.air_seconds_sql()),
            Bulletin.class_,
            Bulletin.area_code,
            level,
        )
        .join(Schedule, Schedule.id == Occurrence.schedule_id)
        .join(Bulletin, Bulletin.id == Occurrence.bulletin_id)
        .join(
            Revision,
            sa.and_(
                Revision.bulletin_id == Occurrence.bulletin_id,
                Revision.number == Occurrence.bulletin_revision,
            ),
        )
        .where(
            Occurrence.starts_at < end,
            Occurrence.ends_by > begin,
            Occurrence.state == OccurrenceState.PLANNED,
        )
        .order_by(Occurrence.starts_at, Occurrence.id)
    )
    resolver = await target_resolver(session)
    found = []
    for occurrence, schedule, seconds, class_, area_code, of_level in rows:
        on = occurrence.starts_at.astimezone(LOCAL).date()
        slot = Slot(
            occurrence.id, occurrence.title, occurrence.starts_at,
            occurrence.starts_at + timedelta(seconds=seconds), occurrence.priority,
            (await resolver.reach(schedule, on)).cluster_ids,
        )  # fmt: skip
        own = Own(
            occurrence.id, occurrence.title, occurrence.starts_at, seconds,
            class_ is BulletinClass.PRIORITY,
        )  # fmt: skip
        found.append(Planned(slot, own, of_level in ABOVE, area_code, class_))
    return found


class Place(NamedTuple):
    """Where a source item goes in one commune."""

    session: list[Own]
    """Items of the commune there, as they were planned."""
    arrangement: Arrangement
    is_contested: bool


def place_in_session(
    planned: Sequence[Planned],
    clusters: frozenset[int],
    inside: Container[str],
    seconds: float,
    useful_until: datetime,
    hours: Sequence[Hours],
    now: datetime,
) -> Place | None:
    """The next session of a commune that can take a source item, whichever order it chooses.

    Args:
        planned: What is to sound, of anybody.
        clusters: Where it is to be heard: those of the commune, or of some of its villages.
        inside: Codes of units in it: their stations' items are its own.
        seconds: Length of the source item.
        useful_until: It does not start later.
        hours: Silent ones.
        now: Present.
    """
    heard = [each for each in planned if each.slot.cluster_ids & clusters]
    movable = {
        each.own.occurrence_id
        for each in heard
        if not each.is_from_above
        and each.class_ is not BulletinClass.EMERGENCY
        and each.area_code in inside
        and each.slot.cluster_ids <= clusters
    }
    fixed = [each.slot for each in heard if each.own.occurrence_id not in movable]
    found = sessions(each.own for each in heard if each.own.occurrence_id in movable)
    for index, session in enumerate(found):
        begins_at = session[0].starts_at
        if begins_at < now + SOONEST or begins_at > min(useful_until, now + NEXT):
            continue
        following = found[index + 1][0].starts_at if index + 1 < len(found) else None
        orders = [arrange(session, seconds, source_first=each) for each in (True, False)]
        if all(
            _fits(each, session, seconds, fixed, following, useful_until, hours) for each in orders
        ):
            return Place(session, orders[0], collides(session, seconds))
    return None


def _fits(
    found: Arrangement,
    session: Sequence[Own],
    seconds: float,
    fixed: Sequence[Slot],
    following: datetime | None,
    useful_until: datetime,
    hours: Sequence[Hours],
) -> bool:
    spans = [(found.source_at, seconds)]
    spans += [
        (found.starts[each.occurrence_id], each.seconds)
        for each in session
        if found.starts[each.occurrence_id] != each.starts_at
    ]
    if found.source_at > useful_until:
        return False
    for starts_at, length in spans:
        ends_at = starts_at + timedelta(seconds=length)
        if silent_window(hours, OFFSET, starts_at, length) is not None:
            return False
        if following is not None and ends_at > following:
            return False
        if any(each.starts_at < ends_at and starts_at < each.ends_at for each in fixed):
            return False
    return True


async def waiting(session: AsyncSession) -> list[UUID]:
    """Items that are to be placed, what was sent first before the rest."""
    found = sa.select(InboxItem.id).where(InboxItem.to_place)
    return list(await session.scalars(found.order_by(InboxItem.sent_at, InboxItem.commune_code)))


class Placer:
    """Places what waits, each item in a transaction of its own.

    Everything is read anew in it, once the item is locked: what its commune has answered, or its
    sender withdrawn, holds. A process that dies in between has placed an item or has not, and what
    two do at once is done once.
    """

    def __init__(self, engine: AsyncEngine, rules: Rules) -> None:
        self._engine = engine
        self._rules = rules
        self._resolver: TargetResolver | None = None
        self._territories = scope.Territories()
        """As the topology was when the last one was placed."""
        self._others = neighbours.Kept()

    async def step(self, now: datetime, spent: Callable[[], bool]) -> bool:
        """Place what waits; returns whether more is left.

        Args:
            now: Present.
            spent: Tells whether others are to have their turn.
        """
        async with db.transaction(self._engine) as session:
            later = await failures.waiting(session, STEP, now)
            ids = [each for each in await waiting(session) if str(each) not in later]
        for id_ in ids:
            if spent():
                return True
            await failures.one_by_one(
                self._engine, STEP, [id_], str, partial(self._place, now=now), now
            )
        return False

    async def _place(self, session: AsyncSession, ids: Sequence[UUID], now: datetime) -> None:
        session.info[scope.KEPT] = self._territories
        self._resolver = await target_resolver(session, self._resolver)
        for id_ in ids:
            await place(session, id_, self._others, self._rules, now)


async def place(
    session: AsyncSession, item_id: UUID, kept: neighbours.Kept, rules: Rules, now: datetime
) -> None:
    """Give an item its time; one for which there is none is left to the commune, with the reason.

    It is done in the name of who has sent it, whose rights were checked then. What was answered,
    withdrawn or is of no use any more stays as it is.

    Args:
        session: Open transaction, and all of it.
        item_id: What is to be placed.
        kept: The other schedules, as far as they were read before.
        rules: Quiet hours and the horizon.
        now: Present.
    """
    found = await session.get(InboxItem, item_id)
    if found is None:
        return
    territory = await scope.territory_of(session)
    commune = items.present(territory, found.commune_code)
    inside = territory.inside(commune or found.commune_code)
    alike = await items.of_bulletin(session, found.bulletin_id, inside)
    item = next(each for each in alike if each.id == item_id)
    if not item.to_place:
        return
    _, _, state = await items.get(session, item_id, now)
    revision = await newest_approved(session, item.bulletin_id)
    if state is not items.State.PLACING or revision is None:
        item.to_place = False
        return
    caller = await _sender(session, item)
    record = Record("inbox placed", "Xếp giờ cho bản tin ưu tiên đã gửi", f"inbox/{item_id}")
    record.who = caller.who
    record.begin(session)
    item.to_place = False
    await session.flush()
    if commune is None:
        item.not_placed = items.DIVIDED
        await record.write(session, now)
        return
    try:
        # In a commune that this one has merged with.
        await answers.refuse_answered(session, alike, item, now)
        targets = await items.targets_of(session, alike, commune)
        # A session of the commune sounds everywhere in it.
        is_whole = targets == [{"area": commune}]
        if not is_whole or not await _put_in_session(session, item, commune, caller, rules, now):
            await _put(session, item, targets, inside, revision, kept, caller, rules, now)
        for each in alike:
            answers.answer(each, Answer.PLACED, caller, now)
            each.schedule_id = item.schedule_id
    except (Conflict, InvalidInput) as error:
        log.warning("inbox.item.not_placed", item_id=str(item_id), error=error.detail)
        item.not_placed = error.reason if isinstance(error, InvalidInput) else error.detail
    await record.write(session, now)


async def _sender(session: AsyncSession, item: InboxItem) -> Caller:
    """Who has sent an item, with what they may do with it: it was checked when they did."""
    name = await session.scalar(sa.select(Account.name).where(Account.id == item.sent_by))
    assert name is not None
    return Caller(
        item.sent_by, name, "inbox", (HeldRole(Role.PROVINCE_EDITOR, None),),
        frozenset({Permission.CONTENT_READ, Permission.SCHEDULE_WRITE}),
    )  # fmt: skip


async def _put_in_session(
    session: AsyncSession,
    item: InboxItem,
    commune: str,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> bool:
    """Put an item into the next session of the commune's grid; tells whether it has room there."""
    until = min(item.useful_until, now + NEXT)
    found = await in_session.next_begin(session, commune, now + SOONEST, until)
    if found is None:
        return False
    try:
        async with session.begin_nested():
            put = await in_session.put(session, item, *found, caller, rules, now)
            if put.own:
                session.add(_choice(item, put.begins_at, put.own))
            await session.flush()
    except (Conflict, InvalidInput) as error:
        log.warning("inbox.item.not_in_session", item_id=str(item.id), error=error.detail)
        await session.refresh(item)
        return False
    return True


def _choice(item: InboxItem, begins_at: datetime, own: Sequence[Own]) -> OrderChoice:
    return OrderChoice(
        item_id=item.id,
        begins_at=begins_at,
        deadline_at=begins_at - DECIDED_BEFORE,
        own=[_stored(each) for each in own],
        source_first=True,
    )


async def _put(
    session: AsyncSession,
    item: InboxItem,
    targets: list[dict[str, str]],
    inside: Collection[str],
    revision: Revision,
    kept: neighbours.Kept,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> None:
    """Make a schedule of an item, in a session that is none of a grid or at a free time.

    Raises:
        Conflict: No time is free, or it would clash.
        InvalidInput: A field of the schedule, or silent hours.
    """
    until = now + NEXT + timedelta(hours=2)
    await _lock_movable(session, inside, now, until)
    await lock_schedule_grid(session)
    others = await kept.read(session)
    resolver = await target_resolver(session)
    on = now.astimezone(LOCAL).date()
    place_ = place_in_session(
        await coming(session, now, until),
        (await resolver.resolve(targets, on, on)).cluster_ids,
        inside,
        revision.air_seconds,
        item.useful_until,
        await hours_at(resolver, targets, on, on, on + DAY, rules),
        now,
    )
    if place_ is not None:
        at: datetime | None = place_.arrangement.source_at
    else:
        at = await answers.propose(session, item, targets, rules, now, others)
    if at is None:
        raise Conflict(answers.NOTHING_FREE)
    columns = {
        "targets": targets, "starts_at": at, "useful_until": item.useful_until,
        "late_limit_seconds": answers.LATE_LIMIT_SECONDS,
    }  # fmt: skip
    try:
        async with session.begin_nested():
            schedule, _ = await edits.create(
                session, item.bulletin_id, columns, caller, rules, now, others=others
            )
            item.schedule_id = schedule.id
            if place_ is not None:
                await move_all(session, place_.arrangement.starts, caller, rules, now)
                if place_.is_contested:
                    session.add(_choice(item, place_.session[0].starts_at, place_.session))
            await session.flush()
    except (Conflict, InvalidInput):
        await session.refresh(item)
        raise


async def _lock_movable(
    session: AsyncSession, inside: Collection[str], begin: datetime, end: datetime
) -> None:
    """Lock the schedules of a commune's stations that sound in a span, which may be moved."""
    ids = (
        sa.select(Occurrence.schedule_id)
        .join(Bulletin, Bulletin.id == Occurrence.bulletin_id)
        .where(
            Occurrence.starts_at < end,
            Occurrence.ends_by > begin,
            Occurrence.state == OccurrenceState.PLANNED,
            Bulletin.area_code.in_(inside),
        )
    )
    await lock_schedules(session, Schedule.id.in_(ids))


def _stored(each: Own) -> dict[str, object]:
    return {
        "occurrence_id": str(each.occurrence_id), "title": each.title,
        "starts_at": each.starts_at.isoformat(), "seconds": each.seconds,
        "is_priority": each.is_priority,
    }  # fmt: skip


async def move_all(
    session: AsyncSession,
    starts: Mapping[UUID, datetime],
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> None:
    """Move occurrences to other starts; one in whose way another one still is waits for it.

    Raises:
        BroadcastError: As `occurrence_edits.move`, where no order of the moves succeeds.
    """
    rows = await occurrences(session, starts)
    pending = [each for each in rows if each.starts_at != starts[each.id]]
    while pending:
        left: list[Occurrence] = []
        refused: BroadcastError | None = None
        for row in reversed(pending):
            try:
                async with session.begin_nested():
                    await occurrence_edits.move(session, row, starts[row.id], caller, rules, now)
            except Conflict as error:
                refused = error
                await session.refresh(row)
                left.insert(0, row)
        if refused is not None and len(left) == len(pending):
            raise refused
        pending = left


async def occurrences(session: AsyncSession, ids: Iterable[UUID]) -> list[Occurrence]:
    """Occurrences that are still planned, by start."""
    found = await session.scalars(
        sa.select(Occurrence)
        .where(Occurrence.id.in_(list(ids)), Occurrence.state == OccurrenceState.PLANNED)
        .order_by(Occurrence.starts_at, Occurrence.id)
    )
    return list(found)
