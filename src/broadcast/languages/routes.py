"""REST of versions in other languages, of who reads them, and of what villages heard."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, File, Query, Response, UploadFile
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.reader_import import READERS
from broadcast.areas import scope
from broadcast.areas.row_imports import import_files
from broadcast.auth.caller import AccountEditor, Author, Caller, ContentReader, require
from broadcast.auth.people import people
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.bulletins import revisions
from broadcast.bulletins.version_model import VersionRequest
from broadcast.kit import clock
from broadcast.kit.languages import Language
from broadcast.kit.sheets import Report
from broadcast.kit.times import Day
from broadcast.languages import coverage, forecast, mixing, versions
from broadcast.languages.schemas import (
    MOST_UNSERVED,
    AskIn,
    CommuneOut,
    ConfirmIn,
    ForecastOut,
    LanguageOut,
    RequestOut,
    ServedOut,
    UnservedOut,
    VersionOut,
    VersionsOut,
)
from broadcast.languages.sheet import sheet
from broadcast.languages.versions import Standing
from broadcast.web import rest
from broadcast.web.fields import DryRun
from broadcast.web.files import received
from broadcast.web.rest import Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["languages"])

Approver = Annotated[Caller, Depends(require(Permission.BULLETIN_APPROVE))]

DAYS = timedelta(days=29)
"""Before the last day, where no first one is named."""


# --- versions -----------------------------------------------------------------------------------


async def shown(session: AsyncSession, found: Iterable[Standing]) -> list[VersionOut]:
    """Versions as REST shows them."""
    found = list(found)
    requests = [each.request for each in found if each.request is not None]
    known = await people(session, (id_ for r in requests for id_ in (r.reader_id, r.asked_by)))
    return [VersionOut.of(each, known) for each in found]


async def versions_of(session: AsyncSession, bulletin_id: UUID) -> VersionsOut:
    """Versions of a bulletin as REST shows them."""
    await revisions.get_bulletin(session, bulletin_id)
    found = await versions.of_original(session, bulletin_id)
    troubles = await mixing.troubles(session, bulletin_id)
    return VersionsOut(
        versions=await shown(session, found),
        troubles={",".join(languages): text for languages, text in troubles.items()},
    )


@router.get("/bulletins/{bulletin_id}/versions", summary="Bản các tiếng khác của một bản tin")
async def list_versions(session: Session, _: ContentReader, bulletin_id: UUID) -> VersionsOut:
    """By language, each against the newest approved revision of the original."""
    return await versions_of(session, bulletin_id)


@router.post("/bulletins/{bulletin_id}/versions", summary="Giao người đọc bản tiếng khác")
async def ask(session: Session, caller: Author, bulletin_id: UUID, body: AskIn) -> RequestOut:
    """An earlier request in the same language ends; what was recorded stays."""
    row = await versions.ask(
        session, bulletin_id, body.language, body.area_code, body.reader_id, body.due_at,
        body.note, caller, clock.now(),
    )  # fmt: skip
    return await _request(session, row)


async def _request(session: AsyncSession, row: VersionRequest) -> RequestOut:
    version = await revisions.get_bulletin(session, row.version_id)
    (standing,) = await versions.standings(session, [version])
    known = await people(session, [row.reader_id, row.asked_by])
    return RequestOut.of(row, version, standing.state, known)


@router.post(
    "/bulletins/{bulletin_id}/confirmation",
    summary="Xác nhận bản đọc vẫn đúng với bản gốc mới",
)
async def confirm(
    session: Session, caller: Approver, bulletin_id: UUID, body: ConfirmIn
) -> VersionOut:
    """Of a version, by an approver who knows the language and did not read it.

    409 where either has a newer revision by now.
    """
    found = await versions.confirm(
        session, bulletin_id, body.revision, body.original_revision, caller, clock.now()
    )
    return (await shown(session, [found]))[0]


@router.post("/readers/import", summary="Nhập readers.csv")
async def import_readers(
    session: Session,
    caller: AccountEditor,
    file: Annotated[UploadFile, File(alias="readers")],
    dry_run: DryRun = False,
) -> Report:
    """Who knows which languages, all or nothing; `errors` of a 422 name row, column and remedy."""
    scope.require_whole(session, caller, Permission.ACCOUNT_WRITE)
    return await import_files(session, [await received(file)], [READERS], dry_run=dry_run)


# --- the work of readers ------------------------------------------------------------------------


async def requests_of(
    session: AsyncSession,
    paging: rest.Paging,
    *,
    reader_id: int | None,
    language: str | None,
    only_open: bool,
) -> Page[RequestOut]:
    """Requests as REST shows them, the soonest deadline first."""
    statement = versions.select_requests(
        reader_id=reader_id, language=language, only_open=only_open
    )
    key = [VersionRequest.due_at, VersionRequest.id]
    found = await rest.paged(session, statement, key, paging)
    rows = [(row[0], row[1]) for row in found.rows]
    known = await people(session, (i for r, _ in rows for i in (r.reader_id, r.asked_by)))
    states = {
        each.version.id: each.state
        for each in await versions.standings(session, [version for _, version in rows])
    }
    return found.page(lambda *row: RequestOut.of(row[0], row[1], states[row[1].id], known))


@router.get("/version-requests", summary="Bản dịch chờ đọc")
async def list_requests(
    session: Session,
    caller: ContentReader,
    paging: PageQuery,
    mine: Annotated[bool, Query(description="chỉ việc của mình")] = False,
    open_: Annotated[bool, Query(alias="open", description="chỉ việc chưa đọc xong")] = True,
    language: Language | None = None,
) -> Page[RequestOut]:
    """The soonest deadline first."""
    return await requests_of(
        session, paging, reader_id=caller.account_id if mine else None, language=language,
        only_open=open_,
    )  # fmt: skip


@router.delete("/version-requests/{request_id}", summary="Thôi giao đọc")
async def cancel(session: Session, caller: Author, request_id: UUID) -> RequestOut:
    """What was recorded stays."""
    return await _request(session, await versions.cancel(session, request_id, caller, clock.now()))


# --- before and after it sounds -----------------------------------------------------------------


@router.get("/occurrences/{occurrence_id}/languages", summary="Thôn nào sẽ nghe bằng tiếng nào")
async def show_forecast(session: Session, _: ContentReader, occurrence_id: UUID) -> ForecastOut:
    """Where the language of most people is missing, and why; these first."""
    return ForecastOut.of(occurrence_id, await forecast.forecast(session, occurrence_id))


From = Annotated[Day | None, Query(alias="from", description="ngày phát; mặc định 30 ngày")]
To = Annotated[Day | None, Query(alias="to", description="mặc định hôm nay")]


async def served(
    session: AsyncSession, caller: Caller, first_on: Day | None, last_on: Day | None
) -> tuple[ServedOut, list[coverage.Village]]:
    """Villages over some days as REST shows them, and every one of them."""
    last = last_on or clock.today()
    first = first_on or last - DAYS
    found = await coverage.villages(session, caller, first, last)
    known = [each for each in found if each.majority is not None]
    return ServedOut(
        first_on=first,
        last_on=last,
        villages=len(known),
        served=sum(bool(each.is_served) for each in known),
        unknown=len(found) - len(known),
        languages=[LanguageOut.model_validate(each) for each in coverage.by_language(found)],
        communes=[CommuneOut.model_validate(each) for each in coverage.by_commune(found)],
        unserved=[UnservedOut.model_validate(each) for each in known if not each.is_served][
            :MOST_UNSERVED
        ],
    ), found


@router.get("/languages-served", summary="Thôn được nghe tin bằng tiếng của số đông")
async def show_served(
    session: Session, caller: ContentReader, since: From = None, until: To = None
) -> ServedOut:
    """By the proofs of devices; by language and by commune."""
    return (await served(session, caller, since, until))[0]


@router.get(
    "/languages-served.csv",
    summary="Như trên, từng thôn, tệp CSV",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}},
)
async def export_served(
    session: Session, caller: ContentReader, since: From = None, until: To = None
) -> Response:
    """A line for each village, with the times that it heard each language."""
    counted, found = await served(session, caller, since, until)
    name = f"tieng-dan-toc-{counted.first_on}-{counted.last_on}.csv"
    return Response(
        sheet(found),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
