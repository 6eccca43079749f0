"""`broadcast restore …`: putting a backup back, and what comes after."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.audit.command import change
from broadcast.auth.caller import Caller
from broadcast.auth.model import Account, AccountState
from broadcast.backup import recover
from broadcast.kit import clock
from broadcast.kit.cli import run
from broadcast.kit.errors import InvalidInput
from broadcast.restore import acceptance, report, state
from broadcast.restore.differences import Choice
from broadcast.restore.model import Cause
from broadcast.restore.schemas import RestoreOut

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Khôi phục từ bản sao lưu.")

BEGIN = """
DO $$ BEGIN
    IF to_regclass('public.restores') IS NOT NULL THEN  -- a backup of this release, or a later one
        INSERT INTO public.restores (cause, found_at, lost_since)
        SELECT 'command', now(), COALESCE(
            (SELECT at FROM public.database_marks),
            (SELECT max(until) FROM public.listening_spans),
            now()
        )
        ON CONFLICT DO NOTHING;
    END IF;
END $$;
"""
"""At the end of the transaction in which a database is replaced: it is never believed before."""


@app.command("from")
def recover_from(folder: Annotated[Path, typer.Argument(help="folder of one backup")]) -> None:
    """Verify a backup, then replace the database by it and put missing audio and keys back.

    Stop the server first. Once it runs again it publishes nothing before `accept`.
    """
    run(recover.refuse_while_used)
    done = recover.recover(folder, config.Settings(), run(recover.server_version), BEGIN)
    typer.echo(f"đã khôi phục cơ sở dữ liệu, {done.audio} tệp âm thanh, {len(done.keys)} tệp khóa")
    typer.echo("hãy khởi động máy chủ, rồi xem `broadcast restore compare`")


@app.command()
def declare() -> None:
    """Say that the database was restored by other means: nothing is published before `accept`."""

    async def begin(session: AsyncSession) -> None:
        await state.begin(session, Cause.COMMAND, clock.now())

    change("broadcast restore declare", begin)
    typer.echo("máy chủ không phát gì mới cho đến khi `broadcast restore accept`")


@app.command()
def compare(json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False) -> None:
    """Show what broker and devices hold beside what the database says; change nothing."""
    settings = config.Settings()

    async def show(session: AsyncSession) -> RestoreOut:
        return await report.newest(session, settings)

    found = run(show)
    if json:
        typer.echo(found.model_dump_json(indent=2))
        return
    show_comparison(found)


def show_comparison(found: RestoreOut) -> None:
    """Print a restore for people."""
    console = Console()
    console.print(
        f"Khôi phục số {found.id}: {found.cause_text}; mất dữ liệu từ {found.lost_since} đến"
        f" {found.found_at}."
    )
    comparison = found.comparison
    if comparison is None:
        assert found.accepted_by is not None
        console.print(f"{found.accepted_by.name} đã chấp nhận lúc {found.accepted_at}.")
        return
    if found.broker_read_at is None:
        console.print("Chưa đọc xong broker; chưa chấp nhận được.", style="yellow")
    table = Table("tên", "nội dung", "khác biệt", "chọn (đầu tiên là đề xuất)")
    for each in comparison.differences:
        choices = "\n".join(f"{choice}: {text}" for choice, text in each.choices.items())
        table.add_row(each.name, each.title, each.text, choices)
    console.print(table)
    console.print(
        f"{len(comparison.differences)} khác biệt; {comparison.lost_plays} lượt phát trong thời"
        f" gian mất dữ liệu; đã nghe {comparison.heard}/{comparison.devices} thiết bị; mã so sánh"
        f" {comparison.digest}"
    )
    for name in comparison.unread:
        console.print(f"thiết bị giữ bản {name} mà broker đã mất; sẽ được thay", style="yellow")


@app.command()
def accept(
    by: Annotated[int, typer.Option(help="number of the account of who decides")],
    digest: Annotated[str, typer.Option(help="of the comparison that was looked at")],
    choose: Annotated[
        list[str] | None, typer.Option(metavar="NAME=CHOICE", help="one difference; repeatable")
    ] = None,
    rest_as_proposed: Annotated[
        bool, typer.Option("--rest-as-proposed", help="decide all others as proposed")
    ] = False,
) -> None:
    """Decide about every difference; then the server publishes again."""
    settings = config.Settings()
    choices = dict(_choice(text) for text in choose or ())

    async def decide(session: AsyncSession) -> RestoreOut:
        await acceptance.accept(
            session,
            settings,
            choices,
            rest_as_proposed=rest_as_proposed,
            seen=digest,
            caller=await _caller(session, by),
            now=clock.now(),
        )
        return await report.newest(session, settings)

    show_comparison(change("broadcast restore accept", decide))


def _choice(text: str) -> tuple[str, Choice]:
    name, separator, choice = text.rpartition("=")
    if not separator or choice not in set(Choice):
        known = ", ".join(Choice)
        raise typer.BadParameter(f"“{text}”: cần TÊN=CHỌN, với CHỌN là một trong: {known}")
    return name, Choice(choice)


async def _caller(session: AsyncSession, account_id: int) -> Caller:
    account = await session.scalar(
        sa.select(Account).where(Account.id == account_id, Account.state != AccountState.DISABLED)
    )
    if account is None:
        raise InvalidInput("--by", f"không có tài khoản số {account_id}, hoặc đã khóa")
    return Caller(account.id, account.name, "cli", ())
