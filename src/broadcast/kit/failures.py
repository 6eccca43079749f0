"""Failed work of the server's steps: set aside, reported, and tried again; the rest goes on.

No row may stop a role. Work on many rows is done together; when that fails, each half by itself,
down to the one row that cannot be worked on. It is set aside under its name, tried again after a
while that doubles, and shown by `/readyz` until it has been done. A step that fails as a whole is
recorded under no name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.kit import db
from broadcast.kit.errors import Unavailable

log = structlog.get_logger()

SET_ASIDE = Counter(
    "broadcast_rows_set_aside", "Attempts at a single row that failed, by step", ["step"]
)

FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=5), timedelta(minutes=10)
"""After the first failure, and at most; the time doubles in between."""

GONE_AFTER = timedelta(hours=1)
"""What is due for so long and was not tried again is not there any more."""

LONGEST_ERROR = 500

T = TypeVar("T")


class Failure(db.Base):
    """A row that a step could not work on, or a step that failed as a whole."""

    __tablename__ = "failures"

    step: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    """Name of the row; empty for the whole step."""
    error: Mapped[str]
    failed_since: Mapped[datetime]
    failed_at: Mapped[datetime]
    attempts: Mapped[int]
    retry_at: Mapped[datetime]


def is_away(error: Exception) -> bool:
    """Tell whether database, broker or disk is away, rather than a row at fault.

    A statement that ran into its timeout, or grew beyond a limit of PostgreSQL, may have done so
    because of one row: alone it is set aside, and tried again all the same.
    """
    if isinstance(error, DBAPIError):
        state = db.sqlstate(error) or ""
        return db.is_outage(error) and state != db.QUERY_CANCELED and state[:2] != "54"
    return isinstance(error, Unavailable) or db.is_outage(error)


async def waiting(session: AsyncSession, step: str, now: datetime) -> set[str]:
    """Names of what is set aside and not to be tried yet; the whole step has none."""
    rows = sa.select(Failure.subject).where(
        Failure.step == step, _waits(now), Failure.subject != ""
    )
    return set(await session.scalars(rows))


async def steps(session: AsyncSession) -> set[str]:
    """Steps of which anything is set aside."""
    return set(await session.scalars(sa.select(Failure.step).distinct()))


async def known(session: AsyncSession, of: Iterable[str]) -> dict[str, set[str]]:
    """Names of what is set aside, for each of these steps."""
    named: dict[str, set[str]] = {step: set() for step in of}
    rows = sa.select(Failure.step, Failure.subject).where(Failure.step.in_(named))
    for step, subject in await session.execute(rows):
        named[step].add(subject)
    return named


async def due(session: AsyncSession, step: str, now: datetime) -> list[str]:
    """Names of what was set aside and is to be tried again."""
    rows = sa.select(Failure.subject).where(
        Failure.step == step, sa.not_(_waits(now)), Failure.subject != ""
    )
    return list(await session.scalars(rows.order_by(Failure.retry_at)))


def _waits(now: datetime) -> sa.ColumnElement[bool]:
    # A date further ahead is of a clock that was set back since.
    return Failure.retry_at.between(now + timedelta(microseconds=1), now + LONGEST_RETRY)


async def one_by_one(
    engine: AsyncEngine,
    step: str,
    rows: Sequence[T],
    name: Callable[[T], str],
    work: Callable[[AsyncSession, Sequence[T]], Awaitable[object]],
    now: datetime,
) -> None:
    """Work on rows in one transaction; when it fails, find those that fail and set them aside.

    Args:
        engine: Where the transactions are.
        step: Name of the step.
        rows: What to work on.
        name: What a row is called in the records; the same at every attempt.
        work: Works on some of the rows, in the transaction given.
        now: The present.

    Raises:
        Exception: Database, broker or disk is away: no row is at fault.
    """
    if not rows:
        return
    known: set[str] = set()
    try:
        # One transaction for the ordinary case, in which nothing is set aside and nothing fails.
        async with db.transaction(engine) as session:
            known = set(await session.scalars(names(step)))
            if known.isdisjoint(map(name, rows)):
                await work(session, rows)
                return
    except Exception as error:
        if is_away(error):
            raise
    whole = [row for row in rows if name(row) not in known]
    stack = [*([row] for row in rows if name(row) in known), *([whole] if whole else ())]
    while stack:
        some = stack.pop()
        try:
            async with db.transaction(engine) as session:
                await work(session, some)
                await forget(session, step, known & {name(row) for row in some})
        except Exception as error:
            if is_away(error):
                raise
            if len(some) > 1:
                middle = len(some) // 2
                stack += [some[middle:], some[:middle]]
                continue
            async with db.transaction(engine) as session:
                await record(session, step, name(some[0]), error, now)


def names(step: str) -> sa.Select[str]:
    """Query of the names of what is set aside."""
    return sa.select(Failure.subject).where(Failure.step == step)


async def record(
    session: AsyncSession, step: str, subject: str, error: Exception, now: datetime
) -> None:
    """Note that a step failed at a row, or (`subject` empty) as a whole."""
    stored = await session.get(Failure, (step, subject))
    attempts = 1 if stored is None else stored.attempts + 1
    said = f"{type(error).__name__}: {db.brief(error)}" if not str(error) else db.brief(error)
    values = {
        "error": said.replace("\0", "")[:LONGEST_ERROR],
        "failed_at": now,
        "attempts": attempts,
        "retry_at": now + min(FIRST_RETRY * 2 ** min(attempts - 1, 20), LONGEST_RETRY),
    }
    statement = insert(Failure).values(step=step, subject=subject, failed_since=now, **values)
    await session.execute(
        statement.on_conflict_do_update(index_elements=["step", "subject"], set_=values)
    )
    if subject:
        SET_ASIDE.labels(step).inc()
    if stored is None:
        log.error("failures.recorded", step=step, subject=subject, exc_info=error)


async def forget(session: AsyncSession, step: str, subjects: Collection[str]) -> None:
    """Note that what was set aside has been done."""
    if not subjects:
        return
    gone = await session.scalars(
        sa.delete(Failure)
        .where(Failure.step == step, Failure.subject.in_(subjects))
        .returning(Failure.subject)
    )
    if recovered := sorted(gone):
        log.info("failures.recovered", step=step, subjects=recovered[:20])


async def forget_steps(session: AsyncSession) -> None:
    """Drop what is recorded of whole steps: who begins to lead will see for itself."""
    await session.execute(sa.delete(Failure).where(Failure.subject == ""))


async def forget_gone(session: AsyncSession, now: datetime) -> None:
    """Drop records of rows that are not there any more: nobody has tried them again."""
    await session.execute(sa.delete(Failure).where(Failure.retry_at < now - GONE_AFTER))
