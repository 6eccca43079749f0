"""A province on a day, from what is kept of past days and the raw rows of the others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.indicators import evidence
from broadcast.indicators.cache import Memory
from broadcast.indicators.days import microseconds, read_kept, read_live
from broadcast.indicators.definitions import OperatingRule
from broadcast.indicators.evidence import DAY, Window
from broadcast.indicators.observed import Cluster, Province
from broadcast.indicators.registry import Register, load_register
from broadcast.indicators.rollup import State, catch_up
from broadcast.indicators.sums import Past, add_up


async def load(
    session: AsyncSession,
    as_of: date,
    scope: str,
    rule: OperatingRule,
    now: datetime,
    memory: Memory,
) -> Province:
    """The same as `raw.load`, without asking past days again that are folded."""
    window = Window.of(as_of, rule, now)
    state = await catch_up(session, window.first_on, as_of, rule, now)
    register = memory.registers.get((state.register, as_of, scope))
    if register is None:
        register = await load_register(session, as_of, scope)
        memory.registers.put((state.register, as_of, scope), register)
    ids = register.cluster_ids
    past = await _past(session, state, register, memory)
    days = [window.first_on + number * DAY for number in range(rule.window_days)]
    live = await read_live(
        session, [day for day in days if day not in state.days], ids, rule, window.at
    )
    sums = add_up(past, Past.of(live, ids), microseconds(window.at))
    faults = await evidence.faults(session, window, rule, None)
    clusters = map(
        Cluster._make,
        zip(
            *zip(*register.posts, strict=True),
            register.hung(window.begins_at, window.at),
            *sums,
            map(faults.get, register.cluster_ids),
            register.attested_at(window.at),
            strict=True,
        ),
    )
    return register.province(window.at, dict(zip(register.cluster_ids, clusters, strict=True)))


async def _past(session: AsyncSession, state: State, register: Register, memory: Memory) -> Past:
    """The folded days of the window."""
    revisions: Sequence[object] = sorted(state.days.items())
    key = (state.register, register.as_of, register.scope, *revisions)
    past = memory.pasts.get(key)
    if past is None:
        missing = memory.missing(state.days)
        memory.remember(state.days, await read_kept(session, missing))
        past = Past.of(dict(memory.recall(state.days)), register.cluster_ids)
        memory.pasts.put(key, past)
    return past
