"""`broadcast stations …`: the registry from files, and mergers."""

from __future__ import annotations

from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from broadcast.areas.row_imports import import_files
from broadcast.audit.command import change
from broadcast.kit.cli import DryRun, day, read_file, show_report
from broadcast.stations import succession
from broadcast.stations.imports import KINDS

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Đài, hệ thống kỹ thuật, cụm loa (stations)."
)


@app.command("import")
def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(help="CSV of stations, plants, clusters, baseline", exists=True),
    ],
    dry_run: DryRun = False,
) -> None:
    """Store CSV files, each known by its header, in the right order; all or nothing."""
    files = [read_file(path) for path in paths]
    report = change(
        "broadcast stations import",
        partial(import_files, files=files, kinds=KINDS, dry_run=dry_run),
    )
    show_report(report, "đài và cụm loa")


@app.command()
def follow(
    on: Annotated[date, typer.Option(parser=day, metavar="YYYY-MM-DD", help="day of the merger")],
    dry_run: DryRun = False,
) -> None:
    """After a merger of communes: one station for each new commune, with the plants of the old.

    Stations of communes that were divided are listed: a person moves their plants.
    """
    report, undecided = change(
        "broadcast stations follow", partial(succession.follow, on=on, dry_run=dry_run)
    )
    show_report(report, f"đài theo sáp nhập ngày {on}")
    if not undecided:
        return
    table = Table("đài", "xã cũ", "các xã có thể nhận", title="Cần người quyết định")
    for station in undecided:
        table.add_row(station.code, station.commune_code, ", ".join(station.candidates) or "–")
    Console().print(table)
