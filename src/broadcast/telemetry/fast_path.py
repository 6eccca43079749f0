"""The fast path of heartbeats: a device that is online stays online.

Pure. Such a heartbeat changes a few columns of the latest state and nothing else. What the state
was is remembered from the batch before, so it need not be read: the statement names what it
expects (this session, online, an older heartbeat, holding what it held), and whatever differs (a
transition by the sweep, another worker, a batch that was rolled back) takes the slow path in
`heartbeats`. So what is remembered may be wrong without harm.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.online_minutes import Reception
from broadcast.telemetry.presence import CLOCK_SET, Presence, State
from broadcast.wire.events import Boot, Gone, Heartbeat


class PowerAndNetwork(NamedTuple):
    """Mains and mobile network that a device reports; a boot reports neither."""

    mains: bool | None
    operator: str | None


def power_and_network(message: Boot | Heartbeat) -> PowerAndNetwork:
    """Those of a message."""
    supply = getattr(message, "supply", None)
    network = getattr(message, "network", None)
    return PowerAndNetwork(supply and supply.mains, network and network.operator)


@lru_cache(1024)
def _shared(reported: PowerAndNetwork) -> PowerAndNetwork:
    """One object for equal ones: thousands of devices use the same operator."""
    return reported


@dataclass(slots=True)
class LastState:
    """A device that was online, connected, and right about the time."""

    session: int
    seq: int
    last_seen_at: datetime
    held: Mapping[str, int]
    power_and_network: PowerAndNetwork


class Step(NamedTuple):
    """The state to which the heartbeats of a batch bring a device."""

    before: LastState
    newest: Heartbeat
    last_seen_at: datetime
    place: int
    """Of its newest heartbeat in the batch."""


class FastPath:
    """The devices of one process that the fast path may take."""

    def __init__(self) -> None:
        self._devices: dict[int, LastState] = {}

    def remember(
        self,
        device_id: int,
        state: State | None,
        messages: Sequence[Boot | Heartbeat],
        *,
        clock_wrong: bool,
    ) -> None:
        """Take note of the state that the slow path has stored, or forget the device.

        Args:
            device_id: The device.
            state: Its stored state; None where nothing was stored.
            messages: What it sent in the batch, in order; the last one tells what it holds.
            clock_wrong: Its time cannot be right.
        """
        self._devices.pop(device_id, None)
        if state is None or not messages or state.gone or clock_wrong:
            return
        newest = messages[-1]
        is_newest = (newest.session, getattr(newest, "seq", 0)) == (state.session, state.seq)
        if state.presence is Presence.ONLINE and is_newest:
            self._devices[device_id] = LastState(
                state.session,
                state.seq,
                state.last_seen_at,
                newest.held,
                _shared(power_and_network(newest)),
            )

    def match(
        self,
        boots: Sequence[Arrival[Boot]],
        beats: Sequence[Arrival[Heartbeat]],
        wills: Sequence[Arrival[Gone]],
        reception: Reception,
        *,
        live: bool,
    ) -> dict[int, Step]:
        """Devices of which the batch holds nothing but the next heartbeats, in order.

        The arguments are those of `heartbeats.record`.
        """
        received_at = reception.at
        set_at = received_at + CLOCK_SET
        steps: dict[int, Step] = {}
        other = {boot.device_id for boot in boots} | {will.device_id for will in wills}
        for place, arrival in enumerate(beats):
            device_id, beat = arrival.device_id, arrival.message
            if device_id in other:
                continue
            step = steps.get(device_id)
            before = self._devices.get(device_id) if step is None else step.before
            trusted = beat.clock.trusted
            if (
                before is None
                or beat.session != before.session
                or beat.seq <= (before.seq if step is None else step.newest.seq)
                or (beat.held is not before.held and beat.held != before.held)
                or power_and_network(beat) != before.power_and_network
                or (trusted and not reception.is_plausible(beat.sent_at))
                or before.last_seen_at > set_at
            ):
                other.add(device_id)
                steps.pop(device_id, None)
                continue
            at = received_at if live else reception.happened_at(beat.sent_at, trusted=trusted)
            seen = max(at, before.last_seen_at if step is None else step.last_seen_at)
            steps[device_id] = Step(before, beat, seen, place)
        return steps

    def confirm(self, steps: Mapping[int, Step], devices: Collection[int]) -> None:
        """Take note of which steps were stored; the other devices are forgotten.

        Args:
            steps: Those that `match` found.
            devices: Those whose state was as expected.
        """
        for device_id, (before, newest, last_seen_at, _) in steps.items():
            if device_id in devices:
                before.seq, before.last_seen_at = newest.seq, last_seen_at
                before.held = newest.held  # equal; but one object is compared faster than two
            else:
                self._devices.pop(device_id, None)
