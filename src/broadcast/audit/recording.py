"""What a transaction changes, gathered while it runs and written as one entry before its commit.

Whoever opens the transaction of a request or a command begins a `Record`; what the session writes
is seen by itself (SQLAlchemy's unit of work). Code that changes rows by statements of its own, or
knows more than the rows say, tells so: `change`, `say`, `concern`. Without a record, as in work
that the server does by itself, these do nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState, Session, SessionTransaction

from broadcast.audit.entry import (
    HIDDEN,
    MOST_AGENT,
    MOST_OBJECT,
    MOST_OBJECTS,
    Change,
    Entry,
    Origin,
    Outcome,
    Who,
    columns,
    encode,
    is_secret,
    plain,
)
from broadcast.audit.model import AuditEntry
from broadcast.kit.db import Base

_RECORD = "audit_record"
"""Under which a session knows its record."""

AREA_COLUMNS = ("area_code", "commune_code", "village_code")
"""Columns whose value is the unit that a row concerns."""

NOBODY = Who("(chưa rõ)")
"""A request without a caller."""


class Record:
    """The entry of a request or a command, in the making.

    Attributes:
        action: Method and path, or the command.
        title: The same for people.
        object: Address that was asked for.
        origin: From where.
        who: Who; set once that is known.
        is_settled: Whether it has been written, or needs not be.
    """

    def __init__(
        self, action: str, title: str = "", object_: str = "", origin: Origin | None = None
    ) -> None:
        self.action = action
        self.title = title
        self.object = printable(object_, MOST_OBJECT)
        self.origin = origin or Origin()
        self.who = NOBODY
        self.is_settled = False
        self._changes: list[Change] = []
        self._areas: dict[str, None] = {}
        self._details: dict[str, Any] = {}
        self._savepoints: dict[SessionTransaction, int] = {}

    def begin(self, session: AsyncSession) -> None:
        """Watch a session until its end."""
        session.info[_RECORD] = self
        watched = session.sync_session
        event.listen(watched, "after_flush", self._flushed)
        event.listen(watched, "after_transaction_create", self._began)
        event.listen(watched, "after_soft_rollback", self._rolled_back)

    def skip(self) -> None:
        """Write nothing: what was asked for changes nothing."""
        self.is_settled = True

    async def write(self, session: AsyncSession, now: datetime) -> None:
        """Add the entry to the transaction, once; the last thing before its commit."""
        if self.is_settled:
            return
        await session.flush()
        self.is_settled = True
        await add(session, self._entry(now))

    def add_change(self, changed: Change) -> None:
        """Add a change, and what units it concerns."""
        self._changes.append(changed)
        for values in (changed.before, changed.after):
            self._concern(values or {})

    def _concern(self, values: Mapping[str, Any]) -> None:
        if len(self._areas) < MOST_OBJECTS:
            self._areas |= dict.fromkeys(_areas_in(values))

    def _entry(self, now: datetime) -> Entry:
        return Entry(
            at=now,
            who=self.who,
            origin=self.origin,
            outcome=Outcome.DONE,
            action=self.action,
            title=self.title,
            object=self.object,
            areas=tuple(self._areas),
            changes=tuple(_joined(self._changes)),
            details=self._details,
        )

    # --- what the session says -----------------------------------------------------------------

    def _flushed(self, session: Session, _: object) -> None:
        for row in session.new:
            self._note(row, None, _values(row))
        for row in session.deleted:
            self._note(row, _values(row), None)
        for row in session.dirty:
            before, after = _difference(row)
            if after:
                self._note(row, before, after)

    def _note(
        self, row: object, before: dict[str, Any] | None, after: dict[str, Any] | None
    ) -> None:
        assert isinstance(row, Base)
        if row.is_recorded:
            self._concern(_values(row))  # what stays the same tells of the unit, too
            self.add_change(
                Change(
                    row.__tablename__,
                    _key(row),
                    None if before is None else plain(before),
                    None if after is None else plain(after),
                )
            )

    def _began(self, _: Session, transaction: SessionTransaction) -> None:
        if transaction.nested:
            self._savepoints[transaction] = len(self._changes)

    def _rolled_back(self, _: Session, transaction: SessionTransaction) -> None:
        length = self._savepoints.pop(transaction, None)
        if length is not None:
            del self._changes[length:]


async def add(session: AsyncSession, entry: Entry) -> None:
    """Add an entry to a transaction; PostgreSQL chains it at the commit."""
    await session.execute(sa.insert(AuditEntry), {"entry": encode(entry), **columns(entry)})


def change(
    session: AsyncSession,
    kind: str,
    key: object,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    """Tell the audit of a change that the session does not see: by a statement, or outside.

    Args:
        session: Of the transaction.
        kind: Table, or what it is.
        key: Of the row.
        before: Its values; None where it did not exist.
        after: Its values; None where it does not exist any more.
    """
    record = of(session)
    if record is not None:
        named = printable(str(key), MOST_OBJECT)
        was, is_ = (None if each is None else plain(each) for each in (before, after))
        record.add_change(Change(kind, named, was, is_))


def say(session: AsyncSession, **details: Any) -> None:
    """Tell the audit what else there is to say of what is being done; texts are kept whole."""
    record = of(session)
    if record is not None:
        record._details |= plain(details, longest=None)  # noqa: SLF001  of this module


def concern(session: AsyncSession, *areas: str) -> None:
    """Tell the audit which units it concerns, where the rows themselves do not name them."""
    record = of(session)
    if record is not None and len(record._areas) < MOST_OBJECTS:  # noqa: SLF001  of this module
        record._areas |= dict.fromkeys(areas)  # noqa: SLF001


def skip(session: AsyncSession) -> None:
    """Tell the audit that what was asked for changes nothing: a preview, a trial of an import."""
    record = of(session)
    if record is not None:
        record.skip()


def of(session: AsyncSession) -> Record | None:
    """The record of a session, if it has one."""
    record: Record | None = session.info.get(_RECORD)
    return record


# --- rows --------------------------------------------------------------------------------------


def _state(row: object) -> InstanceState[Any]:
    state: InstanceState[Any] = sa.inspect(row)
    return state


def _key(row: object) -> str:
    mapper = _state(row).mapper
    values = zip(mapper.primary_key, mapper.primary_key_from_instance(row), strict=True)
    shown = (HIDDEN if is_secret(column.name) else str(value) for column, value in values)
    return printable(" ".join(shown), MOST_OBJECT)


def _values(row: object) -> dict[str, Any]:
    """What is known of a row; nothing is loaded for it."""
    state = _state(row)
    found = {}
    for attribute in state.mapper.column_attrs:
        value = state.dict.get(attribute.key)
        if value is not None:
            found[attribute.columns[0].name] = value
    return found


def _difference(row: object) -> tuple[dict[str, Any], dict[str, Any]]:
    before, after = {}, {}
    state = _state(row)
    for attribute in state.mapper.column_attrs:
        history = state.attrs[attribute.key].history
        if history.has_changes():
            name = attribute.columns[0].name
            before[name] = history.deleted[0] if history.deleted else None
            after[name] = history.added[0] if history.added else None
    return before, after


def _joined(changes: Sequence[Change]) -> Iterator[Change]:
    """One change for each thing: as it was first and as it is last."""
    by_key: dict[tuple[str, str], Change] = {}
    for each in changes:
        earlier = by_key.get((each.kind, each.key))
        by_key[each.kind, each.key] = each if earlier is None else _after(earlier, each)
    return (each for each in by_key.values() if each.before is not None or each.after is not None)


def _after(earlier: Change, later: Change) -> Change:
    is_new, is_gone = earlier.before is None, later.after is None
    return Change(
        later.kind,
        later.key,
        None if is_new else {**(later.before or {}), **(earlier.before or {})},
        None if is_gone else {**(earlier.after or {}), **(later.after or {})},
    )


def _areas_in(values: Mapping[str, Any]) -> Iterator[str]:
    for name in AREA_COLUMNS:
        if isinstance(values.get(name), str):
            yield values[name]
    targets = values.get("targets")
    for target in targets if isinstance(targets, list) else ():
        if isinstance(target, dict) and isinstance(target.get("area"), str):
            yield target["area"]


def printable(text: str, at_most: int) -> str:
    """A text of somebody else's as it can be stored: without control characters, bounded."""
    kept = text[:at_most].encode("utf-8", "replace").decode()
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in kept
    )


def origin(address: str, agent: str) -> Origin:
    """Where a request came from, bounded."""
    return Origin(printable(address, MOST_OBJECT), printable(agent, MOST_AGENT))
