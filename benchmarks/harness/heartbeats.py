"""Heartbeats as devices send them: every field that a box in the field fills, about 700 bytes.

Pure, and the same every time: the sender and who checks what arrived come to the same messages.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from broadcast.wire.codec import encode
from broadcast.wire.events import Boot, Clock, Heartbeat, Network, Supply
from broadcast.wire.fields import Codec

INTERVAL = timedelta(seconds=60)

COMMUNES = 96
VILLAGES = 2000

SESSION = 1_760_000_000_000
REVISION = 1_760_000_000_000


def code(device: int) -> str:
    """Device id of the wire, of the n-th device counted from 1."""
    return f"QN-{device:06}"


def areas(device: int) -> list[str]:
    """Scopes that a device follows: its village, its commune and the province."""
    village = device % VILLAGES
    commune = f"{21_000 + village % COMMUNES}"
    return [f"{commune}-{village:04}", commune, "51"]


def held(device: int) -> dict[str, int]:
    """Every document that a device follows, in its newest revision."""
    shared = [f"area/{area}/{kind}" for area in areas(device) for kind in ("programme", "alerts")]
    return dict.fromkeys([f"device/{code(device)}/config", *shared], REVISION)


def sent_at(device: int, seq: int, base: datetime) -> datetime:
    """Time of a device's n-th heartbeat: the fleet is spread over the interval."""
    return base + seq * INTERVAL + (device * 7919 % 60_000) * timedelta(milliseconds=1)


def heartbeat(device: int, seq: int, at: datetime, session: int = SESSION) -> bytes:
    """Payload of a heartbeat."""
    return encode(
        Heartbeat(
            session=session,
            seq=seq,
            sent_at=at,
            clock=Clock(trusted=True, source="ntp", offset_ms=device % 40 - 20),
            held=held(device),
            uptime_seconds=86_400.0 + 60 * seq,
            firmware="2.4.1",
            volume=70,
            amplifier="off",
            line="ok",
            supply=Supply(mains=True, volts=220 + device % 15, battery_percent=97),
            temperature_celsius=35 + device % 20,
            network=Network(
                interface="4g", signal_dbm=-70 - device % 40, operator="Viettel",
                cell=f"452-04-{device % 900:04}",
            ),
            data_used_bytes=18_000_000 + 900 * seq,
            storage_free_bytes=3_200_000_000,
        )
    )  # fmt: skip


def boot(device: int, at: datetime, session: int = SESSION) -> bytes:
    """Payload of the first message of a connection."""
    return encode(
        Boot(
            session=session,
            sent_at=at,
            reason="reconnect",
            codecs=[Codec.OPUS, Codec.MP3],
            clock=Clock(trusted=True, source="ntp", offset_ms=3),
            journal_id=f"j{device}",
            held=held(device),
            firmware="2.4.1",
            model="TTX-200",
        )
    )
