"""Start of the server, and what it weighs, against the smallest FastAPI server there is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

import httpx2 as httpx
import psutil

from benchmarks.result import Result
from broadcast.demo.world import World
from broadcast.kit import db

BARE = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/readyz")
async def readyz() -> dict[str, str]:
    return {"status": "ok"}
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""
RUNS = 5


def run() -> list[Result]:
    """Seconds from start to the first 200 of /readyz, and resident memory right after it."""
    with tempfile.TemporaryDirectory() as folder, World(Path(folder)) as world:
        settings = world.configure({})
        asyncio.run(db.migrate(world.postgres.dsn))
        port = str(settings.web.port)
        compiled = Path(folder) / "compiled"
        ours = _starts(["-m", "broadcast", "serve"], port, compiled)
        bare = _starts(["-c", BARE, port], port, compiled)
    return [
        Result("server_start", *_medians(ours, bare, 0), "s", "≤ 2.5"),
        Result("server_memory", *_medians(ours, bare, 1), "MB", "≤ 300 MB"),
    ]


def _medians(
    ours: list[tuple[float, float]], bare: list[tuple[float, float]], index: int
) -> tuple[float, float]:
    return median(run[index] for run in ours), median(run[index] for run in bare)


def _starts(arguments: list[str], port: str, compiled: Path) -> list[tuple[float, float]]:
    """Both as they are installed: compiled before the first start that counts."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(compiled)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, *arguments]
    return [_start(command, port, environment) for _ in range(1 + RUNS)][1:]


def _start(command: list[str], port: str, environment: dict[str, str]) -> tuple[float, float]:
    began = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as process:
        try:
            while True:
                with suppress(httpx.HTTPError):
                    answer = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=1)
                    if answer.status_code == 200:
                        break
                time.sleep(0.01)
            seconds = time.perf_counter() - began
            return seconds, psutil.Process(process.pid).memory_info().rss / 1e6
        finally:
            process.terminate()
            process.wait(10)
