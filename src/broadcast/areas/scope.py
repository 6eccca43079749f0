"""Scope: the places where a caller may read, and those where he may change something.

A grant holds for its area and all below it on the day; without an area, for the whole province. An
area that was rearranged since it was granted gives nothing by itself: its holder goes on reading
what was his, and changes nothing, until a person confirms its successors
(docs/decisions/0050-scope-in-one-place.md).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol, cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.base import Executable, ExecutableOption

from broadcast.areas.model import Topology
from broadcast.areas.tree import DAY, Lineage
from broadcast.areas.units import load_lineage
from broadcast.audit import recording
from broadcast.auth.caller import Caller, HeldRole
from broadcast.auth.permissions import PERMISSIONS, Permission
from broadcast.kit import clock
from broadcast.kit.errors import BroadcastError, Forbidden, InvalidInput, NotFound
from broadcast.web.rest import LIMITED, unlimited

NOT_HERE = (
    "Tài khoản này không được làm việc này ở địa bàn đó; hãy nhờ người có vai trò ở địa bàn ấy."
)
WHOLE_PROVINCE = (
    "Việc này liên quan cả tỉnh nên cần vai trò ở cấp tỉnh; hãy nhờ người quản trị của tỉnh."
)

# --- the rule ------------------------------------------------------------------------------------


class Territory:
    """Every unit on record with the units above it on a day. Pure.

    A unit that has ended lies in what it surely became (`Lineage.certain_chain`).
    """

    def __init__(self, lineage: Lineage, on: date) -> None:
        self.lineage = lineage
        self.on = on
        tree = lineage.tree_on(on)
        self.chains = {
            code: frozenset(
                {code, *(unit.code for unit in (lineage.certain_chain(code, on)))}
                if code not in tree
                else {unit.code for unit in tree.chain(code)}
            )
            for code in lineage.codes()
        }
        """Each code with those of the units above it."""

    def inside(self, code: str) -> frozenset[str]:
        """A unit and everything that lies in it."""
        return frozenset({code, *(each for each, chain in self.chains.items() if code in chain)})

    def above(self, codes: Collection[str]) -> frozenset[str]:
        """Units in which some of these lie, without these."""
        return frozenset().union(*(self.chains.get(code, ()) for code in codes)).difference(codes)

    def stands(self, held: HeldRole) -> bool:
        """Tell whether the area of a role is still the unit that was granted."""
        code = held.area_code
        return code is None or self.lineage.is_same(code, held.meant_on or self.on, self.on)

    def kept(self, code: str, meant_on: date) -> Scope:
        """What lay in a unit when it was last the one that was granted, and above it.

        Without the codes that name something else, or something larger, by now.
        """
        days = self.lineage.changes(meant_on, self.on)
        end = next((day for day in days if not self.lineage.is_same(code, meant_on, day)), None)
        last = self.on if end is None else max(meant_on, end - DAY)
        before, today = self.lineage.tree_on(last), self.lineage.tree_on(self.on)

        def same(codes: Iterable[str]) -> frozenset[str]:
            return frozenset(
                each
                for each in codes
                if each not in today or self.lineage.is_same(each, last, self.on)
            )

        inside = {code, *(unit.code for unit in before.under(code))}
        return Scope(same(inside), same(unit.code for unit in before.chain(code)[1:]))


@dataclass(frozen=True, slots=True)
class Scope:
    """Places of a caller for one permission."""

    codes: frozenset[str] | None
    """Codes of units; None is the whole province."""
    above: frozenset[str] = frozenset()
    """Units in which these lie: what is meant for them is heard here too."""
    stock: bool = False
    """Devices that were never installed anywhere are seen."""

    @property
    def is_whole(self) -> bool:
        """It is the whole province."""
        return self.codes is None

    def __contains__(self, code: object) -> bool:
        return self.codes is None or code in self.codes


WHOLE = Scope(None, stock=True)
NOTHING = Scope(frozenset())


def _roles(caller: Caller, permission: Permission) -> Iterable[HeldRole]:
    if permission in caller.permissions:
        yield from (held for held in caller.roles if permission in PERMISSIONS[held.role])


def is_whole(caller: Caller, permission: Permission) -> bool:
    """Tell whether a caller has a permission in the whole province."""
    return any(held.area_code is None for held in _roles(caller, permission))


def readable(caller: Caller, permission: Permission, territory: Territory) -> Scope:
    """Places where a caller may read what a permission opens."""
    codes: set[str] = set()
    above: set[str] = set()
    for held in _roles(caller, permission):
        if held.area_code is None:
            return WHOLE
        if territory.stands(held):
            inside = territory.inside(held.area_code)
            codes |= inside
            above |= territory.above(inside)
        else:
            kept = territory.kept(held.area_code, held.meant_on or territory.on)
            codes |= kept.codes or frozenset()
            above |= kept.above
    stock = Permission.DEVICE_WRITE in caller.permissions
    return Scope(frozenset(codes), frozenset(above - codes), stock)


def changeable(caller: Caller, permission: Permission, territory: Territory) -> Scope:
    """Places where a caller may do what a permission allows."""
    codes: set[str] = set()
    for held in _roles(caller, permission):
        if held.area_code is None:
            return WHOLE
        if territory.stands(held):
            codes |= territory.inside(held.area_code)
    return Scope(frozenset(codes), stock=bool(codes))


# --- in a transaction ----------------------------------------------------------------------------

ASKED = "scope.asked"
"""Key of `session.info`: the places of a change were checked in this transaction."""
LIMITS = "scope.limits"
"""Key of `session.info`: `Limits` of the rows that exist (`broadcast.visibility`)."""
KEPT = "scope.territories"
"""Key of `session.info`: territories of this process."""


class Limit(Protocol):
    """Options by which a statement finds only what a caller may read."""

    def of(self, statement: Executable) -> Sequence[ExecutableOption]:
        """Those that a statement needs."""


Limits = Callable[[AsyncSession, Caller, Permission | None], Awaitable[Limit | None]]
"""Limits of a caller by a permission; None for everything."""


@asynccontextmanager
async def whole(session: AsyncSession) -> AsyncIterator[None]:
    """Let statements find everything, after the place that they speak of was checked."""
    limited = await unlimited(session)
    try:
        yield
    except BroadcastError:
        if limited is not None:
            await limited.impose(session)
        raise
    except BaseException:  # nobody goes on from these, and PostgreSQL may refuse all that follows
        session.info[LIMITED] = limited
        raise
    if limited is not None:
        await limited.impose(session)


class Territories:
    """The territory of a process and a database, read anew when the topology is touched."""

    def __init__(self) -> None:
        self._key: tuple[int | None, date] | None = None
        self._kept: Territory | None = None

    async def get(self, session: AsyncSession, on: date) -> Territory:
        """The territory of a day."""
        key = (await session.scalar(sa.select(Topology.revision)), on)
        if self._kept is None or self._key != key or key[0] is None:
            self._kept = Territory(await load_lineage(session), on)
            self._key = key
        return self._kept


async def territory_of(session: AsyncSession) -> Territory:
    """The territory of today."""
    kept = session.info.setdefault(KEPT, Territories())
    return await cast("Territories", kept).get(session, clock.today())


async def readable_scope(session: AsyncSession, caller: Caller, permission: Permission) -> Scope:
    """As `readable`, by the units of today."""
    if is_whole(caller, permission):
        return WHOLE
    if permission not in caller.permissions:
        return NOTHING
    return readable(caller, permission, await territory_of(session))


async def require(
    session: AsyncSession,
    caller: Caller,
    permission: Permission,
    codes: Iterable[str],
    thing: sa.Select[Any] | None = None,
    missing: BroadcastError | None = None,
) -> None:
    """Refuse a change in places of which not every one is the caller's.

    Args:
        session: Transaction in which the change is made.
        caller: Who makes it.
        permission: What it needs.
        codes: Units that it touches.
        thing: Finds what is to be changed, where an address names it.
        missing: Raised where the caller cannot even read that: as if there were none.

    Raises:
        Forbidden: The caller has not got the permission in every one of these places.
        BroadcastError: `missing`.
    """
    session.info[ASKED] = True
    places = set(codes)
    recording.concern(session, *sorted(places))
    if is_whole(caller, permission):
        return
    changing = changeable(caller, permission, await territory_of(session))
    if places and all(place in changing for place in places):
        return
    if thing is not None and missing is not None:
        await require_visible(session, caller, reading_of(permission), thing, missing)
    raise Forbidden(NOT_HERE)


async def require_visible(
    session: AsyncSession,
    caller: Caller,
    permission: Permission,
    thing: sa.Select[Any],
    missing: BroadcastError,
) -> None:
    """Refuse what a caller may not read, in a transaction that finds everything.

    Raises:
        BroadcastError: `missing`.
    """
    if is_whole(caller, permission):
        return
    limits: Limits | None = session.info.get(LIMITS)
    limit = None if limits is None else await limits(session, caller, permission)
    if limit is not None:
        thing = thing.options(*limit.of(thing))
    if (await session.execute(thing.limit(1))).first() is None:
        raise missing


async def require_somewhere(session: AsyncSession, caller: Caller, permission: Permission) -> None:
    """Refuse what has no place yet to who has the permission in no area of today.

    Raises:
        Forbidden: So it is.
    """
    session.info[ASKED] = True
    if not is_whole(caller, permission) and not (
        changeable(caller, permission, await territory_of(session)).codes
    ):
        raise Forbidden(NOT_HERE)


async def permissions_at(
    session: AsyncSession, caller: Caller, code: str
) -> frozenset[Permission]:
    """Everything that a caller may do in a unit of today."""
    if all(held.area_code is None for held in caller.roles):
        return caller.permissions
    territory = await territory_of(session)
    return frozenset(
        each for each in caller.permissions if code in changeable(caller, each, territory)
    )


def require_whole(session: AsyncSession, caller: Caller, permission: Permission) -> None:
    """Refuse what concerns the whole province to who has the permission only in a part of it.

    Raises:
        Forbidden: So it is.
    """
    session.info[ASKED] = True
    if not is_whole(caller, permission):
        raise Forbidden(WHOLE_PROVINCE)


_CONTENT = frozenset(
    {
        Permission.CONTENT_READ,
        Permission.BULLETIN_WRITE,
        Permission.BULLETIN_APPROVE,
        Permission.SCHEDULE_WRITE,
        Permission.EMERGENCY_PROPOSE,
        Permission.EMERGENCY_WRITE,
        Permission.EMERGENCY_ALONE,
    }
)


def reading_of(permission: Permission) -> Permission:
    """The permission to read what another one changes."""
    return Permission.CONTENT_READ if permission in _CONTENT else Permission.READ


async def require_heard(
    session: AsyncSession, caller: Caller, permission: Permission, code: str
) -> None:
    """Refuse what belongs to the station of a unit that nobody in the caller's places hears.

    Raises:
        NotFound: So it is.
    """
    found = await readable_scope(session, caller, permission)
    if code not in found and code not in found.above:
        raise NotFound(f"Đơn vị “{code}” không thuộc địa bàn của tài khoản này.")


async def default_unit(session: AsyncSession, caller: Caller, province: str) -> str:
    """The unit whose figures a caller means who names none: the province, or his only area.

    Raises:
        InvalidInput: He has several.
    """
    if is_whole(caller, Permission.READ):
        return province
    areas = {held.area_code for held in _roles(caller, Permission.READ)}
    if len(areas) != 1:
        raise InvalidInput("scope", "tài khoản này có nhiều địa bàn; hãy ghi mã của một")
    (area,) = areas
    assert area is not None
    return area


async def require_readable_unit(
    session: AsyncSession, caller: Caller, permission: Permission, code: str, on: date
) -> None:
    """Refuse figures of a unit of a day that is not the caller's to read.

    Raises:
        NotFound: So it is.
    """
    if is_whole(caller, permission):
        return
    territory = await territory_of(session)
    scope = readable(caller, permission, territory)
    heirs = territory.lineage.successors(code, on, territory.on) if on <= territory.on else []
    if heirs and all(heir.code in scope for heir in heirs):
        return
    if code in scope and territory.lineage.unit(code, territory.on) is None:
        return
    raise NotFound(f"Không có số liệu của đơn vị “{code}” trong địa bàn của tài khoản này.")
