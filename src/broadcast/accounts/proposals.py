"""What a grant could follow when its area was rearranged: proposed, and decided on by a person.

A proposal is no row: it follows from the grants and the lineage of today. What a person decides
is one, and stays. Until every successor is decided on, the grant shows what it showed
(`areas.scope`).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.grants import grant, in_force
from broadcast.accounts.model import GrantDecision
from broadcast.areas.model import Part
from broadcast.areas.tree import DAY, Lineage, Successor
from broadcast.areas.units import load_lineage
from broadcast.auth.caller import Caller
from broadcast.auth.model import Account, Grant
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, NotFound


class Rearranged(NamedTuple):
    """What became of the area of a grant."""

    since: date
    successors: list[Successor]


class Proposal(NamedTuple):
    """A successor that nobody has decided on."""

    held: Grant
    account: str
    since: date
    """Day of the merger."""
    area_code: str
    area_name: str
    part: Part


def rearranged(lineage: Lineage, code: str, meant_on: date, on: date) -> Rearranged | None:
    """Successors of a granted area; None while it is the unit that was granted. Pure."""
    if lineage.is_same(code, meant_on, on):
        return None
    changes = lineage.changes(meant_on, on)
    since = next(day for day in changes if not lineage.is_same(code, meant_on, day))
    return Rearranged(since, lineage.successors(code, since - DAY, on))


async def proposals(session: AsyncSession, now: datetime) -> list[Proposal]:
    """All that wait for a decision, the oldest grant first."""
    today = now.astimezone(LOCAL).date()
    lineage = await load_lineage(session)
    rows = await session.execute(
        sa.select(Grant, Account.name)
        .join(Account, Account.id == Grant.account_id)
        .where(Grant.area_code.is_not(None), in_force(today))
        .order_by(Grant.id)
    )
    decided = {
        (row.grant_id, row.area_code) for row in await session.scalars(sa.select(GrantDecision))
    }
    tree = lineage.tree_on(today)
    found = []
    for held, name in rows:
        assert held.area_code is not None
        became = rearranged(lineage, held.area_code, held.meant_on, today)
        for heir in became.successors if became is not None else ():
            if became is not None and (held.id, heir.code) not in decided:
                unit = tree[heir.code]
                found.append(Proposal(held, name, became.since, heir.code, unit.name, heir.part))
    return found


async def decide(
    session: AsyncSession,
    grant_id: int,
    area_code: str,
    caller: Caller,
    now: datetime,
    *,
    is_confirmed: bool,
) -> Grant | None:
    """Confirm or refuse a successor; with the last one decided on, the old grant ends.

    Returns:
        The new grant; None where it was refused.

    Raises:
        NotFound: There is no such proposal, or it was decided on.
        Conflict: Another successor of the grant is to be decided on first, or the account has
            the role there already.
        InvalidInput: The role does not go with the level of the successor.
    """
    await session.execute(sa.select(Grant.id).where(Grant.id == grant_id).with_for_update())
    waiting = [each for each in await proposals(session, now) if each.held.id == grant_id]
    chosen = next((each for each in waiting if each.area_code == area_code), None)
    if chosen is None:
        raise NotFound(
            f"Không có đề nghị nào của lần cấp vai trò {grant_id} cho đơn vị {area_code},"
            " hoặc đã được quyết định; hãy tải lại danh sách."
        )
    held = chosen.held
    session.add(
        GrantDecision(
            grant_id=grant_id, area_code=area_code, is_confirmed=is_confirmed,
            decided_by=caller.account_id, decided_at=now,
        )
    )  # fmt: skip
    if len(waiting) == 1:
        held.revoked_at = now
    elif area_code == held.area_code:
        raise Conflict(
            "Đơn vị này mang mã cũ; hãy quyết định các đơn vị khác của vai trò này trước."
        )
    await session.flush()
    if not is_confirmed:
        return None
    return await grant(
        session, held.account_id, held.role, area_code, now, caller.account_id,
        valid_until=held.valid_until,
    )  # fmt: skip
