"""REST of commands to devices: ordering one, and what became of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from broadcast.accounts.auth import CallerDep, Technician
from broadcast.accounts.routing import Router
from broadcast.commands import order
from broadcast.commands.model import Command
from broadcast.commands.order import Told, told
from broadcast.commands.state import CommandKind, CommandState
from broadcast.commands.texts import explained
from broadcast.devices.model import Device
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.kit.times import Moment
from broadcast.web.fields import example
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Body, Page, PageQuery, Session, paged, require_known

router = Router(prefix="/api/v1", tags=["commands"])

SPAN = timedelta(days=1)
"""What is listed where no time is asked for."""


class CommandBody(Body):
    """Something that a device is to do once."""

    model_config = example(kind="self_test")

    kind: CommandKind
    volume: Annotated[
        int | None, Field(ge=0, le=100, description="phần trăm; chỉ của lệnh volume")
    ] = None


class CommandView(BaseModel):
    """A command and what became of it."""

    model_config = example(
        command_id="0c9e7d3a-5c2f-4b52-9a3b-2f7f0f6f1c11", device="QN-000417", kind="self_test",
        volume=None, ordered_by="Nguyễn Văn A", ordered_at="2025-07-01T08:00:00+07:00",
        not_after="2025-07-01T08:05:00+07:00", published_at="2025-07-01T08:00:00.200000+07:00",
        state="done",
        state_text="Tăng âm có dòng tải khi phát tiếng thử.",
        answered_at="2025-07-01T08:00:02+07:00", heard="amplifier", detail="amplifier ok, line ok",
    )  # fmt: skip

    command_id: str
    device: str
    kind: CommandKind
    volume: int | None
    ordered_by: str
    ordered_at: Moment
    not_after: Moment
    """The device refuses it later."""
    published_at: Moment | None
    """When the broker had taken it."""
    state: CommandState
    state_text: str
    """The state in words, and what to do."""
    answered_at: Moment | None
    """When the server learned of the device's answer."""
    heard: str | None
    """Of a self-test: what noticed its tone, `amplifier` or `microphone`."""
    detail: str
    """What the device added, in its own words."""


def _view(told: Told, now: datetime) -> CommandView:
    command, code, result, refusal = told
    state = told.state(now)
    heard = result.heard if result else ""
    detail = result.detail if result else f"{refusal.reason} {refusal.detail}" if refusal else ""
    answer = result or refusal
    return CommandView(
        command_id=command.command_id,
        device=code,
        kind=command.kind,
        volume=command.volume,
        ordered_by=command.ordered_by,
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


@router.post(
    "/devices/{code}/commands",
    status_code=201,
    summary="Ra lệnh cho thiết bị: tự thử loa, đặt âm lượng, tìm thiết bị, khởi động lại",
    response_model=CommandView,
)
async def order_command(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Technician,
    code: str,
    body: CommandBody,
) -> Response:
    """Order a device to do something once; it is obeyed within five minutes or not at all.

    A device has one command of a kind at a time. `volume` lasts until the next configuration.
    `self_test` and `identify` sound, so they are neither given nor obeyed in quiet hours.
    """

    async def make() -> Created:
        if (body.kind is CommandKind.VOLUME) != (body.volume is not None):
            raise InvalidInput(
                "volume", "ghi từ 0 đến 100 cho lệnh volume, bỏ trống cho lệnh khác"
            )
        now = clock.now()
        quiet_hours = settings.rules.quiet_hours
        command = await order.order(
            session, code, body.kind, body.volume, caller.person, quiet_hours, now
        )
        view = _view(Told(command, code, None, None), now)
        return Created(f"/api/v1/commands/{command.command_id}", view)

    return await Once(request).run(session, caller.credential, make)


@router.get("/commands", summary="Lệnh đã ra cho thiết bị, và kết quả")
async def list_commands(
    session: Session,
    caller: CallerDep,
    paging: PageQuery,
    device: Annotated[str | None, Query(description="mã thiết bị")] = None,
    kind: CommandKind | None = None,
    since: Annotated[
        Moment | None, Query(description="ra lệnh từ lúc này, mặc định một ngày trước")
    ] = None,
) -> Page[CommandView]:
    """Commands in the order in which they were given."""
    now = clock.now()
    statement = told().where(Command.ordered_at >= (since or now - SPAN))
    if device is not None:
        await require_known(session, "device", Device.code, device)
        statement = statement.where(Device.code == device)
    if kind is not None:
        statement = statement.where(Command.kind == kind)
    rows, following = await paged(session, statement, [Command.id], paging)
    return Page(items=[_view(Told(*row), now) for row in rows], next=following)


@router.get("/commands/{command_id}", summary="Một lệnh, và kết quả")
async def show_command(session: Session, caller: CallerDep, command_id: str) -> CommandView:
    """One command and what became of it."""
    row = (await session.execute(told().where(Command.command_id == command_id))).one_or_none()
    if row is None:
        raise NotFound(f"Không có lệnh mã “{command_id}”.")
    return _view(Told(*row), clock.now())
