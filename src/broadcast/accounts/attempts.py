"""Attempts to sign in, counted before they are looked at: a thousand at once are a thousand.

By login in the database, so that all processes know; by network in the memory of each. In a
transaction of their own: a refusal rolls its request back, and must not be forgotten with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.accounts import lockout
from broadcast.accounts.lockout import LOGIN, PAIR, Failures, Networks
from broadcast.accounts.model import SignInFailures
from broadcast.accounts.second_factor import CodeRequired
from broadcast.auth.caller import digest
from broadcast.auth.model import Account
from broadcast.auth.session import AccountSession
from broadcast.kit import db
from broadcast.kit.errors import TooManyRequests, Unauthenticated

REFUSED = Counter(
    "broadcast_sign_in_refused", "Attempts to sign in that failed or had to wait", ["reason"]
)

KNOWN_FOR = timedelta(days=90)
"""For which a network from which somebody has signed in is known as theirs."""


@asynccontextmanager
async def attempt(
    engine: AsyncEngine,
    session: AsyncSession,
    networks: Networks,
    network: str,
    now: datetime,
    login: str | None = None,
) -> AsyncIterator[None]:
    """An attempt, which the block makes; it has failed if the block says 401.

    Where the password is right and a code is asked for it has not: as if there had been none.

    Args:
        engine: For the counts of what has failed.
        session: Transaction of what the attempt is for.
        networks: Counts of this process.
        network: Where it comes from.
        now: Time of the attempt.
        login: For whom; None where a long secret is asked for, which nobody guesses.

    Raises:
        TooManyRequests: There were too many; this one is not counted.
    """
    _refuse_until(networks.wait_until(network, now), now)
    counted: _Counted = {}
    if login is not None:
        async with db.transaction(engine) as counting:
            until, counted = await _begin(counting, login, network, now)
        _refuse_until(until, now)
    before = networks.begin(network, now)
    try:
        yield
    except CodeRequired:
        networks.take_back(network, before, now)
        if login is not None:
            async with db.transaction(engine) as counting:
                await _take_back(counting, login, network, counted, now)
        raise
    except Unauthenticated:
        REFUSED.labels("failed").inc()
        raise
    except BaseException:
        networks.take_back(network, before, now)  # nobody has guessed anything
        raise
    networks.take_back(network, before, now)
    if login is not None:
        await _succeeded(session, login, network)


def _refuse_until(until: datetime | None, now: datetime) -> None:
    if until is None:
        return
    REFUSED.labels("waiting").inc()
    seconds = (until - now).total_seconds()
    raise TooManyRequests(
        f"Sai quá nhiều lần; hãy chờ {max(1, round(seconds))} giây rồi thử lại. Nếu quên mật khẩu,"
        " hãy nhờ quản trị cấp liên kết đặt lại.",
        seconds,
    )


_Counted = dict[str, Failures]
"""Counts by network, as in `SignInFailures`."""


async def _begin(
    session: AsyncSession, login: str, network: str, now: datetime
) -> tuple[datetime | None, _Counted]:
    """Count an attempt, unless it has to wait: until when, and what was counted before."""
    name = digest(login)
    counted = await _counted(session, name, network, now)
    before = {row.network: _failures(row) for row in counted.values()}
    pair, everywhere = counted[network], counted[""]
    until = lockout.wait_until(_failures(pair), PAIR, now)
    if until is None and not await _is_known(session, login, network, now):
        until = lockout.wait_until(_failures(everywhere), LOGIN, now)
    if until is None:
        for row in (pair, everywhere):
            row.attempts, row.last_at = lockout.after_attempt(_failures(row), now)
    return until, before


async def _counted(
    session: AsyncSession, name: str, network: str, now: datetime
) -> dict[str, SignInFailures]:
    """The two counts of an attempt, locked in one order."""
    keys = sorted({"", network or "?"})
    new = [{"login_sha256": name, "network": key, "attempts": 0, "last_at": now} for key in keys]
    await session.execute(insert(SignInFailures).values(new).on_conflict_do_nothing())
    rows = await session.scalars(
        sa.select(SignInFailures)
        .where(SignInFailures.login_sha256 == name, SignInFailures.network.in_(keys))
        .order_by(SignInFailures.network)
        .with_for_update()
    )
    found = {row.network: row for row in rows}
    return {"": found[""], network: found[network or "?"]}


def _failures(row: SignInFailures) -> Failures:
    return Failures(row.attempts, row.last_at)


async def _is_known(session: AsyncSession, login: str, network: str, now: datetime) -> bool:
    """Tell whether somebody has signed in as this account from this network before."""
    known = sa.select(
        sa.exists().where(
            Account.login == login,
            AccountSession.account_id == Account.id,
            AccountSession.network == network,
            AccountSession.created_at > now - KNOWN_FOR,
        )
    )
    return bool(await session.scalar(known))


async def _take_back(
    session: AsyncSession, login: str, network: str, before: _Counted, at: datetime
) -> None:
    """Forget an attempt that began then; what others have failed at stays counted."""
    for row in (await _counted(session, digest(login), network, at)).values():
        left = lockout.taken_back(_failures(row), before.get(row.network), at)
        row.attempts, row.last_at = left or (0, row.last_at)


async def _succeeded(session: AsyncSession, login: str, network: str) -> None:
    name = digest(login)
    await session.execute(
        sa.update(SignInFailures)
        .where(SignInFailures.login_sha256 == name, SignInFailures.network == "")
        .values(attempts=sa.func.greatest(SignInFailures.attempts - 1, 0))
    )
    await session.execute(
        sa.delete(SignInFailures).where(
            SignInFailures.login_sha256 == name, SignInFailures.network == (network or "?")
        )
    )
