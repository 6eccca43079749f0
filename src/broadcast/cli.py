"""The `broadcast` command."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import asyncpg
import typer
from pydantic import ValidationError
from sqlalchemy.exc import ArgumentError, DBAPIError

from broadcast import config, db, logs
from broadcast.accounts.commands import app as accounts
from broadcast.areas.commands import app as areas
from broadcast.coverage.commands import indicators
from broadcast.devices.commands import app as devices
from broadcast.embedded.broker import Kind
from broadcast.errors import BroadcastError, InvalidInput
from broadcast.incidents.commands import incidents
from broadcast.programmes.commands import app as keys
from broadcast.stations.commands import app as stations

Faults = Literal["none", "weak-link", "power", "all"]


class _Command(typer.core.TyperGroup):
    """Says what is wrong in one line; a stack trace is for bugs."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except BroadcastError as error:
            typer.secho(f"{error.title}: {error.detail}", err=True, fg="red")
        except ValidationError as error:
            for problem in error.errors():
                name = "BROADCAST_" + "__".join(str(step) for step in problem["loc"]).upper()
                typer.secho(f"{name}: {problem['msg']}", err=True, fg="red")
        except (OSError, asyncpg.PostgresError, ArgumentError, DBAPIError) as error:
            typer.secho(db.brief(error), err=True, fg="red")
        raise typer.Exit(1)


app = typer.Typer(
    cls=_Command,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Điều khiển truyền thanh cơ sở: broadcast controller of a source information system.",
)
app.add_typer(areas, name="areas")
app.add_typer(stations, name="stations")
app.add_typer(devices, name="devices")
app.add_typer(accounts, name="accounts")
app.add_typer(keys, name="keys")
app.command("indicators")(indicators)
app.command("incidents")(incidents)


@app.command()
def serve(
    role: Annotated[list[config.Role] | None, typer.Option(help="all by default")] = None,
    worker: Annotated[
        int, typer.Option(min=1, help="which of BROADCAST_INGEST__WORKERS ingest is")
    ] = 1,
) -> None:
    """Run the server."""
    from broadcast.app import serve  # noqa: PLC0415  other commands start without it

    settings = config.Settings()
    if worker > settings.ingest.workers:
        raise InvalidInput(
            "--worker", f"chỉ có {settings.ingest.workers}; hãy tăng BROADCAST_INGEST__WORKERS"
        )
    logs.setup(settings.log_level)
    asyncio.run(serve(settings, tuple(role or config.Role), worker))


@app.command()
def migrate() -> None:
    """Bring the database schema to the newest revision."""
    logs.setup("WARNING")
    asyncio.run(db.migrate(config.Settings().postgres.dsn.get_secret_value()))


@app.command("config")
def show_config() -> None:
    """Print every setting as an environment file, with default and meaning."""
    typer.echo(config.example(), nl=False)


@app.command()
def demo(
    devices: Annotated[int, typer.Option(min=1, max=5000, help="simulated clusters")] = 60,
    faults: Annotated[Faults, typer.Option(help="what befalls the devices")] = "none",
    once: Annotated[bool, typer.Option("--once", help="one full cycle, then stop")] = False,
    json: Annotated[bool, typer.Option("--json", help="result as JSON on the last line")] = False,
    keep: Annotated[Path | None, typer.Option(metavar="DIR", help="keep everything there")] = None,
    seed: Annotated[int, typer.Option(help="makes the faults of a run repeatable")] = 1,
    text: Annotated[Path | None, typer.Option(help="text to read aloud instead of ours")] = None,
    broker: Annotated[Kind | None, typer.Option(help="insist on one broker")] = None,
) -> None:
    """Show it all on this machine: PostgreSQL, broker, server and simulated loudspeakers."""
    from broadcast.demo.run import Options, run  # noqa: PLC0415  needs everything there is

    logs.setup("WARNING")
    raise typer.Exit(run(Options(devices, faults, once, json, keep, seed, text, broker)))
