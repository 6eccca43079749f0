"""Places of schedules: everything that their targets name."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.standing import resolve_area
from broadcast.areas.units import require_unit
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.kit.errors import Conflict, NotFound
from broadcast.schedules.model import Schedule, ScheduleState
from broadcast.schedules.targets import Targets
from broadcast.stations.model import Cluster
from broadcast.stations.places import villages_of
from broadcast.wire.fields import BulletinClass


async def require_at_schedule(
    session: AsyncSession, caller: Caller, schedule: Schedule, *needed: Permission
) -> None:
    """Refuse a change of a schedule of which not every target lies in the caller's places.

    Args:
        session: Transaction.
        caller: Who changes it.
        schedule: With the targets that it has, or is to have.
        needed: Permissions in each of these places; only to schedule by default.

    Raises:
        NotFound: The caller cannot see it.
        Conflict: It is that of an alert, or of live speech.
        Forbidden: The caller may not schedule in each of these places.
        Unknown: A target of a new schedule is no unit.
    """
    if schedule.state is ScheduleState.ALERT:
        raise Conflict(
            "Đây là cảnh báo khẩn cấp; hãy hủy, cập nhật hoặc báo yên ở trang Khẩn cấp."
        )
    if schedule.state is ScheduleState.LIVE:
        raise Conflict("Đây là buổi phát trực tiếp; hãy dừng nó ở trang Phát trực tiếp.")
    needed = needed or (Permission.SCHEDULE_WRITE,)
    is_stored = not sa.inspect(schedule).transient
    everywhere = all(scope.is_whole(caller, each) for each in needed)
    codes = (
        set()
        if everywhere
        else await units_of(session, schedule.targets, schedule.targets_on, is_stored=is_stored)
    )
    thing = sa.select(Schedule.id).where(Schedule.id == schedule.id) if is_stored else None
    missing = NotFound(f"Không có lịch phát {schedule.id}.")
    for permission in needed:
        await scope.require(session, caller, permission, codes, thing, missing)


def needed_for(class_: BulletinClass) -> tuple[Permission, ...]:
    """Permissions to schedule a bulletin of a class."""
    if class_ is BulletinClass.EMERGENCY:
        return Permission.SCHEDULE_WRITE, Permission.EMERGENCY_WRITE
    return (Permission.SCHEDULE_WRITE,)


async def units_of(
    session: AsyncSession, targets: Targets, targets_on: date, *, is_stored: bool
) -> set[str]:
    """Units of today that targets name; those of a cluster are its villages.

    Args:
        session: Transaction.
        targets: Areas and clusters.
        targets_on: Day under whose units they were meant.
        is_stored: They were checked before.

    Raises:
        InvalidInput: A target that is not stored is no unit.
    """
    territory = await scope.territory_of(session)
    codes: set[str] = set()
    for index, target in enumerate(targets):
        if "area" in target:
            code = target["area"]
            if not is_stored:
                await require_unit(session, f"targets.{index}.area", code, targets_on)
            found = resolve_area(territory.lineage, code, targets_on, territory.on)
            codes |= {*found} or {code}
            continue
        ids = await session.scalars(sa.select(Cluster.id).where(Cluster.code == target["cluster"]))
        villages = await villages_of(session, list(ids))
        codes |= villages or {f"cluster/{target['cluster']}"}  # which is nobody's place
    return codes
