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
from broadcast.bulletins.revisions import Key
from broadcast.bulletins.versions import current_versions
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
from broadcast.stations.languages import languages_of_clusters
from broadcast.wire.documents import Version
from broadcast.wire.languages import version_for

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
    is_over_quota: bool
    """What is planned before it uses up a quota of the day."""
    kept_by: str
    """Title of what keeps it waiting, or interrupts it."""
    languages: tuple[str, ...]
    """In which it is heard, in that order; none of a relay."""
    is_version: bool
    """Not the original's own sound, but that for these languages."""


class Ear(NamedTuple):
    """Loudspeakers of a village that sound alike."""

    cluster_count: int
    languages: tuple[str, ...]
    """Of the people there, in their order."""
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
    language: str
    seconds: float


class _Here(NamedTuple):
    """What becomes of an item at a loudspeaker before it meets others."""

    silent: Silence | None
    is_over_quota: bool
    version: tuple[str, ...] | None
    """Languages of the sound that it plays; None: the original's own."""


class _Alike(NamedTuple):
    """What reaches a loudspeaker, its hours, and whom it speaks to."""

    here: frozenset[tuple[UUID, _Here]]
    hours: Windows
    languages: tuple[str, ...]


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
            Bulletin.area_code,
            Bulletin.language,
            sa.func.coalesce(Occurrence.relay_seconds, Revision.seconds),
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
    spoken = await languages_of_clusters(session, on, everywhere)
    keys = {_key(each) for each in sounds} if spoken else set()
    async with scope.whole(session):
        versions = await current_versions(session, keys) if keys else {}
    known: dict[_Alike, list[Item]] = {}
    return [
        Village(
            code, resolver.name(code, on), len(clusters),
            _ears(_Day(sounds, reached, over, hours, spoken, versions), clusters, known),
        )
        for code, clusters in villages.items()
    ]  # fmt: skip


class _Day(NamedTuple):
    """All that is planned, and what is known of the clusters that it reaches."""

    sounds: Sequence[_Sound]
    reached: Mapping[UUID, Resolved]
    over: Mapping[UUID, frozenset[int]]
    hours: Mapping[int, Windows]
    spoken: Mapping[int, Sequence[str]]
    versions: Mapping[Key, Sequence[Version]]

    def here(self, sound: _Sound, cluster: int) -> _Here | None:
        """What becomes of an item at a cluster; None where it does not reach it."""
        id_ = sound.occurrence.id
        at = self.reached[id_]
        if cluster not in at.cluster_ids and cluster not in at.silent:
            return None
        is_over = cluster in at.cluster_ids and cluster in self.over.get(id_, ())
        silent = Silence.REGULATION if is_over else at.silent.get(cluster)
        version = None
        if sound.occurrence.relay_source_id is None:
            version = version_for(self.versions.get(_key(sound), ()), self.spoken.get(cluster, ()))
        return _Here(silent, is_over, None if version is None else tuple(version.languages))


def _key(sound: _Sound) -> Key:
    return sound.occurrence.bulletin_id, sound.occurrence.bulletin_revision


def _ears(day: _Day, clusters: frozenset[int], known: dict[_Alike, list[Item]]) -> list[Ear]:
    alike: dict[_Alike, int] = {}
    for cluster in clusters:
        here = {
            (sound.occurrence.id, found)
            for sound in day.sounds
            if (found := day.here(sound, cluster)) is not None
        }
        languages = tuple(day.spoken.get(cluster, ()))
        key = _Alike(frozenset(here), day.hours[cluster], languages)
        alike[key] = alike.get(key, 0) + 1
    for key in alike.keys() - known.keys():
        known[key] = _items(day, dict(key.here), key.hours)
    by_count = sorted(alike.items(), key=lambda pair: (-pair[1], sorted(map(str, pair[0].here))))
    return [Ear(count, key.languages, known[key]) for key, count in by_count]


def _items(day: _Day, here: Mapping[UUID, _Here], hours: Windows) -> list[Item]:
    reaching = [each for each in day.sounds if each.occurrence.id in here]
    lasts = {
        each.occurrence.id: _seconds(day, each, here[each.occurrence.id].version)
        for each in reaching
    }
    wanted = [
        Wanted(
            row.id, row.starts_at, lasts[row.id], row.priority, row.late_limit_seconds,
            row.ends_by, row.on_preempt,
        )
        for row, *_ in reaching
        if here[row.id].silent is None
    ]  # fmt: skip
    told = {each.id: each for each in hearing.hear(wanted, hours)}
    titles = {each.occurrence.id: each.occurrence.title for each in reaching}
    found = []
    for row, area_code, language, _ in reaching:
        silent, is_over, version = here[row.id]
        one = told.get(row.id) or Heard(row.id, [], Outcome.NONE, None, False)
        kept_by = "" if one.kept_by is None else titles[one.kept_by]
        own = () if row.relay_source_id is not None else (language,)
        found.append(
            Item(
                row, area_code, lasts[row.id], one, silent, is_over, kept_by, version or own,
                version is not None,
            )
        )  # fmt: skip
    return found


def _seconds(day: _Day, sound: _Sound, version: tuple[str, ...] | None) -> float:
    found = next(
        (each for each in day.versions.get(_key(sound), ()) if tuple(each.languages) == version),
        None,
    )
    return sound.seconds if found is None else found.audio[0].seconds
