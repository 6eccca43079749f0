"""The `broadcast` command."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from json import dumps
from pathlib import Path
from typing import Annotated, Literal

import asyncpg
import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from sqlalchemy.exc import ArgumentError, DBAPIError

from broadcast import config, startup
from broadcast.embedded.broker import Kind
from broadcast.kit import collector, db, logs
from broadcast.kit.errors import BroadcastError, InvalidInput

Faults = Literal["none", "weak-link", "power", "all"]


FEATURES = {
    "areas": "broadcast.boundaries.cli",
    "stations": "broadcast.stations.cli",
    "devices": "broadcast.enrolment.cli",
    "accounts": "broadcast.accounts.cli",
    "authority": "broadcast.enrolment.authority_cli",
    "audit": "broadcast.auditing.cli",
    "keys": "broadcast.keys.cli",
    "speech": "broadcast.bulletins.speech.cli",
    "alerts": "broadcast.alerts.cap.cli",
    "indicators": "broadcast.indicators.cli",
    "incidents": "broadcast.incidents.cli",
    "upkeep": "broadcast.upkeep.cli",
    "backup": "broadcast.backup.cli",
    "restore": "broadcast.restore.cli",
}
"""Commands of features and the modules whose `app` they are, imported when one is asked for."""


class _Command(typer.core.TyperGroup):
    """Says what is wrong, a line each, and what to do; a stack trace is for bugs."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Names of all commands, those of the features first."""
        return [*FEATURES, *super().list_commands(ctx)]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> object:  # type: ignore[override]
        """The command of a name."""
        module = FEATURES.get(cmd_name)
        if module is None:
            return super().get_command(ctx, cmd_name)
        command = typer.main.get_command(import_module(module).app)
        command.name = cmd_name
        return command

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except Exception as error:
            told = list(_told(error))
            if not told:
                raise
        for line in told:
            typer.secho(line, err=True, fg="red")
        raise typer.Exit(1)


def _told(error: Exception) -> Iterator[str]:
    """An error as a person is told it; nothing where it is a bug."""
    match error:
        case BrokenPipeError():
            return  # whoever read our output has gone; click ends quietly
        case ExceptionGroup():
            expected, rest = error.split(BroadcastError)
            if expected is not None and rest is None:
                for each in expected.exceptions:
                    yield from _told(each)
        case BroadcastError():
            yield f"{error.title}: {error.detail}"
        case ValidationError() if error.title == config.Settings.__name__:
            yield from startup.settings(error)
        case SettingsError():
            yield startup.malformed(error)
        case OSError() if error.filename is not None:
            yield startup.file(error)
        case OSError() | asyncpg.PostgresError() | ArgumentError() | DBAPIError():
            yield startup.database(error, config.Settings().postgres.dsn.get_secret_value())


app = typer.Typer(
    cls=_Command,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Điều khiển truyền thanh cơ sở: broadcast controller of a source information system.",
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"broadcast {version('broadcast')}")
        raise typer.Exit


@app.callback()
def broadcast(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="and nothing else"),
    ] = False,
) -> None:
    """Nothing is done without a command."""


@app.command()
def serve(
    role: Annotated[list[config.Role] | None, typer.Option(help="all by default")] = None,
    worker: Annotated[
        int, typer.Option(min=1, help="which of BROADCAST_INGEST__WORKERS ingest is")
    ] = 1,
) -> None:
    """Run the server."""
    with collector.paused():
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


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="one JSON list")] = False,
) -> None:
    """Look at settings, keys, connections, limits, disk and clock; exit code 1: one is wrong."""
    from broadcast.doctor import State, examine  # noqa: PLC0415  needs everything there is

    logs.setup("ERROR")
    findings = asyncio.run(examine())
    if json:
        typer.echo(dumps([finding.model_dump() for finding in findings], ensure_ascii=False))
    else:
        marks = {State.OK: ("OK", "green"), State.WARNING: ("CHÚ Ý", "yellow")}
        for finding in findings:
            mark, colour = marks.get(finding.state, ("SAI", "red"))
            typer.echo(f"{typer.style(f'{mark:6}', colour)} {finding.name:9} {finding.detail}")
    if any(finding.state is State.WRONG for finding in findings):
        raise typer.Exit(1)


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
    from broadcast.demo import require_extra  # noqa: PLC0415  a server has no demo

    require_extra()
    from broadcast.demo.run import Options, run  # noqa: PLC0415  needs everything there is

    logs.setup("WARNING")
    raise typer.Exit(run(Options(devices, faults, once, json, keep, seed, text, broker)))
