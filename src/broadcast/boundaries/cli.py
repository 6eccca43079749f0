"""`broadcast areas boundaries …`: outlines of communes for the map."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from broadcast.areas.cli import app as app  # noqa: PLC0414  the group that this joins
from broadcast.audit.command import change
from broadcast.boundaries import imports
from broadcast.kit import clock
from broadcast.kit.cli import show_report
from broadcast.kit.sheets import File

boundaries = typer.Typer(no_args_is_help=True, help="Ranh giới các xã cho bản đồ.")
app.add_typer(boundaries, name="boundaries")


@boundaries.callback()
def _group() -> None:
    """Ranh giới các xã cho bản đồ."""


@boundaries.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="GeoJSON or TopoJSON with codes", exists=True)],
    code_property: Annotated[
        str | None, typer.Option(help="property with the code; by default id, code, ma_xa, …")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="remove outlines that the file does not have")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", "--dry-run", help="say what would change; change nothing")
    ] = False,
) -> None:
    """Store the outlines of communes, all or nothing; harmless to repeat."""
    with path.open("rb") as stream:
        file = File(path.name, stream.read(imports.MAX_BYTES + 1))
    report = change(
        "broadcast areas boundaries import",
        partial(
            imports.import_boundaries,
            file=file,
            now=clock.now(),
            code_property=code_property,
            replace=replace,
            dry_run=check,
        ),
    )
    show_report(report, "ranh giới")
