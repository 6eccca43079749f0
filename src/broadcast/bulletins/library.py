"""The library: bulletins as they are looked for, and one used again as another."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.areas import scope
from broadcast.auth.caller import Caller
from broadcast.auth.people import people
from broadcast.auth.permissions import Permission
from broadcast.bulletins import creation, queries, revisions, search
from broadcast.bulletins.audio.prepared import Prepared, Rendition, Warned, content_path
from broadcast.bulletins.model import Bulletin, Revision, RevisionState
from broadcast.bulletins.places import require_readable_bulletin
from broadcast.bulletins.preparations import Source, trim_of
from broadcast.bulletins.queries import Wanted
from broadcast.bulletins.schemas import BulletinSummaryOut, CopyIn
from broadcast.bulletins.station_lexicon import require_station
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, NotFound
from broadcast.web.rest import Page, Paging, paged


async def page_of(
    session: AsyncSession, wanted: Wanted, paging: Paging, *, newest_first: bool
) -> Page[BulletinSummaryOut]:
    """One page of the bulletins that are wanted.

    Raises:
        Unknown: There is no such area, or the cursor is of another list.
    """
    statement = await queries.select_bulletins(session, wanted)
    key = (Bulletin.created_at, Bulletin.id)
    found = await paged(session, statement, key, paging, backwards=newest_first)
    known = await people(session, (row[0].created_by for row in found.rows))
    return found.page(partial(BulletinSummaryOut.of, people=known))


async def copy(
    session: AsyncSession,
    bulletin_id: UUID,
    body: CopyIn,
    settings: config.Settings,
    caller: Caller,
    now: datetime,
) -> tuple[Bulletin, Revision]:
    """Make a new bulletin of one that there is; its revision 1 is a draft with the same sound.

    A text is read anew where the lexicon of the other station reads it differently.

    Raises:
        NotFound: The caller cannot read the bulletin or the revision.
        Forbidden: The caller may not write bulletins of this station.
        InvalidInput: The unit has no station, or there are too many tags.
        Conflict: Nothing of it can be copied: no sound yet, or withdrawn.
    """
    await scope.require(session, caller, Permission.BULLETIN_WRITE, [body.area_code])
    await require_readable_bulletin(session, caller, bulletin_id)
    today = now.astimezone(LOCAL).date()
    await require_station(session, body.area_code, today)
    original = await revisions.get_bulletin(session, bulletin_id)
    revision = await _chosen(session, bulletin_id, body.revision, caller)
    made = Bulletin(
        id=uuid4(),
        title=body.title or original.title,
        class_=original.class_,
        language=original.language,
        subject=original.subject,
        tags=original.tags if body.tags is None else search.tags_of(body.tags),
        area_code=body.area_code,
        phrase=original.phrase,
        created_by=caller.account_id,
        created_at=now,
    )
    session.add(made)
    await session.flush()
    if revision.text is not None:
        spoken = await creation.script_from(session, body.area_code, revision.text, today)
        assert spoken is not None
        source = Source.of_text(spoken)
        return made, await creation.add_revision(
            session, made, revision.text, source, settings, caller, now
        )
    return made, await revisions.add(
        session,
        made,
        await _sound_of(session, revision, settings.content_dir),
        kind=revision.source_kind,
        name=revision.source_name,
        preparation_id=revision.preparation_id,
        trim=trim_of(revision),
        by=caller.account_id,
        now=now,
    )


async def _chosen(
    session: AsyncSession, bulletin_id: UUID, number: int | None, caller: Caller
) -> Revision:
    """The revision to be copied: the newest approved one unless a number says another."""
    if number is None:
        newest = await revisions.newest_approved(session, bulletin_id)
        if newest is None:
            raise Conflict(
                "Bản tin này chưa có phiên bản nào được duyệt; hãy ghi rõ số phiên bản cần chép."
            )
        return newest
    thing = sa.select(Revision.number).where(
        Revision.bulletin_id == bulletin_id, Revision.number == number
    )
    missing = NotFound(f"Bản tin {bulletin_id} không có phiên bản {number}.")
    await scope.require_visible(session, caller, Permission.CONTENT_READ, thing, missing)
    revision = await revisions.get_revision(session, bulletin_id, number)
    if revision.state is RevisionState.WITHDRAWN:
        raise Conflict("Phiên bản này đã rút, không chép được; hãy chọn phiên bản khác.")
    if revision.seconds is None and revision.text is None:
        raise Conflict("Âm thanh của phiên bản này chưa chuẩn bị xong; hãy chờ rồi chép.")
    return revision


_WARNINGS = TypeAdapter(tuple[Warned, ...])


async def _sound_of(session: AsyncSession, revision: Revision, content_dir: Path) -> Prepared:
    """Prepared sound of a revision, as it was when it was made."""
    key = (revision.bulletin_id, revision.number)
    facts = revision.facts
    return Prepared(
        seconds=revision.seconds,
        loudness_lufs=revision.loudness_lufs,
        true_peak_dbtp=revision.true_peak_dbtp,
        source_seconds=facts.get("source_seconds", revision.seconds),
        trimmed_seconds=facts.get("trimmed_seconds", 0.0),
        gain_db=facts.get("gain_db", 0.0),
        damaged_frames=facts.get("damaged_frames", 0),
        renditions=tuple(
            Rendition(
                each.codec.value,
                each.sha256,
                each.size_bytes,
                each.seconds,
                content_path(content_dir, each.sha256),
            )
            for each in (await revisions.renditions(session, [key])).get(key, [])
        ),
        warnings=_WARNINGS.validate_python(facts.get("warnings", [])),
    )
