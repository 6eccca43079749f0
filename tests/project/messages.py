"""What `broadcast` says to people, found in its sources.

A message is a text with a Vietnamese letter that is no docstring, or the detail of an error. `{…}`
stands for what is filled in.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import broadcast
import broadcast.cli  # imports whatever defines an error
from broadcast.kit import errors
from broadcast.kit.errors import BroadcastError

SOURCES = Path(broadcast.__file__).parent
READING_ALOUD = SOURCES / "bulletins"
VIETNAMESE = re.compile(r"[À-ÃÈ-ÊÌÍÒ-ÕÙÚÝà-ãè-êìíò-õùúýĂăĐđĨĩŨũƠơƯưẠ-ỹ]")

EXAMPLES = re.compile(r"EXAMPLE$|^_PLACE$|^FALL$")
"""Names of examples that several descriptions share."""

DESCRIBING = {"description", "summary", "help", "examples", "response_description", "example"}
"""Arguments, members and calls that describe the interface, in `/docs` and by `--help`."""


class Message(NamedTuple):
    """A text and where it stands."""

    place: str
    text: str
    error: type[BroadcastError] | None = None
    """The error whose detail it is."""
    is_description: bool = False
    """It is said in `/docs` or by `--help`."""


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                parts.append("{" + ast.unparse(part.value) + "}")
            else:
                parts.append(_text(part) or "")
        return "".join(parts)
    return None


def _below(kind: type[BroadcastError]) -> Iterator[type[BroadcastError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _below(below)


ERRORS = {kind.__name__: kind for kind in _below(BroadcastError)}


def _detail(call: ast.Call) -> tuple[ast.expr, type[BroadcastError]] | None:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    kind = ERRORS.get(name)
    if kind is None:
        return None
    place = 1 if issubclass(kind, errors.InvalidInput) else 0
    return (call.args[place], kind) if len(call.args) > place else None


def _describing(node: ast.AST) -> Iterator[ast.AST]:
    """What a node says in descriptions."""
    if isinstance(node, ast.keyword) and node.arg in DESCRIBING:
        yield from ast.walk(node.value)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in DESCRIBING:
            yield from ast.walk(node)
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        if EXAMPLES.search(node.target.id) and node.value is not None:
            yield from ast.walk(node.value)
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value in DESCRIBING:
                yield from ast.walk(value)


def _of(path: Path) -> Iterator[Message]:
    tree = ast.parse(path.read_text())
    skipped: set[ast.AST] = set()
    described: set[ast.AST] = set()
    details: dict[ast.AST, type[BroadcastError]] = {}
    for node in ast.walk(tree):
        described.update(_describing(node))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            inner = {below for part in node.values for below in ast.walk(part)}
            skipped |= {each for each in inner if each in node.values}
        elif isinstance(node, ast.Call) and (found := _detail(node)):
            details[found[0]] = found[1]
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr) or node in skipped:
            continue
        text = _text(node)
        if text is not None and (node in details or VIETNAMESE.search(text)):
            place = f"{path.relative_to(SOURCES)}:{node.lineno}"
            yield Message(place, text, details.get(node), node in described)


def _paths() -> list[Path]:
    """All but the tables of what is read aloud: they hold what people write, not what we say."""
    tables = {
        *("chime", "codes", "context", "dates", "lexicon", "names", "numbers", "quantities"),
        *("reading", "roman", "syllables", "units"),
    }
    return [
        path
        for path in sorted(SOURCES.rglob("*.py"))
        if not (READING_ALOUD in path.parents and path.stem in tables) and path.name != "text.py"
    ]


MESSAGES = [message for path in _paths() for message in _of(path)]
