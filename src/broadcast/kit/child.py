"""Running one of our modules as a program with limits, for bytes of strangers and their decoders.

The child may crash, hang or swell without harm. It sees nothing of the server's environment,
writes no core, and is killed when its time is up, its caller goes away or the server dies.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

NICENESS = 10
"""Of work that nobody's life hangs on: web, ingest and dispatch come first."""

_PR_SET_PDEATHSIG = 1


class Outcome(NamedTuple):
    """The end of a child."""

    returncode: int | None
    """Negative: the signal that ended it. None: it was too slow."""
    told: bytes
    complaint: bytes


async def start(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    """Start a module as a program, in a session of its own, with pipes."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**20,
        start_new_session=True,
        env={
            "LANG": "C.UTF-8",
            "PATH": os.defpath,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            # Threads that only wait for each other cost what they were to save.
            "OPENBLAS_NUM_THREADS": "1",
            **(environment or {}),
        },
    )


async def run(module: str, *arguments: str, given: bytes = b"", seconds: float) -> Outcome:
    """Run a module as a program, to its end.

    Args:
        module: Its full name.
        arguments: For it.
        given: On its standard input.
        seconds: Most that it may take; it is killed then.
    """
    process = await start(module, *arguments)
    try:
        async with asyncio.timeout(seconds):
            told, complaint = await process.communicate(given)
        return Outcome(process.returncode, told, complaint)
    except TimeoutError:
        return Outcome(None, b"", b"too slow")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


# In the child.


def die_with_parent() -> None:
    """Be killed when the server dies, also while standing still."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def limit(
    *, cpu_seconds: int, memory_bytes: int, file_bytes: int, niceness: int = NICENESS
) -> None:
    """Limit this process for the rest of its life, after its input has been read."""
    for which, most in (
        (resource.RLIMIT_CPU, cpu_seconds),
        # Not RLIMIT_AS: files are mapped, and libav and onnxruntime reserve address space that
        # they never touch.
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(which, (most, most))
    os.nice(niceness)
