"""`broadcast authority …`: the province's certificate authorities."""

from __future__ import annotations

from typing import Annotated

import typer

from broadcast import config
from broadcast.enrolment import authority_files
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Nơi cấp chứng chỉ của tỉnh (X.509)."
)


@app.callback()
def authority() -> None:
    """Keep `create` a command of its own, also while it is the only one."""


@app.command()
def create(
    broker: Annotated[
        str | None,
        typer.Option(help="name under which devices reach it; BROADCAST_ENROLMENT__BROKER_HOST"),
    ] = None,
) -> None:
    """Make both authorities and the certificates of broker and server, as far as they lack."""
    settings = config.Settings()
    host = broker or settings.enrolment.broker_host
    if host is None:
        raise InvalidInput("--broker", "ghi tên máy broker mà thiết bị gọi tới")
    folder = settings.enrolment.authority_dir
    made = authority_files.create(folder, host, settings.mqtt.client_id, clock.now())
    for path in made:
        typer.echo(f"đã tạo {path}")
    if not made:
        typer.echo("đã có đủ, không thay đổi gì")
