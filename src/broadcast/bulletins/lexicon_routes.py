"""Lexicons of stations over REST, and the words of a text before it becomes a bulletin."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import Query

from broadcast.areas import scope
from broadcast.areas.model import Area
from broadcast.auth.caller import Author, ContentReader
from broadcast.auth.people import people
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router, changes_nothing
from broadcast.bulletins import station_lexicon, words
from broadcast.bulletins.schemas import (
    EntryIn,
    EntryOut,
    LexiconOut,
    SpokenOut,
    TextIn,
    WrittenPath,
)
from broadcast.kit import clock
from broadcast.web.fields import Code
from broadcast.web.rest import Session, require_known

log = structlog.get_logger()

router = Router(prefix="/api/v1", tags=["bulletins"])


@router.get("/lexicon", summary="Từ điển đọc của một đơn vị, gồm cả mục của tỉnh")
async def show_lexicon(
    session: Session, caller: ContentReader, area: Annotated[Code, Query()]
) -> LexiconOut:
    """Entries that hold for a province or commune today."""
    await require_known(session, "area", Area.code, area)
    await scope.require_heard(session, caller, Permission.CONTENT_READ, area)
    rows = await station_lexicon.entries(session, area, clock.today())
    known = await people(session, (row.changed_by for row in rows))
    return LexiconOut(items=[EntryOut.of(row, known) for row in rows])


@router.get("/lexicon/{area}/{written:path}", summary="Một mục của từ điển đọc")
async def get_entry(
    session: Session, _: ContentReader, area: Code, written: WrittenPath
) -> EntryOut:
    """An entry of this unit's own."""
    row = await station_lexicon.get(session, area, written)
    return EntryOut.of(row, await people(session, [row.changed_by]))


@router.put("/lexicon/{area}/{written:path}", summary="Thêm hoặc sửa một mục của từ điển đọc")
async def put_entry(
    session: Session, caller: Author, area: Code, written: WrittenPath, entry: EntryIn
) -> EntryOut:
    """An entry; written in small letters it holds for capitals too. Sound that exists stays."""
    row = await station_lexicon.correct(session, caller, area, written, entry.spoken, clock.now())
    return EntryOut.of(row, await people(session, [row.changed_by]))


@router.delete(
    "/lexicon/{area}/{written:path}", status_code=204, summary="Xóa một mục của từ điển đọc"
)
async def remove_entry(session: Session, caller: Author, area: Code, written: WrittenPath) -> None:
    """No such entry any more; sound that exists is not changed by it."""
    await scope.require(session, caller, Permission.BULLETIN_WRITE, [area])
    await station_lexicon.remove(session, area, written)
    log.info("bulletins.lexicon.removed", area=area, written=written, by=caller.account_id)


@router.post("/speech/words", summary="Xem trước lời sẽ đọc của một văn bản")
@changes_nothing
async def preview_words(session: Session, caller: ContentReader, body: TextIn) -> SpokenOut:
    """The words that the station of a unit would say; nothing is stored."""
    found = await words.preview(session, caller, body.area_code, body.text, clock.today())
    return SpokenOut.of(found)
