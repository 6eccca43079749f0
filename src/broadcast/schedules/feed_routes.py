"""The schedule of an area for the calendar of a telephone: a secret address for each person.

Calendars fetch an address and can send nothing with it, so the secret stands in the path. It is a
token of its person that is narrowed to nothing: it opens this feed, in the places that its person
reads today, and no other route. It is stored as a hash, ends after a year, and is revoked like
every token.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import sqlalchemy as sa
from fastapi import Depends, Path, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts import tokens
from broadcast.areas import scope
from broadcast.areas.units import load_tree
from broadcast.auth.caller import Caller, ContentReader, caller_of_token
from broadcast.auth.model import Account
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.bulletins.model import Revision
from broadcast.kit import clock
from broadcast.kit.errors import Forbidden, NotFound, Unauthenticated
from broadcast.kit.times import Moment
from broadcast.schedules import ics, queries
from broadcast.schedules.cancellation import WITHDRAWN
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.schedules.silent_days import SILENT
from broadcast.web.fields import Code
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Body, Session

router = Router(tags=["schedules"])

BEFORE = timedelta(days=7)
"""Of what is past."""

MOST_EVENTS = 2000

VALID = timedelta(days=365)

LABEL = "Lịch .ics"

NOTES = {WITHDRAWN: "Đã thu hồi"} | {each.value: said for each, said in SILENT.items()}
"""What a calendar says of a start that was cancelled for a reason that has a code."""


class CalendarFeedIn(Body):
    """Whose schedule."""

    area_code: Code = Field(description="tỉnh, xã hoặc thôn", examples=["21262"])


class CalendarFeedOut(BaseModel):
    """An address for a calendar, shown this once."""

    url: str | None = Field(
        description="chỉ hiện một lần; ai có địa chỉ này xem được lịch; null khi gửi lại yêu cầu"
    )
    token_id: int = Field(description="để thu hồi")
    expires_at: Moment


async def issue(
    session: AsyncSession, area_code: str, caller: Caller, origin: str, now: datetime
) -> CalendarFeedOut:
    """A new address of the caller's for the schedule of an area.

    Raises:
        NotFound: There is no such unit.
        Forbidden: The caller may not read there.
        Conflict: The account has as many tokens as it may.
    """
    await _name(session, area_code, now)
    readable = await scope.readable_scope(session, caller, Permission.CONTENT_READ)
    if area_code not in readable:
        raise Forbidden(scope.NOT_HERE)
    session.info[scope.ASKED] = True
    account = await session.get_one(Account, caller.account_id)
    issued = await tokens.issue_for(
        session, caller, account, now, now + VALID, f"{LABEL} {area_code}", []
    )
    assert issued.row.expires_at is not None
    url = f"{origin}/calendar/{issued.secret}/{area_code}.ics"
    return CalendarFeedOut(url=url, token_id=issued.row.id, expires_at=issued.row.expires_at)


async def _name(session: AsyncSession, area_code: str, now: datetime) -> str:
    tree = await load_tree(session, now.astimezone(clock.LOCAL).date())
    if area_code not in tree:
        raise NotFound(f"Hôm nay không có đơn vị {area_code}; hãy kiểm tra lại mã.")
    return tree[area_code].called


def origin_of(request: Request, settings: AppSettings) -> str:
    """What addresses begin with that people use elsewhere."""
    return settings.web.public_url or str(request.base_url).rstrip("/")


@router.post(
    "/api/v1/calendar-feeds",
    status_code=201,
    response_model=CalendarFeedOut,
    summary="Lấy địa chỉ lịch phát (iCalendar) cho điện thoại",
)
async def create(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: ContentReader,
    once: Annotated[Once, Depends()],
    body: CalendarFeedIn,
) -> Response:
    """The secret in it is a token of one's own: it is listed and revoked there."""
    now = clock.now()

    async def make() -> Created:
        made = await issue(session, body.area_code, caller, origin_of(request, settings), now)
        return Created(
            f"/api/v1/tokens/{made.token_id}", made, kept=made.model_copy(update={"url": None})
        )

    response = await once.run(session, caller.account_id, make, now=now)
    response.headers["Cache-Control"] = "no-store"
    return response


@router.get(
    "/calendar/{secret}/{area_code}.ics",
    summary="Lịch phát của một địa bàn, dạng iCalendar",
    response_class=Response,
)
async def show(
    session: Session,
    settings: AppSettings,
    secret: Annotated[str, Path(max_length=100)],
    area_code: Code,
) -> Response:
    """What sounds there from a week ago until occurrences are planned; 404 for all that is wrong.

    So an address that was guessed, has ended or was revoked tells nothing, and no refusal is
    noted, which would hold the secret.
    """
    now = clock.now()
    async with scope.whole(session):
        name = await _reader(session, secret, area_code, now)
        found = await _events(session, area_code, now, now + settings.rules.horizon)
    body = ics.calendar(f"Lịch phát {name}", found, now)
    headers = {"Cache-Control": "private, max-age=900", "Referrer-Policy": "no-referrer"}
    return Response(body, media_type="text/calendar; charset=utf-8", headers=headers)


async def _reader(session: AsyncSession, secret: str, area_code: str, now: datetime) -> str:
    """Name of the area, if the secret opens its feed."""
    nothing = NotFound("Không có lịch ở địa chỉ này; hãy lấy địa chỉ mới ở trang Lịch phát.")
    try:
        caller = await caller_of_token(session, secret, now)
    except Unauthenticated:
        raise nothing from None
    if caller.scope != frozenset():  # a token that opens more is not to stand in an address
        raise nothing
    whole = caller._replace(scope=None)
    readable = await scope.readable_scope(session, whole, Permission.CONTENT_READ)
    if area_code not in readable:
        raise nothing
    try:
        return await _name(session, area_code, now)
    except NotFound:
        raise nothing from None


async def _events(
    session: AsyncSession, area_code: str, now: datetime, until: datetime
) -> list[ics.Event]:
    statement = await queries.select_occurrences(
        session, now - BEFORE, until, schedule_id=None, area=area_code, cluster=None, state=None
    )
    rows = await session.execute(
        statement.add_columns(
            sa.func.coalesce(Occurrence.relay_seconds, Revision.air_seconds_sql())
        )
        .outerjoin(
            Revision,
            sa.and_(
                Revision.bulletin_id == Occurrence.bulletin_id,
                Revision.number == Occurrence.bulletin_revision,
            ),
        )
        .order_by(Occurrence.starts_at, Occurrence.id)
        .limit(MOST_EVENTS)
    )
    return [
        ics.Event(
            id=row.id,
            title=row.title,
            starts_at=row.starts_at,
            seconds=seconds or 0,
            is_cancelled=row.state is OccurrenceState.CANCELLED,
            note=NOTES.get(row.cancel_reason or "", row.cancel_reason or ""),
            bulletin=None
            if row.relay_source_id is not None
            else (row.bulletin_id, row.bulletin_revision),
        )
        for row, seconds in rows
    ]
