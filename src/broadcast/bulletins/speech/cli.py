"""The words of a text as they will be spoken, from the command line; needs no database."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from broadcast.bulletins.speech.reading import passages, words_of
from broadcast.kit.errors import InvalidInput

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Đọc văn bản: how texts are read aloud."
)


@app.callback()
def _group() -> None:
    """Keep `words` a command of its own name."""


@app.command()
def words(
    file: Annotated[
        Path | None, typer.Argument(help="text in UTF-8; standard input without it")
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="a JSON list of texts on standard input to the JSON list of their words;"
            " null for a text that cannot be read, with the reason on standard error",
        ),
    ] = False,
) -> None:
    """Print the words that will be spoken, one passage a line."""
    if as_json:
        typer.echo(json.dumps(_words_of_each(_input(file)), ensure_ascii=False).encode())
        return
    for passage in passages(_input(file)):
        typer.echo(passage.words)


def _input(file: Path | None) -> str:
    raw = file.read_bytes() if file else sys.stdin.buffer.read()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InvalidInput(
            "FILE",
            f"dòng {line} không phải UTF-8; hãy lưu văn bản dạng Unicode (UTF-8) rồi làm lại",
        ) from None


def _words(text: object) -> str:
    if not isinstance(text, str):
        raise InvalidInput("text", "không phải văn bản")
    return words_of(text)


def _words_of_each(written: str) -> list[str | None]:
    """Words of each text of a JSON list."""
    try:
        texts = json.loads(written)
    except json.JSONDecodeError as error:
        raise InvalidInput(
            "--json", f"không phải JSON: dòng {error.lineno}, cột {error.colno}"
        ) from None
    if not isinstance(texts, list):
        raise InvalidInput("--json", "cần một danh sách văn bản: [“…”, “…”]")
    said: list[str | None] = []
    for number, text in enumerate(texts, 1):
        try:
            said.append(_words(text))
        except InvalidInput as error:
            typer.echo(f"Văn bản {number}: {error.detail}", err=True)
            said.append(None)
    return said
