"""Commands with their answers and states, listed and shown."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from broadcast.auth.model import Account
from broadcast.auth.people import PersonOut
from broadcast.commands.model import Command, CommandResult
from broadcast.commands.schemas import CommandOut
from broadcast.commands.state import REPLAYED, CommandKind, CommandState, state_of
from broadcast.commands.texts import explained
from broadcast.devices.model import Device
from broadcast.kit.errors import NotFound
from broadcast.telemetry.model import Refusal
from broadcast.web.rest import Page, Paging, paged, require_known


class CommandStatus(NamedTuple):
    """A command, the device it is for, and that device's answer."""

    command: Command
    device_code: str
    orderer: str
    """Name of the account that ordered it."""
    result: CommandResult | None
    refusal: Refusal | None

    def state(self, now: datetime) -> CommandState:
        """State of the command at `now`."""
        result = self.result.result if self.result else None
        refusal = self.refusal.reason if self.refusal else None
        return state_of(result, refusal, self.command.not_after, now)

    def out(self, now: datetime) -> CommandOut:
        """The command as it is answered at `now`."""
        command, result, refusal = self.command, self.result, self.refusal
        state = self.state(now)
        heard = result.heard if result else ""
        refused = f"{refusal.reason} {refusal.detail}" if refusal else ""
        detail = result.detail if result else refused
        answer = result or refusal
        return CommandOut(
            command_id=command.command_id,
            device=self.device_code,
            kind=command.kind,
            volume=command.volume,
            ordered_by=PersonOut(id=command.ordered_by, name=self.orderer),
            ordered_at=command.ordered_at,
            not_after=command.not_after,
            published_at=command.published_at,
            state=state,
            state_text=explained(
                command.kind, state, command.not_after,
                published=command.published_at is not None, heard=heard, detail=detail,
            ),
            answered_at=answer.received_at if answer else None,
            heard=heard or None,
            detail=detail.strip(),
        )  # fmt: skip


def statuses() -> sa.Select[Command, str, str, CommandResult | None, Refusal | None]:
    """Rows of `CommandStatus`: commands with their devices and answers."""
    other = aliased(Refusal)
    first = (
        sa.select(sa.func.min(other.id))
        .where(
            other.device_id == Command.device_id,
            other.command_id == Command.command_id,
            other.reason != REPLAYED,
        )
        .correlate(Command)
        .scalar_subquery()
    )
    return (
        sa.select(Command, Device.code, Account.name, CommandResult, Refusal)
        .join(Device, Device.id == Command.device_id)
        .join(Account, Account.id == Command.ordered_by)
        .outerjoin(
            CommandResult,
            sa.and_(
                CommandResult.device_id == Command.device_id,
                CommandResult.command_id == Command.command_id,
            ),
        )
        .outerjoin(Refusal, Refusal.id == first)
    )


async def list_commands(
    session: AsyncSession,
    paging: Paging,
    since: datetime,
    now: datetime,
    *,
    device: str | None = None,
    kind: CommandKind | None = None,
) -> Page[CommandOut]:
    """Commands in the order in which they were given, of all devices or of one.

    Raises:
        Unknown: There is no such device.
    """
    statement = statuses().where(Command.ordered_at >= since)
    if device is not None:
        await require_known(session, "device", Device.code, device)
        statement = statement.where(Device.code == device)
    if kind is not None:
        statement = statement.where(Command.kind == kind)
    found = await paged(session, statement, [Command.id], paging)
    return found.page(lambda *row: CommandStatus(*row).out(now))


async def show_command(session: AsyncSession, command_id: str, now: datetime) -> CommandOut:
    """One command and its outcome.

    Raises:
        NotFound: There is none with this id.
    """
    found = await session.execute(statuses().where(Command.command_id == command_id))
    row = found.one_or_none()
    if row is None:
        raise NotFound(f"Không có lệnh mã “{command_id}”.")
    return CommandStatus(*row).out(now)
