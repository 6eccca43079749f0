"""`broadcast accounts …`: accounts of people and systems, and their tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import sqlalchemy as sa
import typer
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts import link_cli
from broadcast.accounts.people import create_with_token
from broadcast.audit import recording
from broadcast.audit.command import change
from broadcast.auth.caller import digest
from broadcast.auth.model import ApiToken
from broadcast.auth.permissions import Role
from broadcast.kit import clock

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Tài khoản và mã truy cập (accounts, tokens)."
)
app.command("setup")(link_cli.first)
app.command("invite")(link_cli.invite)
app.command("reset")(link_cli.reset)
app.command("create-key")(link_cli.create_key)


@app.command("create-token")
def create(
    name: Annotated[str, typer.Argument(help="of the new account")],
    role: Annotated[Role, typer.Option(help="what the account may do")],
    area: Annotated[str | None, typer.Option(help="code of the area; the whole province")] = None,
    days: Annotated[int, typer.Option(min=1, help="days until it expires")] = 365,
    approves: Annotated[
        bool,
        typer.Option("--approves", help="may approve, issue emergencies and change accounts"),
    ] = False,
) -> None:
    """Create an account and print a token of it. It is shown once; only its hash is stored."""

    async def work(session: AsyncSession) -> str:
        now = clock.now()
        return await create_with_token(
            session, name, role, now, now + timedelta(days=days),
            area_code=area, second_factor=approves,
        )  # fmt: skip

    typer.echo(change("broadcast accounts create-token", work))


@app.command("revoke-token")
def revoke(
    token: Annotated[str, typer.Option(prompt=True, hide_input=True, help="asked for, not shown")],
) -> None:
    """Make a token useless at once. The token is asked for, so that no history keeps it."""

    async def work(session: AsyncSession) -> bool:
        stored = await session.scalar(
            sa.select(ApiToken)
            .where(ApiToken.token_sha256 == digest(token), ApiToken.revoked_at.is_(None))
            .with_for_update()
        )
        if stored is None:
            recording.skip(session)
            return False
        stored.revoked_at = clock.now()
        return True

    if not change("broadcast accounts revoke-token", work):
        typer.echo("Không có mã này, hoặc đã bị thu hồi.", err=True)
        raise typer.Exit(1)
