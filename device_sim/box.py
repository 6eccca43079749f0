"""State shared by the parts of one player."""

from __future__ import annotations

from datetime import datetime, timedelta

from broadcast.wire.documents import Config, PublicKey
from broadcast.wire.fields import Codec, Id, Wire
from device_sim.effects import Effect, Persist
from device_sim.journal import Change, Memory
from device_sim.timekeeping import Now, Timekeeper


class Identity(Wire, frozen=True, kw_only=True):
    """Identity of a box from enrolment on, whatever is on its flash."""

    device_id: Id
    keys: tuple[PublicKey, ...]
    """Pinned at enrolment; a config's keys replace them."""
    codecs: tuple[Codec, ...] = (Codec.OPUS, Codec.MP3)
    storage_bytes: int = 256 * 2**20
    """Room for audio."""
    battery_clock: bool = False
    """The wall clock runs on through a power cut."""
    firmware: str = "sim-1"
    model: str = "simulated"
    csr: str | None = None
    """By which it asks for its next certificate; None of a box without one."""
    renew_at: datetime | None = None
    """From when on it asks."""

    @property
    def scope(self) -> str:
        """Scope of the documents and commands for this device alone."""
        return f"device/{self.device_id}"


class Box:
    """Identity, memory, clock, the settings in force, and the effects of the present call."""

    def __init__(self, identity: Identity, memory: Memory, now: Now) -> None:
        self.identity = identity
        self.memory = memory
        self.config: Config | None = None
        self.effects: list[Effect] = []
        lead = memory.lead_seconds
        known = lead is not None and identity.battery_clock
        self.clock = Timekeeper(now, memory.bound, timedelta(seconds=lead or 0) if known else None)

    def emit(self, effect: Effect) -> None:
        """Ask the box for something."""
        self.effects.append(effect)

    def write(self, change: Change) -> None:
        """Change the memory here and on flash."""
        self.memory.apply(change)
        self.effects.append(Persist(change))
