"""The drill calendar: when alerts may sound that are no actual ones."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.alerts.drill_schemas import DrillIn, DrillReportOut, DrillSoundingOut
from broadcast.alerts.model import Alert, Drill
from broadcast.areas import scope
from broadcast.areas.units import load_lineage, require_unit
from broadcast.auth import second_factor
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.bulletins.model import Revision
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput, NotFound
from broadcast.plays.results import result_of
from broadcast.plays.soundings import Sounding
from broadcast.schedules.places import units_of
from broadcast.schedules.starts import SLACK
from broadcast.schedules.targets import Targets


async def create(session: AsyncSession, body: DrillIn, caller: Caller, now: datetime) -> Drill:
    """Enter a drill into the calendar.

    Raises:
        InvalidInput: It is over already, or its area is no unit.
        Forbidden: The caller may not there, or not without a second factor.
    """
    second_factor.check(caller.second_factor_until, Permission.EMERGENCY_WRITE, now)
    await require_unit(session, "area_code", body.area_code, now.astimezone(LOCAL).date())
    await scope.require(session, caller, Permission.EMERGENCY_WRITE, [body.area_code])
    if body.ends_at <= max(body.starts_at, now):
        raise InvalidInput("ends_at", "phải sau lúc bắt đầu và sau bây giờ")
    drill = Drill(id=uuid4(), created_by=caller.account_id, created_at=now, **body.model_dump())
    session.add(drill)
    await session.flush()
    return drill


async def get_drill(session: AsyncSession, drill_id: UUID, *, lock: bool = False) -> Drill:
    """A drill.

    Raises:
        NotFound: There is none.
    """
    drill = await session.get(Drill, drill_id, with_for_update=lock)
    if drill is None:
        raise NotFound(f"Không có đợt diễn tập {drill_id}.")
    return drill


def select_drills() -> sa.Select[Drill]:
    """The statement of all drills."""
    return sa.select(Drill)


async def cancel(session: AsyncSession, drill: Drill, caller: Caller, now: datetime) -> None:
    """Take a drill off the calendar: nothing of it sounds any more; repeating changes nothing.

    Raises:
        Forbidden: The caller may not there.
    """
    second_factor.check(caller.second_factor_until, Permission.EMERGENCY_WRITE, now)
    thing = sa.select(Drill.id).where(Drill.id == drill.id)
    missing = NotFound(f"Không có đợt diễn tập {drill.id}.")
    await scope.require(
        session, caller, Permission.EMERGENCY_WRITE, [drill.area_code], thing, missing
    )
    drill.cancelled_at = drill.cancelled_at or now
    await session.flush()


async def require_for(session: AsyncSession, drill_id: UUID, targets: Targets, on: date) -> Drill:
    """The drill that an alert names, which holds all its places.

    Raises:
        InvalidInput: There is no such drill, or it is elsewhere.
    """
    drill = await session.get(Drill, drill_id)
    if drill is None or drill.cancelled_at is not None:
        raise InvalidInput("drill_id", "không có đợt diễn tập này, hoặc đã hủy")
    tree = (await load_lineage(session)).tree_on(on)
    for code in await units_of(session, targets, on, is_stored=True):
        if code not in tree or drill.area_code not in {unit.code for unit in tree.chain(code)}:
            raise InvalidInput("targets", f"có nơi ngoài địa bàn của đợt diễn tập “{drill.title}”")
    return drill


async def require_on(
    session: AsyncSession,
    drill_id: UUID,
    starts_at: datetime,
    ends_by: datetime,
    revision: Revision,
) -> datetime:
    """Until when an alert of a drill lasts that begins then: not beyond the drill.

    Raises:
        Conflict: The drill is not on then, or is over before the sound is.
    """
    drill = await session.get_one(Drill, drill_id, with_for_update={"read": True})
    last = min(ends_by, drill.ends_at)
    sounds_for = (last - starts_at).total_seconds()
    if drill.cancelled_at is not None:
        raise Conflict(f"Đợt diễn tập “{drill.title}” đã hủy.")
    if starts_at < drill.starts_at or sounds_for < revision.seconds + SLACK.total_seconds():
        begin, end = (at.astimezone(LOCAL) for at in (drill.starts_at, drill.ends_at))
        raise Conflict(
            f"Ngoài giờ diễn tập: “{drill.title}” từ {begin:%H:%M %d/%m/%Y} đến"
            f" {end:%H:%M %d/%m/%Y}."
        )
    return last


async def report(
    session: AsyncSession, drill: Drill, caller: Caller, now: datetime
) -> DrillReportOut:
    """What became of a drill: each alert with the villages where it sounded, and where not."""
    rows = await session.scalars(
        sa.select(Alert)
        .where(Alert.drill_id == drill.id, Alert.occurrence_id.is_not(None))
        .order_by(Alert.starts_at, Alert.id)
    )
    soundings = []
    for alert in rows:
        assert alert.occurrence_id is not None
        result = await result_of(session, alert.occurrence_id, caller)
        soundings.append(
            DrillSoundingOut(
                alert_id=alert.id,
                headline=alert.headline,
                starts_at=result.starts_at,
                villages_count=result.villages_count,
                counts=result.counts,
                answer=result.answer,
                not_heard=[
                    each
                    for each in result.villages
                    if each.sounding not in {Sounding.SOUNDED, Sounding.PLAYING}
                ],
            )
        )
    counts = Counter[Sounding]()
    for each in soundings:
        counts.update(each.counts)
    return DrillReportOut(
        alerts_count=len(soundings), counts=dict(counts), soundings=soundings,
        is_over=now >= drill.ends_at,
    )  # fmt: skip
