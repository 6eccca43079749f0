"""`broadcast backup …`: making backups and verifying them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.audit import recording
from broadcast.audit.command import change
from broadcast.backup import create as making
from broadcast.backup import manifest, recover
from broadcast.kit import clock

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Sao lưu và kiểm tra sao lưu.")

Folder = Annotated[Path, typer.Argument(help="folder of one backup")]


@app.command()
def create(
    into: Annotated[Path, typer.Argument(help="where backups are kept; made when absent")],
    keep: Annotated[int, typer.Option(min=1, help="backups that stay; older ones go")] = 14,
) -> None:
    """Back up database, audio and keys into a new folder; what runs goes on."""
    settings = config.Settings()

    async def look(session: AsyncSession) -> making.Source:
        recording.say(session, into=str(into))
        return await making.look(session)

    source = change("broadcast backup create", look)  # before the dump, which tells of itself
    folder = making.create(settings, source, into, clock.now())
    made = manifest.read(folder)
    size = sum(each.size_bytes for each in made.files.values())
    typer.echo(f"{folder}: {len(made.files)} tệp, {size / 2**20:.1f} MiB")
    for sha256 in made.missing:
        typer.secho(
            f"thiếu âm thanh {sha256} mà cơ sở dữ liệu có nhắc; hãy tìm trong bản sao lưu cũ",
            err=True, fg="yellow",
        )  # fmt: skip
    making.forget(into, keep)


@app.command()
def verify(folder: Folder) -> None:
    """Read every byte of a backup and compare; exit code 1: it is not whole."""
    made, wrong = recover.verify(folder)
    for fault in wrong:
        typer.secho(f"{fault.path}: {fault.detail}", err=True, fg="red")
    if wrong:
        typer.secho(f"{len(wrong)} chỗ sai; hãy dùng bản sao lưu khác", err=True, fg="red")
        raise typer.Exit(1)
    at = made.begun_at.astimezone(clock.LOCAL)
    typer.echo(f"tốt: {len(made.files)} tệp, cơ sở dữ liệu lúc {at:%H:%M:%S %d/%m/%Y}")
