"""The walks of docs/architecture.md held against a run: `file · function` in the order called.

    walk = Walk.read("A figure, request → answer")
    with walk.traced() as called:
        await http.get("/indicators")
    assert called == walk.functions

A row of the table is `| hop | `file.py` · `function`, `Class.method` | does |`. A file that is
`…` is the one of the row above; a bare name that the module does not have is of the class named
before it. Rows without `·` name nothing that is called.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

ARCHITECTURE = Path(__file__).parents[1] / "docs/architecture.md"

_ROW = re.compile(
    r"^\|[^|]*\| (?:`(?P<file>[\w/]+\.py)`(?:\\\*)?|…) · (?P<names>[^|]+?) \|", re.MULTILINE
)
_NAME = re.compile(r"`([\w.]+)`")


@dataclass(frozen=True)
class Walk:
    """One table: functions as `file · name`, with the code of each."""

    codes: dict[str, CodeType]

    @classmethod
    def read(cls, heading: str, page: Path = ARCHITECTURE) -> Walk:
        """Find the table below a heading, and every function that it names.

        Raises:
            AttributeError, ModuleNotFoundError: There is no such function or file.
        """
        section = re.search(
            rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)",
            page.read_text("utf-8"),
            re.MULTILINE | re.DOTALL,
        )
        assert section, f"{page.name} has no section {heading!r}"
        codes: dict[str, CodeType] = {}
        file = ""
        for row in _ROW.finditer(section[1]):
            file = row["file"] or file
            owner: Any = None
            for name in _NAME.findall(row["names"]):
                module = importlib.import_module(f"broadcast.{file[:-3].replace('/', '.')}")
                owner, function = _resolve(module, owner, name)
                codes[f"{file} · {name}"] = function.__code__
        assert codes, f"the table of {heading!r} names no function"
        return cls(codes)

    @property
    def functions(self) -> list[str]:
        """Every function, in the order of the table."""
        return list(self.codes)

    @property
    def files(self) -> list[str]:
        """Every file, in the order of the table."""
        return list(dict.fromkeys(name.split(" · ")[0] for name in self.codes))

    @contextmanager
    def traced(self) -> Iterator[list[str]]:
        """Note the functions of the table as they are first called, in this and in new threads."""
        names = {code: name for name, code in self.codes.items()}
        called: list[str] = []

        def note(frame: FrameType, event: str, argument: object) -> None:
            del argument
            name = names.get(frame.f_code) if event == "call" else None
            if name is not None and name not in called:
                called.append(name)

        with suppress(RuntimeError):  # no loop runs here
            # Its threads from before would not be traced.
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        before = sys.getprofile()
        threading.setprofile(note)
        sys.setprofile(note)
        try:
            yield called
        finally:
            sys.setprofile(before)
            threading.setprofile(before)


def _resolve(module: ModuleType, owner: Any, name: str) -> tuple[Any, Any]:
    """The class that a name belongs to, if any, and its function."""
    first = name.split(".", maxsplit=1)[0]
    found = module if hasattr(module, first) or owner is None else owner
    for part in name.split("."):
        owner, found = (found if inspect.isclass(found) else owner), getattr(found, part)
    return owner, inspect.unwrap(found.fget if isinstance(found, property) else found)
