"""Parts that commands on the registers share: one transaction, reports as tables."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Annotated, TypeVar

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.kit import db, times
from broadcast.kit.errors import InvalidInput
from broadcast.kit.sheets import MAX_BYTES, Action, Fate, File, Report

T = TypeVar("T")

LISTED = 40
"""Changes shown of an import; all are counted."""

SIGNS = {Action.ADDED: "+", Action.CHANGED: "~", Action.REMOVED: "-"}

DryRun = Annotated[bool, typer.Option("--dry-run", help="say what would change; change nothing")]


def run(work: Callable[[AsyncSession], Awaitable[T]], *, may_write: bool = False) -> T:
    """Do some work in one transaction; an import that is refused tells all its faults.

    Args:
        work: In the transaction given.
        may_write: For `audit.command.change` alone: what changes something is in the audit.
    """

    async def main() -> T:
        engine = db.create_engine(config.Settings().postgres, "broadcast.cli")
        try:
            async with db.transaction(engine) as session:
                if not may_write:
                    await session.execute(sa.text("SET TRANSACTION READ ONLY"))
                return await work(session)
        finally:
            await engine.dispose()

    try:
        return asyncio.run(main())
    except InvalidInput as error:
        if "errors" in error.extra:
            show_faults(error)
        raise


def day(text: str) -> date:
    """A day that somebody typed.

    Raises:
        typer.BadParameter: It is none.
    """
    try:
        return times.day(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def show_faults(error: InvalidInput) -> None:
    """Table of the errors of an import, on stderr."""
    table = Table("tệp", "dòng", "cột", "lỗi và cách sửa", title="Chưa nhập gì")
    found = error.extra["errors"]
    assert isinstance(found, list)
    for fault in found:
        table.add_row(
            fault["file"], str(fault["row"] or ""), fault["column"] or "", fault["detail"]
        )
    Console(stderr=True).print(table)


def show_report(report: Report, title: str) -> None:
    """Table of what an import did or would do."""
    table = Table("", "dòng", "nội dung", title=f"{title}{' (thử)' if report.dry_run else ''}")
    for change in report.changes[:LISTED]:
        table.add_row(SIGNS[change.action], change.what, change.detail)
    console = Console()
    if report.refused:
        refused = Table("tệp", "dòng", "lỗi và cách sửa", title="Sẽ không nhập gì")
        for row in report.rows[:LISTED]:
            if row.fate is Fate.REFUSED:
                refused.add_row(row.file, str(row.row or ""), row.detail)
        console.print(refused)
    if report.changes:
        console.print(table)
    more = report.added + report.changed + report.removed - LISTED
    if more > 0:
        console.print(f"… và {more} dòng khác")
    console.print(
        f"{title}: {report.added} thêm, {report.changed} sửa, {report.removed} bỏ, "
        f"{report.unchanged} giữ nguyên{'; chưa ghi gì (thử)' if report.dry_run else ''}"
    )
    for note in report.notes:
        console.print(note)
    if report.refused:
        raise typer.Exit(1)


def read_file(path: Path) -> File:
    """A file from the disk, no more of it than an import would accept."""
    with path.open("rb") as stream:
        return File(path.name, stream.read(MAX_BYTES + 1))
