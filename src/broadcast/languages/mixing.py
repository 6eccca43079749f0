"""Sounds for the lists of languages that there are: made, put on air, and taken off again.

A step of the leader, which may be repeated. A place whose people speak Hrê and Vietnamese hears
one sound that says both, made of the approved version and the original; a device then plays,
resumes and reports it as any other.

1. What each approved original that sounds, or may be scheduled, needs: one mix for every list of
   languages of some cluster (`areas.languages.sounding`).
2. A mix that is missing goes to the queue of preparations; one of a single language is there.
3. A mix whose sound is ready is current, unless with it a schedule would meet another item: then
   its `trouble` says which, and the place hears what it heard before.
4. Where what is current changed, the coming occurrences last as long as the longest sound, and
   their documents are compiled again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.areas.languages import sounding
from broadcast.bulletins import preparations, revisions
from broadcast.bulletins.audio.prepared import Framing, content_path
from broadcast.bulletins.model import (
    Bulletin,
    Preparation,
    PreparationState,
    Rendition,
    Revision,
    RevisionState,
)
from broadcast.bulletins.preparations import Source
from broadcast.bulletins.version_model import Mix, MixSound
from broadcast.bulletins.versions import Key, Part, parts_of
from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import BroadcastError
from broadcast.schedules import occurrences, planning
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule, ScheduleState
from broadcast.schedules.starts import exceptions_of
from broadcast.stations.languages import languages_of_clusters
from broadcast.wire.fields import Codec
from broadcast.wire.limits import MOST_VERSIONS

log = structlog.get_logger()

CLASH = "chưa phát được vì dài hơn: "


def wanted(
    orders: Iterable[Sequence[str]], parts: Collection[str], original: str
) -> list[list[str]]:
    """Lists of languages for which a sound is needed, beside that of the original itself.

    >>> wanted([["hre", "vi"], ["hre"], ["vi"], ["cua", "vi"]], {"hre"}, "vi")
    [['hre'], ['hre', 'vi']]
    """
    lists = {tuple(sounding(order, parts, original)) for order in orders} - {(original,)}
    return [list(each) for each in sorted(lists)][:MOST_VERSIONS]


async def step(
    session: AsyncSession, settings: config.Settings, now: datetime, *, again: bool = False
) -> int:
    """Bring the mixes in line with versions and places.

    Args:
        session: Open transaction.
        settings: Of sound, and the rules of schedules.
        now: Present.
        again: Also look whether what was in the way of a mix has gone.

    Returns:
        How many revisions sound differently now.
    """
    parts = await parts_of(session)
    known = set(await session.scalars(sa.select(Mix.bulletin_id).where(Mix.is_current).distinct()))
    if not parts and not known:
        return 0
    if again:
        await _make_lost_anew(session, settings, now)
    on = now.astimezone(LOCAL).date()
    orders = list((await languages_of_clusters(session, on)).values())
    keys = await _in_use(session, parts, known, now)
    changed = 0
    for key in await _unsettled(session, keys, parts, orders, again=again):
        changed += await _bring_up(session, key, parts.get(key, {}), orders, settings, now)
    return changed


async def _unsettled(
    session: AsyncSession,
    keys: Collection[Key],
    parts: Mapping[Key, dict[str, Part]],
    orders: Sequence[Sequence[str]],
    *,
    again: bool,
) -> list[Key]:
    """Revisions of which something is not as it is to be."""
    ids = {bulletin_id for bulletin_id, _ in keys}
    rows = await session.execute(
        sa.select(Bulletin.id, Bulletin.language).where(Bulletin.id.in_(ids))
    )
    languages = {row[0]: row[1] for row in rows}
    mixes: defaultdict[Key, dict[str, Mix]] = defaultdict(dict)
    for mix in await session.scalars(sa.select(Mix).where(Mix.bulletin_id.in_(ids))):
        mixes[mix.bulletin_id, mix.revision][mix.parts_key] = mix
    found = []
    for key in keys:
        there, of_key = mixes[key], parts.get(key, {})
        needed = {
            _name(_said(each, of_key, key, 0.0))
            for each in wanted(orders, of_key, languages[key[0]])
        }
        settled = {
            name
            for name, mix in there.items()
            if (mix.is_current and mix.seconds is not None) or (mix.trouble and not again)
        }
        current = {name for name, mix in there.items() if mix.is_current}
        if not (needed <= settled and current <= needed):
            found.append(key)
    return found


def _said(
    languages: Iterable[str], parts: Mapping[str, Part], key: Key, seconds: float
) -> list[Part]:
    """Versions, and the original itself, in this order."""
    return [parts.get(each) or Part(each, *key, seconds) for each in languages]


async def _in_use(
    session: AsyncSession, parts: Collection[Key], known: Collection[UUID], now: datetime
) -> list[Key]:
    """Approved revisions with versions that can be scheduled, are going to sound, or had some."""
    ids = {bulletin_id for bulletin_id, _ in parts} | set(known)
    newest = (
        sa.select(Revision.bulletin_id, sa.func.max(Revision.number))
        .where(Revision.bulletin_id.in_(ids), Revision.state == RevisionState.APPROVED)
        .group_by(Revision.bulletin_id)
    )
    coming = (
        sa.select(Occurrence.bulletin_id, Occurrence.bulletin_revision)
        .where(
            Occurrence.bulletin_id.in_(ids),
            Occurrence.ends_by > now,
            Occurrence.state == OccurrenceState.PLANNED,
        )
        .distinct()
    )
    mixed = (
        sa.select(Mix.bulletin_id, Mix.revision)
        .where(Mix.bulletin_id.in_(ids), Mix.is_current)
        .distinct()
    )
    rows = await session.execute(sa.union(newest, coming, mixed))
    return sorted((bulletin_id, number) for bulletin_id, number in rows)


async def _bring_up(
    session: AsyncSession,
    key: Key,
    parts: dict[str, Part],
    orders: Iterable[Sequence[str]],
    settings: config.Settings,
    now: datetime,
) -> int:
    bulletin = await revisions.get_bulletin(session, key[0])
    revision = await revisions.get_revision(session, *key, lock=True)
    lists = wanted(orders, parts, bulletin.language)
    if revision.state is not RevisionState.APPROVED:
        lists = []
    needed: dict[str, list[str]] = {}
    for languages in lists:
        said = _said(languages, parts, key, revision.seconds)
        needed[_name(said)] = languages
        await _make(session, key, said, bulletin, settings, now)
    rows = await session.scalars(
        sa.select(Mix)
        .where(Mix.bulletin_id == key[0], Mix.revision == key[1])
        .order_by(Mix.id)
        .with_for_update()
    )
    mixes = rows.all()
    for mix in mixes:
        if mix.parts_key in needed and mix.seconds is None:
            await _take_up(session, mix)
    ready = [mix for mix in mixes if mix.parts_key in needed and mix.seconds is not None]
    if [mix for mix in mixes if mix.is_current] == ready:
        return 0
    return int(await _put_on_air(session, bulletin, revision, mixes, ready, settings.rules, now))


async def _make_lost_anew(session: AsyncSession, settings: config.Settings, now: datetime) -> None:
    """Have joined sounds made again whose files the disk has lost; until then they are off air."""
    rows = await session.execute(
        sa.select(Mix, MixSound.sha256)
        .join(MixSound, MixSound.mix_id == Mix.id)
        .where(Mix.preparation_id.is_not(None))
        .order_by(Mix.id)
    )
    joined = [(mix, content_path(settings.content_dir, sha256)) for mix, sha256 in rows]
    lost = {mix.id: mix for mix, path in joined if not path.is_file()}
    for mix in lost.values():
        made = await session.get_one(Preparation, mix.preparation_id)
        await preparations.make_anew(session, made, now)
        await session.execute(sa.delete(MixSound).where(MixSound.mix_id == mix.id))
        mix.seconds, mix.trouble = None, ""
        log.warning("languages.mix.lost", bulletin_id=str(mix.bulletin_id), mix_id=mix.id)
    await session.flush()


def _name(parts: Iterable[Part]) -> str:
    return ",".join(f"{each.bulletin_id}/{each.revision}" for each in parts)


async def _make(
    session: AsyncSession,
    key: Key,
    said: Sequence[Part],
    bulletin: Bulletin,
    settings: config.Settings,
    now: datetime,
) -> None:
    """Add a mix that is missing, with its preparation; one that failed is tried by hand."""
    name = _name(said)
    is_there = await session.scalar(
        sa.select(Mix.id).where(
            Mix.bulletin_id == key[0], Mix.revision == key[1], Mix.parts_key == name
        )
    )
    if is_there is not None:
        return
    found = await revisions.renditions(
        session, [(each.bulletin_id, each.revision) for each in said]
    )
    sounds = [found.get((each.bulletin_id, each.revision), []) for each in said]
    if not all(sounds):
        return
    preparation = None
    if len(said) > 1:
        first, *others = (each[0].sha256 for each in sounds)
        framing = Framing(tone=False, repeats=1, others=tuple(others), is_joined=True)
        # Each part has its own chimes.
        audio = settings.audio.model_copy(update={"chime": False})
        source = Source.of_content(first, framing)
        preparation = await preparations.enqueue(
            session, source, audio, settings.content_dir, bulletin.class_, now
        )
    mix_id = await session.scalar(
        insert(Mix)
        .values(
            bulletin_id=key[0], revision=key[1], languages=[each.language for each in said],
            parts=[{"bulletin_id": str(each.bulletin_id), "revision": each.revision}
                   for each in said],
            parts_key=name, preparation_id=preparation and preparation.id,
            seconds=said[0].seconds if preparation is None else None, is_current=False,
            trouble="", made_at=now,
        )
        .on_conflict_do_nothing()
        .returning(Mix.id)
    )  # fmt: skip
    if mix_id is not None and preparation is None:
        session.add_all(_sound(mix_id, each) for each in sounds[0])
        await session.flush()


def _sound(mix_id: int, row: Rendition) -> MixSound:
    return MixSound(
        mix_id=mix_id, codec=row.codec, sha256=row.sha256, size_bytes=row.size_bytes,
        seconds=row.seconds,
    )  # fmt: skip


async def _take_up(session: AsyncSession, mix: Mix) -> None:
    """Take over what became of the preparation of a mix."""
    row = await session.get(Preparation, mix.preparation_id, populate_existing=True)
    if row is None or row.state in {PreparationState.WAITING, PreparationState.RUNNING}:
        return
    if row.state is not PreparationState.DONE:
        mix.trouble = row.detail or "âm thanh ghép chưa làm được; hãy báo quản trị"
        return
    prepared = preparations.result_of(row)
    session.add_all(
        MixSound(
            mix_id=mix.id, codec=Codec(each.codec), sha256=each.sha256,
            size_bytes=each.size_bytes, seconds=each.seconds,
        )
        for each in prepared.renditions
    )  # fmt: skip
    mix.seconds, mix.trouble = prepared.seconds, ""
    await session.flush()


async def _put_on_air(
    session: AsyncSession,
    bulletin: Bulletin,
    revision: Revision,
    mixes: Iterable[Mix],
    ready: Sequence[Mix],
    rules: Rules,
    now: datetime,
) -> bool:
    """Make the mixes that are ready current, the shorter ones first, as long as they fit."""
    before = revision.longest_seconds
    schedules = list(
        await session.scalars(
            sa.select(Schedule).where(
                Schedule.bulletin_id == revision.bulletin_id,
                Schedule.bulletin_revision == revision.number,
                Schedule.state == ScheduleState.ACTIVE,
            )
        )
    )
    current: list[Mix] = []
    longest = 0.0
    for mix in sorted(ready, key=lambda each: each.seconds or 0.0):
        seconds = mix.seconds or 0.0
        revision.longest_seconds = max(longest, seconds)
        trouble = ""
        if revision.air_seconds > max(revision.seconds, before or 0.0):
            trouble = await _in_the_way(session, schedules, revision, rules, now)
        mix.trouble = trouble
        if not trouble:
            current.append(mix)
            longest = revision.longest_seconds
    revision.longest_seconds = longest or None
    changed = [mix for mix in mixes if mix.is_current != (mix in current)]
    for mix in mixes:
        mix.is_current = mix in current
    await session.flush()
    if not changed:
        return False
    log.info(
        "languages.mixes.changed", bulletin_id=str(bulletin.id), revision=revision.number,
        languages=[",".join(each.languages) for each in current],
    )  # fmt: skip
    ids = [each.id for each in schedules]
    await occurrences.materialise(session, now, rules.horizon, ids)
    coming = await session.scalars(
        sa.select(Occurrence.id).where(
            Occurrence.bulletin_id == revision.bulletin_id,
            Occurrence.bulletin_revision == revision.number,
            Occurrence.starts_at > now,
            Occurrence.state == OccurrenceState.PLANNED,
        )
    )
    await occurrences.mark_dirty(session, list(coming))
    return True


async def _in_the_way(
    session: AsyncSession,
    schedules: Iterable[Schedule],
    revision: Revision,
    rules: Rules,
    now: datetime,
) -> str:
    """What keeps schedules from lasting as long as their revision does now; empty: nothing."""
    for schedule in schedules:
        exceptions = (await exceptions_of(session, [schedule.id]))[schedule.id]
        try:
            plan = await planning.plan(session, schedule, revision, rules, now, exceptions)
            planning.refuse_clashes(plan.overlaps)
        except BroadcastError as error:
            return CLASH + error.detail
    return ""


async def troubles(session: AsyncSession, bulletin_id: UUID) -> dict[tuple[str, ...], str]:
    """Why sounds of a bulletin are not on air, by their languages."""
    found: defaultdict[tuple[str, ...], str] = defaultdict(str)
    for mix in await session.scalars(
        sa.select(Mix).where(Mix.bulletin_id == bulletin_id, Mix.trouble != "")
    ):
        found[tuple(mix.languages)] = mix.trouble
    return found
