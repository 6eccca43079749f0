"""What people say of a pair: that both are heard at one place although far apart, or are not."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller
from broadcast.auth.people import people
from broadcast.auth.permissions import Permission
from broadcast.earshot.model import EarshotPair
from broadcast.earshot.schemas import PairIn, PairOut
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.stations.model import Cluster
from broadcast.stations.places import require_at_cluster


async def pair_of(session: AsyncSession, cluster: str, other: str) -> PairOut:
    """What was said of two clusters, in whichever order they are named.

    Raises:
        NotFound: Nothing was said, or one of them is not in the caller's places.
    """
    row = await _find(session, await _ids(session, cluster, other))
    if row is None:
        raise NotFound(
            f"Chưa ai đặt tay cho cặp {cluster}, {other}: nhóm được tính từ khoảng cách."
        )
    known = await people(session, [row.set_by])
    return PairOut(
        cluster=cluster,
        other=other,
        heard=row.heard,
        note=row.note,
        set_by=known[row.set_by],
        set_at=row.set_at,
    )


async def say(
    session: AsyncSession, cluster: str, other: str, body: PairIn, caller: Caller, now: datetime
) -> PairOut:
    """Say whether two clusters are heard at one place, whatever their distance.

    Raises:
        InvalidInput: It is one cluster.
        NotFound: There is no such cluster in the caller's places.
        Forbidden: The caller may not change both.
    """
    ids = await _changeable(session, cluster, other, caller)
    row = await _find(session, ids, lock=True)
    if row is None:
        row = EarshotPair(cluster_id=ids[0], other_id=ids[1])
        session.add(row)
    row.heard, row.note, row.set_by, row.set_at = body.heard, body.note, caller.account_id, now
    await session.flush()
    return await pair_of(session, cluster, other)


async def forget(session: AsyncSession, cluster: str, other: str, caller: Caller) -> None:
    """Go by the distance again.

    Raises:
        NotFound: Nothing was said of them.
        Forbidden: The caller may not change both.
    """
    row = await _find(session, await _changeable(session, cluster, other, caller), lock=True)
    if row is None:
        raise NotFound(
            f"Chưa ai đặt tay cho cặp {cluster}, {other}: nhóm được tính từ khoảng cách."
        )
    await session.delete(row)


async def _changeable(
    session: AsyncSession, cluster: str, other: str, caller: Caller
) -> tuple[int, int]:
    for code in (cluster, other):
        await require_at_cluster(session, caller, Permission.REGISTER_WRITE, code)
    if cluster == other:
        raise InvalidInput("other", "cần hai cụm loa khác nhau; hãy chọn cụm thứ hai")
    return await _ids(session, cluster, other)


async def _ids(session: AsyncSession, cluster: str, other: str) -> tuple[int, int]:
    rows = await session.execute(
        sa.select(Cluster.code, Cluster.id).where(Cluster.code.in_([cluster, other]))
    )
    known: dict[str, int] = {row[0]: row[1] for row in rows}
    for code in (cluster, other):
        if code not in known:
            raise NotFound(f"Không có cụm loa mã “{code}”.")
    one, two = sorted((known[cluster], known[other]))
    return one, two


async def _find(
    session: AsyncSession, ids: tuple[int, int], *, lock: bool = False
) -> EarshotPair | None:
    return await session.get(EarshotPair, ids, with_for_update=lock or None)
