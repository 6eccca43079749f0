"""Bulletins and renditions as people and devices look for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area
from broadcast.bulletins import search
from broadcast.bulletins.model import (
    Bulletin,
    PhraseKind,
    Preparation,
    Rendition,
    Revision,
    RevisionState,
    Subject,
)
from broadcast.bulletins.revisions import Key
from broadcast.bulletins.version_model import Mix, MixSound
from broadcast.kit.errors import NotFound, Unknown
from broadcast.web.rest import require_known
from broadcast.wire.fields import BulletinClass, Codec


class Wanted(NamedTuple):
    """What bulletins are looked for by; all of it must hold.

    Attributes:
        state: Of the newest revision.
        area: Whose station speaks.
        class_: Normal, priority or emergency.
        language: BCP 47.
        subject: What it is about.
        tag: One of its tags, with or without accents.
        words: Every one of these begins a word of title, tags or text; accents are optional.
        is_approved: Some revision is approved: it can be scheduled.
        is_of_alert: Its sound is that of an alert or of a template of alerts, tone and repeats
            included.
        is_phrase: Phrases of the bank, instead of bulletins.
        phrase: Kind of a phrase.
    """

    state: RevisionState | None = None
    area: str | None = None
    class_: BulletinClass | None = None
    language: str | None = None
    subject: Subject | None = None
    tag: str | None = None
    words: str = ""
    is_approved: bool | None = None
    is_of_alert: bool | None = None
    is_phrase: bool = False
    phrase: PhraseKind | None = None


async def select_bulletins(session: AsyncSession, wanted: Wanted) -> sa.Select[Any]:
    """Return the statement of bulletins with the number and state of the newest revision.

    And with the number of the newest approved one. Only revisions that the caller may read are
    searched for words.

    Raises:
        Unknown: There is no such area.
    """
    of_bulletin = Revision.bulletin_id == Bulletin.id
    newest = (
        sa.select(Revision.number, Revision.state)
        .where(of_bulletin)
        .order_by(Revision.number.desc())
        .limit(1)
        .lateral()
    )
    approved = (
        sa.select(sa.func.max(Revision.number))
        .where(of_bulletin, Revision.state == RevisionState.APPROVED)
        .scalar_subquery()
    )
    statement = sa.select(Bulletin, newest.c.number, newest.c.state, approved).join(
        newest, sa.true()
    )
    if wanted.area is not None:
        await require_known(session, "area", Area.code, wanted.area)
    if wanted.is_approved is not None:
        statement = statement.where(
            approved.is_not(None) if wanted.is_approved else approved.is_(None)
        )
    if wanted.is_of_alert is not None:
        is_joined = sa.func.coalesce(Preparation.framing["is_joined"].as_boolean(), sa.false())
        framed = (
            sa.select(Preparation.id)
            .join(Revision, Revision.preparation_id == Preparation.id)
            .where(of_bulletin, Preparation.framing.is_not(None), ~is_joined)
            .exists()
        )
        statement = statement.where(framed if wanted.is_of_alert else ~framed)
    exact = (
        (newest.c.state, wanted.state),
        (Bulletin.area_code, wanted.area),
        (Bulletin.class_, wanted.class_),
        (Bulletin.language, wanted.language),
        (Bulletin.subject, wanted.subject),
        (Bulletin.phrase, wanted.phrase),
    )
    phrase = Bulletin.phrase.is_not(None) if wanted.is_phrase else Bulletin.phrase.is_(None)
    conditions = [column == value for column, value in exact if value is not None]
    if wanted.tag is not None:
        conditions.append(search.has_tag(wanted.tag))
    return statement.where(phrase, *conditions, *search.has_words(wanted.words))


async def get_rendition(session: AsyncSession, key: Key, codec: Codec) -> Rendition:
    """Return a rendition of a revision in any state; for people.

    Raises:
        NotFound: There is none yet.
    """
    rendition = await session.get(Rendition, (*key, codec))
    if rendition is None:
        raise NotFound(
            f"Bản tin {key[0]} không có âm thanh của phiên bản {key[1]} dạng {codec.value};"
            " nếu vừa tạo, hãy chờ chuẩn bị xong."
        )
    return rendition


async def version_sound(
    session: AsyncSession, key: Key, languages: Sequence[str], codec: Codec
) -> str:
    """Return the SHA-256 of what documents carry of a revision for a list of languages.

    Raises:
        Unknown: They carry nothing for these.
    """
    sha256: str | None = await session.scalar(
        sa.select(MixSound.sha256)
        .join(Mix, Mix.id == MixSound.mix_id)
        .where(
            Mix.bulletin_id == key[0], Mix.revision == key[1], Mix.is_current,
            Mix.languages == list(languages), MixSound.codec == codec,
        )
        .order_by(Mix.id)
        .limit(1)
    )  # fmt: skip
    if sha256 is None:
        named = ",".join(languages)
        raise Unknown(
            "languages",
            f"phiên bản này không có bản đang phát bằng “{named}” dạng {codec.value}; bỏ trống"
            " để nghe bản gốc",
        )
    return sha256


async def approved_codec(session: AsyncSession, sha256: str) -> Codec:
    """Return the codec of a rendition that belongs to an approved revision; for devices.

    Raises:
        NotFound: No approved revision has this rendition.
    """
    codec: Codec | None = await session.scalar(
        sa.select(Rendition.codec)
        .join(
            Revision,
            sa.and_(
                Revision.bulletin_id == Rendition.bulletin_id,
                Revision.number == Rendition.revision,
            ),
        )
        .where(Rendition.sha256 == sha256, Revision.state == RevisionState.APPROVED)
        .limit(1)
    )
    codec = codec or await session.scalar(
        sa.select(MixSound.codec)
        .join(Mix, Mix.id == MixSound.mix_id)
        .where(MixSound.sha256 == sha256, Mix.is_current)
        .limit(1)
    )
    if codec is None:
        raise NotFound("Không có âm thanh đã duyệt nào mang mã này.")
    return codec
