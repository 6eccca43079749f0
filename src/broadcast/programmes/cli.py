"""`broadcast keys …`: the province's signing keys."""

from __future__ import annotations

import json

import typer

from broadcast import config
from broadcast.programmes.keys import create_keys, load_keys
from broadcast.wire.codec import encode

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Khóa ký của tỉnh (Ed25519).")


@app.command()
def create() -> None:
    """Make the keys that do not exist yet. Keep a copy in a safe: devices trust nothing else."""
    made = create_keys(config.Settings().keys)
    for path in made:
        typer.echo(f"đã tạo {path}")
    if not made:
        typer.echo("khóa đã có, không thay đổi gì")


@app.command()
def show() -> None:
    """Print the public keys as JSON, as devices pin them."""
    public = load_keys(config.Settings().keys).public()
    typer.echo(json.dumps([json.loads(encode(key)) for key in public], indent=2))
