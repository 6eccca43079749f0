"""`broadcast areas …`: units and villages from files, and the questions people ask of them."""

from __future__ import annotations

from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from broadcast import config
from broadcast.areas import imports, units, villages
from broadcast.areas.model import Level
from broadcast.audit.command import change
from broadcast.kit import clock
from broadcast.kit.cli import DryRun, day, read_file, run, show_report
from broadcast.kit.errors import InvalidInput
from broadcast.kit.sheets import File

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Đơn vị hành chính và sổ thôn (areas)."
)

Replace = Annotated[
    bool, typer.Option("--replace", help="remove what is stored and not in the file")
]
Day = Annotated[
    date | None,
    typer.Option("--on", parser=day, metavar="YYYY-MM-DD", help="day; today by default"),
]


@app.command()
def load(
    province: Annotated[
        list[str] | None, typer.Option(help="code, 2 digits; the configured one by default")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Store the present communes of provinces, from the package vietnam-provinces."""
    for code in province or [config.Settings().province]:
        report = change(
            "broadcast areas load",
            partial(imports.load_current, province=code, dry_run=dry_run),
        )
        show_report(report, f"tỉnh {code}")


@app.command("import")
def import_(
    areas: Annotated[Path | None, typer.Argument(help="areas.csv", exists=True)] = None,
    lineage: Annotated[Path | None, typer.Argument(help="lineage.csv", exists=True)] = None,
    official: Annotated[
        bool, typer.Option("--official", help="các tệp có sẵn trong gói: Quảng Ngãi, Kon Tum")
    ] = False,
    replace: Replace = False,
    dry_run: DryRun = False,
) -> None:
    """Store units and their lineage from CSV files, all or nothing; harmless to repeat."""
    if official == (areas is not None):
        raise typer.BadParameter("cần areas.csv [lineage.csv], hoặc --official")
    if official:
        files: tuple[File | None, File | None] = imports.official_files()
    else:
        files = (read_file(areas) if areas else None, read_file(lineage) if lineage else None)
    report = change(
        "broadcast areas import",
        partial(
            imports.import_areas,
            areas=files[0],
            lineage=files[1],
            replace=replace,
            dry_run=dry_run,
        ),
    )
    show_report(report, "đơn vị hành chính")


@app.command("import-villages")
def import_villages(
    path: Annotated[Path, typer.Argument(help="villages.csv", exists=True)],
    replace: Replace = False,
    dry_run: DryRun = False,
) -> None:
    """Store the village register: code,kind,name,commune_code,valid_from,valid_to."""
    file = read_file(path)
    report = change(
        "broadcast areas import-villages",
        partial(villages.import_villages, file=file, replace=replace, dry_run=dry_run),
    )
    show_report(report, "sổ thôn")


@app.command()
def unplaced(on: Day = None) -> None:
    """List the villages that a person has to place, because their commune was divided."""
    on = on or clock.today()
    found = run(partial(villages.unplaced, on=on))
    table = Table("thôn", "tên", "xã cũ", "từ ngày", "có thể thuộc", "hiện tính vào")
    for village in found:
        may = ", ".join(village.candidates)
        since, lies_in = str(village.since), village.lies_in or "–"
        table.add_row(village.code, village.name, village.commune_code, since, may, lies_in)
    Console().print(table if found else f"Ngày {on}: mọi thôn đều thuộc một xã.")


@app.command()
def count(on: Day = None) -> None:
    """Count the units of a day by level, for every province."""
    on = on or clock.today()
    tree = run(partial(units.load_tree, on=on))
    table = Table("mã", "tỉnh", *(level.value for level in Level if level is not Level.PROVINCE))
    for province in sorted(unit for unit in tree if unit.level is Level.PROVINCE):
        below = [
            str(len(tree.under(province.code, level)))
            for level in Level
            if level is not Level.PROVINCE
        ]
        table.add_row(province.code, province.name, *below)
    Console().print(table)


@app.command()
def trace(
    code: Annotated[str, typer.Argument(help="code of a unit")],
    since: Annotated[
        date, typer.Option(parser=day, metavar="YYYY-MM-DD", help="day on which the code is meant")
    ],
    on: Day = None,
) -> None:
    """Show what a unit has become."""
    on = on or clock.today()
    lineage = run(units.load_lineage)
    unit = lineage.unit(code, since)
    if unit is None:
        raise InvalidInput("code", units.missing(lineage, code, since)[0])
    tree = lineage.tree_on(on)
    table = Table("mã", "tên", "phần", title=f"{unit.name} ({code}, {since}) → {on}")
    for heir in lineage.successors(code, since, on):
        table.add_row(heir.code, tree[heir.code].name, heir.part.value)
    Console().print(table)
