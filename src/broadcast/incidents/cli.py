"""`broadcast incidents`."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.incidents.causes import Cause
from broadcast.incidents.model import Incident
from broadcast.incidents.queries import IncidentFilter, describe, incidents_statement
from broadcast.incidents.schemas import IncidentOut
from broadcast.kit import clock
from broadcast.kit.cli import day, run
from broadcast.web.rest import Page

app = typer.Typer(add_completion=False)


@app.command()
def incidents(
    everything: Annotated[
        bool, typer.Option("--all", help="cả sự cố đã đóng (closed ones too)")
    ] = False,
    area: Annotated[str | None, typer.Option(help="mã đơn vị (area code)")] = None,
    cause: Annotated[Cause | None, typer.Option(help="nguyên nhân")] = None,
    since: Annotated[
        date | None,
        typer.Option(parser=day, metavar="YYYY-MM-DD", help="xảy ra từ ngày (from this day)"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """Incidents with their likely cause and what to do; the newest first."""
    on = clock.today()

    async def find(session: AsyncSession) -> list[IncidentOut]:
        statement = await incidents_statement(
            session,
            on,
            IncidentFilter(
                is_open=None if everything else True,
                area=area,
                cause=cause,
                since=datetime.combine(since, time.min, clock.LOCAL) if since else None,
            ),
        )
        newest_first = statement.order_by(Incident.opened_at.desc(), Incident.id)
        rows = (await session.scalars(newest_first)).all()
        return list(map(await describe(session, rows, on), rows))

    found = run(find)
    if json:
        typer.echo(Page[IncidentOut](items=found).model_dump_json())
        return
    if not found:
        typer.echo("Không có sự cố nào.")
        return
    table = Table("Số", "Sự cố", "Còn mất", "Việc cần làm")
    for each in found:
        table.add_row(
            str(each.id), each.title, f"{each.down_count}/{each.devices_count}", each.advice
        )
    Console().print(table)
