"""`broadcast indicators`."""

from __future__ import annotations

import asyncio
from datetime import date, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import DBAPIError

from broadcast import config
from broadcast.indicators.figures import compute, differences, recompute
from broadcast.indicators.results import Result, Results
from broadcast.indicators.schemas import IndicatorsOut
from broadcast.indicators.texts import percent, proven
from broadcast.kit import clock, db
from broadcast.kit.cli import day

app = typer.Typer(add_completion=False)


@app.command()
def indicators(
    as_of: Annotated[
        date | None,
        typer.Option(
            parser=day, metavar="YYYY-MM-DD", help="ngày hỏi; mặc định hôm nay (the day)"
        ),
    ] = None,
    scope: Annotated[
        str | None, typer.Option(help="mã tỉnh, huyện hoặc xã; mặc định cả tỉnh (area code)")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    raw: Annotated[
        bool,
        typer.Option("--recompute", help="tính lại từ bằng chứng gốc, không dùng số ngày đã lưu"),
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="so số lưu với số tính lại; khác thì in ra, mã thoát 1"),
    ] = False,
) -> None:
    """Indicators 1.1 to 1.3 in all variants, for a day."""
    settings = config.Settings()
    now = clock.now()
    on = as_of or now.astimezone(clock.LOCAL).date()
    unit = scope or settings.province

    async def run() -> Results:
        engine = db.create_engine(settings.postgres, "broadcast.indicators")
        try:
            async with db.transaction(engine) as session:
                return await (recompute if raw else compute)(session, on, unit, now)
        finally:
            await engine.dispose()

    if check:
        found = asyncio.run(_differences(settings, on, unit, now))
        for line in found:
            typer.echo(line, err=True)
        if found:
            raise typer.Exit(1)
        typer.echo(f"Chỉ tiêu ngày {on:%d/%m/%Y}, {unit}: số lưu và số tính lại khớp nhau.")
        return
    results = asyncio.run(run())
    if json:
        typer.echo(IndicatorsOut.of(results, on, unit).model_dump_json())
        return
    table = Table(
        "Chỉ tiêu", "Cách tính", "Giá trị", "Tử/mẫu", "Telemetry", "Xác nhận", "Chưa chứng minh",
        "Mục tiêu", "Ghi chú",
        title=f"Chỉ tiêu ngày {on:%d/%m/%Y}, {unit}",
    )  # fmt: skip
    for code, variants in results.items():
        for variant, result in variants.items():
            table.add_row(code, f"{variant}: {result.definition.title}", *_row(result))
    Console().print(table)


SERIALIZATION_FAILURE = "40001"
"""SQLSTATE: the server applied the same invalidations at the same time."""


async def _differences(
    settings: config.Settings, on: date, unit: str, now: datetime, attempts: int = 5
) -> list[str]:
    engine = db.create_engine(settings.postgres, "broadcast.indicators")
    one_state = engine.execution_options(isolation_level="REPEATABLE READ")
    try:
        while True:
            try:
                async with db.transaction(one_state) as session:
                    return await differences(session, on, unit, now)
            except DBAPIError as error:
                attempts -= 1
                if db.sqlstate(error) != SERIALIZATION_FAILURE or not attempts:
                    raise
    finally:
        await engine.dispose()


def _row(result: Result) -> list[str]:
    notes = {
        "một phần": len(result.partly),
        "lỗi dữ liệu": len(result.data_errors),
        "loại trừ": len(result.excluded),
    }
    return [
        percent(result.value),
        f"{len(result.numerator)}/{len(result.members)}",
        *proven(result).values(),
        percent(result.target),
        ", ".join(f"{name}: {count}" for name, count in notes.items() if count),
    ]
