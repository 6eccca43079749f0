"""Many boxes in one process and one event loop, each with its own connection to the broker."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from broadcast.wire.documents import PublicKey
from broadcast.wire.enrolment import Bundle, Claim
from broadcast.wire.fields import Codec, Id, Wire
from device_sim.box import Identity
from device_sim.commons import Commons
from device_sim.enrolling import Keeper, Refused, enrol
from device_sim.journal import Change, FileFlash, Flash
from device_sim.unit import Unit

KEEP_ALIVE_SECONDS = 15.0
"""Often enough for a keep-alive of 60 seconds, at one round over all devices."""


class Enrolled(Wire, frozen=True):
    """One device of the enrolment file."""

    device_id: Id
    username: str | None = None
    password: str | None = None
    codecs: tuple[Codec, ...] = (Codec.OPUS, Codec.MP3)
    storage_bytes: int = 256 * 2**20
    claim: Claim | None = None
    """By which it asks for its certificate, when it has none."""
    bundle: Bundle | None = None
    """Given already, with a password."""


class Enrolment(Wire, frozen=True):
    """Facts given to boxes at enrolment: identities, and keys of those without a bundle."""

    keys: tuple[PublicKey, ...] = ()
    devices: list[Enrolled] = []


class Fleet:
    """The boxes of one process.

    Args:
        commons: What they share.
        keep: Folder where their flash outlives the process; in memory when None, and then no box
            has a certificate.
    """

    def __init__(self, commons: Commons, keep: Path | None = None) -> None:
        self.units: list[Unit] = []
        self._commons = commons
        self._keep = keep / "flash" if keep else None
        self._enrolments = keep / "enrolment" if keep else None
        self._memory_before = _resident_bytes()
        commons.on_broken = self._fail

    def add(
        self, keys: tuple[PublicKey, ...], device: Enrolled, *, recorded: bool = False
    ) -> None:
        """Put up a box; it is given power when the run begins.

        Raises:
            Refused: It has a claim that the server does not accept.
        """
        commons = self._commons
        keeper = self._enrolled(device)
        renew_at = None
        if keeper is not None and keeper.bundle is not None:
            keys, access = tuple(keeper.bundle.keys), keeper.access()
            renew_at = keeper.bundle.renew_at
        else:
            login = None if device.username is None else (device.username, device.password or "")
            access = commons.access._replace(login=login)
        identity = Identity(
            device_id=device.device_id,
            keys=keys,
            codecs=device.codecs,
            storage_bytes=commons.faults.storage_bytes(device.device_id, device.storage_bytes),
            csr=keeper.signing_request() if renew_at is not None and keeper else None,
            renew_at=renew_at,
        )
        flash = self._flash(device.device_id)
        unit = Unit(commons, identity, flash, access, recorded=recorded, keeper=keeper)
        self.units.append(unit)

    async def run(self, stop: asyncio.Event) -> None:
        """Give power to the boxes and let them be until told to stop."""
        for unit in self.units:
            unit.power_on()
            if self._commons.faults.any:
                unit.plan_troubles(0)
        self._keep_alive()
        await stop.wait()

    def shut_down(self) -> dict[str, Any]:
        """End, and tell what happened; call it inside the event loop."""
        commons = self._commons
        connected = sum(unit.online for unit in self.units)
        memory = _resident_bytes() - self._memory_before
        for unit in self.units:
            unit.shut_down()
        commons.close()
        return {
            "devices": len(self.units),
            "connected": connected,
            "started": commons.counts["started"],
            "ended": commons.counts["ended"],
            "skipped": commons.counts["skipped"],
            "documents_refused": commons.counts["refused"],
            "power_cuts": commons.counts["power_off"],
            "decoded": commons.sounds.decoded_count,
            "memory_bytes_per_device": memory // max(1, len(self.units)),
            "start_error_ms": _spread(commons.start_errors),
        }

    def _enrolled(self, device: Enrolled) -> Keeper | None:
        """What a box with a claim or a bundle keeps of its enrolment, which is done if need be."""
        if device.claim is None and device.bundle is None:
            return None
        if self._enrolments is None:
            raise Refused("a box that is enrolled needs a folder to keep its key in")
        keeper = Keeper(self._enrolments / device.device_id)
        if keeper.bundle is None and device.bundle is not None:
            keeper.keep(device.bundle)
        elif keeper.bundle is None and device.claim is not None:
            enrol(device.claim, keeper)
        return keeper

    def _flash(self, device_id: str) -> Flash:
        journal_id = f"{device_id}-1"
        if self._keep is None:
            return Flash(journal_id)
        self._keep.mkdir(parents=True, exist_ok=True)
        flash = FileFlash(journal_id, self._keep / f"{device_id}.log")
        held = flash.load().content
        lost = [name for name, size in held.items() if not self._commons.store.recover(name, size)]
        if lost:
            flash.write(Change(content=dict.fromkeys(lost, 0)))
        return flash

    def _keep_alive(self) -> None:
        for unit in self.units:
            unit.keep_alive()
        self._commons.later(KEEP_ALIVE_SECONDS, self._keep_alive)

    def _fail(self, digest: str) -> None:
        for unit in self.units:
            unit.fail(digest)


def _spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {
        "p50": round(1000 * ordered[len(ordered) // 2], 1),
        "p99": round(1000 * ordered[len(ordered) * 99 // 100], 1),
        "max": round(1000 * ordered[-1], 1),
    }


def _resident_bytes() -> int:
    """Memory of this process that is in use now; 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    if not status.exists():
        return 0
    return int(status.read_text().split()[1]) * 4096
