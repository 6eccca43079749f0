"""Sources of radio streams: which there are, whether they answer, and how they are entered."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Form, Request, Response
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller, Reader, Scheduler
from broadcast.auth.permissions import Permission
from broadcast.bulletins import library
from broadcast.bulletins.model import RevisionState
from broadcast.bulletins.queries import Wanted
from broadcast.console.admin.calendars import places_of, units_of
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.people import forms
from broadcast.console.words import N_
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.kit.text import clean_filled_line
from broadcast.schedules import relays
from broadcast.streams import register
from broadcast.streams.model import StreamCodec
from broadcast.streams.schemas import MOST_URLS, SourceIn
from broadcast.web.rest import Id, Paging, Session

router = PageRouter()

SHOWN = 200
"""Sources that are listed, and bulletins to choose a fallback from."""

CODECS = {"": N_("Để thiết bị tự nhận ra"), "mp3": "MP3", "aac": "AAC", "opus": "Opus"}


@router.get("/sources")
async def show(request: Request, session: Session, caller: Reader) -> Response:
    """Every source with its state and what relies on it; the form to enter one."""
    listed = await register.list_sources(session, Paging(None, SHOWN), ended=False)
    ids = [each.id for each in listed.items]
    today = clock.today()
    return page(
        request, caller, "sources/index.html",
        sources=listed.items,
        checks=await register.checks(session, ids),
        relying=await relays.reliance(session, ids, clock.now()),
        units=dict(await units_of(session, today)),
        **await _choices(request, session, caller),
    )  # fmt: skip


@router.get("/sources/{source_id}")
async def show_one(request: Request, session: Session, caller: Reader, source_id: Id) -> Response:
    """One source: its state, some seconds to listen to, what relies on it, and its form."""
    source = await register.show(session, source_id)
    today = clock.today()
    choices = await _choices(request, session, caller)
    return page(
        request, caller, "sources/show.html",
        source=source,
        checked=(await register.checks(session, [source_id]))[source_id],
        ending=[
            each
            for each in await relays.troubles(session, clock.now())
            if each.source_id == source_id and each.last_day is not None
        ],
        relying=(await relays.reliance(session, [source_id], clock.now()))[source_id],
        units=dict(await units_of(session, today)),
        may_change=source.area_code in dict(choices["places"]),
        **choices,
    )  # fmt: skip


async def _choices(request: Request, session: AsyncSession, caller: Caller) -> dict[str, Any]:
    """What the form offers: units, and approved bulletins as a fallback."""
    places = await places_of(session, caller, Permission.SCHEDULE_WRITE, clock.today())
    bulletins: list[tuple[str, str]] = []
    if places and Permission.CONTENT_READ in caller.permissions:
        approved = Wanted(state=RevisionState.APPROVED)
        found = await library.page_of(session, approved, Paging(None, SHOWN), newest_first=True)
        bulletins = [(str(each.id), each.title) for each in found.items]
    return {"places": places, "bulletins": bulletins, "codecs": forms.options(request, CODECS)}


def _given(
    area_code: Annotated[str, Form(max_length=40)],
    fallback: Annotated[UUID, Form(alias="fallback_bulletin_id")],
    name: Annotated[str, Form(max_length=200)] = "",
    urls: Annotated[str, Form(max_length=2000)] = "",
    codec: Annotated[str, Form(max_length=10)] = "",
    last_day: Annotated[str, Form(max_length=10)] = "",
) -> SourceIn:
    try:
        called = clean_filled_line(name)
    except ValueError:
        raise InvalidInput("name", "hãy ghi tên đài, ví dụ VOV1") from None
    addresses = urls.split()
    if not 1 <= len(addresses) <= MOST_URLS:
        raise InvalidInput("urls", f"hãy ghi từ 1 đến {MOST_URLS} địa chỉ, mỗi dòng một địa chỉ")
    try:
        return SourceIn(
            name=called,
            area_code=area_code,
            urls=addresses,
            codec=StreamCodec(codec) if codec else None,
            fallback_bulletin_id=fallback,
            last_day=forms.day("last_day", last_day),
        )
    except ValidationError as error:
        first = error.errors()[0]
        told = str(first.get("ctx", {}).get("error", "")) or "viết sai dạng; kiểm tra lại"
        raise InvalidInput(str(first["loc"][0]), told) from None


Given = Annotated[SourceIn, Depends(_given)]


@router.post("/sources", summary="Thêm nguồn tiếp âm")
async def create(request: Request, session: Session, caller: Scheduler, given: Given) -> Response:
    """Enter a source."""
    made = await register.create(session, given, caller, clock.now())
    return redirect(request, f"/sources/{made.id}")


@router.post("/sources/{source_id}", summary="Sửa nguồn tiếp âm")
async def change(
    request: Request, session: Session, caller: Scheduler, source_id: Id, given: Given
) -> Response:
    """Correct a source; devices learn of it within seconds."""
    now = clock.now()
    await register.change(session, source_id, given, caller, now)
    await relays.tell(session, source_id, now)
    return redirect(request, f"/sources/{source_id}")


@router.post("/sources/{source_id}/end", summary="Ngừng nguồn tiếp âm")
async def end(request: Request, session: Session, caller: Scheduler, source_id: Id) -> Response:
    """Let no new schedule relay it."""
    await register.end(session, source_id, caller, clock.now())
    return redirect(request, "/sources")
