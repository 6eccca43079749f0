"""How long somebody who guesses has to wait. Pure.

Waits double and are never permanent. What is counted first is a login *from one network*: who
floods a login from elsewhere makes its owner wait for nothing. All networks together are counted
too, against guesses spread over many; a network from which the owner has signed in before is
exempt from that. A network is counted for all logins together.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import NamedTuple


class Limit(NamedTuple):
    """How failures turn into waits."""

    free: int
    """Failures before the first wait."""
    first: timedelta
    longest: timedelta


PAIR = Limit(5, timedelta(seconds=30), timedelta(minutes=15))
"""Of a login from one network: a hundred guesses a day."""

LOGIN = Limit(20, timedelta(seconds=10), timedelta(minutes=5))
"""Of a login from everywhere but where its owner is known: three hundred guesses a day."""

NETWORK = Limit(30, timedelta(seconds=30), timedelta(minutes=15))
"""Of a network, whatever the login: an office behind one address mistypes now and then."""

FORGET_AFTER = timedelta(days=1)
"""Without a failure."""


class Failures(NamedTuple):
    """Failed attempts in a row, or such that are still under way."""

    attempts: int
    last_at: datetime


def wait_until(failures: Failures | None, limit: Limit, now: datetime) -> datetime | None:
    """When the next attempt is taken; None: now."""
    if (
        failures is None
        or failures.attempts < limit.free
        or now - failures.last_at >= FORGET_AFTER
    ):
        return None
    doublings = min(failures.attempts - limit.free, 30)
    until = failures.last_at + min(limit.longest, limit.first * 2**doublings)
    return until if until > now else None


def after_attempt(failures: Failures | None, now: datetime) -> Failures:
    """What is counted when an attempt begins; it counts as failed until it has succeeded."""
    if failures is None or now - failures.last_at >= FORGET_AFTER:
        return Failures(1, now)
    return Failures(failures.attempts + 1, now)


def taken_back(failures: Failures, before: Failures | None, at: datetime) -> Failures | None:
    """What is counted once an attempt turns out to be none of a guesser; None: nothing.

    Args:
        failures: Now, others that came meanwhile included.
        before: When it began.
        at: When that was.
    """
    if failures.attempts <= 1:
        return None
    is_last = before is not None and failures.last_at == at
    last_at = before.last_at if before is not None and is_last else failures.last_at
    return Failures(failures.attempts - 1, last_at)


class Networks:
    """Failures by network, in the memory of one process: of those heard of last."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._failures: OrderedDict[str, Failures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def wait_until(self, network: str, now: datetime) -> datetime | None:
        """When the next attempt from there is taken; None: now."""
        return wait_until(self._failures.get(network), NETWORK, now)

    def begin(self, network: str, now: datetime) -> Failures | None:
        """Count an attempt; returns what was counted before."""
        before = self._failures.get(network)
        self._failures[network] = after_attempt(before, now)
        self._failures.move_to_end(network)
        if len(self._failures) > self._most:
            self._failures.popitem(last=False)
        return before

    def take_back(self, network: str, before: Failures | None, at: datetime) -> None:
        """Take back an attempt that began then: it was none of a guesser."""
        failures = self._failures.get(network)
        left = None if failures is None else taken_back(failures, before, at)
        if left is None:
            self._failures.pop(network, None)
        else:
            self._failures[network] = left
