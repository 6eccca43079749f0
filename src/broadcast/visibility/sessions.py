"""Transactions of requests that find nothing outside the caller's places.

Nothing has to be remembered by a route: `limit` is done for every transaction of a request, and
what it could not limit is refused. A reading request finds only rows of its caller's scope; raw
SQL is refused there until the place was checked (`areas.scope.whole`); the database holds the same
limits, for what gets past these (`row_security.py`). A changing one finds all, because its checks
need all, and writes nothing before `areas.scope.require` was asked.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import structlog
from fastapi import Request
from sqlalchemy import Table, event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction, with_loader_criteria
from sqlalchemy.sql.base import Executable, ExecutableOption
from sqlalchemy.sql.visitors import ExternallyTraversible, iterate

from broadcast.areas import scope
from broadcast.areas.model import Area, AreaLineage, RegisteredVillage
from broadcast.audit.model import AuditEntry
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.kit import clock
from broadcast.schedules import targets
from broadcast.visibility import row_security
from broadcast.visibility.rows import PLACED, Bounds, Places
from broadcast.web.rest import LIMITED

log = structlog.get_logger()

GUARDED = frozenset({*PLACED, Area, AreaLineage, RegisteredVillage}) - {AuditEntry}
"""What no request changes before its places were checked."""

_CALLER = "visibility.caller"
"""Key of `session.info`: a changing request's caller."""

_MODELS = {model.__tablename__: model for model in PLACED}


class Within(NamedTuple):
    """A scope on a day."""

    scope: scope.Scope
    on: date


class Limits:
    """Limits of a transaction: options by which statements find only what lies in some places.

    Each is made when a statement first names its table: to give every statement all of them
    would cost more than the statement.
    """

    def __init__(
        self, bounds: Bounds, *, with_row_security: bool = False, within: Within | None = None
    ) -> None:
        """Set limits.

        Args:
            bounds: What lies within.
            with_row_security: The database has the same limits in force (`row_security.missing`).
            within: What the bounds were made of.
        """
        self.within = within
        self._bounds = bounds
        self._with_row_security = with_row_security
        self._places = Places(bounds)
        self._made: dict[str, ExecutableOption] = {}

    async def impose(self, session: AsyncSession) -> None:
        """Limit a transaction, until its end or `lift`."""
        if self._with_row_security:
            await row_security.impose(session, self._bounds)
        session.info[LIMITED] = self

    async def lift(self, session: AsyncSession) -> None:
        """Let the transaction find everything."""
        del session.info[LIMITED]
        if self._with_row_security:
            await row_security.lift(session)

    def of(self, statement: Executable) -> list[ExecutableOption]:
        """Those of the tables that a statement names, at any depth."""
        assert isinstance(statement, ExternallyTraversible)
        named = {each.name for each in iterate(statement) if isinstance(each, Table)}
        return [self._option(name) for name in sorted(named & _MODELS.keys())]

    def _option(self, table: str) -> ExecutableOption:
        if table not in self._made:
            model = _MODELS[table]
            condition = PLACED[model](self._places)
            self._made[table] = with_loader_criteria(model, condition, include_aliases=True)
        return self._made[table]


async def limits(
    session: AsyncSession,
    caller: Caller,
    permission: Permission | None,
    *,
    with_row_security: bool = False,
) -> Limits | None:
    """Limits of what a caller may read by a permission; None for everything."""
    found = (
        scope.NOTHING
        if permission is None
        else await scope.readable_scope(session, caller, permission)
    )
    if found.is_whole:
        return None
    place = Within(found, clock.today())
    return Limits(Bounds.of(*place), with_row_security=with_row_security, within=place)


def within(session: AsyncSession) -> Within | None:
    """What a reading transaction of a request finds; None: everything.

    Two transactions within the same find the same rows: their bounds are made of it.
    """
    limits: Limits | None = session.info.get(LIMITED)
    if limits is None:
        return None
    assert limits.within is not None
    return limits.within


async def limit(request: Request, session: AsyncSession) -> None:
    """Limit a transaction of a request to what its caller may read or change.

    Paths without a caller (`auth.caller.OPEN`) speak of no place.
    """
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        return
    session.info[scope.KEPT] = _territories(request)
    session.info[targets.KEPT] = _days(request)
    if request.method in {"GET", "HEAD"}:
        permission: Permission | None = getattr(request.state, "permission", None)
        in_force = await _row_security(request, session)
        found = await limits(session, caller, permission, with_row_security=in_force)
        if found is not None:
            await found.impose(session)
    else:
        session.info[scope.LIMITS] = limits
        session.info[_CALLER] = caller


async def _row_security(request: Request, session: AsyncSession) -> bool:
    """Tell whether the database has it in force; it is asked once by each process."""
    state = request.app.state
    if not hasattr(state, "row_security"):
        missing = await row_security.missing(await session.connection())
        if missing is not None:
            log.warning("visibility.row_security.off", missing=missing)
        state.row_security = missing is None
    found: bool = state.row_security
    return found


def _territories(request: Request) -> scope.Territories:
    """Those of this process, made for the first request."""
    state = request.app.state
    if not hasattr(state, "territories"):
        state.territories = scope.Territories()
    kept: scope.Territories = state.territories
    return kept


def _days(request: Request) -> targets.Days:
    """Those of this process, made for the first request."""
    state = request.app.state
    if not hasattr(state, "target_days"):
        state.target_days = targets.Days()
    kept: targets.Days = state.target_days
    return kept


@event.listens_for(Session, "do_orm_execute")
def _limit_statement(state: ORMExecuteState) -> None:
    limits: Limits | None = state.session.info.get(LIMITED)
    if limits is not None:
        if not state.is_orm_statement or not state.is_select:
            raise RuntimeError("a statement that no scope limits; see areas.scope.whole")
        if not state.is_column_load:
            state.statement = state.statement.options(*limits.of(state.statement))
    elif _CALLER in state.session.info and (state.is_insert or state.is_update or state.is_delete):
        mapper = state.bind_mapper
        if mapper is not None:
            _require_asked(state.session, mapper.class_)


@event.listens_for(Session, "before_flush")
def _check_changes(session: Session, _: UOWTransaction, __: object) -> None:
    if _CALLER in session.info and scope.ASKED not in session.info:
        for row in (*session.new, *session.dirty, *session.deleted):
            _require_asked(session, type(row))


def _require_asked(session: Session, model: type) -> None:
    if scope.ASKED not in session.info and model in GUARDED:
        raise RuntimeError(f"{model.__name__} is changed before areas.scope.require was asked")
