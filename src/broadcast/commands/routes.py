"""REST of commands to devices: ordering one, and its outcome."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Query, Request, Response

from broadcast.auth.caller import Commander, Reader
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.commands import order, status
from broadcast.commands.schemas import CommandIn, CommandOut
from broadcast.commands.state import CommandKind
from broadcast.commands.status import CommandStatus
from broadcast.devices.places import require_at_device
from broadcast.kit import clock
from broadcast.kit.times import Moment
from broadcast.regulations.devices import hours_at_device
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["commands"])

SPAN = timedelta(days=1)
"""Span before now that is listed when `since` is not given."""


@router.post(
    "/devices/{code}/commands",
    status_code=201,
    summary="Ra lệnh cho thiết bị: tự thử loa, đặt âm lượng, tìm thiết bị, khởi động lại",
    response_model=CommandOut,
)
async def order_command(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Commander,
    code: str,
    body: CommandIn,
) -> Response:
    """Order a device to do something once; it is obeyed within five minutes or not at all.

    A device has one command of a kind at a time. `volume` lasts until the next configuration.
    `self_test` and `identify` sound, so they are neither given nor obeyed in quiet hours.
    """

    async def make() -> Created:
        now = clock.now()
        await require_at_device(session, caller, Permission.COMMAND_SEND, code)
        hours = await hours_at_device(session, code, settings.rules, now)
        command = await order.order(
            session, code, body.kind, body.volume, caller.account_id, hours, now
        )
        answer = CommandStatus(command, code, caller.name, result=None, refusal=None).out(now)
        return Created(f"/api/v1/commands/{command.command_id}", answer)

    return await Once(request).run(session, caller.account_id, make)


@router.get("/commands", summary="Lệnh đã ra cho thiết bị, và kết quả")
async def list_commands(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    device: Annotated[str | None, Query(description="mã thiết bị")] = None,
    kind: CommandKind | None = None,
    since: Annotated[
        Moment | None, Query(description="ra lệnh từ lúc này, mặc định một ngày trước")
    ] = None,
) -> Page[CommandOut]:
    """Commands in the order in which they were given."""
    now = clock.now()
    return await status.list_commands(
        session, paging, since or now - SPAN, now, device=device, kind=kind
    )


@router.get("/commands/{command_id}", summary="Một lệnh, và kết quả")
async def show_command(session: Session, caller: Reader, command_id: str) -> CommandOut:
    """One command and its outcome."""
    return await status.show_command(session, command_id, clock.now())
