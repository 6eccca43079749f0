"""`broadcast devices …`: devices from files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from broadcast.areas.row_imports import import_files
from broadcast.audit.command import change
from broadcast.devices.imports import devices_kind
from broadcast.kit import clock
from broadcast.kit.cli import DryRun, read_file, show_report
from broadcast.stations.imports import KINDS

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Thiết bị (devices).")


@app.callback()
def devices() -> None:
    """Keep `import` a command of its own, also while it is the only one."""


@app.command("import")
def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(help="devices.csv; also CSV of stations, plants, clusters", exists=True),
    ],
    dry_run: DryRun = False,
) -> None:
    """Store CSV files, each known by its header, in the right order; all or nothing."""
    files = [read_file(path) for path in paths]
    kinds = [*KINDS, devices_kind(clock.now())]
    report = change(
        "broadcast devices import",
        partial(import_files, files=files, kinds=kinds, dry_run=dry_run),
    )
    show_report(report, "thiết bị")
