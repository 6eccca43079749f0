"""`broadcast accounts …`: accounts of people and systems, their roles and their tokens."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts import grants, link_cli, people, queries, tokens
from broadcast.accounts.account_schemas import AccountOut, GrantOut
from broadcast.audit import recording
from broadcast.audit.command import change
from broadcast.auth.caller import digest
from broadcast.auth.model import Account, AccountKind, AccountState, ApiToken
from broadcast.auth.permissions import Permission, Role
from broadcast.kit import clock
from broadcast.kit.cli import day, run

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Tài khoản, vai trò và mã truy cập (tokens)."
)
app.command("setup")(link_cli.first)
app.command("invite")(link_cli.invite)
app.command("reset")(link_cli.reset)
app.command("create-key")(link_cli.create_key)

AccountId = Annotated[int, typer.Argument(min=1, help="số của tài khoản (accounts list)")]
Area = Annotated[str | None, typer.Option(help="mã đơn vị; bỏ trống: cả tỉnh (area code)")]
Days = Annotated[int, typer.Option(min=1, help="số ngày có hiệu lực (days until it expires)")]
Approves = Annotated[
    bool, typer.Option("--approves", help="may approve, issue emergencies and change accounts")
]
Day = typer.Option(parser=day, metavar="YYYY-MM-DD")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="họ tên, hoặc tên hệ thống")],
    kind: Annotated[
        AccountKind, typer.Option(help="một người hay một hệ thống khác")
    ] = AccountKind.PERSON,
) -> None:
    """Create an account without roles, and print its number."""

    async def work(session: AsyncSession) -> int:
        is_person = kind is AccountKind.PERSON
        state = AccountState.INVITED if is_person else AccountState.ACTIVE
        return (await people.create_account(session, name, clock.now(), kind, state)).id

    typer.echo(change("broadcast accounts create", work))


@app.command("grant")
def grant(
    account_id: AccountId,
    role: Annotated[Role, typer.Argument(help="vai trò (role)")],
    area: Area = None,
    since: Annotated[date | None, Day] = None,
    until: Annotated[date | None, Day] = None,
) -> None:
    """Give an account a role in an area, from today on or for a span of days."""

    async def work(session: AsyncSession) -> None:
        await people.get_account(session, account_id)
        await grants.grant(
            session, account_id, role, area, clock.now(), valid_from=since, valid_until=until
        )

    change("broadcast accounts grant", work)


@app.command("list")
def list_accounts(
    everybody: Annotated[bool, typer.Option("--all", help="cả tài khoản đã khóa")] = False,
) -> None:
    """Accounts with their roles."""

    async def work(session: AsyncSession) -> list[AccountOut]:
        statement = sa.select(Account).order_by(Account.id)
        if not everybody:
            statement = statement.where(Account.state != AccountState.DISABLED)
        found = (await session.scalars(statement)).all()
        return await queries.show_accounts(session, found, clock.today())

    table = Table("Số", "Tên", "Đăng nhập", "Trạng thái", "Vai trò")
    for each in run(work):
        roles = "\n".join(map(_role, each.roles))
        table.add_row(str(each.id), each.name, each.login or "", each.state.value, roles)
    Console().print(table)


def _role(held: GrantOut) -> str:
    place = "cả tỉnh" if held.area is None else f"{held.area.name} ({held.area.code})"
    since = "" if held.valid_from <= clock.today() else f" từ {held.valid_from:%d/%m/%Y}"
    until = "" if held.valid_until is None else f" đến {held.valid_until:%d/%m/%Y}"
    return f"{held.role.value} · {place}{since}{until}"


@app.command("disable")
def disable(account_id: AccountId) -> None:
    """End an account at once: all its tokens and sessions with it."""
    _set_state("disable", account_id, AccountState.DISABLED)


@app.command("enable")
def enable(account_id: AccountId) -> None:
    """Let a disabled account be used again; it needs new tokens."""
    _set_state("enable", account_id, AccountState.ACTIVE)


def _set_state(command: str, account_id: int, state: AccountState) -> None:
    async def work(session: AsyncSession) -> None:
        account = await people.get_account(session, account_id, lock=True)
        await people.change(session, account, account.name, state, clock.now())

    change(f"broadcast accounts {command}", work)


@app.command("token")
def issue(
    account_id: AccountId,
    label: Annotated[str, typer.Option(help="dùng cho việc gì (what for)")] = "",
    days: Days = 365,
    scope: Annotated[
        list[Permission] | None, typer.Option(help="chỉ những quyền này; có thể ghi nhiều lần")
    ] = None,
    approves: Approves = False,
) -> None:
    """Print a new token of an account. It is shown once; only its hash is stored."""
    now = clock.now()

    async def work(session: AsyncSession) -> str:
        await people.get_account(session, account_id)
        until = now + timedelta(days=days)
        issued = await tokens.issue(
            session,
            account_id,
            now,
            until,
            label=label,
            scope=scope or None,
            second_factor=approves,
        )
        return issued.secret

    typer.echo(change("broadcast accounts token", work))


@app.command("create-token")
def create_with_token(
    name: Annotated[str, typer.Argument(help="of the new account")],
    role: Annotated[Role, typer.Option(help="what the account may do")],
    area: Area = None,
    days: Days = 365,
    approves: Approves = False,
) -> None:
    """Create an account with a role and print a token of it: `create`, `grant`, `token` in one."""
    now = clock.now()

    async def work(session: AsyncSession) -> str:
        until = now + timedelta(days=days)
        return await people.create_with_token(
            session, name, role, now, until, area_code=area, second_factor=approves
        )

    typer.echo(change("broadcast accounts create-token", work))


@app.command("revoke-token")
def revoke(
    token_id: Annotated[
        int | None, typer.Argument(min=1, help="its number; without, the token is asked for")
    ] = None,
) -> None:
    """Make a token useless at once, by its number or by itself; asked for, no history keeps it."""
    if token_id is None:
        wanted = ApiToken.token_sha256 == digest(typer.prompt("Mã truy cập", hide_input=True))
    else:
        wanted = ApiToken.id == token_id

    async def work(session: AsyncSession) -> bool:
        row = await session.scalar(
            sa.select(ApiToken).where(wanted, ApiToken.revoked_at.is_(None))
        )
        if row is None:
            recording.skip(session)
            return False
        await tokens.revoke(session, row, clock.now())
        return True

    if not change("broadcast accounts revoke-token", work):
        typer.echo("Không có mã này, hoặc đã bị thu hồi.", err=True)
        raise typer.Exit(1)
