"""Lexicons of stations over REST, and the words of a text before it becomes a bulletin."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

import structlog
from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, Field

from broadcast.accounts.auth import Author, CallerDep
from broadcast.accounts.routing import Router
from broadcast.areas.model import Area
from broadcast.bulletins import station_lexicon
from broadcast.bulletins.representations import AreaCode, Asked, FromRow, Script
from broadcast.bulletins.speech.script import script_of
from broadcast.kit import clock
from broadcast.kit.text import FILLED_LINE, clean_filled_line
from broadcast.kit.times import Moment
from broadcast.web.rest import Session, require_known

log = structlog.get_logger()

api = Router(prefix="/api/v1", tags=["bulletins"])


_WORDS = r"^\s*[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+([ ,]+[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+)*\s*$"


def _spoken(text: str) -> str:
    line = clean_filled_line(text).lower()
    if not re.fullmatch(r"[^\W\d_]+(?:,? [^\W\d_]+)*", line):
        raise ValueError("chỉ gồm chữ, cách nhau bằng dấu cách; số và ký hiệu hãy viết thành chữ")
    return line


WrittenPath = Annotated[
    str,
    Path(min_length=1, max_length=60, json_schema_extra={"pattern": FILLED_LINE}),
    AfterValidator(clean_filled_line),
]
Spoken = Annotated[
    str,
    Field(min_length=1, max_length=200, json_schema_extra={"pattern": _WORDS}),
    AfterValidator(_spoken),
]


class EntryIn(Asked):
    """How a station says a word."""

    spoken: Spoken = Field(description="Như đọc lên, bằng chữ", examples=["đắc rơ ve"])


class EntryOut(FromRow):
    """An entry, and whose it is."""

    area_code: str
    written: str
    spoken: str
    changed_by: str
    changed_at: Moment


class LexiconOut(BaseModel):
    """Entries that hold for a unit: its own, and the province's that it does not override."""

    items: list[EntryOut]


class TextIn(Asked):
    """A text, and whose station would read it."""

    text: Script
    area_code: AreaCode = Field(examples=["21034"])


class SpokenOut(BaseModel):
    """The words of a text."""

    spoken: str = Field(description="Mỗi đoạn một dòng, # trước tiêu đề")


@api.get("/lexicon", summary="Từ điển đọc của một đơn vị, gồm cả mục của tỉnh")
async def show_lexicon(
    session: Session, _: CallerDep, area: Annotated[AreaCode, Query()]
) -> LexiconOut:
    """Entries that hold for a province or commune today."""
    await require_known(session, "area", Area.code, area)
    rows = await station_lexicon.entries(session, area, clock.today())
    return LexiconOut(items=[EntryOut.model_validate(row) for row in rows])


@api.get("/lexicon/{area}/{written:path}", summary="Một mục của từ điển đọc")
async def get_entry(
    session: Session, _: CallerDep, area: AreaCode, written: WrittenPath
) -> EntryOut:
    """An entry of this unit's own."""
    return EntryOut.model_validate(await station_lexicon.get(session, area, written))


@api.put("/lexicon/{area}/{written:path}", summary="Thêm hoặc sửa một mục của từ điển đọc")
async def put_entry(
    session: Session, caller: Author, area: AreaCode, written: WrittenPath, entry: EntryIn
) -> EntryOut:
    """An entry; written in small letters it holds for capitals too. Sound that exists stays."""
    await station_lexicon.require_station(session, area, clock.today())
    row = await station_lexicon.put(
        session, area, written, entry.spoken, caller.person, clock.now()
    )
    log.info("bulletins.lexicon.put", area=area, written=written, by=caller.person)
    return EntryOut.model_validate(row)


@api.delete(
    "/lexicon/{area}/{written:path}", status_code=204, summary="Xóa một mục của từ điển đọc"
)
async def remove_entry(
    session: Session, caller: Author, area: AreaCode, written: WrittenPath
) -> None:
    """No such entry any more; sound that exists is not changed by it."""
    await station_lexicon.remove(session, area, written)
    log.info("bulletins.lexicon.removed", area=area, written=written, by=caller.person)


@api.post("/speech/words", summary="Xem trước lời sẽ đọc của một văn bản")
async def preview_words(session: Session, _: CallerDep, asked: TextIn) -> SpokenOut:
    """What the station of a unit would say; nothing is stored."""
    readings = await station_lexicon.readings(session, asked.area_code, clock.today())
    return SpokenOut(spoken=await asyncio.to_thread(script_of, asked.text, readings))
