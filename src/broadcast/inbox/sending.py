"""Sending a bulletin from above to communes, or to single villages of theirs.

It is there to be picked, or with priority to be placed.

What is to be placed is only marked here: the leader places it (`placement`), one commune after the
other, since each placement asks all checks of a schedule.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID, uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.model import Level
from broadcast.areas.tree import Tree
from broadcast.areas.units import load_tree, require_unit
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.inbox import items
from broadcast.inbox.model import InboxItem
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.kit.notify import Channel, notify
from broadcast.schedules import authority, planning
from broadcast.wire.fields import BulletinClass

log = structlog.get_logger()

LONGEST_USE = timedelta(days=366)


async def send(
    session: AsyncSession,
    bulletin_id: UUID,
    areas: Sequence[str],
    useful_until: datetime,
    caller: Caller,
    now: datetime,
) -> list[InboxItem]:
    """Send an approved bulletin to every commune of some areas, or to some villages only.

    A normal one waits in each inbox; one of class priority to be placed. A commune that has it
    already keeps it, without an answer yet with the later of the two ends of use, and for the
    villages of both.

    Args:
        session: Open transaction.
        bulletin_id: What is sent; of a station above the communes.
        areas: The province, districts, communes or villages.
        useful_until: Nothing of it starts later.
        caller: Who sends it.
        now: Present.

    Returns:
        The items of all these communes, by commune.

    Raises:
        NotFound: There is no such bulletin.
        Conflict: It is not approved; or a commune has answered for other villages already.
        Forbidden: The caller may not schedule at its station, or in one of these communes.
        InvalidInput: It is of a commune or an emergency; or an area; or the end of its use.
    """
    bulletin, _ = await planning.require_approved_revision(session, bulletin_id, None, caller, now)
    on = now.astimezone(LOCAL).date()
    tree = await load_tree(session, on)
    communes = await _communes(session, tree, areas, on)
    await scope.require(
        session, caller, Permission.SCHEDULE_WRITE, [bulletin.area_code, *communes]
    )
    if bulletin.class_ is BulletinClass.EMERGENCY:
        raise InvalidInput(
            "bulletin_id", "bản tin khẩn cấp phát ngay, không qua hộp tin; hãy xếp lịch phát"
        )
    if await authority.level_of(session, bulletin) not in authority.ABOVE:
        raise InvalidInput("bulletin_id", "là bản tin của xã; hãy xếp lịch phát ở xã đó")
    if not now < useful_until <= now + LONGEST_USE:
        raise InvalidInput("useful_until", "phải ở tương lai, trong vòng một năm")
    known = await items.of_bulletin(session, bulletin_id, communes)
    for each in known:
        wanted = communes[each.commune_code]
        if each.answer is None:
            each.useful_until = max(each.useful_until, useful_until)
            each.villages = sorted({*each.villages, *wanted}) if each.villages and wanted else []
        elif each.villages and not (wanted and wanted <= {*each.villages}):
            raise Conflict(
                f"{tree[each.commune_code].name} đã trả lời bản tin này cho một số thôn; muốn phát"
                " ở thôn khác, hãy tạo bản tin mới."
            )
    sent = [
        InboxItem(
            id=uuid4(), bulletin_id=bulletin_id, commune_code=code, meant_on=on,
            useful_until=useful_until, sent_by=caller.account_id, sent_at=now, answer=None,
            reason="", schedule_id=None, to_place=bulletin.class_ is BulletinClass.PRIORITY,
            villages=sorted(villages),
        )
        for code, villages in communes.items()
        if code not in {each.commune_code for each in known}
    ]  # fmt: skip
    session.add_all(sent)
    await session.flush()
    if any(each.to_place for each in sent):
        await notify(session, Channel.INBOX)
    log.info(
        "inbox.bulletin.sent", bulletin_id=str(bulletin_id), communes=len(sent),
        by=caller.account_id,
    )  # fmt: skip
    return sorted([*known, *sent], key=lambda each: each.commune_code)


async def _communes(
    session: AsyncSession, tree: Tree, areas: Iterable[str], on: date
) -> dict[str, frozenset[str]]:
    """Communes of some areas, each with the villages that are named; none: all of it."""
    whole: set[str] = set()
    some: defaultdict[str, set[str]] = defaultdict(set)
    for index, code in enumerate(areas):
        await require_unit(session, f"areas.{index}", code, on)
        inside = communes_of(tree, code)
        whole |= inside
        if tree[code].level is Level.VILLAGE:
            inside = {each.code for each in tree.chain(code) if tree.takes_villages(each.code)}
            for commune in inside:
                some[commune].add(code)
        if not inside:
            raise InvalidInput(f"areas.{index}", "không phải thôn, xã hay đơn vị có xã")
    return {
        code: frozenset(() if code in whole else some[code]) for code in sorted(whole | {*some})
    }


def communes_of(tree: Tree, code: str) -> set[str]:
    """Units with a station of their own in a unit: communes, and districts that have none."""
    return {
        unit.code for unit in (tree[code], *tree.under(code)) if tree.takes_villages(unit.code)
    }
