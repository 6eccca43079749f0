"""Where and when: the form by which a bulletin gets its schedule, checked as it is filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from math import hypot
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import Depends, Form, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.tree import Tree
from broadcast.areas.units import load_tree
from broadcast.auth.caller import Caller, Scheduler
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import changes_nothing
from broadcast.boundaries.outlines import show_map
from broadcast.bulletins.approval import Action
from broadcast.bulletins.model import Revision, RevisionState
from broadcast.bulletins.places import require_at_bulletin, require_readable_bulletin
from broadcast.bulletins.revisions import get_bulletin, get_revision, newest_approved
from broadcast.calendars import marking
from broadcast.calendars.days import HOLIDAY
from broadcast.console import schedule_days
from broadcast.console.areas import Point, points_of
from broadcast.console.months import span
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.places import areas_of, communes_of
from broadcast.console.schedule import WEEKDAY_NAMES
from broadcast.console.timetable import (
    DAY,
    Recurrence,
    Repeat,
    described,
    first_start,
    moment_of,
    recurrence_of,
    rule_text,
    sheet,
)
from broadcast.console.words import N_
from broadcast.kit import clock
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput, NotFound
from broadcast.schedules import (
    availability,
    check,
    coming,
    edits,
    form_drafts,
    queries,
    revision_steps,
)
from broadcast.schedules.free_times import nearest
from broadcast.schedules.model import Schedule
from broadcast.schedules.schemas import LATE_LIMIT_SECONDS, MOST_TARGETS, CheckOut, FreeDayOut
from broadcast.schedules.starts import rule_of
from broadcast.schedules.targets import target_resolver
from broadcast.situation.overview import situation
from broadcast.situation.recent import RecentDep
from broadcast.streams import register
from broadcast.web.rest import AppSettings, Id, Session

router = PageRouter()

CUSTOMARY = (time(5, 0), time(6, 0), time(17, 0), time(18, 0))
"""When communes broadcast; the free times nearest to these are offered first."""

REPEATS = {
    Repeat.ONCE: N_("Một lần"),
    Repeat.DAILY: N_("Hằng ngày"),
    Repeat.WEEKLY: N_("Các thứ trong tuần"),
    Repeat.LUNAR: N_("Mồng một và rằm âm lịch"),
    Repeat.KEPT: N_("Giữ cách lặp hiện có"),
}


_KEPT = ("place", "cluster", "day", "time", "until", "priority", "follows", "is_speech")
"""Fields of a form that its draft keeps as they are."""

EVERY_DAY, AS_IT_IS = "", "kept"
"""How a schedule follows calendars, as the form has it; else `except:` or `only:` and a name."""


class Wish(NamedTuple):
    """What the form says."""

    bulletin: UUID
    revision: int
    schedule: UUID | None
    """The one that is changed; None of a new one."""
    place: list[str]
    """Codes of villages, or of units without any."""
    cluster: list[str]
    day: str
    time: str
    repeat: Repeat = Repeat.ONCE
    weekday: tuple[str, ...] = ()
    until: str = ""
    priority: str = ""
    submit: bool = False
    follows: str = EVERY_DAY
    is_speech: bool = False
    source: int | None = None
    """Stream that is relayed; the bulletin is its fallback."""
    minutes: str = ""

    def relay(self) -> dict[str, int]:
        """Columns of a relay.

        Raises:
            InvalidInput: It lasts no number of minutes.
        """
        if self.source is None:
            return {}
        if not self.minutes.isdecimal():
            raise InvalidInput("relay_seconds", "hãy ghi số phút tiếp âm")
        return {"relay_source_id": self.source, "relay_seconds": 60 * int(self.minutes)}

    def calendars(self) -> dict[str, list[str]]:
        """Columns that say which calendars the schedule follows."""
        if self.follows == AS_IT_IS:
            return {}
        how, _, name = self.follows.partition(":")
        if self.repeat is Repeat.ONCE:
            name = ""  # its one day was chosen by hand
        return {
            f"{each}_on": [name] if name and how == each else [] for each in ("except", "only")
        }

    def as_draft(self) -> dict[str, Any]:
        """What is kept of it until it is saved."""
        return {name: getattr(self, name) for name in _KEPT} | {
            "repeat": self.repeat.value,
            "weekday": list(self.weekday),
        }

    def as_left(self, draft: dict[str, Any]) -> Wish:
        """This one, filled in as a draft was left."""
        return self._replace(
            **{name: draft[name] for name in _KEPT if name in draft},  # an older one has fewer
            repeat=Repeat(draft["repeat"]),
            weekday=tuple(draft["weekday"]),
        )

    def recurrence(self) -> Recurrence:
        """How often.

        Raises:
            InvalidInput: No weekday, or an end that is no day.
        """
        until = None
        if self.until:
            until = moment_of(self.until, "00:00").date()
        chosen = tuple(day for day in WEEKDAY_NAMES if day in self.weekday)
        if self.repeat is Repeat.WEEKLY and not chosen:
            raise InvalidInput("weekday", "hãy chọn ít nhất một thứ")
        return Recurrence(self.repeat, chosen, until)

    def columns(self, tree: Tree) -> dict[str, Any]:
        """Columns of the schedule.

        Raises:
            InvalidInput: A field; says which.
        """
        recurrence = self.recurrence()
        at = moment_of(self.day, self.time)
        columns: dict[str, Any] = {
            "targets": self.targets(tree),
            "starts_at": first_start(recurrence, at.date(), at.timetz().replace(tzinfo=None)),
            "is_speech": self.is_speech,
            **self.calendars(),
            **self.relay(),
        }
        if recurrence.repeat is not Repeat.KEPT:
            columns["rrule"] = rule_text(recurrence)
        if self.priority:
            if not self.priority.isdecimal():
                raise InvalidInput("priority", "phải là số từ 0 đến 254")
            columns["priority"] = int(self.priority)
        return columns

    def targets(self, tree: Tree) -> list[dict[str, str]]:
        """Targets: a commune of which every village was chosen is named as a whole.

        Raises:
            InvalidInput: There are none, or too many.
        """
        found = [{"area": code} for code in areas_of(tree, self.place)]
        found += [{"cluster": code} for code in self.cluster]
        if not found:
            raise InvalidInput("place", "hãy chọn ít nhất một thôn")
        if len(found) > MOST_TARGETS:
            raise InvalidInput("place", f"nhiều nhất {MOST_TARGETS} nơi; hãy chọn cả xã")
        return found


Codes = Annotated[list[str] | None, Form(max_length=5000)]


def _wish(
    bulletin: Annotated[UUID, Form()],
    revision: Annotated[int, Form(ge=1, le=10_000)],
    schedule: Annotated[UUID | None, Form()] = None,
    place: Codes = None,
    cluster: Codes = None,
    day: Annotated[str, Form(max_length=10)] = "",
    at: Annotated[str, Form(alias="time", max_length=8)] = "",
    repeat: Annotated[Repeat, Form()] = Repeat.ONCE,
    weekday: Annotated[list[str] | None, Form(max_length=7)] = None,
    until: Annotated[str, Form(max_length=10)] = "",
    priority: Annotated[str, Form(max_length=3)] = "",
    submit: Annotated[bool, Form()] = False,
    follows: Annotated[str, Form(max_length=210)] = EVERY_DAY,
    is_speech: Annotated[bool, Form()] = False,
    source: Annotated[int | None, Form(ge=1, le=2**31 - 1)] = None,
    minutes: Annotated[str, Form(max_length=3)] = "",
) -> Wish:
    return Wish(
        bulletin, revision, schedule, place or [], cluster or [], day, at, repeat,
        tuple(weekday or ()), until, priority, submit, follows, is_speech, source, minutes,
    )  # fmt: skip


Given = Annotated[Wish, Depends(_wish)]


class _Subject(NamedTuple):
    """What is scheduled."""

    title: str
    revision: Revision


async def _subject(
    session: AsyncSession, caller: Caller, bulletin_id: UUID, number: int
) -> _Subject:
    await require_readable_bulletin(session, caller, bulletin_id)
    bulletin = await get_bulletin(session, bulletin_id)
    return _Subject(bulletin.title, await get_revision(session, bulletin_id, number))


def _named(revision: str) -> tuple[UUID, int]:
    bulletin, _, number = revision.partition("/")
    try:
        return UUID(bulletin), int(number)
    except ValueError:
        raise NotFound("Không có phiên bản bản tin này; hãy chọn lại từ trang Bản tin.") from None


@router.get("/schedule/new")
async def ask(
    request: Request,
    session: Session,
    caller: Scheduler,
    revision: Annotated[str, Query(max_length=42)],
    place: Annotated[list[str] | None, Query(max_length=500)] = None,
) -> Response:
    """The form for a revision (`{bulletin}/{number}`), as it was left; `place` names villages."""
    bulletin, number = _named(revision)
    subject = await _subject(session, caller, bulletin, number)
    now = clock.now().astimezone(LOCAL)
    wish = Wish(
        bulletin=bulletin,
        revision=subject.revision.number,
        schedule=None,
        place=place or [],
        cluster=[],
        day=str(now.date() + DAY),
        time="17:00",
    )
    draft = await form_drafts.find(session, caller, bulletin, wish.revision)
    if draft is None:
        return await _form(request, session, caller, wish, subject)
    kept = wish.as_left(draft.form)._replace(place=place or draft.form["place"])
    return await _form(request, session, caller, kept, subject, saved_at=draft.saved_at)


@router.get("/schedule/relay/{source_id}")
async def ask_relay(
    request: Request, session: Session, caller: Scheduler, source_id: Id
) -> Response:
    """The form for a relay: its fallback is that of the source."""
    source = await register.show(session, source_id)
    approved = await newest_approved(session, source.fallback_bulletin_id)
    if approved is None:
        raise Conflict(
            "Bản tin dự phòng của nguồn này không còn được duyệt; hãy chọn bản tin khác ở trang"
            " Nguồn tiếp âm."
        )
    subject = await _subject(session, caller, source.fallback_bulletin_id, approved.number)
    wish = Wish(
        bulletin=source.fallback_bulletin_id,
        revision=approved.number,
        schedule=None,
        place=[],
        cluster=[],
        day=str(clock.today() + DAY),
        time="05:00",
        source=source_id,
        minutes="30",
    )
    return await _form(request, session, caller, wish, subject)


async def _form(
    request: Request,
    session: AsyncSession,
    caller: Caller,
    wish: Wish,
    subject: _Subject,
    saved_at: datetime | None = None,
) -> Response:
    today = clock.today()
    tree = await load_tree(session, today)
    communes = await communes_of(session, caller, Permission.SCHEDULE_WRITE, tree)
    chosen = set(wish.place)
    if saved_at is None and not chosen and not wish.cluster and len(communes) == 1:
        chosen = {code for code, _ in communes[0].villages}
    return page(
        request,
        caller,
        "schedule/form.html",
        wish=wish,
        saved_at=saved_at,
        chosen=chosen,
        title=subject.title,
        source=None if wish.source is None else await register.show(session, wish.source),
        revision=subject.revision,
        is_draft=subject.revision.state is RevisionState.DRAFT
        and subject.revision.created_by == caller.account_id,
        is_approved=subject.revision.state is RevisionState.APPROVED,
        communes=communes,
        repeats=REPEATS,
        calendars=[HOLIDAY, *await marking.own_calendars(session)],
        weekday_names=WEEKDAY_NAMES,
    )


@router.get("/schedule/{schedule_id}/edit")
async def ask_change(
    request: Request, session: Session, caller: Scheduler, schedule_id: UUID
) -> Response:
    """The form with what a schedule says."""
    schedule = await queries.get_schedule(session, schedule_id)
    subject = await _subject(session, caller, schedule.bulletin_id, schedule.bulletin_revision)
    return await _form(request, session, caller, await _wish_of(session, schedule), subject)


async def _wish_of(session: AsyncSession, schedule: Schedule) -> Wish:
    recurrence = recurrence_of(rule_of(schedule), schedule.starts_at)
    local = schedule.starts_at.astimezone(LOCAL)
    resolver = await target_resolver(session)
    villages = await resolver.villages(schedule.targets, schedule.targets_on, clock.today())
    return Wish(
        bulletin=schedule.bulletin_id,
        revision=schedule.bulletin_revision,
        schedule=schedule.id,
        place=list(villages),
        cluster=[each["cluster"] for each in schedule.targets if "cluster" in each],
        day=str(local.date()),
        time=f"{local:%H:%M}",
        repeat=recurrence.repeat,
        weekday=recurrence.weekdays,
        until=str(recurrence.until or ""),
        priority=str(schedule.priority),
        follows=_follows(schedule),
        is_speech=schedule.is_speech,
        source=schedule.relay_source_id,
        minutes=str((schedule.relay_seconds or 0) // 60),
    )


def _follows(schedule: Schedule) -> str:
    named = [f"except:{name}" for name in schedule.except_on]
    named += [f"only:{name}" for name in schedule.only_on]
    return named[0] if len(named) == 1 else AS_IT_IS if named else EVERY_DAY


@router.post("/schedule/new/check")
@changes_nothing
async def check_wish(
    request: Request, session: Session, settings: AppSettings, caller: Scheduler, wish: Given
) -> Response:
    """What saving would meet, in words, with a button for each remedy."""
    now = clock.now()
    columns = wish.columns(await load_tree(session, clock.today()))
    if wish.schedule:
        schedule = await queries.get_schedule(session, wish.schedule)
        found = await check.of_change(
            session, schedule, None, columns, caller, settings.rules, now
        )
    else:
        named = {
            "late_limit_seconds": LATE_LIMIT_SECONDS, "bulletin_revision": wish.revision,
            **columns,
        }  # fmt: skip
        found = await check.of_new(session, wish.bulletin, named, caller, settings.rules, now)
    return page(
        request, caller, "schedule/_check.html", checked=CheckOut.of(found), fields=described
    )


@router.post("/schedule/new/draft", summary="Lưu nháp lịch phát")
@changes_nothing
async def keep(request: Request, session: Session, caller: Scheduler, wish: Given) -> Response:
    """Keep the form as it is; it is there again in another browser."""
    await require_readable_bulletin(session, caller, wish.bulletin)
    draft = await form_drafts.save(
        session, caller, wish.bulletin, wish.revision, wish.as_draft(), clock.now()
    )
    return page(request, caller, "schedule/_saved.html", wish=wish, saved_at=draft.saved_at)


@router.post("/schedule/new/discard", summary="Bỏ bản nháp lịch phát")
@changes_nothing
async def begin_anew(
    request: Request, session: Session, caller: Scheduler, wish: Given
) -> Response:
    """Throw the draft away; the form is as it was at first."""
    await form_drafts.discard(session, caller, wish.bulletin, wish.revision)
    return redirect(request, f"/schedule/new?revision={wish.bulletin}/{wish.revision}")


class Spot(NamedTuple):
    """Clusters that stand where one finger covers them."""

    x: int
    y: int
    villages: dict[str, str]
    """Those that hear them: code and name."""


APART = 160
"""Units of a drawing (2,000 across) between two marks that a finger can tell apart."""


def spots(points: Iterable[Point], names: Mapping[str, str]) -> list[Spot]:
    """Marks of the clusters that the villages named hear; what lies too near is one mark."""
    found: list[Spot] = []
    for point in points:
        served = {code: names[code] for code in point.cluster.villages if code in names}
        if not served:
            continue
        near = (each for each in found if hypot(each.x - point.x, each.y - point.y) < APART)
        spot = next(near, None)
        if spot is None:
            found.append(Spot(point.x, point.y, served))
        else:
            spot.villages.update(served)
    return found


@router.get("/schedule/new/map")
async def show_map_of(
    request: Request, session: Session, settings: AppSettings, caller: Scheduler, recent: RecentDep
) -> Response:
    """The communes to choose from; of a single one its clusters, each for its villages."""
    today = clock.today()
    communes = await communes_of(
        session, caller, Permission.SCHEDULE_WRITE, await load_tree(session, today)
    )
    points: Sequence[Point] = []
    names = {code: name for each in communes for code, name in each.villages}
    if len(communes) == 1:
        (only,) = communes
        drawn = await show_map(session, only.code, today)
        found = await situation(session, caller, only.code, clock.now(), recent)
        points = points_of(drawn, found)
    else:
        drawn = await show_map(session, settings.province, today)
    return page(
        request, caller, "schedule/_map.html", map=drawn, spots=spots(points, names),
        communes={each.code: each.name for each in communes},
    )  # fmt: skip


@router.post("/schedule/new/months")
@changes_nothing
async def show_months(
    request: Request, session: Session, caller: Scheduler, wish: Given
) -> Response:
    """Three months from the first start: on which days it would sound."""
    now = clock.now()
    columns = wish.columns(await load_tree(session, clock.today()))
    since, until = span(max(columns["starts_at"], now).astimezone(LOCAL).date())
    since = max(since, now)
    if wish.schedule:
        schedule = await queries.get_schedule(session, wish.schedule)
        starts = await coming.of_change(session, schedule, columns, caller, since, until, now)
    else:
        named = columns | {
            "late_limit_seconds": LATE_LIMIT_SECONDS, "bulletin_revision": wish.revision
        }  # fmt: skip
        starts = await coming.of_new(session, wish.bulletin, named, caller, since, until, now)
    first = since.astimezone(LOCAL).date()
    return page(
        request, caller, "schedule/_form_months.html", **schedule_days.sheet(first, starts)
    )


@router.post("/schedule/new/week")
@changes_nothing
async def show_week(
    request: Request, session: Session, settings: AppSettings, caller: Scheduler, wish: Given
) -> Response:
    """A week from the chosen day: what sounds there, and what is free."""
    now = clock.now()
    tree = await load_tree(session, clock.today())
    first_on = max(moment_of(wish.day, wish.time or "00:00"), now).astimezone(LOCAL).date()
    columns = {
        "targets": wish.targets(tree), "bulletin_revision": wish.revision, **wish.relay(),
    }  # fmt: skip
    found = await availability.of_bulletin(
        session, wish.bulletin, columns, first_on, 7, caller, settings.rules, now
    )
    days = [FreeDayOut.of(each) for each in found]
    blocks: list[tuple[datetime, Any]] = [
        (slot.starts_at, slot) for day in days for slot in day.occupied
    ]
    return page(
        request, caller, "schedule/_week.html",
        days=[day.day for day in days],
        rows=sheet(blocks, [day.day for day in days]),
        free=_by_hour(days),
        offered=_offered(days),
        chosen=(wish.day, wish.time),
    )  # fmt: skip


def _by_hour(days: Sequence[FreeDayOut]) -> Mapping[tuple[date, int], datetime]:
    """The first free start of each hour, the full hour or its half before others."""
    free: dict[tuple[date, int], datetime] = {}
    for day in days:
        for at in sorted(day.starts, key=lambda at: at.minute % 30 != 0):
            free.setdefault((day.day, at.astimezone(LOCAL).hour), at)
    return free


def _offered(days: Iterable[FreeDayOut]) -> list[datetime]:
    found: list[datetime] = []
    for day in days:
        for at in CUSTOMARY:
            found += nearest(day.starts, datetime.combine(day.day, at, LOCAL), 1)
    return sorted(dict.fromkeys(found))[:4]


@router.post("/schedule/new", summary="Lưu lịch phát, gửi duyệt nếu muốn")
async def save(
    request: Request, session: Session, settings: AppSettings, caller: Scheduler, wish: Given
) -> Response:
    """Create the schedule, or change it; with `submit` the draft is sent to be approved, too."""
    now = clock.now()
    columns = wish.columns(await load_tree(session, clock.today()))
    if wish.schedule:
        schedule = await queries.get_schedule(session, wish.schedule, lock=True)
        await edits.change(session, schedule, columns, caller, settings.rules, now)
        return redirect(request, f"/schedule/{schedule.id}")
    named = {
        "late_limit_seconds": LATE_LIMIT_SECONDS, "bulletin_revision": wish.revision, **columns,
    }  # fmt: skip
    schedule, _ = await edits.create(
        session, wish.bulletin, named, caller, settings.rules, now, when_approved=True
    )
    if wish.source is None:
        await form_drafts.discard(session, caller, wish.bulletin, wish.revision)
    if wish.submit:
        await require_at_bulletin(session, caller, Permission.BULLETIN_WRITE, wish.bulletin)
        await revision_steps.take_step(
            session, (wish.bulletin, wish.revision), Action.SUBMIT, "", None, caller,
            settings.rules, now,
        )  # fmt: skip
    return redirect(request, f"/schedule/{schedule.id}")
