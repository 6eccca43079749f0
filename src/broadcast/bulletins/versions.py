"""Versions of bulletins in other languages: which hold, and what several of them sound like.

A version says what one revision of its original says. It holds for that revision and for those
that somebody has confirmed since; for a later one it is stale, and nothing of it sounds there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.model import Account
from broadcast.bulletins.model import Bulletin, Revision, RevisionState
from broadcast.bulletins.version_model import Mix, MixSound, VersionMatch
from broadcast.kit.errors import Forbidden
from broadcast.kit.languages import named
from broadcast.wire.documents import Audio, Version
from broadcast.wire.fields import Codec
from broadcast.wire.limits import MOST_LANGUAGES, MOST_VERSIONS

Key = tuple[UUID, int]


class Part(NamedTuple):
    """An approved version of a revision.

    Attributes:
        language: BCP 47.
        bulletin_id: Of the version.
        revision: Its newest approved revision that says what the original's revision says.
        seconds: Length of its sound.
    """

    language: str
    bulletin_id: UUID
    revision: int
    seconds: float


async def understands(session: AsyncSession, account_id: int, language: str) -> bool:
    """Tell whether somebody speaks and understands a language; Vietnamese everybody does."""
    if language == "vi":
        return True
    known = await session.scalar(sa.select(Account.languages).where(Account.id == account_id))
    return language in (known or ())


async def require_understanding(session: AsyncSession, account_id: int, language: str) -> None:
    """Let only somebody speak or judge a language who knows it.

    Raises:
        Forbidden: Nobody has noted that this account does.
    """
    if not await understands(session, account_id, language):
        raise Forbidden(
            f"Việc này cần người biết {named(language)}. Nếu biết tiếng này, hãy nhờ người quản"
            " trị ghi vào tài khoản; nếu không, hãy nhờ người khác."
        )


async def match(
    session: AsyncSession, key: Key, original_revision: int, by: int, now: datetime
) -> None:
    """Note that a revision of a version says what a revision of its original says."""
    row = await session.get(VersionMatch, (*key, original_revision))
    if row is None:
        session.add(
            VersionMatch(
                bulletin_id=key[0],
                revision=key[1],
                original_revision=original_revision,
                matched_by=by,
                matched_at=now,
            )
        )
        await session.flush()


async def original_of(session: AsyncSession, bulletin: Bulletin, number: int) -> Revision | None:
    """The newest revision of the original that a revision of a version is said to match.

    None of a bulletin that is no version.
    """
    if bulletin.version_of is None:
        return None
    found: Revision | None = await session.scalar(
        sa.select(Revision)
        .join(VersionMatch, VersionMatch.original_revision == Revision.number)
        .where(
            Revision.bulletin_id == bulletin.version_of,
            VersionMatch.bulletin_id == bulletin.id,
            VersionMatch.revision == number,
        )
        .order_by(Revision.number.desc())
        .limit(1)
    )
    return found


async def parts_of(
    session: AsyncSession, originals: Collection[UUID] | None = None
) -> dict[Key, dict[str, Part]]:
    """Approved versions of revisions, by language; of all originals that have any, or of these."""
    statement = (
        sa.select(
            sa.type_coerce(Bulletin.version_of, sa.Uuid()),
            VersionMatch.original_revision,
            Bulletin.language,
            Bulletin.id,
            Revision.number,
            Revision.seconds,
        )
        .join(VersionMatch, VersionMatch.bulletin_id == Bulletin.id)
        .join(
            Revision,
            sa.and_(Revision.bulletin_id == Bulletin.id, Revision.number == VersionMatch.revision),
        )
        .where(Bulletin.version_of.is_not(None), Revision.state == RevisionState.APPROVED)
        .order_by(Revision.number)
    )
    if originals is not None:
        statement = statement.where(Bulletin.version_of.in_(originals))
    found: defaultdict[Key, dict[str, Part]] = defaultdict(dict)
    for original, number, language, id_, revision, seconds in await session.execute(statement):
        found[original, number][language] = Part(language, id_, revision, seconds)
    return found


async def current_versions(
    session: AsyncSession, keys: Collection[Key]
) -> dict[Key, list[Version]]:
    """Sounds for lists of languages that documents carry of these revisions."""
    rows = await session.execute(
        sa.select(Mix, MixSound)
        .join(MixSound, MixSound.mix_id == Mix.id)
        .where(sa.tuple_(Mix.bulletin_id, Mix.revision).in_(list(keys)), Mix.is_current)
        .order_by(Mix.languages, Mix.id)
    )
    order = list(Codec)
    sounds: defaultdict[int, list[MixSound]] = defaultdict(list)
    mixes: dict[int, Mix] = {}
    for mix, sound in rows:
        mixes[mix.id] = mix
        sounds[mix.id].append(sound)
    found: defaultdict[Key, list[Version]] = defaultdict(list)
    for mix in mixes.values():
        renditions = sorted(sounds[mix.id], key=lambda each: order.index(each.codec))
        audio = [
            Audio(
                sha256=each.sha256, bytes=each.size_bytes, seconds=each.seconds, codec=each.codec
            )
            for each in renditions
        ]
        versions = found[mix.bulletin_id, mix.revision]
        if len(versions) < MOST_VERSIONS and len(mix.languages) <= MOST_LANGUAGES:
            versions.append(Version(languages=list(mix.languages), audio=audio))
    return found
