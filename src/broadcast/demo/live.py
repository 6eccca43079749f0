"""The picture of a demo: fleet, items on air, plays and indicators, drawn anew every second."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import Any, NamedTuple

import sqlalchemy as sa
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.devices.model import Device
from broadcast.indicators.texts import percent
from broadcast.kit import clock
from broadcast.plays.model import Play, PlayState
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.telemetry.model import DevicePresence
from broadcast.telemetry.presence import Presence

STATE_WORDS = {
    PlayState.PLANNED: ("chờ phát", "dim"),
    PlayState.PLAYING: ("đang phát", "bold green"),
    PlayState.PLAYED: ("đã phát", "green"),
    PlayState.PARTIAL: ("phát một phần", "yellow"),
    PlayState.PREEMPTED: ("bị ưu tiên chiếm", "yellow"),
    PlayState.MISSED: ("không phát", "red"),
    PlayState.CANCELLED: ("đã hủy", "dim"),
}


class View(NamedTuple):
    """One moment of the demo."""

    now: datetime
    devices: int
    presence: dict[Presence, int]
    items: list[tuple[str, datetime, dict[PlayState, int]]]
    indicators: dict[str, Any]
    note: str


async def look(
    session: AsyncSession,
    since: datetime,
    now: datetime,
    indicators: dict[str, Any],
    note: str,
) -> View:
    """Read one moment from the database."""
    devices = await session.scalar(sa.select(sa.func.count()).select_from(Device)) or 0
    presence = (
        await session.execute(
            sa.select(DevicePresence.presence, sa.func.count()).group_by(DevicePresence.presence)
        )
    ).all()
    rows = await session.execute(
        sa.select(
            Occurrence.id, Occurrence.title, Occurrence.starts_at, Play.state, sa.func.count()
        )
        .join(Play, Play.occurrence_id == Occurrence.id)
        .where(
            Occurrence.state == OccurrenceState.PLANNED,
            Occurrence.starts_at >= since,
            Occurrence.starts_at < now + clock.HOUR,
        )
        .group_by(Occurrence.id, Occurrence.title, Occurrence.starts_at, Play.state)
        .order_by(Occurrence.starts_at, Occurrence.id)
    )
    items: dict[Any, tuple[str, datetime, dict[PlayState, int]]] = {}
    for occurrence_id, title, starts_at, state, count in rows:
        items.setdefault(occurrence_id, (title, starts_at, {}))[2][state] = count
    return View(
        now,
        devices,
        {row[0]: row[1] for row in presence},
        list(items.values())[-12:],
        indicators,
        note,
    )


def draw(view: View) -> RenderableType:
    """The picture of one moment."""
    local = view.now.astimezone(clock.LOCAL)
    online = view.presence.get(Presence.ONLINE, 0)
    fleet = Table.grid(padding=(0, 2))
    fleet.add_row(
        "Cụm loa có kết nối",
        ProgressBar(total=view.devices or 1, completed=online, width=30),
        f"{online}/{view.devices}",
    )
    plays = Table("Buổi phát", "Giờ", "Cụm loa", expand=True)
    for title, starts_at, states in view.items:
        told = Text(" · ").join(
            Text(f"{word} {states[state]}", style)
            for state, (word, style) in STATE_WORDS.items()
            if state in states
        )
        plays.add_row(title, f"{starts_at.astimezone(clock.LOCAL):%H:%M:%S}", told)
    figures = Table("Chỉ tiêu", "Cách tính", "Giá trị", "Tử số / mẫu số", expand=True)
    for code, variants in view.indicators.items():
        for variant, result in variants.items():
            numerator, denominator = result["numerator"], result["denominator"]
            share = Fraction(numerator, denominator) if denominator else None
            figures.add_row(code, variant, percent(share), f"{numerator}/{denominator}")
    return Group(
        Panel(
            Group(fleet, Text(view.note, "bold")),
            title=f"Hệ thống thông tin nguồn – {local:%H:%M:%S %d/%m/%Y}",
        ),
        plays,
        figures,
    )
