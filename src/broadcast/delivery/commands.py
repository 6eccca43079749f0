"""Commands that people gave, on their way to the broker: signed, not retained, never late.

The row is the outbox. What the broker confirmed is marked; everything else is sent again until its
time is over. A command that is sent twice is obeyed once: the device keeps the ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.commands.model import Command
from broadcast.commands.state import CommandKind
from broadcast.delivery.outbox import Publisher
from broadcast.devices.model import Device
from broadcast.keys.keyring import Keys
from broadcast.kit import db, failures
from broadcast.kit.errors import Unavailable
from broadcast.wire.commands import AnyCommand, Identify, Reboot, SelfTest, SetVolume
from broadcast.wire.topics import DEVICE_COMMAND

PUBLISHED = Counter("broadcast_commands_published", "Commands the broker confirmed", ["kind"])

AT_ONCE = 500

STEP = "commands"
"""Under which failures are recorded."""


class _Ready(NamedTuple):
    """A command that can be published."""

    command: Command
    topic: str
    payload: bytes


_PLAIN: dict[CommandKind, type[Identify | Reboot | SelfTest]] = {
    CommandKind.IDENTIFY: Identify,
    CommandKind.REBOOT: Reboot,
    CommandKind.SELF_TEST: SelfTest,
}


async def publish_commands(
    engine: AsyncEngine, link: Publisher, prefix: str, keys: Keys, now: datetime
) -> bool:
    """Publish the commands that the broker has not confirmed and that may still be obeyed.

    Args:
        engine: Where they are listed.
        link: To the broker.
        prefix: First levels of every topic.
        keys: To sign them.
        now: The present.

    Returns:
        Whether more may be waiting.

    Raises:
        Unavailable: The broker is away; what was confirmed is marked.
    """
    async with db.transaction(engine) as session:
        but = await failures.waiting(session, STEP, now)
        waiting = await _unpublished(session, now, map(int, but))
        ready = []
        for command, code in waiting:
            try:
                topic = DEVICE_COMMAND.build(device_id=code, kind=command.kind.value)
                order = message(command, code)
                payload = await asyncio.to_thread(keys.signer(order.scope).sign, order)
                ready.append(_Ready(command, f"{prefix}/{topic}", payload))
            except Exception as fault:  # noqa: BLE001 — this command alone is at fault
                await failures.record(session, STEP, str(command.id), fault, now)
    outcomes = await asyncio.gather(*(_attempt(link, each) for each in ready))
    sent = [each.command for each, error in zip(ready, outcomes, strict=True) if error is None]
    if sent:
        async with db.transaction(engine) as session:
            ids = [command.id for command in sent]
            await session.execute(
                sa.update(Command).where(Command.id.in_(ids)).values(published_at=now)
            )
        for command in sent:
            PUBLISHED.labels(command.kind.value).inc()
    for error in outcomes:
        if error is not None:
            raise error
    return len(waiting) == AT_ONCE


async def _unpublished(
    session: AsyncSession, now: datetime, but: Iterable[int]
) -> list[tuple[Command, str]]:
    """Commands to publish with the devices they are for, oldest first."""
    rows = await session.execute(
        sa.select(Command, Device.code)
        .join(Device, Device.id == Command.device_id)
        .where(
            Command.published_at.is_(None),
            Command.not_after > now,
            Command.id.not_in(list(but)),
        )
        .order_by(Command.id)
        .limit(AT_ONCE)
    )
    return [(row[0], row[1]) for row in rows]


async def _attempt(link: Publisher, ready: _Ready) -> Unavailable | None:
    try:
        await link.publish(ready.topic, ready.payload)
    except Unavailable as error:
        return error
    return None


def message(command: Command, device_code: str) -> AnyCommand:
    """A command as the device gets it."""
    scope = f"device/{device_code}"
    if command.volume is not None:
        return SetVolume(
            command_id=command.command_id,
            scope=scope,
            not_after=command.not_after,
            volume=command.volume,
        )
    return _PLAIN[command.kind](
        command_id=command.command_id, scope=scope, not_after=command.not_after
    )
