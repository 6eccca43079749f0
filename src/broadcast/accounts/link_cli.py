"""`broadcast accounts setup`, `invite` and `reset`: one-time links for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.accounts import grants, logins, people, secret_key, sessions, setup
from broadcast.accounts import second_factor as factors
from broadcast.accounts.model import Password, Purpose
from broadcast.audit import recording
from broadcast.audit.command import change
from broadcast.auth.model import Account, AccountState
from broadcast.auth.permissions import Role
from broadcast.kit import clock
from broadcast.kit.errors import Conflict, NotFound


def _print_link(
    command: str, issue: Callable[[AsyncSession, config.Settings], Awaitable[str]]
) -> None:
    settings = config.Settings()

    async def work(session: AsyncSession) -> str:
        return setup.link(settings, await issue(session, settings))

    typer.echo(change(command, work))


def first() -> None:
    """Print the one-time link that makes the first administrator."""

    async def issue(session: AsyncSession, _: config.Settings) -> str:
        if not await setup.needs_setup(session):
            raise Conflict("Đã có người đăng nhập được; hãy dùng broadcast accounts invite.")
        return await setup.issue(session, Purpose.SETUP, None, clock.now(), setup.SETUP_VALID)

    _print_link("broadcast accounts setup", issue)


def invite(
    name: Annotated[str, typer.Argument(help="of the person")],
    role: Annotated[Role, typer.Option(help="what the account may do")],
    area: Annotated[str | None, typer.Option(help="code of the area; the whole province")] = None,
    login: Annotated[str | None, typer.Option(help="else the person chooses one")] = None,
) -> None:
    """Make an account for a person and print the one-time link that sets its password."""

    async def issue(session: AsyncSession, settings: config.Settings) -> str:
        now = clock.now()
        account = await people.create_account(session, name, now)
        account.state = AccountState.INVITED
        if login is not None:
            account.login = logins.new(login)
        await grants.grant(session, account.id, role, area, now)
        return (await setup.invite(session, account, settings.sign_in, now))[0]

    _print_link("broadcast accounts invite", issue)


def reset(
    login: Annotated[str, typer.Argument(help="of the account")],
    second_factor: Annotated[
        bool, typer.Option("--second-factor", help="forget authenticator app and passkeys, too")
    ] = False,
) -> None:
    """End the sessions of an account, forget its password, and print a one-time link for it."""

    async def issue(session: AsyncSession, settings: config.Settings) -> str:
        now = clock.now()
        account = await session.scalar(
            sa.select(Account).where(
                Account.login == logins.normalised(login), Account.state != AccountState.DISABLED
            )
        )
        if account is None:
            raise NotFound(f"Không có tài khoản “{login}”, hoặc đã bị khóa.")
        recording.change(session, Password.__tablename__, account.id, {}, None)
        await session.execute(sa.delete(Password).where(Password.account_id == account.id))
        await sessions.end_all(session, account.id, now)
        if second_factor:
            await factors.forget_all(session, account.id)
        valid = settings.sign_in.link_valid
        return await setup.issue(session, Purpose.RESET, account.id, now, valid)

    _print_link("broadcast accounts reset", issue)


def create_key(
    file: Annotated[Path, typer.Argument(help="for BROADCAST_SIGN_IN__SECRET_KEY_FILE")],
) -> None:
    """Make a key that encrypts the secrets of authenticator apps; earlier ones still decrypt."""
    secret_key.create(file)
    typer.echo(f"Đã tạo {file}; hãy đặt BROADCAST_SIGN_IN__SECRET_KEY_FILE rồi chạy lại máy chủ.")
