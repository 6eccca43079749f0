"""Approving: what waits, to hear it to its end, to read it, to see where it will sound."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Form, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller, require
from broadcast.auth.people import people
from broadcast.auth.permissions import Permission
from broadcast.bulletins import details, library, revisions, versions
from broadcast.bulletins.approval import Action
from broadcast.bulletins.model import Revision, RevisionState
from broadcast.bulletins.places import require_at_bulletin
from broadcast.bulletins.queries import Wanted
from broadcast.bulletins.revisions import Key
from broadcast.bulletins.schemas import BulletinOut, NumberPath, RevisionOut
from broadcast.console.bulletin_words import WORDS
from broadcast.console.library import Blank, area_names
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.waveform import wave_of
from broadcast.kit import clock
from broadcast.kit.errors import BroadcastError
from broadcast.kit.text import Note
from broadcast.schedules import proposals, revision_steps, revision_use
from broadcast.schedules.schemas import ScheduleOut, ScheduleUseOut
from broadcast.web.rest import AppSettings, Paging, Session

router = PageRouter()

PER_PAGE = 50

Approver = Annotated[Caller, Depends(require(Permission.BULLETIN_APPROVE))]
Heard = Annotated[str, Form(pattern="^[0-9a-f]{64}$")]
"""SHA-256 of the sound that was heard to its end; the page sends it (`assets/js/heard.js`)."""


@router.get("/approvals")
async def show_waiting(
    request: Request,
    session: Session,
    caller: Approver,
    cursor: Annotated[str | None, Blank, Query()] = None,
) -> Response:
    """What waits to be approved, the oldest first."""
    wanted = Wanted(state=RevisionState.SUBMITTED)
    found = await library.page_of(session, wanted, Paging(cursor, PER_PAGE), newest_first=False)
    areas = await area_names(session, (each.area_code for each in found.items))
    return page(request, caller, "approvals/index.html", found=found, areas=areas, **WORDS)


@router.get("/approvals/{bulletin_id}/{number}")
async def show(
    request: Request, session: Session, caller: Approver, bulletin_id: UUID, number: NumberPath
) -> Response:
    """One revision: its sound, its words, where it will sound; to approve or to return."""
    key = (bulletin_id, number)
    revision = await revisions.get_revision(session, *key)
    row = await revisions.get_bulletin(session, bulletin_id)
    bulletin = BulletinOut.of(await details.of_bulletin(session, row))
    found = await details.of_revision(session, revision)
    shown = RevisionOut.of(found)
    uses = await revision_use.left_behind(session, key, clock.now())
    proposed = await proposals.of_revision(session, key)
    schedules = [*proposed, *(use.schedule for use in uses)]
    known = await people(session, (each.created_by for each in schedules))
    return page(
        request,
        caller,
        "approvals/show.html",
        bulletin=bulletin,
        revision=shown,
        original=await versions.original_of(session, row, number),
        wave=wave_of(found),
        sound=next((each for each in shown.renditions if each.codec == "mp3"), None),
        obstacle=await _obstacle(session, key, revision, caller),
        uses=[ScheduleUseOut.of(use, known) for use in uses],
        proposed=[ScheduleOut.of(each, known) for each in proposed],
        areas=await area_names(
            session,
            [
                row.area_code,
                *(t["area"] for each in schedules for t in each.targets if "area" in t),
            ],
        ),
        **WORDS,
    )


async def _obstacle(
    session: AsyncSession, key: Key, revision: Revision, caller: Caller
) -> str | None:
    """Why this caller cannot approve it; None where nothing stands in the way."""
    bulletin = await revisions.get_bulletin(session, key[0])
    try:
        await revisions.following_state(
            session, bulletin, revision, Action.APPROVE, caller, "", clock.now()
        )
    except BroadcastError as error:
        return error.detail
    return None


@router.post("/approvals/{bulletin_id}/{number}/approve", summary="Duyệt một phiên bản")
async def approve(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Approver,
    bulletin_id: UUID,
    number: NumberPath,
    heard_sha256: Heard,
) -> Response:
    """As `POST …/approve` of REST, but only of a sound that was heard to its end."""
    await require_at_bulletin(session, caller, Permission.BULLETIN_WRITE, bulletin_id)
    await revision_steps.take_step(
        session, (bulletin_id, number), Action.APPROVE, "", None, caller, settings.rules,
        clock.now(), heard_sha256=heard_sha256,
    )  # fmt: skip
    return redirect(request, "/approvals")


@router.post("/approvals/{bulletin_id}/{number}/return", summary="Trả lại một phiên bản")
async def give_back(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Approver,
    bulletin_id: UUID,
    number: NumberPath,
    note: Annotated[Note, Form()] = "",
) -> Response:
    """As `POST …/return` of REST, with a word for the author."""
    await require_at_bulletin(session, caller, Permission.BULLETIN_WRITE, bulletin_id)
    await revision_steps.take_step(
        session, (bulletin_id, number), Action.RETURN, note, None, caller, settings.rules,
        clock.now(),
    )  # fmt: skip
    return redirect(request, "/approvals")
