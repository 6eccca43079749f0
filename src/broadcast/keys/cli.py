"""`broadcast keys …`: the province's signing keys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, get_args

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.audit.command import change
from broadcast.keys import changes
from broadcast.keys.report import LISTED, named, report
from broadcast.keys.schemas import KeysOut
from broadcast.keys.stores import KeyStore, open_store
from broadcast.kit import clock
from broadcast.kit.cli import run
from broadcast.kit.clock import LOCAL
from broadcast.wire.codec import encode
from broadcast.wire.envelope import SigningKey, Use

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Khóa ký của tỉnh (Ed25519).")

UseOption = Annotated[
    Literal["programme", "alert", "both"], typer.Option("--use", help="which key to change")
]
Kid = Annotated[str, typer.Argument(help="key, or the first characters of it; see `status`")]

KEEP = "Hãy sao lưu ngay kho khóa {place}: mất khóa là mất mọi thiết bị."


def _store() -> KeyStore:
    return open_store(config.Settings().keys)


@app.command()
def create() -> None:
    """Make the first keys, as the first start does. Nothing is done when there are any."""
    store = _store()

    async def work(session: AsyncSession) -> KeysOut:
        await changes.begin(session, store, clock.now())
        return await report(session)

    for key in change("broadcast keys create", work).keys:
        typer.echo(f"{key.use:10} {key.kid} {_STATES[key.state]}")
    typer.echo(KEEP.format(place=store.place))


@app.command()
def show() -> None:
    """Print the public keys as JSON, as a device is given them at its enrolment."""
    public = run(named)
    typer.echo(json.dumps([json.loads(encode(key)) for key in public], indent=2))


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="as GET /api/v1/keys")] = False,
) -> None:
    """All keys, which of them this machine has, and who has not pinned the newest."""
    found = run(report)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    store = _store()
    here = {key.kid: key for key in asyncio.run(asyncio.to_thread(store.load))}
    console = Console()
    table = Table("khóa", "dùng cho", "trạng thái", "từ", "ở máy này", "thiết bị chưa ghim")
    for key in found.keys:
        since = key.retired_at or key.replaced_at or key.signing_at or key.made_at
        table.add_row(
            key.kid, key.use, _STATES[key.state], _local(since),
            "có" if key.kid in here else "KHÔNG", f"{key.lacking_count}/{found.devices_count}",
        )  # fmt: skip
    console.print(table)
    strangers = here.keys() - {key.kid for key in found.keys}
    for kid in sorted(strangers):
        console.print(
            f"Khóa {kid} ({here[kid].use}) ở {store.place} mà cơ sở dữ liệu không biết nên không"
            " dùng. Nếu cơ sở dữ liệu vừa được khôi phục: `broadcast keys adopt`."
        )
    if found.lacking:
        table = Table("thiết bị", "nghe lần cuối", "chưa ghim", "ký riêng bằng")
        for device in found.lacking:
            table.add_row(
                device.device, _local(device.last_seen_at),
                ", ".join(kid[:8] for kid in device.lacks), (device.own_key or "")[:8],
            )  # fmt: skip
        console.print(table)
        if found.lacking_count > LISTED:
            console.print(f"… và {found.lacking_count - LISTED} thiết bị khác")


@app.command()
def rotate(use: UseOption = "both") -> None:
    """Make a new key and announce it; it signs by itself once every device has pinned it."""
    store = _store()
    uses: Sequence[Use] = get_args(Use) if use == "both" else [use]

    async def work(session: AsyncSession) -> list[SigningKey]:
        return await changes.rotate(session, store, uses, clock.now())

    for key in change("broadcast keys rotate", work):
        typer.echo(f"đã tạo và công bố khóa {key.use} {key.kid}")
    typer.echo(KEEP.format(place=store.place))
    typer.echo(
        "Khóa mới tự ký khi mọi thiết bị đã ghim nó; theo dõi bằng `broadcast keys status`."
    )


@app.command()
def activate(
    kid: Kid,
    without_waiting: Annotated[
        bool,
        typer.Option(
            "--without-waiting", help="although devices have not pinned it; they hear later"
        ),
    ] = False,
) -> None:
    """Have an announced key sign now, not when the last device has pinned it."""
    store = _store()

    async def work(session: AsyncSession) -> int:
        return await changes.activate(
            session, store, kid, clock.now(), without_waiting=without_waiting
        )

    waiting = change("broadcast keys activate", work)
    typer.echo("khóa mới đã ký" + (f"; {waiting} thiết bị chưa ghim nó" if waiting else ""))


@app.command()
def retire(kid: Kid) -> None:
    """Have configs name an old key no longer. Keep the key: a box from a drawer may need it."""
    store = _store()

    async def work(session: AsyncSession) -> None:
        await changes.retire(session, store, kid, clock.now())

    change("broadcast keys retire", work)
    typer.echo("đã thôi công bố khóa; vẫn giữ nó trong kho cho thiết bị chưa biết khóa mới")


@app.command()
def adopt() -> None:
    """Know the keys of this machine: after a restored backup, or where the old ones are lost."""
    store = _store()

    async def work(session: AsyncSession) -> list[SigningKey]:
        return await changes.adopt(session, store, clock.now())

    new = change("broadcast keys adopt", work)
    for key in new:
        typer.echo(f"đã nhận khóa {key.use} {key.kid}")
    if not new:
        typer.echo("mọi khóa của máy này đã được biết; không thay đổi gì")


_STATES = {
    "announced": "đã công bố",
    "signing": "đang ký",
    "replaced": "đã thay",
    "retired": "thôi công bố",
}


def _local(at: datetime | None) -> str:
    return "chưa từng" if at is None else f"{at.astimezone(LOCAL):%H:%M %d/%m/%Y}"
