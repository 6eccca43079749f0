"""Templates of alerts on pages: prepared and heard ahead, approved by another person, withdrawn.

Its sound is a bulletin: who approves it hears it on the page of approvals, as every bulletin.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Form, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.alerts import templates
from broadcast.alerts.schemas import Minutes, Repeats
from broadcast.alerts.template_schemas import MOST_LANGUAGES, AlertTemplateIn
from broadcast.areas import scope
from broadcast.areas.model import Level
from broadcast.areas.units import load_tree
from broadcast.auth.caller import Author, Authoriser, Caller, ContentReader, Proposer
from broadcast.auth.permissions import Permission
from broadcast.bulletins import library
from broadcast.bulletins.approval import Action
from broadcast.bulletins.model import RevisionState
from broadcast.bulletins.places import require_at_bulletin
from broadcast.bulletins.queries import Wanted
from broadcast.console.alert_words import WORDS, checked
from broadcast.console.bulletin_words import WORDS as BULLETIN_WORDS
from broadcast.console.emergency import MINUTES, recorder, spoken_or_written
from broadcast.console.formats import collated
from broadcast.console.library import area_names
from broadcast.console.page import PageRouter, page, redirect
from broadcast.kit import clock
from broadcast.schedules import revision_steps
from broadcast.web.rest import AppSettings, Paging, Session
from broadcast.wire.fields import BulletinClass

router = PageRouter()

PER_PAGE = 50
MOST_OTHERS = 50
"""Bulletins in other languages that the form offers; the newest."""


@router.get("/emergency/templates")
async def index(
    request: Request,
    session: Session,
    caller: ContentReader,
    withdrawn: bool = False,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Templates in use, or those that were withdrawn; the newest first."""
    found = await templates.page_of(
        session, Paging(cursor, PER_PAGE), withdrawn=withdrawn, newest_first=True
    )
    return page(
        request, caller, "emergency/templates.html", found=found, withdrawn=withdrawn,
        areas=await area_names(session, (each.area_code for each in found.items)), **WORDS,
    )  # fmt: skip


@router.get("/emergency/templates/new")
async def ask(request: Request, session: Session, caller: Proposer) -> Response:
    """The form of a new template."""
    return page(
        request, caller, "emergency/template_form.html", places=await _places(session, caller),
        others=await _in_other_languages(session), most_languages=MOST_LANGUAGES,
        minutes=MINUTES, languages=BULLETIN_WORDS["languages"],
        **await recorder(session, caller), **WORDS,
    )  # fmt: skip


async def _places(session: AsyncSession, caller: Caller) -> list[tuple[str, str]]:
    """Units whose station the caller speaks for, the province first."""
    units = [
        each
        for each in await load_tree(session, clock.today())
        if each.level in {Level.PROVINCE, Level.COMMUNE}
    ]
    if not scope.is_whole(caller, Permission.EMERGENCY_PROPOSE):
        territory = await scope.territory_of(session)
        may = scope.changeable(caller, Permission.EMERGENCY_PROPOSE, territory)
        units = [each for each in units if each.code in may]
    units.sort(key=lambda each: (each.level is not Level.PROVINCE, collated(each.name)))
    return [(each.code, each.called) for each in units]


async def _in_other_languages(session: AsyncSession) -> list[tuple[UUID, str, str]]:
    """Approved emergency bulletins that are not in Vietnamese: id, title, language."""
    wanted = Wanted(class_=BulletinClass.EMERGENCY, is_approved=True, is_of_alert=False)
    found = await library.page_of(session, wanted, Paging(None, MOST_OTHERS), newest_first=True)
    return [(each.id, each.title, each.language) for each in found.items if each.language != "vi"]


@router.post("/emergency/templates/new", summary="Soạn sẵn một mẫu cảnh báo")
async def create(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Proposer,
    title: Annotated[str, Form(max_length=500)] = "",
    event: Annotated[str, Form(max_length=32)] = "",
    area_code: Annotated[str, Form(max_length=64)] = "",
    text: Annotated[str, Form(max_length=30_000)] = "",
    also: Annotated[list[UUID] | None, Form(max_length=MOST_LANGUAGES)] = None,
    tone: Annotated[bool, Form()] = False,
    repeats: Annotated[Repeats, Form()] = 2,
    minutes: Annotated[Minutes, Form()] = 60,
) -> Response:
    """Its page comes next: to hear it, and to send it to who approves it."""
    given = {
        **await spoken_or_written(session, caller, text),
        "title": title, "event": event, "area_code": area_code, "also_bulletins": also or [],
        "tone": tone, "repeats": repeats, "valid_minutes": minutes,
    }  # fmt: skip
    body = checked(AlertTemplateIn, given)
    template = await templates.create(session, body, caller, settings, clock.now())
    return redirect(request, f"/emergency/templates/{template.id}")


@router.get("/emergency/templates/{template_id}")
async def show(
    request: Request, session: Session, caller: ContentReader, template_id: UUID
) -> Response:
    """One template: what is said, how it sounds, and what to do next."""
    return await _show(request, session, caller, template_id, "template.html")


@router.get("/emergency/templates/{template_id}/now")
async def show_part(
    request: Request, session: Session, caller: ContentReader, template_id: UUID
) -> Response:
    """The part of it that changes."""
    return await _show(request, session, caller, template_id, "_template.html")


async def _show(
    request: Request, session: AsyncSession, caller: Caller, template_id: UUID, part: str
) -> Response:
    template = await templates.get_template(session, template_id)
    [shown] = await templates.shown(session, [template])
    held = await scope.permissions_at(session, caller, template.area_code)
    in_use = template.withdrawn_at is None
    return page(
        request, caller, f"emergency/{part}", shown=shown,
        area=(await area_names(session, [template.area_code]))[template.area_code],
        may={
            "submit": in_use and Permission.BULLETIN_WRITE in held
            and shown.approval in {RevisionState.DRAFT, RevisionState.RETURNED}
            and shown.sound.seconds is not None,
            "approve": in_use and Permission.BULLETIN_APPROVE in held
            and shown.approval is RevisionState.SUBMITTED,
            "use": shown.is_ready and Permission.EMERGENCY_PROPOSE in held,
            "withdraw": in_use and Permission.EMERGENCY_WRITE in held,
        },
        revision_states=BULLETIN_WORDS["revision_states"],
        languages=BULLETIN_WORDS["languages"], **WORDS,
    )  # fmt: skip


@router.post("/emergency/templates/{template_id}/submit", summary="Gửi duyệt mẫu cảnh báo")
async def submit(
    request: Request, session: Session, settings: AppSettings, caller: Author, template_id: UUID
) -> Response:
    """To who approves bulletins."""
    template = await templates.get_template(session, template_id)
    [shown] = await templates.shown(session, [template])
    key = (shown.sound.bulletin_id, shown.sound.bulletin_revision)
    await require_at_bulletin(session, caller, Permission.BULLETIN_WRITE, key[0])
    await revision_steps.take_step(
        session, key, Action.SUBMIT, "", None, caller, settings.rules, clock.now()
    )
    return await _show(request, session, caller, template_id, "_template.html")


@router.post("/emergency/templates/{template_id}/withdraw", summary="Thôi dùng một mẫu cảnh báo")
async def withdraw(
    request: Request, session: Session, caller: Authoriser, template_id: UUID
) -> Response:
    """Devices need not hold it any more; what was made of it stays."""
    template = await templates.get_template(session, template_id, lock=True)
    await templates.withdraw(session, template, caller, clock.now())
    return await _show(request, session, caller, template_id, "_template.html")
