"""`broadcast restore …`: putting a backup back, and what comes after."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broadcast import config
from broadcast.backup import recover
from broadcast.kit.cli import run

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Khôi phục từ bản sao lưu.")


@app.callback()
def restore() -> None:
    """Stop the server first: `systemctl stop broadcast.target`."""


@app.command("from")
def recover_from(folder: Annotated[Path, typer.Argument(help="folder of one backup")]) -> None:
    """Verify a backup, then replace the database by it and put missing audio and keys back."""
    run(recover.refuse_while_used)
    done = recover.recover(folder, config.Settings(), run(recover.server_version))
    typer.echo(f"đã khôi phục cơ sở dữ liệu, {done.audio} tệp âm thanh, {len(done.keys)} tệp khóa")
