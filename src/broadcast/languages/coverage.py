"""Villages that heard something in the language of most of their people, over some days."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.languages import Spoken, majority
from broadcast.areas.model import Area
from broadcast.areas.village_languages import select_villages
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.bulletins.model import Bulletin
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.kit.text import in_order
from broadcast.plays.model import Play, PlayState
from broadcast.schedules.model import Occurrence
from broadcast.stations.model import ClusterVillage, Grade

LONGEST = 366


class Village(NamedTuple):
    """A village over some days.

    Attributes:
        code: Of the village.
        name: For people.
        commune_code: In which it lies on the last day.
        commune: For people.
        majority: Language of most of its people on the last day; None where nobody noted it.
        heard: Occurrences that sounded to their end, by language.
    """

    code: str
    name: str
    commune_code: str
    commune: str
    majority: str | None
    heard: dict[str, int]

    @property
    def is_served(self) -> bool | None:
        """Something sounded in the majority's language; None where that is not known."""
        return None if self.majority is None else self.heard.get(self.majority, 0) > 0


class OfLanguage(NamedTuple):
    """A language over some days.

    Attributes:
        language: BCP 47.
        villages: In which most people speak it.
        served: Of these, those that heard it.
        heard_in: Villages that heard it, whoever lives there.
        plays: Occurrences that sounded in it, added up over villages.
    """

    language: str
    villages: int
    served: int
    heard_in: int
    plays: int


class OfCommune(NamedTuple):
    """Villages of a commune with a language on record, and those of them that were served."""

    commune_code: str
    name: str
    villages: int
    served: int


def by_language(villages: Iterable[Village]) -> list[OfLanguage]:
    """Counts of each language that somebody speaks or that sounded, by code."""
    every = list(villages)
    main = Counter(each.majority for each in every if each.majority is not None)
    served = Counter(each.majority for each in every if each.majority and each.is_served)
    heard_in = Counter(name for each in every for name, count in each.heard.items() if count)
    plays: Counter[str] = Counter()
    for each in every:
        plays.update(each.heard)
    return [
        OfLanguage(name, main[name], served[name], heard_in[name], plays[name])
        for name in sorted(main.keys() | plays.keys())
    ]


def by_commune(villages: Iterable[Village]) -> list[OfCommune]:
    """Counts of each commune with a village whose language is on record, by name."""
    of: defaultdict[tuple[str, str], list[Village]] = defaultdict(list)
    for each in villages:
        if each.majority is not None:
            of[each.commune, each.commune_code].append(each)
    return [
        OfCommune(code, name, len(some), sum(bool(each.is_served) for each in some))
        for (name, code), some in sorted(
            of.items(), key=lambda each: (in_order(each[0][0]), each[0][1])
        )
    ]


async def villages(
    session: AsyncSession, caller: Caller, first_on: date, last_on: date
) -> list[Village]:
    """Villages of the caller's places over some days, by commune and name.

    A village heard what a cluster that serves it first sounded to its end, by the languages that
    the device says it played.

    Raises:
        InvalidInput: The days are the wrong way round, or too many.
    """
    if not first_on <= last_on:
        raise InvalidInput("from", "phải trước hoặc đúng ngày cuối; hãy đổi lại")
    if (last_on - first_on).days > LONGEST:
        raise InvalidInput("from", f"xem được nhiều nhất {LONGEST} ngày; hãy chọn khoảng ngắn hơn")
    territory = await scope.territory_of(session)
    begin = datetime.combine(first_on, time(), LOCAL)
    end = datetime.combine(last_on + timedelta(days=1), time(), LOCAL)
    day = sa.cast(sa.func.timezone(LOCAL.key, Play.starts_at), sa.Date)
    spoken = sa.func.coalesce(Play.languages, Bulletin.language)
    each = (
        sa.select(
            ClusterVillage.village_code,
            sa.func.unnest(sa.func.string_to_array(spoken, ",")).label("language"),
            Play.occurrence_id,
        )
        .distinct()
        .select_from(Play)
        .join(Occurrence, Occurrence.id == Play.occurrence_id)
        .join(Bulletin, Bulletin.id == Occurrence.bulletin_id)
        .join(ClusterVillage, ClusterVillage.cluster_id == Play.cluster_id)
        .where(
            Play.starts_at >= begin,
            Play.starts_at < end,
            Play.state == PlayState.PLAYED,
            ClusterVillage.grade == Grade.PRIMARY,
            ClusterVillage.valid_from <= day,
            sa.or_(ClusterVillage.valid_to.is_(None), ClusterVillage.valid_to >= day),
        )
        .subquery()
    ).c
    rows = await session.execute(
        sa.select(each.village_code, each.language, sa.func.count()).group_by(
            each.village_code, each.language
        )
    )
    heard: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for code, language, count in rows:
        heard[code][language] = count
    readable = await scope.readable_scope(session, caller, Permission.CONTENT_READ)
    found = []
    for area, row in await session.execute(select_villages(last_on, readable.codes)):
        languages = [] if row is None else row.languages
        main = majority([Spoken(each["language"], each.get("share")) for each in languages])
        found.append(_village(area, main, heard[area.code], territory))
    return sorted(found, key=lambda each: (in_order(each.commune), in_order(each.name), each.code))


def _village(
    area: Area, main: str | None, heard: Counter[str], territory: scope.Territory
) -> Village:
    code = area.parent_code or ""
    commune = territory.lineage.last(code, territory.on)
    return Village(
        area.code, area.name, code, code if commune is None else commune.name, main, dict(heard)
    )
