"""Languages: who is to read what, versions of a bulletin, the bank of phrases, what was heard."""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import Form, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope, village_languages
from broadcast.areas.model import Area, Level
from broadcast.areas.units import units_on
from broadcast.areas.village_languages import VillageLanguagesIn, VillageLanguagesOut
from broadcast.auth.caller import AreaEditor, Author, ContentReader
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import changes_nothing
from broadcast.bulletins import drafts, library, places, revisions
from broadcast.bulletins.draft_schemas import PagePath, SoundOut
from broadcast.bulletins.model import PhraseKind
from broadcast.bulletins.phrases import MOST_PHRASES
from broadcast.bulletins.queries import Wanted
from broadcast.bulletins.schemas import Language
from broadcast.console.bulletin_words import LANGUAGES, PHRASES, WORDS
from broadcast.console.library import Blank, area_names
from broadcast.console.maker import sound_of
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.people.forms import options, units
from broadcast.console.words import N_
from broadcast.kit import clock
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.kit.text import Line, Note
from broadcast.kit.times import Day
from broadcast.languages import forecast, versions
from broadcast.languages.forecast import Lack
from broadcast.languages.routes import Approver, requests_of, served, versions_of
from broadcast.languages.schemas import ConfirmIn, ForecastOut
from broadcast.languages.state import VersionState
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.web.fields import Code
from broadcast.web.rest import AppSettings, Paging, Session, paged

router = PageRouter()

PER_PAGE = 50
END_OF_DAY = time(17)
"""When a deadline ends that is chosen as a day."""

STATES = {
    VersionState.WAITING: ("waiting", N_("chờ đọc")),
    VersionState.RECORDED: ("partial", N_("đã thu, chưa gửi duyệt")),
    VersionState.REVIEW: ("partial", N_("chờ người biết tiếng duyệt")),
    VersionState.RETURNED: ("bad", N_("bị trả lại")),
    VersionState.STALE: ("partial", N_("bản gốc đã đổi, cần xem lại")),
    VersionState.APPROVED: ("ok", N_("đã duyệt")),
}
"""Look and word of how a version stands (`ui.state`)."""

LACKS = {
    Lack.NOT_ASKED: N_("chưa giao đọc"),
    Lack.WAITING: N_("chờ đọc"),
    Lack.RECORDED: N_("đã thu, chưa gửi duyệt"),
    Lack.REVIEW: N_("chờ người biết tiếng duyệt"),
    Lack.RETURNED: N_("bị trả lại"),
    Lack.STALE: N_("bản gốc đã đổi, cần xem lại"),
    Lack.BEING_MADE: N_("đang ghép âm thanh, hoặc chưa có chỗ trong giờ phát"),
}


@router.get("/languages")
async def show(request: Request, session: Session, caller: ContentReader) -> Response:
    """What waits to be read: by the caller, and in the caller's places."""
    first = Paging(None, PER_PAGE)
    mine = await requests_of(
        session, first, reader_id=caller.account_id, language=None, only_open=True
    )
    every = await requests_of(session, first, reader_id=None, language=None, only_open=True)
    return page(
        request, caller, "languages/index.html",
        mine=mine.items,
        others=[each for each in every.items if each.reader.id != caller.account_id],
        at=clock.now(),
        areas=await area_names(session, (each.area_code for each in every.items)),
        states=STATES,
        **WORDS,
    )  # fmt: skip


@router.get("/bulletins/{bulletin_id}/versions")
async def show_versions(
    request: Request,
    session: Session,
    caller: ContentReader,
    bulletin_id: UUID,
    language: Annotated[Language | None, Blank, Query()] = None,
    area: Annotated[Code | None, Blank, Query()] = None,
) -> Response:
    """Versions of a bulletin, who is asked to read, and what villages will hear of it next."""
    bulletin = await revisions.get_bulletin(session, bulletin_id)
    found = await versions_of(session, bulletin_id)
    may = await scope.permissions_at(session, caller, bulletin.area_code)
    stations = await places.own_stations(session, caller, clock.today())
    place = area or bulletin.area_code
    wanted = language or ("hre" if bulletin.language == "vi" else "vi")
    ahead = await _next(session, bulletin_id)
    return page(
        request, caller, "languages/versions.html",
        bulletin=bulletin,
        original=await revisions.newest_approved(session, bulletin_id),
        found=found,
        place=place,
        wanted=wanted,
        offered=[(code, name) for code, name in options(request, LANGUAGES)
                 if code != bulletin.language],
        stations=[(each.code, each.name) for each in stations],
        readers=await versions.readers(session, wanted, place, clock.today()),
        may_ask=Permission.BULLETIN_WRITE in may and bulletin.version_of is None,
        may_confirm=Permission.BULLETIN_APPROVE in caller.permissions,
        ahead=ahead,
        forecast=None if ahead is None
        else ForecastOut.of(ahead.id, await forecast.forecast(session, ahead.id)),
        areas=await area_names(
            session, [bulletin.area_code, *(each.area_code for each in found.versions)]
        ),
        states=STATES,
        lacks=LACKS,
        **WORDS,
    )  # fmt: skip


async def _next(session: AsyncSession, bulletin_id: UUID) -> Occurrence | None:
    """The next time that a bulletin sounds."""
    found: Occurrence | None = await session.scalar(
        sa.select(Occurrence)
        .where(
            Occurrence.bulletin_id == bulletin_id,
            Occurrence.starts_at > clock.now(),
            Occurrence.state == OccurrenceState.PLANNED,
        )
        .order_by(Occurrence.starts_at, Occurrence.id)
        .limit(1)
    )
    return found


@router.post("/bulletins/{bulletin_id}/versions", summary="Giao người đọc bản tiếng khác")
async def ask(
    request: Request,
    session: Session,
    caller: Author,
    bulletin_id: UUID,
    language: Annotated[Language, Form()],
    due_on: Annotated[Day, Form()],
    reader_id: Annotated[int, Form(ge=0, le=2**31 - 1)] = 0,
    area_code: Annotated[Code | None, Form()] = None,
    note: Annotated[Note, Form()] = "",
) -> Response:
    """As `POST …/versions` of REST; the deadline is the end of work of a day."""
    due_at = datetime.combine(due_on, END_OF_DAY, LOCAL)
    await versions.ask(
        session, bulletin_id, language, area_code, reader_id, due_at, note, caller, clock.now()
    )
    return redirect(request, f"/bulletins/{bulletin_id}/versions")


@router.post("/bulletins/{bulletin_id}/confirmation", summary="Xác nhận bản đọc vẫn đúng")
async def confirm(
    request: Request,
    session: Session,
    caller: Approver,
    bulletin_id: UUID,
    form: Annotated[ConfirmIn, Form()],
) -> Response:
    """As `POST …/confirmation` of REST."""
    found = await versions.confirm(
        session, bulletin_id, form.revision, form.original_revision, caller, clock.now()
    )
    return redirect(request, f"/bulletins/{found.version.version_of}/versions")


# --- phrases ------------------------------------------------------------------------------------


@router.get("/languages/phrases")
async def show_phrases(
    request: Request,
    session: Session,
    caller: ContentReader,
    words: Annotated[Line, Query(alias="q")] = "",
    language: Annotated[Language | None, Blank, Query()] = None,
    kind: Annotated[PhraseKind | None, Blank, Query()] = None,
    cursor: Annotated[str | None, Blank, Query()] = None,
) -> Response:
    """The bank of phrases, to look for and to hear."""
    wanted = Wanted(language=language, words=words, is_phrase=True, phrase=kind)
    found = await library.page_of(session, wanted, Paging(cursor, PER_PAGE), newest_first=True)
    asked = {"q": words, "language": language or "", "kind": kind or ""}
    return page(
        request, caller, "languages/phrases.html",
        found=found,
        asked=asked,
        query={name: value for name, value in asked.items() if value},
        kinds=PHRASES,
        language_options=options(request, LANGUAGES),
        kind_options=options(request, PHRASES),
        **WORDS,
    )  # fmt: skip


@router.post("/bulletin-drafts/{page_name}/composition", summary="Ghép câu mẫu")
@changes_nothing
async def compose(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Author,
    page_name: PagePath,
    before: Annotated[list[UUID] | None, Form(max_length=MOST_PHRASES)] = None,
    after: Annotated[list[UUID] | None, Form(max_length=MOST_PHRASES)] = None,
) -> Response:
    """As `PUT …/composition` of REST; the sound is prepared anew."""
    found = await drafts.compose(
        session, caller, page_name, before or [], after or [], settings, clock.now()
    )
    return page(request, caller, "maker/_sound.html", **sound_of(page_name, SoundOut.of(found)))


# --- what was heard, and where who lives --------------------------------------------------------


@router.get("/languages/served")
async def show_served(
    request: Request,
    session: Session,
    caller: ContentReader,
    since: Annotated[Day | None, Blank, Query(alias="from")] = None,
    until: Annotated[Day | None, Blank, Query(alias="to")] = None,
) -> Response:
    """Villages that heard something in the language of most of their people."""
    found, _ = await served(session, caller, since, until)
    return page(request, caller, "languages/served.html", found=found, **WORDS)


@router.get("/admin/village-languages")
async def show_villages(
    request: Request,
    session: Session,
    caller: AreaEditor,
    area: Annotated[Code | None, Blank, Query()] = None,
    cursor: Annotated[str | None, Blank, Query()] = None,
) -> Response:
    """Languages of the villages of a commune, to be changed."""
    today = clock.today()
    communes = units(await units_on(session, today, level=Level.COMMUNE))
    chosen = area or (communes[0][0] if communes else "")
    codes = (await scope.territory_of(session)).inside(chosen)
    rows = await paged(
        session, village_languages.select_villages(today, codes), [Area.code],
        Paging(cursor, PER_PAGE),
    )  # fmt: skip
    return page(
        request, caller, "languages/villages.html",
        found=rows.page(lambda *row: VillageLanguagesOut.of(row[0], row[1])),
        communes=communes,
        chosen=chosen,
        **WORDS,
    )  # fmt: skip


@router.post("/admin/village-languages/{code}", summary="Ghi tiếng của người dân một thôn")
async def put_village(
    request: Request,
    session: Session,
    caller: AreaEditor,
    code: Code,
    languages: Annotated[str, Form(max_length=200)] = "",
    area: Annotated[Code | None, Form()] = None,
) -> Response:
    """As `PUT /village-languages/{code}` of REST, from today on."""
    try:
        said = village_languages.read_list(languages)
    except ValueError as error:
        raise InvalidInput("languages", str(error)) from None
    body = VillageLanguagesIn(languages=said, valid_from=None)
    await village_languages.put(session, code, body, caller, clock.now())
    return redirect(request, f"/admin/village-languages?area={area or ''}")
