"""The start page: today for the caller's places, from the first hour to the last.

It says in a sentence how things are, what sounds now and next, what did not sound and why, which
loudspeakers are not heard, and offers the one thing to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.alerts.model import Alert
from broadcast.alerts.queries import select_alerts
from broadcast.auth.caller import Caller, Reader
from broadcast.auth.permissions import Permission
from broadcast.bulletins import library
from broadcast.bulletins.model import RevisionState
from broadcast.bulletins.queries import Wanted
from broadcast.bulletins.schemas import BulletinSummaryOut
from broadcast.clusters import fleet
from broadcast.clusters.fleet import FleetFilter
from broadcast.clusters.schemas import FleetItemOut
from broadcast.config import Rules
from broadcast.console.bulletin_words import OUTLOOKS
from broadcast.console.page import PageRouter, page
from broadcast.console.shared import SharedDep
from broadcast.console.words import N_
from broadcast.inbox import items
from broadcast.incidents.queries import IncidentFilter
from broadcast.incidents.schemas import WorkItemOut
from broadcast.incidents.work_list import work_list
from broadcast.kit import clock
from broadcast.kit.clock import LOCAL
from broadcast.plays.coming import forecast_of
from broadcast.plays.days import occurrences_between
from broadcast.plays.forecast_schemas import ForecastOut
from broadcast.plays.schemas import OccurrenceCountsOut
from broadcast.plays.soundings import Sounding
from broadcast.schedules import relays
from broadcast.schedules.model import OccurrenceState
from broadcast.schedules.relays import Trouble
from broadcast.telemetry.presence import Presence
from broadcast.web.rest import Paging, Session

router = PageRouter()

DAY_BEGINS, DAY_ENDS = time(4, 30), time(22, 0)
"""What the line of time shows at the least: the hours in which anything may sound."""

SHOWN = 5
"""Lines of each list; the whole list is one link away."""

HEARD = frozenset({Presence.ONLINE})
AWAY = (Presence.OFFLINE, Presence.SILENT)


class Step(NamedTuple):
    """What to do next, as a button."""

    text: str
    path: str
    permission: Permission


STEPS = (
    Step(N_("Nghe và duyệt bản tin"), "/approvals", Permission.BULLETIN_APPROVE),
    Step(N_("Soạn bản tin mới"), "/bulletins/new", Permission.BULLETIN_WRITE),
    Step(N_("Xem sự cố"), "/incidents", Permission.INCIDENT_WRITE),
    Step(N_("Xem bản đồ"), "/map", Permission.READ),
)
"""The first that the caller may do, and that there is a page for."""


class Broadcast(NamedTuple):
    """An occurrence on the line of time."""

    counts: OccurrenceCountsOut
    ends_at: datetime
    kind: str
    """Of `ui.state`."""
    text: str
    """What it came to, in two words."""
    at: str
    """Where its figures are in `Today.rest` (RFC 6901)."""
    x: float
    """From the left edge of the line, in per cent of it."""
    width: float

    @property
    def sounded(self) -> int:
        """Clusters at which it sounded to its end."""
        return self.counts.counts.get(Sounding.SOUNDED, 0)


class Today(NamedTuple):
    """What the start page shows."""

    rest: str
    """The answer of REST that has the day's occurrences."""
    broadcasts: list[Broadcast]
    on_air: list[Broadcast]
    coming: Broadcast | None
    forecast: ForecastOut | None
    """Of what comes next."""
    troubled: list[Broadcast]
    """Over, and not sounded everywhere."""
    fleet_count: int
    heard_count: int
    away: list[FleetItemOut]
    incidents: list[WorkItemOut]
    """What hurts most first."""
    debriefs: list[Alert]
    """Alerts that one person issued and nobody has talked over; of who may write that down."""
    to_answer: int
    """Items in the inbox that the caller may pick or decline."""
    waiting: list[BulletinSummaryOut] | None
    """The oldest that wait for an approval; None where the caller approves nothing."""
    hours: list[tuple[int, float]]
    """Marks of the line: hour, and where it stands."""
    now_x: float | None
    step: Step | None
    sources: list[Trouble]
    """Streams without sound that coming broadcasts rely on."""


@router.get("/")
async def show(request: Request, session: Session, caller: Reader) -> Response:
    """Today, whole."""
    return await _answer(request, session, caller, "today/index.html")


@router.get("/today/day")
async def show_day(
    request: Request, session: Session, caller: Reader, shared: SharedDep
) -> Response:
    """Today without its frame, for an open page."""

    async def make(anybody: Caller) -> Response:
        return await _answer(request, session, anybody, "today/_day.html")

    return await shared.answer(request, session, caller, make)


async def _answer(
    request: Request, session: AsyncSession, caller: Caller, template: str
) -> Response:
    pages: frozenset[str] = request.app.state.pages
    found = await today(session, caller, pages, request.app.state.settings.rules, clock.now())
    return page(request, caller, template, today=found, outlooks=OUTLOOKS)


async def today(
    session: AsyncSession,
    caller: Caller,
    pages: frozenset[str],
    rules: Rules,
    now: datetime,
) -> Today:
    """Look at the day in which `now` lies, in the caller's places."""
    on = now.astimezone(LOCAL).date()
    midnight = datetime.combine(on, time(), LOCAL)
    until = midnight + timedelta(days=1)
    counted = await occurrences_between(session, midnight, until)
    planned = [
        (place, each)
        for place, each in enumerate(counted)
        if each.state is OccurrenceState.PLANNED
    ]
    line = _Line.of([each for _, each in planned], midnight)
    broadcasts = [_broadcast(each, f"/{place}", line, now) for place, each in planned]
    in_use = FleetFilter(installed=True)
    summary = await fleet.summarise(session, in_use, on)
    presences = {each.value: each.count for each in summary.presence}
    away: list[FleetItemOut] = []
    for presence in AWAY:
        found = await fleet.list_fleet(
            session, Paging(None, SHOWN), in_use._replace(presence=presence), on
        )
        away += found.items
    work = await work_list(
        session, Paging(None, SHOWN), IncidentFilter(), caller.account_id, on, now
    )
    waiting = None
    if Permission.BULLETIN_APPROVE in caller.permissions:
        submitted = Wanted(state=RevisionState.SUBMITTED)
        oldest = await library.page_of(session, submitted, Paging(None, SHOWN), newest_first=False)
        waiting = oldest.items
    coming = next((each for each in broadcasts if each.counts.starts_at > now), None)
    debriefs: list[Alert] = []
    if Permission.EMERGENCY_WRITE in caller.permissions:
        owed = select_alerts(awaits_debrief=True).order_by(Alert.created_at, Alert.id)
        debriefs = list(await session.scalars(owed.limit(SHOWN)))
    return Today(
        rest=occurrences_address(midnight, until),
        broadcasts=broadcasts,
        on_air=[each for each in broadcasts if each.counts.starts_at <= now < each.ends_at],
        coming=coming,
        forecast=None
        if coming is None
        else await forecast_of(session, coming.counts.occurrence_id, rules, now),
        troubled=[each for each in broadcasts if each.kind in {"bad", "partial", "unknown"}],
        fleet_count=summary.total,
        heard_count=sum(presences.get(each, 0) for each in HEARD),
        away=away[:SHOWN],
        incidents=work.items,
        sources=(await relays.troubles(session, now))[:SHOWN],
        debriefs=debriefs,
        to_answer=await items.to_answer(session, caller, now),
        waiting=waiting,
        hours=line.hours(),
        now_x=line.place(now) if line.begins <= now <= line.ends else None,
        step=next(
            (
                each
                for each in STEPS
                if each.path in pages and each.permission in caller.permissions
            ),
            None,
        ),
    )


class _Line(NamedTuple):
    """The line of time: from where to where it goes."""

    begins: datetime
    ends: datetime

    @classmethod
    def of(cls, rows: Sequence[OccurrenceCountsOut], midnight: datetime) -> _Line:
        """The usual hours, and further where something sounds outside of them."""
        on = midnight.date()
        begins = datetime.combine(on, DAY_BEGINS, LOCAL)
        ends = datetime.combine(on, DAY_ENDS, LOCAL)
        for row in rows:
            begins = min(begins, row.starts_at.astimezone(LOCAL).replace(minute=0, second=0))
            ends = max(ends, row.starts_at + timedelta(minutes=30))
        return cls(begins, ends)

    def place(self, at: datetime) -> float:
        """Where a time stands, in per cent of the line."""
        return round(100 * ((at - self.begins) / (self.ends - self.begins)), 2)

    def hours(self) -> list[tuple[int, float]]:
        """Every third hour, and where it stands."""
        first = self.begins.astimezone(LOCAL).replace(minute=0, second=0, microsecond=0)
        marks = (first + timedelta(hours=number) for number in range(25))
        return [
            (mark.hour, self.place(mark))
            for mark in marks
            if self.begins <= mark <= self.ends and mark.hour % 3 == 0
        ]


def occurrences_address(since: datetime, until: datetime) -> str:
    """Where REST answers with the occurrences of a span."""
    span = {"from": since.isoformat(), "to": until.isoformat()}
    return "/api/v1/plays/occurrences?" + urlencode(span)


def _broadcast(row: OccurrenceCountsOut, at: str, line: _Line, now: datetime) -> Broadcast:
    ends_at = row.starts_at + timedelta(seconds=row.audio_seconds or 0)
    kind, text = _result(row, now)
    x = line.place(row.starts_at)
    return Broadcast(row, ends_at, kind, text, at, x, max(0.6, line.place(ends_at) - x))


def _result(row: OccurrenceCountsOut, now: datetime) -> tuple[str, str]:
    """Kind of state and its words: the worst that was heard of."""
    counts, all_of_them = row.counts, row.clusters_count
    results = (
        (not all_of_them, "unknown", N_("không có cụm loa nhận")),
        (counts.get(Sounding.SOUNDED) == all_of_them, "ok", N_("đã phát")),
        (row.starts_at > now, "waiting", N_("sắp phát")),
        (counts.get(Sounding.PLAYING), "waiting", N_("đang phát")),
        (counts.get(Sounding.WAITING), "waiting", N_("chờ kết quả")),
        (counts.get(Sounding.SILENT) == all_of_them, "bad", N_("không phát")),
        (counts.get(Sounding.SILENT), "partial", N_("phát một phần")),
        (counts.get(Sounding.PARTLY), "partial", N_("phát một phần")),
    )
    found = ((kind, text) for holds, kind, text in results if holds)
    return next(found, ("unknown", N_("chưa rõ")))
