"""`make bench`: a table for people, then one JSON object as the last line.

Every benchmark module has `run() -> list[Result]`. A ratio is ours divided by what it is held
against; `limit` says how large (or small) it may become, None when it is only reported.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.result import Result, Skipped


def main(names: list[str]) -> None:
    """Run the named benchmarks, all of them by default."""
    logging.disable(logging.WARNING)
    known = sorted(
        path.stem
        for path in Path(__file__).parent.glob("*.py")
        if path.stem not in {"__init__", "__main__", "province", "result"}
    )
    unknown = set(names) - set(known)
    if unknown:
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    console = Console(width=120)
    results: list[Result] = []
    for name in names or known:
        console.print(f"[dim]{name} …[/]")
        try:
            results += importlib.import_module(f"benchmarks.{name}").run()
        except Skipped as reason:
            console.print(f"[yellow]{name} skipped: {reason}[/]")
    table = Table("benchmark", "ours", "against", "ratio", "unit", "limit")
    for result in results:
        table.add_row(
            result.name,
            f"{result.ours:,.3g}",
            f"{result.against:,.3g}",
            f"{result.ratio:.2f}",
            result.unit,
            result.limit or "–",
        )
    console.print(table)
    print(
        json.dumps(
            {
                r.name: {
                    "ours": r.ours,
                    "against": r.against,
                    "ratio": round(r.ratio, 3),
                    "unit": r.unit,
                    "limit": r.limit,
                }
                for r in results
            }
        )
    )


main(sys.argv[1:])
