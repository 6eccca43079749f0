"""`broadcast authority …`: the province's certificate authorities."""

from __future__ import annotations

from typing import Annotated

import typer

from broadcast import config
from broadcast.enrolment import authority_files, broker_files
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
        list[str] | None,
        typer.Option(help="name or address of the broker; the first: as devices reach it"),
    ] = None,
) -> None:
    """Make what lacks of authorities, certificates of broker and server, files for the broker."""
    settings = config.Settings()
    host = settings.enrolment.broker_host
    names = broker or ([] if host is None else [host])
    if not names:
        raise InvalidInput("--broker", "ghi tên máy broker mà thiết bị gọi tới")
    folder, now = settings.enrolment.authority_dir, clock.now()
    made = authority_files.create(folder, names, settings.mqtt.client_id, now)
    devices = authority_files.devices(settings.enrolment)
    made += broker_files.create(settings.enrolment.broker_dir, devices, now)
    for path in made:
        typer.echo(f"đã tạo {path}")
    if not made:
        typer.echo("đã có đủ, không thay đổi gì")
