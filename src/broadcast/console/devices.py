"""The fleet and one device of it: presence, charts, commands, history.

The figures are those of `/api/v1/fleet`, `/devices/{code}/chart` and `/commands`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import Depends, Form, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller, Commander, DeviceEditor, Reader
from broadcast.auth.permissions import Permission
from broadcast.clusters import fleet, installing, register
from broadcast.clusters.schemas import FleetItemOut, InstallationIn, Line, Power, Signal
from broadcast.commands import order, status
from broadcast.commands.state import CommandKind, CommandState
from broadcast.config import Settings
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.words import N_
from broadcast.devices import enrolment, installations
from broadcast.devices.model import Installation
from broadcast.devices.places import require_at_device
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.plays.texts import FAULTS
from broadcast.regulations.devices import hours_at_device
from broadcast.stations import clusters
from broadcast.telemetry import queries
from broadcast.telemetry.charts import ChartSpan
from broadcast.telemetry.presence import Presence
from broadcast.telemetry.schemas import ChartOut
from broadcast.web.rest import AppSettings, Paging, Session

router = PageRouter()

ROWS = 50

PRESENCE = {
    Presence.ONLINE: ("ok", N_("đang kết nối")),
    Presence.SILENT: ("unknown", N_("chưa rõ")),
    Presence.OFFLINE: ("bad", N_("mất liên lạc")),
    Presence.NEVER_SEEN: ("unknown", N_("chưa từng kết nối")),
}
SIGNAL = {
    Signal.GOOD: ("ok", N_("sóng tốt")),
    Signal.FAIR: ("ok", N_("sóng vừa")),
    Signal.WEAK: ("partial", N_("sóng yếu")),
    Signal.UNKNOWN: ("unknown", N_("chưa rõ sóng")),
}
POWER = {
    Power.MAINS: ("ok", N_("điện lưới")),
    Power.BATTERY: ("partial", N_("chạy ắc quy")),
    Power.UNKNOWN: ("unknown", N_("chưa rõ nguồn điện")),
}
LINE = {
    Line.OK: ("ok", N_("đường loa tốt")),
    Line.OPEN: ("bad", N_("đường loa đứt")),
    Line.SHORT: ("bad", N_("đường loa chập")),
    Line.UNKNOWN: ("unknown", N_("chưa rõ đường loa")),
}
"""Kind of state and words of each value."""

COMMANDS = {
    CommandKind.SELF_TEST: N_("Tự thử loa"),
    CommandKind.IDENTIFY: N_("Tìm thiết bị"),
    CommandKind.REBOOT: N_("Khởi động lại"),
    CommandKind.VOLUME: N_("Đặt âm lượng"),
}
OUTCOMES = {
    CommandState.WAITING: ("unknown", N_("đang chờ trả lời")),
    CommandState.DONE: ("ok", N_("đã làm")),
    CommandState.FAILED: ("bad", N_("không làm được")),
    CommandState.REFUSED: ("bad", N_("bị từ chối")),
    CommandState.EXPIRED: ("partial", N_("quá hạn")),
}
SPANS = {
    ChartSpan.DAY: N_("Một ngày"),
    ChartSpan.WEEK: N_("Một tuần"),
    ChartSpan.MONTH: N_("Một tháng"),
}
WORDS: dict[str, Any] = {
    "presence_words": PRESENCE,
    "signal_words": SIGNAL,
    "power_words": POWER,
    "line_words": LINE,
    "command_words": COMMANDS,
    "outcome_words": OUTCOMES,
    "span_words": SPANS,
    "fault_words": FAULTS,
}

COMMANDS_BACK = timedelta(days=30)
"""How far back a device's commands are shown."""


# --- the fleet -----------------------------------------------------------------------------------


def _filter(
    text: Annotated[str, Query(max_length=100)] = "",
    area: Annotated[str, Query(max_length=20)] = "",
    presence: Presence | Literal[""] = "",
    firmware: Annotated[str | None, Query(max_length=200)] = None,
    signal: Signal | Literal[""] = "",
    power: Power | Literal[""] = "",
    line: Line | Literal[""] = "",
) -> fleet.FleetFilter:
    """What a form asks for, whose empty fields ask for nothing."""
    return fleet.FleetFilter(
        text or None, area or None, presence or None, firmware, signal or None, power or None,
        line or None,
    )  # fmt: skip


@router.get("/devices")
async def show_fleet(
    request: Request,
    session: Session,
    caller: Reader,
    wanted: Annotated[fleet.FleetFilter, Depends(_filter)],
    cursor: str | None = None,
) -> Response:
    """Devices in use, found and counted."""
    today = clock.today()
    query = {name: value for name, value in wanted._asdict().items() if value is not None}
    return page(
        request,
        caller,
        "devices/index.html",
        wanted=wanted,
        query=query,
        summary=await fleet.summarise(session, wanted, today),
        devices=await fleet.list_fleet(session, Paging(cursor, ROWS), wanted, today),
        **WORDS,
    )


# --- one device ----------------------------------------------------------------------------------


class Where(NamedTuple):
    """Where a device sounds."""

    cluster_code: str
    cluster_name: str
    villages_count: int


async def _where(session: AsyncSession, cluster_code: str | None) -> Where | None:
    if cluster_code is None:
        return None
    cluster = await register.show_cluster(session, cluster_code, clock.today())
    return Where(cluster.code, cluster.name, len(cluster.villages))


@router.get("/devices/{code}")
async def show_device(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Reader,
    code: str,
    span: ChartSpan = ChartSpan.DAY,
) -> Response:
    """Everything about one device."""
    device = await enrolment.show_device(session, code)
    found = await enrolment.require_device(session, code)
    history = await installations.list_installations(session, Installation.device_id == found.id)
    return page(
        request,
        caller,
        "devices/device.html",
        device=device,
        where=await _where(session, device.cluster_code),
        installations=history,
        cluster_names=await clusters.names(session, (each.cluster_code for each in history)),
        faults=await queries.list_faults(session, Paging(None, ROWS), code, closed=True),
        refusals=await queries.list_refusals(session, Paging(None, ROWS), code),
        **{
            **await _state(session, code),
            **await _chart(session, settings, code, span),
            **await _commands(session, settings, code),
        },
        **WORDS,
    )


async def _state(session: AsyncSession, code: str) -> dict[str, Any]:
    item: FleetItemOut | None = await fleet.find(session, code)
    return {"code": code, "item": item}


@router.get("/devices/{code}/state")
async def show_state(request: Request, session: Session, caller: Reader, code: str) -> Response:
    """The part that says how the device is."""
    await enrolment.require_device(session, code)
    return page(request, caller, "devices/_state.html", **await _state(session, code), **WORDS)


class Bar(NamedTuple):
    """An interval of presence on a line of 1000."""

    x: float
    width: float
    presence: Presence
    since: datetime
    until: datetime


def bars(chart: ChartOut) -> list[Bar]:
    """Intervals of presence as they are drawn. Pure."""
    whole = (chart.until - chart.since).total_seconds()

    def at(moment: datetime) -> float:
        return round((moment - chart.since).total_seconds() / whole * 1000, 1)

    return [
        Bar(at(each.since), round(at(each.until) - at(each.since), 1), *each.model_dump().values())
        for each in chart.presence
    ]


async def _chart(
    session: AsyncSession, settings: Settings, code: str, span: ChartSpan
) -> dict[str, Any]:
    now = clock.now()
    chart = await queries.show_chart(session, code, span, now, now, settings.upkeep.raw_days)
    return {"code": code, "chart": chart, "bars": bars(chart)}


@router.get("/devices/{code}/chart")
async def show_chart(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Reader,
    code: str,
    span: ChartSpan = ChartSpan.DAY,
) -> Response:
    """The part with the charts of a span."""
    return page(
        request,
        caller,
        "devices/_chart.html",
        **await _chart(session, settings, code, span),
        **WORDS,
    )


# --- commands ------------------------------------------------------------------------------------


async def _commands(session: AsyncSession, settings: Settings, code: str) -> dict[str, Any]:
    now = clock.now()
    found = await status.list_commands(
        session, Paging(None, ROWS), now - COMMANDS_BACK, now, device=code, kind=None
    )
    hours = await hours_at_device(session, code, settings.rules, now)
    return {
        "code": code,
        "commands": found.items[::-1],
        "hushed": order.hushed_now(CommandKind.SELF_TEST, hours, now),
    }


@router.get("/devices/{code}/commands")
async def show_commands(
    request: Request, session: Session, settings: AppSettings, caller: Reader, code: str
) -> Response:
    """The part with the commands and their answers."""
    await enrolment.require_device(session, code)
    found = await _commands(session, settings, code)
    return page(request, caller, "devices/_commands.html", **found, **WORDS)


@router.post("/devices/{code}/commands", summary="Ra lệnh cho thiết bị")
async def order_command(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Commander,
    code: str,
    kind: Annotated[CommandKind, Form()],
    volume: Annotated[str, Form(max_length=3)] = "",
) -> Response:
    """As `POST /api/v1/devices/{code}/commands`."""
    if volume and not (volume.isdecimal() and int(volume) <= 100):
        raise InvalidInput("volume", "ghi một số từ 0 đến 100")
    await require_at_device(session, caller, Permission.COMMAND_SEND, code)
    now = clock.now()
    hours = await hours_at_device(session, code, settings.rules, now)
    await order.order(
        session, code, kind, int(volume) if volume else None, caller.account_id, hours, now
    )  # fmt: skip
    found = await _commands(session, settings, code)
    return page(request, caller, "devices/_commands.html", **found, **WORDS)


# --- swap and retire -----------------------------------------------------------------------------


@router.post("/devices/{code}/install", summary="Lắp hoặc chuyển thiết bị sang cụm loa")
async def install(
    request: Request,
    session: Session,
    caller: DeviceEditor,
    code: str,
    cluster: Annotated[str, Form(max_length=50)] = "",
    move: Annotated[bool, Form()] = False,
) -> Response:
    """As `POST /api/v1/clusters/{code}/device`."""
    if not cluster.strip():
        raise InvalidInput("cluster", "ghi mã cụm loa nơi lắp thiết bị")
    body = InstallationIn(device=code, move=move)
    await installing.install(session, caller, cluster.strip(), body, clock.now())
    return redirect(request, f"/devices/{code}")


@router.post("/devices/{code}/retire", summary="Ngừng dùng thiết bị")
async def retire(request: Request, session: Session, caller: DeviceEditor, code: str) -> Response:
    """As `DELETE /api/v1/devices/{code}`."""
    await _require_editor(session, caller, code)
    await enrolment.retire(session, await enrolment.require_device(session, code), clock.now())
    return redirect(request, f"/devices/{code}")


async def _require_editor(session: AsyncSession, caller: Caller, code: str) -> None:
    await require_at_device(session, caller, Permission.DEVICE_WRITE, code)
