"""What communes did with what was sent to them (Thông tư 39/2020/TT-BTTTT), counted from the rows.

A commune that has merged since answers for what came to those it was made of.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from statistics import median
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.inbox import items
from broadcast.inbox.items import State
from broadcast.inbox.model import Answer, InboxItem, OrderChoice
from broadcast.inbox.orders import Settled, settled
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.kit.text import in_order
from broadcast.plays.model import Play
from broadcast.plays.settle import PlayState
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.wire.fields import BulletinClass

ON_TIME_MS = 60_000
"""A play is on time that begins at most so much after its planned start."""

MOST_DAYS = 366


class Counts(NamedTuple):
    """Of one commune, or of all together; see `schemas.CountsOut`."""

    commune_code: str | None
    name: str
    offered: int
    picked: int
    declined: int
    left: int
    withdrawn: int
    waiting: int
    pick_seconds: float | None
    reasons: list[tuple[str, int]]
    priority: int
    placed: int
    priority_declined: int
    aired_on_time: int
    not_aired: int
    orders_decided: int
    orders_by_default: int


class Compliance(NamedTuple):
    """All communes together, and each by name."""

    total: Counts
    communes: list[Counts]


class Case(NamedTuple):
    """One item, as far as it is counted."""

    class_: BulletinClass
    state: State
    answer: Answer | None
    reason: str
    answer_seconds: float | None
    is_aired: bool | None
    """Whether it was heard on time; None: not yet, or not placed."""
    settled: Settled | None


async def compliance(
    session: AsyncSession, first_on: date, last_on: date, now: datetime
) -> Compliance:
    """Count what was sent on some local days, as far as the transaction finds it.

    Raises:
        InvalidInput: The span is upside down or longer than a year.
    """
    if last_on < first_on:
        raise InvalidInput("to", f"là ngày {last_on}, trước ngày bắt đầu {first_on}")
    if last_on - first_on > timedelta(days=MOST_DAYS):
        raise InvalidInput("to", f"nhiều nhất {MOST_DAYS} ngày một lần")
    begin = datetime.combine(first_on, time(), LOCAL)
    end = datetime.combine(last_on + timedelta(days=1), time(), LOCAL)
    statement = await items.select_items(session, now)
    rows = (
        await session.execute(statement.where(InboxItem.sent_at >= begin, InboxItem.sent_at < end))
    ).all()
    sent = [row[0] for row in rows]
    aired, choices = await _aired(session, sent, now), await _choices(session, sent, now)
    territory = await scope.territory_of(session)
    cases: defaultdict[str, list[Case]] = defaultdict(list)
    for item, bulletin, state in rows:
        commune = items.present(territory, item.commune_code) or item.commune_code
        cases[commune].append(
            Case(
                bulletin.class_, State(state), item.answer, item.reason,
                None if item.answered_at is None
                else (item.answered_at - item.sent_at).total_seconds(),
                aired.get(item.id), choices.get(item.id),
            )
        )  # fmt: skip
    names = {code: _name(territory, code) for code in cases}
    return Compliance(
        count(None, "", (case for each in cases.values() for case in each)),
        [
            count(code, names[code], cases[code])
            for code in sorted(cases, key=lambda code: (in_order(names[code]), code))
        ],
    )


def _name(territory: scope.Territory, code: str) -> str:
    unit = territory.lineage.last(code, territory.on)
    return code if unit is None else unit.name


def count(commune_code: str | None, name: str, cases: Iterable[Case]) -> Counts:
    """Add cases up. Every normal one is in one of five columns, so that these add up to all."""
    every = list(cases)
    normal = [each for each in every if each.class_ is BulletinClass.NORMAL]
    priority = [each for each in every if each.class_ is BulletinClass.PRIORITY]
    open_ = Counter(each.state for each in normal if each.answer is None)
    times = [
        each.answer_seconds
        for each in normal
        if each.answer is Answer.PICKED and each.answer_seconds is not None
    ]
    reasons = Counter(each.reason for each in normal if each.answer is Answer.DECLINED)
    return Counts(
        commune_code=commune_code,
        name=name,
        offered=len(normal),
        picked=sum(each.answer is Answer.PICKED for each in normal),
        declined=reasons.total(),
        left=open_[State.EXPIRED],
        withdrawn=open_[State.WITHDRAWN],
        waiting=open_[State.WAITING],
        pick_seconds=median(times) if times else None,
        reasons=sorted(reasons.items(), key=lambda each: (-each[1], each[0])),
        priority=len(priority),
        placed=sum(each.answer in {Answer.PLACED, Answer.PICKED} for each in priority),
        priority_declined=sum(each.answer is Answer.DECLINED for each in priority),
        aired_on_time=sum(each.is_aired is True for each in priority),
        not_aired=sum(each.is_aired is False for each in priority),
        orders_decided=sum(each.settled is Settled.DECIDED for each in priority),
        orders_by_default=sum(each.settled is Settled.BY_DEFAULT for each in priority),
    )


def _among(column: sa.SQLColumnExpression[UUID], ids: Iterable[UUID]) -> sa.ColumnElement[bool]:
    """One parameter, however many there are: a year of a province has more than `IN` can take."""
    return column == sa.any_(sa.literal([*ids], ARRAY(sa.Uuid())))


async def _choices(
    session: AsyncSession, sent: Iterable[InboxItem], now: datetime
) -> Mapping[UUID, Settled]:
    """How the order came about, where there was one to choose."""
    found = sa.select(OrderChoice).where(_among(OrderChoice.item_id, (each.id for each in sent)))
    return {each.item_id: settled(each, now) for each in await session.scalars(found)}


async def _aired(
    session: AsyncSession, sent: Iterable[InboxItem], now: datetime
) -> Mapping[UUID, bool]:
    """Items whose first start is over: whether a loudspeaker sounded it on time, to its end."""
    of_schedule: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for item in sent:
        if item.schedule_id is not None:
            of_schedule[item.schedule_id].append(item.id)
    on_time = sa.and_(Play.state == PlayState.PLAYED, Play.start_error_ms <= ON_TIME_MS)
    rows = await session.execute(
        sa.select(Occurrence.schedule_id, sa.func.coalesce(sa.func.bool_or(on_time), sa.false()))
        .select_from(Occurrence)
        .outerjoin(Play, Play.occurrence_id == Occurrence.id)
        .where(
            _among(Occurrence.schedule_id, of_schedule),
            Occurrence.state == OccurrenceState.PLANNED,
            Occurrence.ends_by <= now,
        )
        .group_by(Occurrence.schedule_id)
    )
    return {
        id_: bool(is_aired) for schedule_id, is_aired in rows for id_ in of_schedule[schedule_id]
    }
