"""`broadcast devices enrol` and `broadcast devices revoke`, beside the commands of `devices`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.audit.command import change
from broadcast.devices.cli import app as app  # noqa: PLC0414  the group that these join
from broadcast.enrolment import enrolling
from broadcast.kit import clock, logs
from broadcast.kit.errors import InvalidInput
from broadcast.wire.codec import encode
from broadcast.wire.enrolment import Bundle
from broadcast.wire.fields import PEM_BYTES

Code = Annotated[str, typer.Argument(help="of the device")]


@app.command()
def enrol(
    code: Code,
    csr: Annotated[
        Path | None, typer.Option(exists=True, help="sign this request of a box; print the bundle")
    ] = None,
    password: Annotated[
        bool, typer.Option("--password", help="for a box that cannot make a key; print the bundle")
    ] = False,
    qr: Annotated[Path | None, typer.Option(help="also write the QR code there, as SVG")] = None,
) -> None:
    """Print a claim code with its QR code, or, where asked for, all that a box is given (JSON)."""
    logs.setup("WARNING")  # what is printed is for a program to read
    if csr is not None and password:
        raise InvalidInput("--password", "không dùng cùng --csr: thiết bị có một trong hai")
    settings, now = config.Settings(), clock.now()

    async def bundle(session: AsyncSession) -> Bundle:
        if csr is None:
            return await enrolling.give_password(session, settings, code, now)
        with csr.open(encoding="ascii", errors="replace") as file:
            request = file.read(PEM_BYTES)
        return await enrolling.sign(session, settings, code, request, now)

    async def claim(session: AsyncSession) -> enrolling.Opened:
        return await enrolling.open_claim(session, settings, code, now)

    if csr is not None or password:
        typer.echo(encode(change("broadcast devices enrol", bundle)))
        return
    opened = change("broadcast devices enrol", claim)
    opened.qr.terminal(compact=True)
    if qr is not None:
        opened.qr.save(str(qr), kind="svg", scale=4)
    until = opened.expires_at.astimezone(clock.LOCAL)
    typer.echo(f"{opened.device_code}: {opened.claim_code} (đến {until:%H:%M %d/%m/%Y})")


@app.command()
def revoke(code: Code) -> None:
    """Let a device connect no longer; its open connection is closed within a minute."""

    async def work(session: AsyncSession) -> int:
        return await enrolling.revoke(session, code, clock.now())

    count = change("broadcast devices revoke", work)
    typer.echo(f"đã thu hồi {count} chứng chỉ hoặc mật khẩu của {code}")
