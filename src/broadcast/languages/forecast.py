"""What each village is going to hear of an occurrence, language by language, before it sounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.languages import Spoken, majority
from broadcast.areas.village_languages import spoken_on
from broadcast.bulletins.model import Bulletin
from broadcast.bulletins.versions import current_versions, parts_of
from broadcast.kit.clock import LOCAL
from broadcast.kit.text import in_order
from broadcast.languages import mixing, versions
from broadcast.languages.state import VersionState
from broadcast.plays.ledger import month_of
from broadcast.plays.model import Play
from broadcast.schedules.queries import get_occurrence
from broadcast.stations.languages import languages_of_clusters, villages_of_clusters
from broadcast.wire.documents import Version
from broadcast.wire.languages import version_for


class Lack(StrEnum):
    """Why a language of a village is not heard."""

    NOT_ASKED = "not_asked"
    WAITING = "waiting"
    RECORDED = "recorded"
    REVIEW = "review"
    RETURNED = "returned"
    STALE = "stale"
    BEING_MADE = "being_made"  # approved; the sound is being joined, or something is in the way


_OF_STATE = {
    VersionState.WAITING: Lack.WAITING,
    VersionState.RECORDED: Lack.RECORDED,
    VersionState.REVIEW: Lack.REVIEW,
    VersionState.RETURNED: Lack.RETURNED,
    VersionState.STALE: Lack.STALE,
    VersionState.APPROVED: Lack.BEING_MADE,
}


class Hears(NamedTuple):
    """What a village is going to hear.

    Attributes:
        code: Of the village.
        name: For people.
        languages: Of its people, in their order.
        sounds: In which it hears the bulletin, in that order.
        lacks: Languages of its people in which it does not, and why.
        is_served: In the language of most of its people; None where that is not on record.
        detail: What is in the way, where something is.
    """

    code: str
    name: str
    languages: list[str]
    sounds: list[str]
    lacks: dict[str, Lack]
    is_served: bool | None
    detail: str


def hears(
    order: Sequence[str],
    available: Sequence[Version],
    original: str,
    lacks: Mapping[str, Lack],
) -> tuple[list[str], dict[str, Lack]]:
    """Languages in which a place of this order hears a bulletin, and those in which not."""
    version = version_for(available, order)
    sounds = [original] if version is None else list(version.languages)
    missing = {
        each: lacks.get(each, Lack.NOT_ASKED)
        for each in order
        if each not in sounds and each != original
    }
    return sounds, missing


async def forecast(session: AsyncSession, occurrence_id: UUID) -> list[Hears]:
    """What every village is going to hear, those without their majority's language first.

    Raises:
        NotFound: There is no such occurrence.
    """
    occurrence = await get_occurrence(session, occurrence_id)
    clusters = list(
        await session.scalars(
            sa.select(Play.cluster_id).where(
                Play.occurrence_id == occurrence_id,
                Play.month == month_of(occurrence.recurrence_at),
            )
        )
    )
    on = occurrence.starts_at.astimezone(LOCAL).date()
    served = await villages_of_clusters(session, on, clusters)
    key = (occurrence.bulletin_id, occurrence.bulletin_revision)
    async with scope.whole(session):
        bulletin = await session.get_one(Bulletin, occurrence.bulletin_id)
        available = (await current_versions(session, [key])).get(key, [])
        approved = (await parts_of(session, [key[0]])).get(key, {})
        standings = await versions.of_original(session, key[0])
        troubles = await mixing.troubles(session, key[0])
    orders = await languages_of_clusters(session, on, clusters)
    spoken = await spoken_on(session, on, {code for codes in served.values() for code in codes})
    lacks = {each.version.language: _OF_STATE[each.state] for each in standings}
    lacks |= dict.fromkeys(approved, Lack.BEING_MADE)
    territory = await scope.territory_of(session)
    found: dict[str, Hears] = {}
    of_village: defaultdict[str, list[int]] = defaultdict(list)
    for cluster_id, codes in served.items():
        for code in codes:
            of_village[code].append(cluster_id)
    for code, ids in of_village.items():
        own: Sequence[Spoken] = spoken.get(code, ())
        heard = [hears(orders.get(id_, []), available, bulletin.language, lacks) for id_ in ids]
        sounds, _ = max(heard, key=lambda each: len(each[0]))
        languages = [each.language for each in own]
        missing = {
            each: lacks.get(each, Lack.NOT_ASKED)
            for each in languages
            if each not in sounds and each != bulletin.language
        }
        main = majority(own)
        unit = territory.lineage.last(code, territory.on)
        found[code] = Hears(
            code,
            code if unit is None else unit.name,
            languages,
            sounds,
            missing,
            None if main is None else main in sounds,
            next((text for said, text in troubles.items() if set(said) & set(missing)), ""),
        )
    return sorted(
        found.values(), key=lambda each: (each.is_served is not False, in_order(each.name))
    )
