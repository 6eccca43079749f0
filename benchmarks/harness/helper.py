"""A process of our own beside the benchmark, spoken to in lines of text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[2]


class Helper:
    """A module of this package as a process, seen from outside; a context manager."""

    def __init__(self, module: str, *arguments: object) -> None:
        """Describe it.

        Args:
            module: Its name under `benchmarks.harness`.
            arguments: On its command line.
        """
        self._module = module
        self._arguments = [str(each) for each in arguments]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.harness.{self._module}", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ConnectionError(f"the {self._module} process has died; its last words are above")
        return line
