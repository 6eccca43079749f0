"""`broadcast accounts …`: tokens of people and systems."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated

import sqlalchemy as sa
import typer

from broadcast import config
from broadcast.accounts.auth import create_token, digest
from broadcast.accounts.model import ApiToken, Role
from broadcast.kit import clock, db

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Mã truy cập REST (API tokens)."
)


@app.command("create-token")
def create(
    person: Annotated[str, typer.Argument(help="name that changes are signed with")],
    role: Annotated[Role, typer.Option(help="what the bearer may do")],
    days: Annotated[int, typer.Option(min=1, help="days until it expires")] = 365,
) -> None:
    """Print a new token. It is shown once; only its hash is stored."""

    async def run() -> str:
        engine = db.create_engine(config.Settings().postgres, "broadcast.accounts")
        now = clock.now()
        async with db.transaction(engine) as session:
            token = await create_token(session, person, role, now, now + timedelta(days=days))
        await engine.dispose()
        return token

    typer.echo(asyncio.run(run()))


@app.command("revoke-token")
def revoke(
    token: Annotated[str, typer.Option(prompt=True, hide_input=True, help="asked for, not shown")],
) -> None:
    """Make a token useless at once. The token is asked for, so that no history keeps it."""

    async def run() -> bool:
        engine = db.create_engine(config.Settings().postgres, "broadcast.accounts")
        async with db.transaction(engine) as session:
            revoked = await session.scalar(
                sa.update(ApiToken)
                .where(ApiToken.token_sha256 == digest(token), ApiToken.revoked_at.is_(None))
                .values(revoked_at=clock.now())
                .returning(ApiToken.id)
            )
        await engine.dispose()
        return revoked is not None

    if not asyncio.run(run()):
        typer.echo("Không có mã này, hoặc đã bị thu hồi.", err=True)
        raise typer.Exit(1)
