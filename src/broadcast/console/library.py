"""The library of bulletins, and one bulletin: its words, its sound, its use, its steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Form, Query, Request, Response
from pydantic import BeforeValidator
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.auth.caller import Author, Caller, ContentReader
from broadcast.auth.people import people
from broadcast.auth.permissions import Permission
from broadcast.bulletins import details, library, revisions
from broadcast.bulletins.approval import Action
from broadcast.bulletins.model import RevisionState, Subject
from broadcast.bulletins.places import require_at_bulletin
from broadcast.bulletins.queries import Wanted
from broadcast.bulletins.schemas import (
    BulletinOut,
    CopyIn,
    Language,
    NumberPath,
    RevisionNumber,
)
from broadcast.console.bulletin_words import WORDS
from broadcast.console.page import PageRouter, given, page, redirect
from broadcast.console.waveform import wave_of
from broadcast.console.words import N_
from broadcast.kit import clock
from broadcast.kit.errors import BroadcastError
from broadcast.kit.text import Line
from broadcast.plays.coming import next_of
from broadcast.plays.withdrawn import Proof, withdrawn_starts
from broadcast.schedules import authority, queries, revision_steps
from broadcast.schedules.model import Schedule
from broadcast.schedules.revision_steps import Withdrawal
from broadcast.schedules.schemas import ScheduleOut
from broadcast.web.fields import Code
from broadcast.web.rest import AppSettings, Paging, Session
from broadcast.wire.fields import BulletinClass

router = PageRouter()

PER_PAGE = 50
MOST_SCHEDULES = 50
"""Schedules that the page of a bulletin shows; the newest of them."""

PROOFS = {
    Proof.SOUNDED: ("bad", N_("đã phát")),
    Proof.OPEN: ("unknown", N_("chưa rõ")),
    Proof.DROPPED: ("waiting", N_("loa đã bỏ bản tin")),
    Proof.SILENT: ("ok", N_("chắc chắn không phát")),
    Proof.NO_DEVICE: ("unknown", N_("không có thiết bị")),
}
"""Look and word of what is known of a withdrawn start (`ui.state`)."""

Blank = BeforeValidator(lambda value: value or None)
"""The first choice of a select, which is empty, is all."""


async def area_names(session: AsyncSession, codes: Iterable[str]) -> Mapping[str, str]:
    """Names of units for people; the code itself of one that is not known."""
    territory = await scope.territory_of(session)
    found = {}
    for code in set(codes):
        unit = territory.lineage.unit(code, territory.on) or territory.lineage.last(
            code, territory.on
        )
        found[code] = unit.called if unit else code
    return found


@router.get("/bulletins")
async def show_library(
    request: Request,
    session: Session,
    caller: ContentReader,
    words: Annotated[Line, Query(alias="q")] = "",
    state: Annotated[RevisionState | None, Blank, Query()] = None,
    subject: Annotated[Subject | None, Blank, Query()] = None,
    class_: Annotated[BulletinClass | None, Blank, Query(alias="class")] = None,
    language: Annotated[Language | None, Blank, Query()] = None,
    tag: Annotated[Line | None, Blank, Query()] = None,
    area: Annotated[Code | None, Blank, Query()] = None,
    with_alerts: bool = False,
    cursor: Annotated[str | None, Blank, Query()] = None,
) -> Response:
    """Bulletins by what people look for, sounds of alerts only if asked; the newest first."""
    wanted = Wanted(
        state, area, class_, language, subject, tag, words,
        is_of_alert=None if with_alerts else False,
    )  # fmt: skip
    found = await library.page_of(session, wanted, Paging(cursor, PER_PAGE), newest_first=True)
    asked = {
        "q": words, "state": state or "", "subject": subject or "", "class": class_ or "",
        "language": language or "", "tag": tag or "", "area": area or "",
        "with_alerts": "true" if with_alerts else "",
    }  # fmt: skip
    return page(
        request,
        caller,
        "bulletins/index.html",
        found=found,
        areas=await area_names(session, (each.area_code for each in found.items)),
        asked=asked,
        query=given(**asked),
        **WORDS,
    )


@router.get("/bulletins/{bulletin_id}")
async def show_bulletin(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: ContentReader,
    bulletin_id: UUID,
) -> Response:
    """One bulletin with everything that is known of it, and what the caller may do next."""
    row = await revisions.get_bulletin(session, bulletin_id)
    found = await details.of_bulletin(session, row)
    bulletin = BulletinOut.of(found)
    statement = await queries.select_schedules(session, None, bulletin_id)
    schedules = (
        await session.scalars(
            statement.order_by(Schedule.created_at.desc(), Schedule.id).limit(MOST_SCHEDULES)
        )
    ).all()
    known = await people(session, (each.created_by for each in schedules))
    may = await scope.permissions_at(session, caller, row.area_code)
    is_offered = await authority.waits_for_communes(session, row)
    is_sent = is_offered or (
        row.class_ is BulletinClass.PRIORITY
        and await authority.level_of(session, row) in authority.ABOVE
    )
    return page(
        request,
        caller,
        "bulletins/show.html",
        bulletin=bulletin,
        forecast=await next_of(session, settings.rules, clock.now(), bulletin_id=bulletin_id),
        withdrawn=await withdrawn_starts(session, bulletin_id),
        proofs=PROOFS,
        waves={each.revision.number: wave_of(each) for each in found.revisions},
        areas=await area_names(
            session,
            [row.area_code, *(t["area"] for s in schedules for t in s.targets if "area" in t)],
        ),
        schedules=[ScheduleOut.of(each, known) for each in schedules],
        steps_now=await _possible(session, caller, bulletin),
        withdrawals=await _withdrawals(session, bulletin),
        may_write=Permission.BULLETIN_WRITE in may,
        may_schedule=Permission.SCHEDULE_WRITE in may and not is_offered,
        may_send=Permission.SCHEDULE_WRITE in may and is_sent,
        **WORDS,
    )


async def _possible(
    session: AsyncSession, caller: Caller, bulletin: BulletinOut
) -> dict[int, set[Action]]:
    """Steps of each revision that this caller may take now."""
    row = await revisions.get_bulletin(session, bulletin.id)
    found: dict[int, set[Action]] = {}
    for shown in bulletin.revisions:
        revision = await revisions.get_revision(session, bulletin.id, shown.number)
        found[shown.number] = set()
        for action in shown.allowed:
            try:
                await revisions.following_state(
                    session, row, revision, action, caller, "…", clock.now()
                )
            except BroadcastError:
                continue
            found[shown.number].add(action)
    return found


async def _withdrawals(session: AsyncSession, bulletin: BulletinOut) -> dict[int, Withdrawal]:
    """What the withdrawal of each revision would mean."""
    return {
        shown.number: await revision_steps.preview_withdrawal(
            session, (bulletin.id, shown.number), clock.now()
        )
        for shown in bulletin.revisions
        if Action.WITHDRAW in shown.allowed
    }


@router.post("/bulletins/{bulletin_id}/{number}/{action}", summary="Gửi duyệt hoặc rút")
async def take_step(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Author,
    bulletin_id: UUID,
    number: NumberPath,
    action: Literal["submit", "withdraw"],
    move_schedules_to: Annotated[RevisionNumber | None, Form()] = None,
) -> Response:
    """As `POST …/{action}` of REST; of a withdrawal the page has said what it cancels."""
    await require_at_bulletin(session, caller, Permission.BULLETIN_WRITE, bulletin_id)
    await revision_steps.take_step(
        session, (bulletin_id, number), Action(action), "", move_schedules_to, caller,
        settings.rules, clock.now(),
    )  # fmt: skip
    return redirect(request, f"/bulletins/{bulletin_id}")


@router.post("/bulletins/{bulletin_id}/copies", summary="Chép thành bản tin mới")
async def copy(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Author,
    bulletin_id: UUID,
    area_code: Annotated[Code, Form()],
    title: Annotated[Line, Form()] = "",
) -> Response:
    """As `POST …/copies` of REST; goes to the new bulletin."""
    body = CopyIn(area_code=area_code, title=title or None)
    made, _ = await library.copy(session, bulletin_id, body, settings, caller, clock.now())
    return redirect(request, f"/bulletins/{made.id}")
