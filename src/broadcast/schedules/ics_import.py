"""Schedules and marked days from a calendar file: first what each component would become.

A start of our own feed is the start itself: moved, cancelled or left as it is. Any other event is
a schedule of the bulletin that its title names, in one area; a whole day is a day of a calendar.
What is not understood is left out, and says why.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID, uuid5

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.units import load_tree, require_unit
from broadcast.audit import recording
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.bulletins.model import Bulletin, Revision
from broadcast.bulletins.revisions import get_bulletin, get_revision, newest_approved
from broadcast.calendars import marking
from broadcast.calendars.days import Kind
from broadcast.calendars.model import CalendarDay
from broadcast.calendars.schemas import CalendarDayIn
from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import BroadcastError
from broadcast.kit.sheets import Fate, File
from broadcast.schedules import edits, occurrence_edits
from broadcast.schedules.expansion import instant
from broadcast.schedules.ics import OF_OURS
from broadcast.schedules.ics_reading import Component, Event, read
from broadcast.schedules.ics_series import AHEAD, Series, coming, days_of, left_out
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule, ScheduleState
from broadcast.schedules.starts import Exceptions, exceptions_of, starts_of, written
from broadcast.wire.fields import BulletinClass

log = structlog.get_logger()

LATE_LIMIT_SECONDS = 300

MOST_WRITTEN = 50
"""Schedules, starts and markings that one import writes: each asks every check of a schedule."""

MOST_DAYS = 60
"""Markings that one event comes to."""

NAMESPACE = UUID("5d1c7a4e-0b0a-5f5e-9a53-0d2f6f0a4c11")
"""Of the ids of schedules that come from a calendar: by its UID and the area."""

KINDS = {
    "nghỉ lễ": Kind.HOLIDAY, "đi làm bù": Kind.WORKING, "ngày tang": Kind.MOURNING,
    "quốc tang": Kind.MOURNING, "ngày thi": Kind.EXAM,
}  # fmt: skip
"""Titles of whole days, in small letters, beside the names of calendars of one's own."""


@dataclass
class Row:
    """What becomes of one component.

    Attributes:
        detail: What it becomes, or why it is left out and how to mend that.
        notes: What was understood otherwise than written.
    """

    number: int
    kind: str
    title: str
    starts_at: datetime | None
    day: date | None
    fate: Fate
    detail: str
    notes: list[str] = field(default_factory=list)


class _Left(Exception):
    """A component that is left out; says why."""


async def import_calendar(
    session: AsyncSession,
    file: File,
    area: str,
    caller: Caller,
    rules: Rules,
    now: datetime,
    *,
    dry_run: bool,
) -> list[Row]:
    """Store what is understood of a calendar, or (`dry_run`) tell what that would be.

    Args:
        session: Open transaction.
        file: The calendar.
        area: Where what is new is to sound, and whose days are marked.
        caller: Who imports it.
        rules: Quiet hours and the horizon.
        now: Present.
        dry_run: Change nothing.

    Raises:
        Forbidden: The caller may not schedule there.
        Unknown: There is no such unit today.
        TooLarge: A bound of the file is exceeded.
        InvalidInput: It is no calendar.
    """
    await scope.require(session, caller, Permission.SCHEDULE_WRITE, [area])
    await require_unit(session, "area", area, now.astimezone(LOCAL).date())
    given = await asyncio.to_thread(read, file.data, LOCAL)
    async with session.begin_nested() as attempt:
        rows = await _Import(session, area, caller, rules, now).all(given)
        if dry_run:
            await attempt.rollback()
            recording.skip(session)
    counts = {fate.value: sum(row.fate is fate for row in rows) for fate in Fate}
    recording.say(session, files=[file.facts()], **counts)
    log.info("schedules.calendar.imported", dry_run=dry_run, **counts)
    return rows


class _Import:
    def __init__(
        self, session: AsyncSession, area: str, caller: Caller, rules: Rules, now: datetime
    ) -> None:
        self._session = session
        self._area = area
        self._caller = caller
        self._rules = rules
        self._now = now
        self._written = 0
        self._own_calendars: dict[str, str] = {}
        self._stations: frozenset[str] = frozenset()
        self._titles: defaultdict[str, list[Bulletin]] = defaultdict(list)

    async def all(self, given: Sequence[Component]) -> list[Row]:
        """A row for each component, days before what is to heed them."""
        await self._look_up(given)
        ours = await self._starts_of_ours(given)
        replacing: defaultdict[str, list[Component]] = defaultdict(list)
        series: dict[str, Component] = {}
        rows: dict[int, Row] = {}
        for each in given:
            if each.event is None:
                rows[each.number] = _row(each, Fate.REFUSED, each.why_not)
            elif each.number not in ours and each.event.replaces is not None:
                replacing[each.uid].append(each)
            elif each.uid and each.uid in series:
                rows[each.number] = _row(
                    each, Fate.REFUSED,
                    "Mã (UID) trùng với một sự kiện khác trong tệp; hãy xuất lại từ ứng dụng"
                    " lịch.",
                )  # fmt: skip
            else:
                series.setdefault(each.uid or f"#{each.number}", each)
        ordered = sorted(series.values(), key=_is_timed)
        for each in ordered:
            if each.number in ours:
                rows[each.number] = await self._row(each, ours[each.number])
            else:
                rows |= await self._series(each, replacing.pop(each.uid, []) if each.uid else [])
        for each in (each for left in replacing.values() for each in left):
            rows[each.number] = _row(
                each, Fate.REFUSED,
                "Buổi được đổi của một sự kiện không có trong tệp; hãy xuất cả sự kiện đó.",
            )  # fmt: skip
        return [rows[each.number] for each in given]

    # --- what is known ---------------------------------------------------------------------------

    async def _look_up(self, given: Sequence[Component]) -> None:
        names = await marking.own_calendars(self._session)
        self._own_calendars = {name.casefold(): name for name in names}
        tree = await load_tree(self._session, self._now.astimezone(LOCAL).date())
        self._stations = frozenset(unit.code for unit in tree.chain(self._area))
        titles = {each.title for each in given if _is_timed(each)}
        statement = sa.select(Bulletin).where(
            Bulletin.title.in_(titles), Bulletin.version_of.is_(None)
        )
        for bulletin in await self._session.scalars(statement):
            self._titles[bulletin.title].append(bulletin)

    async def _starts_of_ours(self, given: Sequence[Component]) -> dict[int, Occurrence]:
        """Starts that are known here, by the number of the component that names each."""
        named = {}
        for each in given:
            is_single = each.event is not None and each.event.replaces is None
            if is_single and each.uid.endswith(OF_OURS):
                try:
                    named[each.number] = UUID(each.uid.removesuffix(OF_OURS))
                except ValueError:
                    continue
        statement = sa.select(Occurrence).where(Occurrence.id.in_(set(named.values())))
        rows = {row.id: row for row in await self._session.scalars(statement)}
        return {number: rows[id_] for number, id_ in named.items() if id_ in rows}

    # --- one component ---------------------------------------------------------------------------

    async def _row(self, given: Component, start: Occurrence) -> Row:
        try:
            fate, detail = await self._start(given, start)
        except _Left as why:
            return _row(given, Fate.REFUSED, str(why))
        except BroadcastError as error:
            return _row(given, Fate.REFUSED, error.detail)
        return _row(given, fate, detail)

    async def _start(self, given: Component, row: Occurrence) -> tuple[Fate, str]:
        """A start of our own feed."""
        event = given.event
        assert event is not None
        is_cancelled = row.state is OccurrenceState.CANCELLED
        if (event.starts_at == row.starts_at and event.is_cancelled is is_cancelled) or (
            event.is_cancelled and is_cancelled
        ):
            return Fate.UNCHANGED, "Như lịch phát hiện có."
        if is_cancelled:
            raise _Left(
                "Buổi này đã bỏ trong lịch phát; muốn phát, hãy bấm Phát lại ở trang của lịch đó."
            )
        if not isinstance(event.starts_at, datetime):
            raise _Left("Sự kiện đã đổi thành cả ngày; hãy đặt lại giờ bắt đầu rồi xuất lại.")
        self._count()
        async with self._session.begin_nested():
            if event.is_cancelled:
                await occurrence_edits.cancel_occurrence(
                    self._session, row, self._caller, self._now
                )
                return Fate.CHANGED, f"Bỏ buổi {_moment(row.starts_at)}."
            was = row.starts_at
            await occurrence_edits.move(
                self._session, row, event.starts_at, self._caller, self._rules, self._now
            )
        return Fate.CHANGED, f"Dời buổi {_moment(was)} sang {_moment(event.starts_at)}."

    async def _series(self, given: Component, replacing: Sequence[Component]) -> dict[int, Row]:
        """An event with those that stand for single starts of it."""
        assert given.event is not None
        try:
            if not isinstance(given.event.starts_at, datetime):
                row = await self._days(given, given.event)
                return {
                    row.number: row,
                    **{
                        each.number: _row(
                            each, Fate.REFUSED,
                            "Buổi được đổi của một sự kiện cả ngày; hãy lập sự kiện riêng cho"
                            " ngày đó.",
                        )
                        for each in replacing
                    },
                }  # fmt: skip
            return await self._schedule(given, given.event, replacing)
        except _Left as why:
            detail = str(why)
        except BroadcastError as error:
            detail = error.detail
        behind = "Sự kiện mà buổi này thuộc về không nhập được; hãy sửa sự kiện đó trước."
        return {
            given.number: _row(given, Fate.REFUSED, detail),
            **{each.number: _row(each, Fate.REFUSED, behind) for each in replacing},
        }

    def _count(self, number: int = 1) -> None:
        if self._written + number > MOST_WRITTEN:
            raise _Left(
                f"Mỗi lần nhập nhiều nhất {MOST_WRITTEN} mục; nhập xong lần này hãy nhập lại tệp"
                " để lấy tiếp."
            )
        self._written += number

    # --- days ------------------------------------------------------------------------------------

    async def _days(self, given: Component, event: Event) -> Row:
        name, kind = self._marked_as(given)
        if event.is_cancelled:
            raise _Left("Đã hủy trong lịch nguồn, nên không có gì để nhập.")
        today = self._now.astimezone(LOCAL).date()
        first, last = event.starts_at, event.last_on
        assert last is not None
        spans = [
            (day, day + (last - first))
            for day in days_of(event, today, LOCAL)
            if day + (last - first) >= today
        ]
        if not spans:
            raise _Left("Đã qua, nên không nhập; hãy đặt một ngày sắp tới.")
        if len(spans) > MOST_DAYS:
            raise _Left(
                f"Lặp {len(spans)} lần trong một năm, nhiều nhất {MOST_DAYS}; hãy đặt ngày kết"
                " thúc sớm hơn."
            )
        bodies = [
            CalendarDayIn(
                kind=kind, name=name, area_code=self._area, first_on=first_on, last_on=last_on
            )
            for first_on, last_on in spans
        ]
        new = [body for body in bodies if not await self._is_marked(body)]
        if not new:
            return _row(given, Fate.UNCHANGED, "Như ngày đã đánh dấu.")
        self._count(len(new))
        async with self._session.begin_nested():
            for body in new:
                await marking.mark(self._session, body, self._caller, self._now)
        return _row(given, Fate.ADDED, f"Đánh dấu trong lịch ngày: “{name}”, {len(new)} lần.")

    def _marked_as(self, given: Component) -> tuple[str, Kind]:
        known = given.title.casefold()
        if known in self._own_calendars:
            return self._own_calendars[known], Kind.OWN
        if known in KINDS:
            return given.title, KINDS[known]
        raise _Left(
            f"Sự kiện cả ngày “{given.title}” không trùng tên lịch riêng nào; muốn phát, hãy đặt"
            " giờ bắt đầu; muốn đánh dấu ngày, hãy lập lịch riêng tên này ở trang Lịch ngày"
            " trước."
        )

    async def _is_marked(self, body: CalendarDayIn) -> bool:
        same = sa.select(CalendarDay.id).where(
            CalendarDay.kind == body.kind, CalendarDay.name == body.name,
            CalendarDay.area_code == body.area_code, CalendarDay.first_on <= body.first_on,
            CalendarDay.last_on >= body.last_on, CalendarDay.clusters == [],
        )  # fmt: skip
        return await self._session.scalar(same.limit(1)) is not None

    # --- schedules -------------------------------------------------------------------------------

    async def _schedule(
        self, given: Component, event: Event, replacing: Sequence[Component]
    ) -> dict[int, Row]:
        if event.is_cancelled:
            raise _Left("Đã hủy trong lịch nguồn, nên không có gì để nhập.")
        bulletin, revision = await self._bulletin(given, event)
        series = coming(event, self._now, LOCAL)
        if series is None:
            raise _Left("Đã qua, nên không nhập; hãy đặt một ngày giờ sắp tới.")
        rows: dict[int, Row] = {}
        excepted: Exceptions = dict.fromkeys(left_out(event, series))
        for each in replacing:
            rows[each.number] = _replacement(each, given, series, excepted, self._now)
        notes = list(event.notes)
        if event.seconds is not None and abs(event.seconds - revision.air_seconds) >= 60:
            notes.append(
                f"Sự kiện dài {event.seconds / 60:.0f} phút, bản tin dài"
                f" {revision.air_seconds / 60:.0f} phút: phát hết bản tin rồi dừng."
            )
        columns = {
            "targets": [{"area": self._area}],
            "starts_at": series.starts_at,
            "rrule": written(series.rule),
            "dates": [instant(at, LOCAL) for at in series.rule.dates] if series.rule else [],
            "late_limit_seconds": LATE_LIMIT_SECONDS,
            "bulletin_revision": revision.number,
        }
        id_, stored = await self._stored(given.uid)
        if stored is not None:
            rows[given.number] = await self._compared(given, stored, series, excepted, bulletin)
            return rows
        self._count()
        async with self._session.begin_nested():
            schedule, plan = await edits.create(
                self._session, bulletin.id, columns, self._caller, self._rules, self._now,
                id_=id_, excepted=excepted,
            )  # fmt: skip
        first = plan.slots[0].starts_at if plan.slots else series.first(excepted)
        detail = f"Lập lịch phát “{schedule.title}”, đầu tiên {_moment(first)}."
        if series.rule is not None:
            detail = (
                f"Lập lịch phát “{schedule.title}”, đầu tiên {_moment(first)}, {len(plan.slots)}"
                " buổi sắp tới."
            )
        notes += [f"{each[:1].upper()}{each[1:]}." for each in plan.warnings]
        rows[given.number] = replace(_row(given, Fate.ADDED, detail), notes=notes)
        return rows

    async def _bulletin(self, given: Component, event: Event) -> tuple[Bulletin, Revision]:
        """What is to sound: as our own feed names it, else by the title."""
        bulletin = None
        if event.bulletin is not None:
            try:
                bulletin = await get_bulletin(self._session, event.bulletin[0])
            except BroadcastError:
                bulletin = None
        if bulletin is None:
            bulletin = self._titled(given.title)
        if bulletin.class_ is BulletinClass.EMERGENCY:
            raise _Left("Bản tin khẩn cấp không nhập từ lịch được; hãy phát ở trang Khẩn cấp.")
        if event.bulletin is not None and bulletin.id == event.bulletin[0]:
            revision = await get_revision(self._session, bulletin.id, event.bulletin[1])
            return bulletin, revision
        newest = await newest_approved(self._session, bulletin.id)
        if newest is None:
            raise _Left(
                f"Bản tin “{bulletin.title}” chưa có phiên bản nào được duyệt; duyệt xong hãy nhập"
                " lại."
            )
        return bulletin, newest

    def _titled(self, title: str) -> Bulletin:
        found = self._titles.get(title, [])
        near = [each for each in found if each.area_code in self._stations]
        chosen = near if len(near) == 1 else found
        if not chosen:
            raise _Left(
                f"Không có bản tin nào tên “{title}”; hãy đổi tên sự kiện cho trùng đúng tên bản"
                " tin trong thư viện, hoặc làm bản tin trước."
            )
        if len(chosen) > 1:
            raise _Left(
                f"Có {len(chosen)} bản tin tên “{title}”; hãy đổi tên một bản tin, và đặt tên sự"
                " kiện theo bản tin cần phát."
            )
        return chosen[0]

    async def _stored(self, uid: str) -> tuple[UUID | None, Schedule | None]:
        """Id of the schedule that this event comes to here; itself, if it is there.

        One that was withdrawn gives way to a new one.
        """
        if not uid:
            return None, None
        number = 0
        while True:
            id_ = uuid5(NAMESPACE, f"{uid}\n{self._area}\n{number}")
            found = await self._session.get(Schedule, id_)
            if found is None or found.state is not ScheduleState.WITHDRAWN:
                return id_, found
            number += 1

    async def _compared(
        self,
        given: Component,
        stored: Schedule,
        series: Series,
        excepted: Exceptions,
        bulletin: Bulletin,
    ) -> Row:
        known = (await exceptions_of(self._session, [stored.id]))[stored.id]
        until = self._now + AHEAD
        there = starts_of(stored, known, self._now, until)
        here = series.starts(excepted, self._now, until)
        if stored.bulletin_id == bulletin.id and {each.starts_at for each in there} == here:
            return _row(given, Fate.UNCHANGED, "Đã nhập trước đây, lịch phát vẫn như vậy.")
        return _row(
            given, Fate.REFUSED,
            f"Đã nhập trước đây thành lịch phát “{stored.title}”, nay khác với tệp; hãy sửa lịch"
            " phát đó, hoặc thu hồi nó rồi nhập lại.",
        )  # fmt: skip


def _replacement(
    each: Component, of: Component, series: Series, excepted: Exceptions, now: datetime
) -> Row:
    """A single start that was changed; what cannot be taken leaves it out."""
    event = each.event
    assert event is not None
    assert event.replaces is not None
    was, to = event.replaces, event.starts_at
    if was <= now:
        return _row(each, Fate.UNCHANGED, "Buổi đã qua, không còn gì để đổi.")
    if not series.fires(was):
        return _row(
            each, Fate.REFUSED,
            f"Lịch lặp không có buổi nào lúc {_moment(was)}; hãy xóa buổi đổi này trong ứng dụng"
            " lịch.",
        )  # fmt: skip
    if to == was and not event.is_cancelled and each.title == of.title:
        return _row(each, Fate.UNCHANGED, "Buổi này vẫn đúng giờ theo cách lặp.")
    excepted[was] = None
    fate, detail = Fate.REFUSED, ""
    if event.is_cancelled:
        fate, detail = Fate.ADDED, f"Bỏ riêng buổi {_moment(was)}."
    elif each.title != of.title:
        detail = (
            f"Buổi này đổi sang “{each.title}”, nên buổi {_moment(was)} được bỏ; muốn phát bản tin"
            " kia, hãy lập sự kiện riêng."
        )
    elif not isinstance(to, datetime) or to <= now:
        detail = (
            f"Buổi {_moment(was)} dời sang giờ đã qua hoặc cả ngày nên được bỏ; hãy chọn một giờ"
            " sắp tới."
        )
    else:
        excepted[was] = to
        fate, detail = Fate.ADDED, f"Dời riêng buổi {_moment(was)} sang {_moment(to)}."
    return _row(each, fate, detail)


def _row(given: Component, fate: Fate, detail: str) -> Row:
    at = None if given.event is None else given.event.starts_at
    moment, day = (at, None) if isinstance(at, datetime) else (None, at)
    return Row(given.number, given.kind, given.title, moment, day, fate, detail)


def _is_timed(given: Component) -> bool:
    return given.event is not None and isinstance(given.event.starts_at, datetime)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(LOCAL):%H:%M %d/%m/%Y}"
