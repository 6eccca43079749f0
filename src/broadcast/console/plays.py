"""Afterwards: how an occurrence sounded, why it did not somewhere, and what is on the air now."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller, Reader
from broadcast.auth.permissions import Permission
from broadcast.bulletins import queries
from broadcast.console.bulletin_words import WORDS
from broadcast.console.page import PageRouter, page
from broadcast.console.today import occurrences_address
from broadcast.kit import clock
from broadcast.kit.errors import NotFound
from broadcast.kit.text import Line, folded
from broadcast.plays.coming import forecast_of
from broadcast.plays.days import occurrences_between
from broadcast.plays.explain import explain
from broadcast.plays.results import result_of
from broadcast.plays.schemas import OccurrenceCountsOut, OccurrenceResultOut, VillageResultOut
from broadcast.plays.soundings import Sounding
from broadcast.schedules.model import OccurrenceState
from broadcast.stations import clusters
from broadcast.web.rest import Session
from broadcast.wire.fields import Codec

router = PageRouter()

VILLAGES_PER_PAGE = 50
BEFORE, AFTER = timedelta(hours=3), timedelta(hours=1)
"""How far around now the page of what is on the air looks; no bulletin is longer."""

PageNumber = Annotated[int, Query(alias="page", ge=1, le=1000)]
Wanted = Annotated[Line, Query(alias="q")]


class Villages(NamedTuple):
    """The villages of one page of a result."""

    rows: list[VillageResultOut]
    found_count: int
    number: int
    pages_count: int


def villages_of(result: OccurrenceResultOut, wanted: str, number: int) -> Villages:
    """One page of the villages whose name, or commune's name, has these words."""
    words = folded(wanted).split()
    found = [
        each
        for each in result.villages
        if all(word in folded(f"{each.name} {each.commune}") for word in words)
    ]
    pages_count = max(1, -(-len(found) // VILLAGES_PER_PAGE))
    number = min(number, pages_count)
    first = (number - 1) * VILLAGES_PER_PAGE
    return Villages(found[first : first + VILLAGES_PER_PAGE], len(found), number, pages_count)


@router.get("/plays/{occurrence_id}")
async def show(
    request: Request,
    session: Session,
    caller: Reader,
    occurrence_id: UUID,
    wanted: Wanted = "",
    number: PageNumber = 1,
) -> Response:
    """In how many villages it sounded; for each the proof, or the reason and the remedy."""
    return await _result(request, session, caller, occurrence_id, wanted, number, "index.html")


@router.get("/plays/{occurrence_id}/result")
async def show_result(
    request: Request,
    session: Session,
    caller: Reader,
    occurrence_id: UUID,
    wanted: Wanted = "",
    number: PageNumber = 1,
) -> Response:
    """The part of it that changes while it plays."""
    return await _result(request, session, caller, occurrence_id, wanted, number, "_result.html")


async def _result(
    request: Request,
    session: AsyncSession,
    caller: Caller,
    occurrence_id: UUID,
    wanted: str,
    number: int,
    template: str,
) -> Response:
    now = clock.now()
    result = await result_of(session, occurrence_id, caller)
    is_coming = result.starts_at > now and result.state is OccurrenceState.PLANNED
    rules = request.app.state.settings.rules
    return page(
        request,
        caller,
        f"plays/{template}",
        result=result,
        forecast=await forecast_of(session, occurrence_id, rules, now) if is_coming else None,
        proofs={each.code: each for each in result.clusters},
        names=await clusters.names(session, (each.code for each in result.clusters)),
        villages=villages_of(result, wanted, number),
        wanted=wanted,
        is_large=len(result.villages) > VILLAGES_PER_PAGE,
        can_hear=await _can_hear(session, caller, result),
        **WORDS,
    )


async def _can_hear(session: AsyncSession, caller: Caller, result: OccurrenceResultOut) -> bool:
    """Whether the caller may hear what was aired, and it is there."""
    if Permission.CONTENT_READ not in caller.permissions:
        return False
    try:
        key = (result.bulletin_id, result.bulletin_revision)
        await queries.get_rendition(session, key, Codec.MP3)
    except NotFound:
        return False
    return True


@router.get("/plays/{occurrence_id}/{cluster}")
async def show_explanation(
    request: Request, session: Session, caller: Reader, occurrence_id: UUID, cluster: str
) -> Response:
    """All that is known of it at one cluster, in order of time."""
    found = await explain(session, occurrence_id, cluster)
    return page(request, caller, "plays/cluster.html", explanation=found, **WORDS)


# --- on the air ---------------------------------------------------------------------------------


class OnAir(NamedTuple):
    """Occurrences around now."""

    playing: list[OccurrenceCountsOut]
    coming: list[OccurrenceCountsOut]
    over: list[OccurrenceCountsOut]
    """The newest first."""


def on_air(found: list[OccurrenceCountsOut], now: datetime) -> OnAir:
    """Divide occurrences by now: what devices tell comes before what was planned."""
    playing, coming, over = [], [], []
    for each in found:
        ends_at = each.starts_at + timedelta(seconds=each.audio_seconds or 0)
        if each.starts_at > now:
            coming.append(each)
        elif each.counts.get(Sounding.PLAYING) or (each.state == "planned" and now < ends_at):
            playing.append(each)
        else:
            over.append(each)
    return OnAir(playing, coming, over[::-1])


@router.get("/on-air")
async def show_on_air(request: Request, session: Session, caller: Reader) -> Response:
    """Everything that sounds now, comes within the hour, or has just sounded."""
    return await _on_air(request, session, caller, "on_air.html")


@router.get("/on-air/list")
async def show_on_air_list(request: Request, session: Session, caller: Reader) -> Response:
    """The part of it that changes."""
    return await _on_air(request, session, caller, "_on_air.html")


async def _on_air(
    request: Request, session: AsyncSession, caller: Caller, template: str
) -> Response:
    now = clock.now()
    found = await occurrences_between(session, now - BEFORE, now + AFTER)
    return page(
        request,
        caller,
        f"plays/{template}",
        on_air=on_air(found, now),
        rest=occurrences_address(now - BEFORE, now + AFTER),
        places={each.occurrence_id: place for place, each in enumerate(found)},
        **WORDS,
    )
