"""Imports that are being read or stored: how many rows are done, also for who left the page.

Kept in this process: the import itself is one transaction of it, and ends with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, cast

from fastapi import Depends, Request

from broadcast.auth.caller import CallerDep
from broadcast.kit import clock
from broadcast.kit.errors import BroadcastError, Conflict
from broadcast.kit.progress import Progress, counted
from broadcast.kit.sheets import Report

KEPT = timedelta(hours=1)
"""How long it is told what became of one."""

UNTOLD = "Chưa ghi được gì; hãy xem trước lại rồi ghi lại."


@dataclass
class UnderWay:
    """An import of somebody, and what became of it."""

    began_at: datetime
    progress: Progress
    report: Report | None = None
    problem: str | None = None
    is_over: bool = False


class Imports:
    """The newest import of each account and kind."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, str], UnderWay] = {}
        self._read: dict[tuple[int, str], Progress] = {}

    def get(self, account_id: int, kind: str, now: datetime) -> UnderWay | None:
        """The one that somebody began last; of one that is over, for a while."""
        for key, each in list(self._found.items()):
            if each.is_over and now - each.began_at > KEPT:
                del self._found[key]
        return self._found.get((account_id, kind))

    def require_none(self, account_id: int, kind: str, now: datetime) -> None:
        """Refuse a second one at a time.

        Raises:
            Conflict: The same account is storing one of this kind.
        """
        before = self.get(account_id, kind, now)
        if before is not None and not before.is_over:
            raise Conflict("Lần nhập trước của bạn còn đang ghi; hãy chờ xong rồi xem trước lại.")

    def begin(self, account_id: int, kind: str, rows: int, now: datetime) -> UnderWay:
        """Remember a new one.

        Raises:
            Conflict: As `require_none`.
        """
        self.require_none(account_id, kind, now)
        this = self._found[account_id, kind] = UnderWay(now, Progress(rows))
        return this

    @contextmanager
    def reading(self, account_id: int, kind: str, rows: int) -> Iterator[None]:
        """Count the rows of a preview; of several at a time the newest is told."""
        key, progress = (account_id, kind), Progress(rows)
        self._read[key] = progress
        try:
            with counted(progress):
                yield
        finally:
            if self._read.get(key) is progress:
                del self._read[key]

    def read(self, account_id: int, kind: str) -> Progress | None:
        """How far somebody's preview is that goes on."""
        return self._read.get((account_id, kind))


def imports_of(request: Request) -> Imports:
    """The imports of this process."""
    state = request.app.state
    if not hasattr(state, "imports"):
        state.imports = Imports()
    return cast("Imports", state.imports)


ImportsDep = Annotated[Imports, Depends(imports_of)]


class Storing:
    """The import that a request stores, once it has begun."""

    def __init__(self, imports: Imports) -> None:
        self._imports = imports
        self._this: UnderWay | None = None

    def begin(self, account_id: int, kind: str, rows: int, now: datetime) -> UnderWay:
        """As `Imports.begin`."""
        self._this = self._imports.begin(account_id, kind, rows, now)
        return self._this

    def end(self, problem: str | None) -> None:
        """Its transaction is over, for good or ill."""
        if self._this is not None:
            self._this.problem, self._this.is_over = problem, True


async def _storing(
    request: Request, caller: CallerDep, imports: ImportsDep
) -> AsyncIterator[Storing]:
    # Before the transaction, which waits for the other one's.
    imports.require_none(caller.account_id, str(request.path_params.get("kind")), clock.now())
    storing = Storing(imports)
    try:
        yield storing
    except BroadcastError as error:
        storing.end(error.detail)
        raise
    except BaseException:
        storing.end(UNTOLD)
        raise
    storing.end(None)


StoringDep = Annotated[Storing, Depends(_storing, scope="function")]
"""Asked for before `Session`, so that it ends after the commit."""
