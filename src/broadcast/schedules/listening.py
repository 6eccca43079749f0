"""How a day sounds: what each village of a unit is to hear, by time, whoever has scheduled it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.bulletins.model import Bulletin, Revision
from broadcast.calendars.days import Silence
from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.kit.quiet import daily
from broadcast.regulations.places import Windows
from broadcast.schedules import hearing, queries, targets
from broadcast.schedules.expansion import DAY
from broadcast.schedules.hearing import Heard, Outcome, Wanted
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.schedules.quota_check import over_quota, stored
from broadcast.schedules.targets import SILENCES, Resolved

MOST_VILLAGES = 200


class Item(NamedTuple):
    """Something that is planned where a village hears it, and what becomes of it there."""

    occurrence: Occurrence
    area_code: str
    """Unit whose station speaks."""
    seconds: float
    heard: Heard
    silent: Silence | None
    """The calendar, or the Quy chế by its hours or quotas, that keeps it silent."""
    kept_by: str
    """Title of what keeps it waiting, or interrupts it."""


class Ear(NamedTuple):
    """Loudspeakers of a village that sound alike."""

    cluster_count: int
    items: list[Item]


class Village(NamedTuple):
    """What a village is to hear."""

    code: str
    name: str
    cluster_count: int
    ears: list[Ear]
    """Most clusters first; more than one where its clusters sound differently."""


class _Sound(NamedTuple):
    occurrence: Occurrence
    area_code: str
    seconds: float


_Alike = tuple[frozenset[tuple[UUID, Silence | None]], Windows]
"""What reaches a loudspeaker, and its hours."""


async def heard(
    session: AsyncSession, caller: Caller, area: str, on: date, rules: Rules
) -> list[Village]:
    """Villages of a unit with all that is planned there on a local day.

    By priority, calendars, and the hours and quotas of Quy chế; loudspeakers that lack nothing.

    Raises:
        NotFound: The unit is none of the caller's places.
        InvalidInput: The area is no unit of that day, or has too many villages.
    """
    if area not in await scope.readable_scope(session, caller, Permission.CONTENT_READ):
        raise NotFound(f"Đơn vị “{area}” không thuộc địa bàn của tài khoản này.")
    resolver = await targets.target_resolver(session)
    villages = await resolver.villages([{"area": area}], on, on)
    if len(villages) > MOST_VILLAGES:
        raise InvalidInput("area", "có quá nhiều thôn để xem một lần; hãy chọn một xã")
    begin, end = (datetime.combine(day, time(), LOCAL) for day in (on, on + DAY))
    statement = await queries.select_occurrences(
        session, begin, end, schedule_id=None, area=area, cluster=None, state=None
    )
    rows = await session.execute(
        statement.join(Bulletin, Bulletin.id == Occurrence.bulletin_id)
        .join(
            Revision,
            sa.and_(
                Revision.bulletin_id == Occurrence.bulletin_id,
                Revision.number == Occurrence.bulletin_revision,
            ),
        )
        .add_columns(
            Bulletin.area_code, sa.func.coalesce(Occurrence.relay_seconds, Revision.seconds)
        )
        .where(
            Occurrence.alert_mode.is_(None),
            sa.or_(
                Occurrence.state == OccurrenceState.PLANNED,
                Occurrence.cancel_reason.in_(SILENCES),
            ),
        )
        .order_by(Occurrence.starts_at, Occurrence.id)
    )
    sounds = [_Sound(*row) for row in rows]
    reached = await targets.resolve_targets(
        session, resolver, (each.occurrence for each in sounds)
    )
    over = await over_quota(resolver, await stored(resolver, on))
    everywhere = frozenset[int]().union(*villages.values())
    hours = await resolver.rules.hours(everywhere, on - DAY, on + DAY, daily(rules.quiet_hours))
    known: dict[_Alike, list[Item]] = {}
    return [
        Village(
            code, resolver.name(code, on), len(clusters),
            _ears(sounds, reached, over, clusters, hours, known),
        )
        for code, clusters in villages.items()
    ]  # fmt: skip


def _ears(
    sounds: Sequence[_Sound],
    reached: Mapping[UUID, Resolved],
    over: Mapping[UUID, frozenset[int]],
    clusters: frozenset[int],
    hours: Mapping[int, Windows],
    known: dict[_Alike, list[Item]],
) -> list[Ear]:
    alike: dict[_Alike, int] = {}
    for cluster in clusters:
        found: set[tuple[UUID, Silence | None]] = set()
        for sound in sounds:
            at = reached[sound.occurrence.id]
            if cluster in at.cluster_ids:
                is_over = cluster in over.get(sound.occurrence.id, ())
                found.add((sound.occurrence.id, Silence.REGULATION if is_over else None))
            elif cluster in at.silent:
                found.add((sound.occurrence.id, at.silent[cluster]))
        key = frozenset(found), hours[cluster]
        alike[key] = alike.get(key, 0) + 1
    for key in alike.keys() - known.keys():
        known[key] = _items(sounds, dict(key[0]), key[1])
    by_count = sorted(alike.items(), key=lambda pair: (-pair[1], sorted(map(str, pair[0]))))
    return [Ear(count, known[key]) for key, count in by_count]


def _items(
    sounds: Sequence[_Sound], here: Mapping[UUID, Silence | None], hours: Windows
) -> list[Item]:
    wanted = [
        Wanted(
            row.id, row.starts_at, seconds, row.priority, row.late_limit_seconds, row.ends_by,
            row.on_preempt,
        )
        for row, _, seconds in sounds
        if row.id in here and here[row.id] is None
    ]  # fmt: skip
    told = {each.id: each for each in hearing.hear(wanted, hours)}
    titles = {each.occurrence.id: each.occurrence.title for each in sounds}
    found = []
    for row, area_code, seconds in sounds:
        if row.id not in here:
            continue
        one = told.get(row.id) or Heard(row.id, [], Outcome.NONE, None, False)
        kept_by = "" if one.kept_by is None else titles[one.kept_by]
        found.append(Item(row, area_code, seconds, one, here[row.id], kept_by))
    return found
