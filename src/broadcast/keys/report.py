"""Report of the keys, and of who has not pinned the newest."""

from __future__ import annotations

from dataclasses import asdict
from typing import get_args

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.keys import rows, states
from broadcast.keys.next_steps import next_steps
from broadcast.keys.pins import DevicePins, evidence
from broadcast.keys.schemas import DeviceKeysOut, KeysOut, KeyStepOut, SigningKeyOut
from broadcast.kit.errors import Unavailable
from broadcast.wire.documents import PublicKey
from broadcast.wire.envelope import Use

LISTED = 500
"""Devices listed; all are counted."""


async def report(session: AsyncSession) -> KeysOut:
    """All keys, the newest first, what to do next, and who has not pinned the newest of a use."""
    known = await rows.read(session)
    newest = [key.kid for use in get_args(Use) if (key := states.newest(known.ring, use))]
    devices = await evidence(session, known.ring)
    lacking = [(device, lacks) for device in devices if (lacks := _lacks(device, newest))]
    waiting = {
        key.kid: states.waits_for(known.ring, key.kid, (each.evidence for each in devices))
        for key in known.ring
    }
    return KeysOut(
        keys=[
            SigningKeyOut(
                **asdict(key),
                x=known.public[key.kid].x,
                lacking_count=sum(bool(_lacks(device, [key.kid])) for device in devices),
            )
            for key in reversed(known.ring)
        ],
        steps=[KeyStepOut(**step._asdict()) for step in next_steps(known.ring, waiting)],
        devices_count=len(devices),
        lacking_count=len(lacking),
        lacking=[
            DeviceKeysOut(
                device=device.code,
                last_seen_at=device.last_seen_at,
                lacks=lacks,
                has_config=device.evidence.pinned is not None,
                own_key=device.own.kid if device.own else None,
            )
            for device, lacks in lacking[:LISTED]
        ],
    )


async def named(session: AsyncSession) -> list[PublicKey]:
    """The keys that a device is given at its enrolment.

    Raises:
        Unavailable: There are none yet.
    """
    known = await rows.read(session)
    if not known.ring:
        raise Unavailable(
            "Chưa có khóa ký nào; hãy khởi động máy chủ một lần, hoặc chạy `broadcast keys"
            " create`."
        )
    return [known.public[kid] for kid in states.named(known.ring)]


def _lacks(device: DevicePins, kids: list[str]) -> list[str]:
    return [kid for kid in kids if kid not in (device.evidence.pinned or ())]
