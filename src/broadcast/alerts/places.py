"""Places of alerts: who may make one sound where, and whose station speaks."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.alerts.model import Alert
from broadcast.alerts.schemas import ReachOut
from broadcast.areas import scope
from broadcast.areas.model import Level
from broadcast.areas.units import load_lineage
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.schedules.places import units_of
from broadcast.schedules.targets import Targets, target_resolver

STATIONS = (Level.COMMUNE, Level.PROVINCE)
MOST_NAMED = 20


def no_alert(alert_id: UUID) -> NotFound:
    """What is answered of an alert that there is not, or that the caller may not read."""
    return NotFound(f"Không có cảnh báo {alert_id}.")


async def require_at_alert(
    session: AsyncSession,
    caller: Caller,
    permission: Permission,
    targets: Targets,
    targets_on: date,
    *,
    alert_id: UUID | None = None,
) -> None:
    """Refuse a step of an alert of which not every target lies in the caller's places.

    Args:
        session: Transaction.
        caller: Who takes it.
        permission: What it needs in every place.
        targets: Of the alert.
        targets_on: Day under whose units they were meant.
        alert_id: Of one that is stored.

    Raises:
        NotFound: The caller cannot see it.
        Forbidden: The caller may not in each of these places.
    """
    is_stored = alert_id is not None
    codes = await units_of(session, targets, targets_on, is_stored=is_stored)
    thing = sa.select(Alert.id).where(Alert.id == alert_id) if alert_id is not None else None
    missing = None if alert_id is None else no_alert(alert_id)
    await scope.require(session, caller, permission, codes, thing, missing)


async def station_of(session: AsyncSession, targets: Targets, on: date) -> str:
    """Code of the smallest unit with a station that holds all targets.

    Raises:
        InvalidInput: Nothing holds all of them.
    """
    tree = (await load_lineage(session)).tree_on(on)
    codes = await units_of(session, targets, on, is_stored=True)
    chains = [[unit.code for unit in tree.chain(code)] for code in codes if code in tree]
    for code in chains[0] if chains else []:
        if tree[code].level in STATIONS and all(code in chain for chain in chains):
            return code
    raise InvalidInput("targets", "không có đơn vị nào bao trùm các nơi này; hãy chia thành nhiều")


async def reach(session: AsyncSession, targets: Targets, targets_on: date, on: date) -> ReachOut:
    """How many loudspeakers in how many villages targets come to on a day."""
    resolver = await target_resolver(session)
    found = await resolver.resolve(targets, targets_on, on)
    villages = await resolver.villages(targets, targets_on, on)
    silent = [code for code, clusters in villages.items() if not clusters]
    equipped = await resolver.equipped(found.cluster_ids, on)
    summary = f"{len(found.cluster_ids)} cụm loa"
    if villages:
        summary += f" ở {len(villages)} thôn"
    return ReachOut(
        clusters_count=len(found.cluster_ids),
        equipped_count=len(equipped),
        villages_count=len(villages),
        silent_villages=[resolver.name(code, on) for code in silent[:MOST_NAMED]],
        summary=summary,
    )
