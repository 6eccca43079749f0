"""`make bench`: a table for people, then one JSON object as the last line.

Every benchmark module has `run() -> list[Result]`. A ratio is ours divided by what it is held
against; `limit` says how large (or small) it may become, None when it is only reported. The exit
code is 1 when a limit was missed or a benchmark failed; what was skipped, and what it lacks, is
said last.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.result import Result, Skipped


def main(names: list[str]) -> int:
    """Run the named benchmarks, all of them by default; returns the exit code."""
    logging.disable(logging.WARNING)
    known = sorted(
        path.stem
        for path in Path(__file__).parent.glob("*.py")
        if path.stem not in {"__init__", "__main__", "province", "result"}
    )
    unknown = set(names) - set(known)
    if unknown:
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    with niceness_of_the_session():
        return _run(names or known)


def _run(names: list[str]) -> int:
    console = Console(width=120)
    results: list[Result] = []
    wrong: list[str] = []
    skipped: list[str] = []
    for name in names:
        console.print(f"[dim]{name} …[/]")
        try:
            results += importlib.import_module(f"benchmarks.{name}").run()
        except Skipped as reason:
            skipped.append(f"{name}: {reason}")
        except Exception as error:  # noqa: BLE001 — the others are measured all the same
            traceback.print_exc()
            wrong.append(f"{name} failed: {error!r}")
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
    wrong += [
        f"{r.name} misses its limit: {r.limit}, but {r.ours:,.3g} {r.unit}, ratio {r.ratio:.2f}"
        for r in results
        if r.missed
    ]
    for line in skipped:
        console.print(f"[yellow]skipped[/] {line}")
    for line in wrong:
        console.print(f"[red]{line}[/]")
    print(
        json.dumps(
            {
                r.name: {
                    "ours": r.ours,
                    "against": r.against,
                    "ratio": round(r.ratio, 3),
                    "unit": r.unit,
                    "limit": r.limit,
                    "missed": r.missed,
                }
                for r in results
            }
        )
    )
    return 1 if wrong else 0


@contextmanager
def niceness_of_the_session() -> Iterator[None]:
    """Have `nice` count: Linux shares processors among sessions first (sched_autogroup)."""
    ours, nice = Path("/proc/self/autogroup"), os.getpriority(os.PRIO_PROCESS, 0)
    if nice == 0 or not ours.exists():
        yield
        return
    before = ours.read_text().split()[-1]
    try:
        ours.write_text(str(nice))
        yield
    finally:
        ours.write_text(before)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
