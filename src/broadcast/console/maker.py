"""A new bulletin, or a new revision of one, on one page: said, uploaded or typed, heard, trimmed.

What is typed lies in a draft (`bulletins.drafts`), which a script keeps over REST every few
seconds; the sound and the words that will be said are parts with addresses of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Form, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area
from broadcast.auth.caller import Author, Caller
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import changes_nothing
from broadcast.bulletins import drafts, library, places, revisions, station_lexicon, words
from broadcast.bulletins.approval import Action
from broadcast.bulletins.audio.prepared import Trim
from broadcast.bulletins.content import MEDIA_TYPES
from broadcast.bulletins.draft_schemas import DraftIn, DraftOut, PagePath, SoundOut, TrimIn
from broadcast.bulletins.model import Bulletin, Revision
from broadcast.bulletins.queries import Wanted
from broadcast.bulletins.schemas import EntryIn, SpokenOut, WrittenLine
from broadcast.console.bulletin_words import CLASSES, LANGUAGES, PHRASES, SUBJECTS
from broadcast.console.page import PageRouter, language_of, page, redirect
from broadcast.console.waveform import BARS, wave
from broadcast.console.words import N_, translate
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.schedules.revision_steps import take_step
from broadcast.web.rest import AppSettings, Paging, Session

router = PageRouter()

MOST_OFFERED = 200
"""Phrases that a form offers."""


@router.get("/bulletins/new")
async def show_new(request: Request, session: Session, caller: Author) -> Response:
    """The form of a new bulletin, as it was left."""
    stations = await places.own_stations(session, caller, clock.today())
    draft = await drafts.find(session, caller, drafts.NEW)
    found = None if draft is None else await drafts.get(session, caller, drafts.NEW)
    form = DraftIn(area_code=stations[0].code) if stations else DraftIn()
    return _form(request, caller, drafts.NEW, form, found, stations, None)


@router.get("/bulletins/{bulletin_id}/edit")
async def show_edit(
    request: Request, session: Session, caller: Author, bulletin_id: UUID
) -> Response:
    """The form of a new revision of a bulletin; it begins with the text of the newest."""
    await places.require_at_bulletin(session, caller, Permission.BULLETIN_WRITE, bulletin_id)
    bulletin = await revisions.get_bulletin(session, bulletin_id)
    name = str(bulletin_id)
    draft = await drafts.find(session, caller, name)
    found = None if draft is None else await drafts.get(session, caller, name)
    form = await drafts.next_form(session, bulletin)
    said = form.original_revision if found is None else DraftOut.of(found).original_revision
    original = None
    if bulletin.version_of is not None:
        known = await revisions.of_bulletin(session, bulletin.version_of)
        made = {each.number: each for each in known}
        # The one it was read from may be withdrawn and hidden by now: then the newest is shown.
        original = made.get(said or 0) or made.get(form.original_revision or 0)
    return _form(
        request, caller, name, form, found, [], bulletin,
        original=original,
        read_from=said,
        newest_original=form.original_revision,
        phrases=await offered(session, bulletin.language),
    )  # fmt: skip


async def offered(session: AsyncSession, language: str) -> list[tuple[str, str]]:
    """Approved phrases of a language, as the form offers them: id and title."""
    wanted = Wanted(language=language, is_approved=True, is_phrase=True)
    found = await library.page_of(session, wanted, Paging(None, MOST_OFFERED), newest_first=False)
    return [(str(each.id), each.title) for each in found.items]


def _form(
    request: Request,
    caller: Caller,
    name: str,
    form: DraftIn,
    found: drafts.DraftDetails | None,
    stations: list[Area],
    bulletin: Bulletin | None,
    *,
    original: Revision | None = None,
    read_from: int | None = None,
    newest_original: int | None = None,
    phrases: Sequence[tuple[str, str]] = (),
) -> Response:
    shown = None if found is None else DraftOut.of(found)
    return page(
        request,
        caller,
        "maker/index.html",
        bulletin=bulletin,
        form=shown or form,
        saved_at=None if shown is None else shown.saved_at,
        stations=[(each.code, each.name) for each in stations],
        classes=_choices(request, CLASSES),
        subjects=_choices(request, SUBJECTS),
        languages=_choices(request, LANGUAGES),
        phrase_kinds=_choices(request, PHRASES),
        original=original,
        read_from=read_from,
        newest_original=newest_original,
        phrases=phrases,
        composed=shown,
        **sound_of(name, None if shown is None else shown.sound),
    )


def _choices(request: Request, names: Mapping[Any, str]) -> list[tuple[str, str]]:
    language = language_of(request)
    words = ((str(key), translate(language, name)) for key, name in names.items())
    return [(key, word[:1].upper() + word[1:]) for key, word in words]


def sound_of(name: str, sound: SoundOut | None) -> dict[str, Any]:
    """What the part of a draft's sound shows."""
    heights = [] if sound is None else sound.outline
    return {
        "draft": name,
        "sound": sound,
        "wave": wave(heights),
        "bars": BARS,
        "media_types": MEDIA_TYPES,
    }


# --- parts -------------------------------------------------------------------------------------

_PART = "/bulletin-drafts/{page_name}"


@router.get(f"{_PART}/sound")
async def show_sound(
    request: Request, session: Session, caller: Author, page_name: PagePath
) -> Response:
    """The sound of a draft: how far it is, then how it looks and how loud it was."""
    draft = await drafts.find(session, caller, page_name)
    found = None if draft is None else await drafts.get(session, caller, page_name)
    return _answer(request, caller, page_name, found)


def _answer(
    request: Request, caller: Caller, page_name: str, found: drafts.DraftDetails | None
) -> Response:
    sound = None if found is None else SoundOut.of(found)
    return page(request, caller, "maker/_sound.html", **sound_of(page_name, sound))


@router.post(f"{_PART}/reading", summary="Nghe đọc thử văn bản")
@changes_nothing
async def read_aloud(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Author,
    page_name: PagePath,
    form: Annotated[DraftIn, Form()],
) -> Response:
    """Keep the form, and have its text read aloud."""
    await drafts.save(session, caller, page_name, form, settings, clock.now())
    found = await drafts.read_aloud(session, caller, page_name, settings, clock.now())
    return _answer(request, caller, page_name, found)


@router.post(f"{_PART}/trim", summary="Cắt bản thu")
@changes_nothing
async def trim(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Author,
    page_name: PagePath,
    form: Annotated[TrimIn, Form()],
) -> Response:
    """Have a part of the recording prepared."""
    found = await drafts.trim(session, caller, page_name, form.chosen(), settings, clock.now())
    return _answer(request, caller, page_name, found)


@router.post(f"{_PART}/whole", summary="Dùng lại cả bản thu")
@changes_nothing
async def use_all(
    request: Request, session: Session, settings: AppSettings, caller: Author, page_name: PagePath
) -> Response:
    """Undo a trim."""
    found = await drafts.trim(session, caller, page_name, Trim(), settings, clock.now())
    return _answer(request, caller, page_name, found)


@router.post(f"{_PART}/sound/discard", summary="Bỏ âm thanh của bản nháp")
@changes_nothing
async def drop_sound(
    request: Request, session: Session, caller: Author, page_name: PagePath
) -> Response:
    """Discard the sound and keep the words."""
    found = await drafts.drop_sound(session, caller, page_name, clock.now())
    return _answer(request, caller, page_name, found)


@router.post(f"{_PART}/words", summary="Xem lời sẽ đọc")
@changes_nothing
async def show_words(
    request: Request,
    session: Session,
    caller: Author,
    page_name: PagePath,
    form: Annotated[DraftIn, Form()],
) -> Response:
    """The words that will be said, and where each comes from."""
    return await _words(request, session, caller, form.area_code, form.text)


async def _words(
    request: Request,
    session: Session,
    caller: Caller,
    area_code: str,
    text: str,
    *,
    is_unread: bool = False,
) -> Response:
    found = await words.preview(session, caller, area_code, text, clock.today())
    return page(
        request, caller, "maker/_words.html", words=SpokenOut.of(found), is_unread=is_unread
    )


class CorrectionIn(EntryIn):
    """A reading that somebody corrects, and the text that it stands in."""

    written: WrittenLine
    area_code: str
    text: str = ""


@router.post(f"{_PART}/correction", summary="Sửa cách đọc và ghi nhớ cho đài")
async def correct(
    request: Request,
    session: Session,
    caller: Author,
    page_name: PagePath,
    form: Annotated[CorrectionIn, Form()],
) -> Response:
    """Remember a reading in the lexicon of the station; the words with it, to be heard anew."""
    await station_lexicon.correct(
        session, caller, form.area_code, form.written, form.spoken, clock.now()
    )
    is_unread = await drafts.unread(session, caller, page_name, clock.now())
    return await _words(request, session, caller, form.area_code, form.text, is_unread=is_unread)


# --- the end -----------------------------------------------------------------------------------


PREPARED_ANEW = N_(
    "Âm thanh được chuẩn bị lại vì cách dùng hoặc câu mẫu đã đổi; hãy chờ xong, nghe lại rồi gửi"
    " duyệt."
)


class FinishIn(DraftIn):
    """The form, and what is next."""

    intent: Literal["schedule", "submit"]


@router.post(f"{_PART}/finish", summary="Lập bản tin từ bản nháp")
async def finish(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Author,
    page_name: PagePath,
    form: Annotated[FinishIn, Form()],
) -> Response:
    """Make the bulletin; then when and where, or to the approver."""
    kept = DraftIn.model_validate(form.model_dump(by_alias=True, exclude={"intent"}))
    left = await drafts.find(session, caller, page_name)
    prepared_before = left.preparation_id if left else None
    found = await drafts.save(session, caller, page_name, kept, settings, clock.now())
    is_recorded = found.draft.source_file is not None
    if form.intent == "submit" and is_recorded and found.draft.preparation_id != prepared_before:
        answer = _answer(request, caller, page_name, found)
        text = translate(language_of(request), PREPARED_ANEW)
        answer.headers["HX-Retarget"], answer.headers["HX-Reswap"] = "#sound", "outerHTML"
        answer.headers["HX-Trigger"] = json.dumps({"toast": {"kind": "partial", "text": text}})
        return answer
    heard = _heard(found) if form.intent == "submit" else None
    bulletin, revision = await drafts.finish(session, caller, page_name, settings, clock.now())
    key = (bulletin.id, revision.number)
    if form.intent == "submit":
        if revision.preparation_id != heard:
            raise InvalidInput(
                "text", "cách đọc đã đổi sau khi nghe; hãy bấm “Nghe đọc thử” và nghe lại"
            )
        rules = settings.rules
        await take_step(session, key, Action.SUBMIT, "", None, caller, rules, clock.now())
        return redirect(request, _shown(request, bulletin.id))
    address = f"/schedule/new?revision={bulletin.id}/{revision.number}"
    return redirect(request, address)


def _heard(found: drafts.DraftDetails) -> int:
    """Preparation of the sound that is ready to be heard.

    Raises:
        InvalidInput: There is none.
    """
    if found.preparation is None:
        raise InvalidInput("text", "hãy bấm “Nghe đọc thử” và nghe trước khi gửi duyệt")
    if found.prepared is None:
        raise InvalidInput("file", "âm thanh chưa sẵn sàng; hãy chờ xong, nghe thử rồi gửi duyệt")
    return found.preparation.id


def _shown(request: Request, bulletin_id: UUID) -> str:
    pages: frozenset[str] = request.app.state.pages
    path = "/bulletins/{bulletin_id}"
    return path.format(bulletin_id=bulletin_id) if path in pages else "/"


@router.post(f"{_PART}/discard", summary="Bỏ bản nháp")
@changes_nothing
async def discard(
    request: Request, session: Session, caller: Author, page_name: PagePath
) -> Response:
    """Throw the draft away, and begin anew."""
    if await drafts.find(session, caller, page_name) is not None:
        await drafts.discard(session, caller, page_name, clock.now())
    new = {drafts.NEW: "/bulletins/new", drafts.ALERT: "/emergency/new"}
    address = new.get(page_name, f"/bulletins/{page_name}/edit")
    return redirect(request, address)
