"""`broadcast upkeep`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from broadcast import config
from broadcast.kit import clock, db
from broadcast.upkeep.report import PartitionsView, Report, report
from broadcast.upkeep.storage import Room

app = typer.Typer(add_completion=False)


@app.command()
def upkeep(
    json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """Partitions, room and alarms of the store; exit code 1 while somebody has to act."""
    settings = config.Settings()

    async def look() -> Report:
        engine = db.create_engine(settings.postgres, "broadcast.upkeep")
        try:
            async with db.transaction(engine) as session:
                return await report(session, settings, clock.now())
        finally:
            await engine.dispose()

    seen = asyncio.run(look())
    if json:
        typer.echo(seen.model_dump_json())
    else:
        _show(seen)
    if seen.alarms:
        raise typer.Exit(1)


def _show(seen: Report) -> None:
    console = Console()
    table = Table(
        "Bảng", "Phân vùng", "Cũ nhất", "Tạo sẵn", "Đã nén", "Dung lượng", "Giữ (ngày)",
        title=f"Lưu trữ lúc {seen.at.astimezone(clock.LOCAL):%H:%M %d/%m/%Y}",
    )  # fmt: skip
    for view in seen.partitions:
        table.add_row(*_row(view))
    console.print(table)
    console.print(f"Cơ sở dữ liệu: {_size(seen.database_bytes)}")
    for room in seen.rooms:
        console.print(_room(room))
    for name, days in seen.kept_days.items():
        console.print(f"  {name}: giữ {days} ngày")
    for check in seen.checks:
        if check.alarm:
            console.print(f"[bold red]CẢNH BÁO[/] {check.name.value}: {check.detail}")


def _row(view: PartitionsView) -> list[str]:
    return [
        view.table,
        str(view.count),
        "–" if view.oldest is None else f"{view.oldest:%d/%m/%Y}",
        str(view.ahead),
        str(view.packed),
        _size(view.size_bytes),
        "mãi mãi" if view.kept_days is None else str(view.kept_days),
    ]


def _room(room: Room) -> str:
    place = {"content": "Thư mục âm thanh", "database": "Đĩa của cơ sở dữ liệu"}[room.place]
    if room.free_bytes is None:
        return f"{place}: không đo được từ máy này"
    how = " (theo dung lượng khai báo)" if room.how == "capacity" else ""
    return f"{place}: còn trống {_size(room.free_bytes)}{how}"


def _size(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"
