"""Faults of the system, and broadcasts scheduled meanwhile: both follow from the seed.

Pure. Every target has faults of its own, so outages overlap; one target never has another fault
before it is back.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

Target = Literal[
    "server", "worker", "dispatcher", "standby", "broker", "postgres", "backend", "uplink"
]

EVERY_SECONDS: dict[Target, float] = {
    "server": 55.0,
    "worker": 70.0,
    "dispatcher": 55.0,
    "standby": 90.0,
    "broker": 80.0,
    "postgres": 80.0,
    "backend": 60.0,
    "uplink": 70.0,
}
"""Mean time from the recovery of a target to its next fault."""

SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 15.0
"""How long a target stays down: from a service that is restarted at once to one that takes a
while to recover. Longer outages differ from these in nothing but patience."""

FREEZE_RATIO = 0.2
"""Of the faults that do not kill, by default."""

SOONEST_SECONDS = 3.0
"""Between a recovery and the next fault."""

OnPreempt = Literal["resume", "restart", "drop"]
Where = Literal["province", "half", "third"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something is killed, or the line to the broker cut."""

    at: float
    """Seconds since the chaos began."""
    target: Target
    down_seconds: float
    """Until it is started again. A `backend` is one server process of PostgreSQL, which starts
    all others anew by itself."""
    choice: float
    """In [0, 1): which one, where there are several."""
    freezes: bool = False
    """It is not killed but stands still: a process that gets no time, a line that swallows
    everything and gives it out later. Nobody is told."""


@dataclass(frozen=True, slots=True)
class Airing:
    """Something to be scheduled."""

    at: float
    """Seconds since the chaos began at which it is to sound."""
    asked_at: float
    """When a person schedules it."""
    where: Where
    priority: bool
    """A priority bulletin, which takes the loudspeaker from a normal one."""
    bulletin: int
    """Which of the bulletins of its class."""
    on_preempt: OnPreempt


def faults(seed: int, seconds: float, freeze_ratio: float = FREEZE_RATIO) -> list[Fault]:
    """Return the faults of a run of so many seconds, by time; every one is over before its end.

    Args:
        seed: Another seed, another plan.
        seconds: Length of the run.
        freeze_ratio: Share of the faults that freeze; a `backend` is always killed.
    """
    found = []
    for target, every in EVERY_SECONDS.items():
        luck = Random(f"{seed} {target}")  # noqa: S311 — to be repeated, not to be secret
        # A short run, as in CI, has a fault of every target as well.
        at = min(luck.expovariate(1 / every), seconds * luck.uniform(0.1, 0.7))
        while True:
            down = luck.uniform(SHORTEST_SECONDS, LONGEST_SECONDS)
            if at + down > seconds:
                break
            choice, freezes = luck.random(), luck.random() < freeze_ratio and target != "backend"
            found.append(Fault(round(at, 2), target, round(down, 2), round(choice, 3), freezes))
            at += down + max(SOONEST_SECONDS, luck.expovariate(1 / every))
    return sorted(found, key=lambda fault: (fault.at, fault.target))


AIRING_SECONDS = 20.0
"""From one normal bulletin to the next."""
LEAD_SECONDS = 25.0, 75.0
"""How long before its start a bulletin is scheduled."""
FIRST_SECONDS = 12.0
QUIET_SECONDS = 8.0
"""Nothing starts so shortly before the end."""
PREEMPTED_RATIO = 0.5
"""Of the normal bulletins; a priority one comes between."""


def airings(seed: int, seconds: float, bulletins: int) -> list[Airing]:
    """Return the broadcasts of a run of so many seconds, by the time at which they are asked for.

    Args:
        seed: Another seed, another programme.
        seconds: Length of the run.
        bulletins: How many of each class there are.
    """
    luck = Random(f"{seed} programme")  # noqa: S311 — to be repeated, not to be secret
    found = []
    at = FIRST_SECONDS
    while at <= seconds - QUIET_SECONDS:
        where: Where = luck.choice(("province", "province", "half"))
        on_preempt: OnPreempt = luck.choice(("resume", "resume", "restart", "drop"))
        asked_at = at - luck.uniform(*LEAD_SECONDS)
        number = luck.randrange(bulletins)
        found.append(Airing(at, asked_at, where, False, number, on_preempt))
        if luck.random() < PREEMPTED_RATIO:
            number = luck.randrange(bulletins)
            found.append(Airing(at + luck.choice((1, 2, 3)), asked_at, "third", True, number,
                                "resume"))  # fmt: skip
        at += AIRING_SECONDS * luck.uniform(0.8, 1.2)
    return sorted(found, key=lambda airing: (airing.asked_at, airing.at))
