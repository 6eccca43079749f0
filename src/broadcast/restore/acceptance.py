"""A person's decisions after a restore, carried out and recorded in one transaction.

Only then is anything published again: every document anew, above whatever anybody holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.auth.caller import Caller
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.kit.notify import Channel, notify
from broadcast.plays.model import LostSpan
from broadcast.programmes import issue
from broadcast.programmes.model import ProgrammeRevision
from broadcast.restore import follow
from broadcast.restore.comparison import Comparison, compare, held_revisions, told_revisions
from broadcast.restore.differences import Choice, Difference, told_items
from broadcast.restore.model import Restore, RestoreDecision
from broadcast.restore.state import open_restore
from broadcast.stations.model import Outage, OutageKind

log = structlog.get_logger()

AHEAD = timedelta(days=1)
"""Revisions are times: what a device says to hold from later than this is no revision of ours."""

LISTED = 5

NOTHING_OPEN = "Không có lần khôi phục nào chờ quyết định; hệ thống đang phát bình thường."


async def accept(
    session: AsyncSession,
    settings: config.Settings,
    choices: Mapping[str, Choice],
    *,
    rest_as_proposed: bool,
    seen: str | None,
    caller: Caller,
    now: datetime,
) -> Restore:
    """Carry out what was decided, and let the system publish again.

    Args:
        session: Open transaction.
        settings: Of this process.
        choices: By the name of the difference.
        rest_as_proposed: Decide all others as proposed.
        seen: Digest of the comparison that was looked at; None: whatever it is by now.
        caller: Who decides.
        now: Present.

    Raises:
        Conflict: There is nothing to accept, the broker has not been read yet, the comparison has
            changed, or something is not decided.
        InvalidInput: A choice for what there is not, or one that it does not have.
    """
    restore = await open_restore(session, lock=True)
    if restore is None:
        raise Conflict(NOTHING_OPEN)
    if restore.broker_read_at is None:
        raise Conflict(
            "Chưa đọc xong tài liệu mà broker đang giữ; kiểm tra broker và tiến trình dispatch,"
            " rồi so sánh lại."
        )
    comparison = await compare(session, restore, settings, now)
    if seen is not None and seen != comparison.digest:
        raise Conflict(
            "Kết quả so sánh đã đổi từ lúc xem; hãy xem lại rồi quyết định.",
            digest=comparison.digest,
        )
    decided = _decided(comparison, choices, rest_as_proposed=rest_as_proposed)
    told = told_items(comparison.programmes)
    for difference, choice in decided:
        await follow.carry_out(session, difference, choice, told, caller, settings, now)
        session.add(
            RestoreDecision(
                restore_id=restore.id,
                name=difference.name,
                choice=choice.value,
                title=difference.title,
            )
        )
    restore.accepted_at, restore.accepted_by = now, caller.account_id
    await _keep_what_is_known(session, restore, comparison)
    await _excuse(session, restore, settings, caller)
    await _issue_above(session, restore, now)
    await notify(session, Channel.DISPATCH)
    log.warning(
        "restore.accepted",
        by=caller.account_id,
        decisions={difference.name: choice.value for difference, choice in decided},
    )
    return restore


def _decided(
    comparison: Comparison, choices: Mapping[str, Choice], *, rest_as_proposed: bool
) -> list[tuple[Difference, Choice]]:
    known = {each.name: each for each in comparison.differences}
    for name, choice in choices.items():
        if name not in known:
            raise InvalidInput(name, "không có khác biệt này; hãy so sánh lại")
        if choice not in known[name].choices:
            possible = ", ".join(known[name].choices)
            raise InvalidInput(name, f"không chọn được {choice}; có thể chọn: {possible}")
    left = [name for name in known if name not in choices]
    if left and not rest_as_proposed:
        listed = ", ".join(left[:LISTED]) + ("…" if len(left) > LISTED else "")
        raise Conflict(
            f"Còn {len(left)} khác biệt chưa quyết định ({listed}); hãy chọn cho từng cái, hoặc"
            " đồng ý mọi đề xuất.",
            undecided=left,
        )
    return [(each, choices.get(name, each.choices[0])) for name, each in known.items()]


async def _keep_what_is_known(
    session: AsyncSession, restore: Restore, comparison: Comparison
) -> None:
    """Remember what the lost documents carried: evidence of plays that go on."""
    for each in comparison.programmes:
        session.add(
            ProgrammeRevision(
                scope=each.scope,
                revision=each.revision,
                issued_at=each.issued_at,
                published_at=each.issued_at,
                occurrence_ids=[UUID(item.occurrence_id) for item in each.items],
            )
        )
    if restore.found_at > restore.lost_since:
        await session.merge(LostSpan(since=restore.lost_since, until=restore.found_at))
    await session.flush()


async def _excuse(
    session: AsyncSession, restore: Restore, settings: config.Settings, caller: Caller
) -> None:
    """Declare the time that is lost, so that the indicators expect nothing of it.

    Its triggers have the plays of that time settled again, too.
    """
    if restore.found_at > restore.lost_since:
        session.add(
            Outage(
                kind=OutageKind.MAINTENANCE,
                cluster_id=None,
                area_code=settings.province,
                starts_at=restore.lost_since,
                ends_at=restore.found_at,
                document=f"Khôi phục dữ liệu số {restore.id}: mất bằng chứng",
                declared_by=caller.account_id,
            )
        )
        await session.flush()


async def _issue_above(session: AsyncSession, restore: Restore, now: datetime) -> None:
    """Have every document issued again, above what database, broker or a device holds of it."""
    above = await told_revisions(session, restore)
    latest = int((now + AHEAD).timestamp() * 1000)
    for name, revision in (await held_revisions(session)).items():
        if name in above and above[name] < revision <= latest:
            above[name] = revision
    await issue.issue_above(session, above, now)
