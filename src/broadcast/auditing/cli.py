"""`broadcast audit …`: whether the audit is whole, and its entries as a file."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.audit import command, recording
from broadcast.audit.chain import Anchor
from broadcast.auditing import export
from broadcast.auditing.checkpoints import Verifier
from broadcast.auditing.export import Span
from broadcast.auditing.verify import Verdict, verify
from broadcast.keys.stores import open_store
from broadcast.kit import cli, clock, db, times
from broadcast.kit.errors import BroadcastError, InvalidInput, because
from broadcast.wire.documents import PublicKey

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Nhật ký kiểm toán (audit).")

LISTED = 40
"""Findings shown; all are counted."""


def _moment(text: str) -> datetime:
    try:
        return times.moment(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _anchor(text: str) -> Anchor:
    number, _, hash_ = text.partition(":")
    if not number.isdecimal() or len(hash_) != 64:
        raise typer.BadParameter("cần số thứ tự và mã băm, dạng 1234:9f86d0…")
    return Anchor(int(number), hash_)


Keys = Annotated[
    list[Path] | None,
    typer.Option(
        "--keys", help="public keys, as `broadcast keys show` prints or printed them", exists=True
    ),
]


@app.command("verify")
def verify_(
    file: Annotated[Path | None, typer.Argument(help="an export; by default the database")] = None,
    keys: Keys = None,
    anchor: Annotated[
        list[Anchor] | None,
        typer.Option(
            parser=_anchor, metavar="SEQ:HASH", help="known from elsewhere: a log, an export"
        ),
    ] = None,
) -> None:
    """Find whatever was altered, removed or reordered; exit code 1: something was."""
    trusted = _trusted(keys or [])
    if file is None:
        seen = cli.run(lambda session: verify(session, trusted, anchor or ()))
        _show(seen, signed=trusted is not None)
    else:
        try:
            with file.open("rb") as stream:
                head, seen = export.verify(stream, trusted, anchor or ())
        except export.Unreadable as error:
            raise InvalidInput(file.name, str(error)) from None
        until = head.until.astimezone(clock.LOCAL)
        typer.echo(f"Tệp xuất: từ {head.since.astimezone(clock.LOCAL):%d/%m/%Y %H:%M}"
                   f" đến {until:%d/%m/%Y %H:%M}")  # fmt: skip
        _show(seen, signed=trusted is not None)
    if seen.findings:
        raise typer.Exit(1)


def _trusted(paths: list[Path]) -> Verifier | None:
    """The keys of some files, or those of this machine; None where there are none."""
    if paths:
        try:
            read = [msgspec.json.decode(path.read_bytes(), type=list[PublicKey]) for path in paths]
        except msgspec.DecodeError:
            raise InvalidInput("--keys", "cần tệp JSON do `broadcast keys show` in ra") from None
        return Verifier(key for keys in read for key in keys)
    why = "chưa có khóa nào trên máy này"
    try:
        keys = open_store(config.Settings().keys).load()
    except BroadcastError as error:
        keys, why = [], error.detail
    if not keys:
        typer.echo(f"Không có khóa công khai nên chưa kiểm chữ ký: {why}", err=True)
        return None
    return Verifier(key.public() for key in keys)


def _show(seen: Verdict, *, signed: bool) -> None:
    console = Console()
    if seen.first is None:
        console.print("Nhật ký chưa có dòng nào.")
    else:
        console.print(
            f"Đã xem dòng {seen.first} đến {seen.last.seq}, {seen.checkpoints_count} chữ ký."
        )
        console.print(f"Mốc: {seen.last.seq}:{seen.last.hash}", soft_wrap=True)
        if signed and seen.signed_seq < seen.last.seq:
            console.print(
                f"Các dòng sau số {seen.signed_seq} chưa được ký; máy chủ ký mỗi phút một lần."
            )
    if not seen.findings:
        console.print("Nguyên vẹn: không dòng nào bị sửa, xóa hay đổi chỗ.")
        return
    table = Table("dòng", "phát hiện", title=f"{len(seen.findings)} điểm sai")
    for each in seen.findings[:LISTED]:
        table.add_row("–" if each.seq is None else str(each.seq), each.detail)
    console.print(table)


@app.command("export")
def export_(
    since: Annotated[
        datetime, typer.Option("--from", parser=_moment, metavar="TIME", help="such as 2026-01-01")
    ],
    until: Annotated[
        datetime | None, typer.Option(parser=_moment, metavar="TIME", help="now by default")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="a new file; standard output by default")
    ] = None,
) -> None:
    """Write the entries of a time as JSON Lines that can be verified alone; that is recorded."""
    end = until or clock.now()
    if end <= since:
        raise InvalidInput("--until", "phải sau --from")

    async def find(session: AsyncSession) -> Span:
        span = await export.span(session, since, end)
        recording.say(session, since=since, until=end, first=span.first, last=span.last)
        return span

    if out is None:
        span = command.change("broadcast audit export", find)
        asyncio.run(_write(sys.stdout.buffer, span, since, end))
        return
    try:
        stream = out.open("xb")
    except OSError as error:
        raise InvalidInput("--out", f"{out}: {because(error)}; hãy ghi tên tệp mới") from None
    with stream:
        span = command.change("broadcast audit export", find)
        asyncio.run(_write(stream, span, since, end))
    count = span.last - span.first + 1 if span.first else 0
    typer.echo(f"đã ghi {count} dòng vào {out}")


async def _write(stream: BinaryIO, span: Span, since: datetime, until: datetime) -> None:
    engine = db.create_engine(config.Settings().postgres, "broadcast.audit")
    try:
        async for part in export.lines(engine, span, since, until, clock.now()):
            stream.write(part)
        stream.flush()
    finally:
        await engine.dispose()
