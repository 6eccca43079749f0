"""Ordering a device to do something once: stored here, published by the dispatcher."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.commands.model import Command
from broadcast.commands.state import CommandKind, CommandState, next_at, valid_until
from broadcast.commands.status import CommandStatus, statuses
from broadcast.commands.texts import KINDS, clock_time, hushed
from broadcast.devices.model import Device, Installation
from broadcast.kit.errors import Conflict, InvalidInput, NotFound
from broadcast.kit.notify import Channel, notify
from broadcast.kit.quiet import OFFSET
from broadcast.wire.documents import Hours
from broadcast.wire.hours import next_silence

log = structlog.get_logger()


async def order(
    session: AsyncSession,
    device_code: str,
    kind: CommandKind,
    volume: int | None,
    account_id: int,
    hours: Sequence[Hours],
    now: datetime,
) -> Command:
    """A new command; the dispatcher signs and publishes it.

    Args:
        session: Transaction.
        device_code: The device that is to obey.
        kind: What it is to do.
        volume: Percent; for `volume` only.
        account_id: Who orders it.
        hours: Windows at the device, in which it is not made to sound.
        now: The present.

    Raises:
        InvalidInput: A volume without need, or none for `volume`.
        NotFound: There is no such device.
        Conflict: The device is retired or on no cluster; or it would sound in quiet hours, or a
            command of this kind waits for its answer or was given a moment ago: `retry_at`
            says when to order again.
    """
    if (kind is CommandKind.VOLUME) != (volume is not None):
        raise InvalidInput("volume", "ghi từ 0 đến 100 cho lệnh volume, bỏ trống cho lệnh khác")
    device = await session.scalar(
        # Two requests at once wait for each other; who only refers to the row is not held up.
        sa.select(Device).where(Device.code == device_code).with_for_update(key_share=True)
    )
    if device is None:
        raise NotFound(f"Không có thiết bị mã “{device_code}”; hãy kiểm tra mã.")
    await _require_in_use(session, device)
    not_after = _audible_until(kind, hours, now)
    await _require_calm(session, device, kind, now)
    command = Command(
        command_id=str(uuid4()),
        device_id=device.id,
        kind=kind,
        volume=volume,
        ordered_by=account_id,
        ordered_at=now,
        not_after=not_after,
        published_at=None,
    )
    session.add(command)
    await session.flush()
    await notify(session, Channel.DISPATCH)
    log.info(
        "devices.command.ordered",
        device_id=device_code, kind=kind.value, command_id=command.command_id,
    )  # fmt: skip
    return command


async def _require_in_use(session: AsyncSession, device: Device) -> None:
    if device.retired_at is not None:
        raise Conflict(f"Thiết bị {device.code} đã ngừng dùng; không ra lệnh được nữa.")
    cluster_id = await session.scalar(
        sa.select(Installation.cluster_id).where(
            Installation.device_id == device.id, Installation.removed_at.is_(None)
        )
    )
    if cluster_id is None:
        raise Conflict(
            f"Thiết bị {device.code} chưa lắp trên cụm loa nào; lắp vào cụm loa rồi ra lệnh lại."
        )


def hushed_now(kind: CommandKind, hours: Sequence[Hours], now: datetime) -> str | None:
    """Why this command may not be given now, because it would sound in quiet hours."""
    quiet = next_silence(hours, OFFSET, now)
    if valid_until(kind, now, quiet) is not None:
        return None
    assert quiet is not None
    return hushed(kind, quiet)


def _audible_until(kind: CommandKind, hours: Sequence[Hours], now: datetime) -> datetime:
    quiet = next_silence(hours, OFFSET, now)
    not_after = valid_until(kind, now, quiet)
    if not_after is None:
        assert quiet is not None
        raise Conflict(hushed(kind, quiet), retry_at=quiet.ends_at)
    return not_after


async def _require_calm(
    session: AsyncSession, device: Device, kind: CommandKind, now: datetime
) -> None:
    row = (
        await session.execute(
            statuses()
            .where(Command.device_id == device.id, Command.kind == kind)
            .order_by(Command.id.desc())
            .limit(1)
        )
    ).one_or_none()
    if row is None:
        return
    last = CommandStatus(*row)
    state = last.state(now)
    retry_at = next_at(kind, state, last.command.ordered_at, last.command.not_after)
    if now >= retry_at:
        return
    given = f"lệnh {KINDS[kind]} lúc {clock_time(last.command.ordered_at)}"
    if state is CommandState.WAITING:
        detail = (
            f"Thiết bị {device.code} chưa trả lời {given}; chờ trả lời, hoặc ra lệnh lại sau "
            f"{clock_time(retry_at)}."
        )
    else:
        detail = f"Thiết bị {device.code} vừa nhận {given}; ra lệnh lại từ {clock_time(retry_at)}."
    raise Conflict(detail, command_id=last.command.command_id, retry_at=retry_at)
