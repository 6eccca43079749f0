"""Live speech, from the mouth to 300 horns: over the WebSocket, our server, Mosquitto, the player.

Once over a good link, once with one packet in twenty lost and up to 300 ms of jitter in the link
of every horn. "Mouth" is the first sample of a frame, "ear" the moment at which it sounds.

All horns are one process. `…_stood_still` is the longest for which it got no processor: above half
a second, the buffer of a horn, frames are lost there that were sent and brought in time, and the
figures say more of this machine than of us. On a busy one: `nice -n -5 make bench ONLY=live`.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil
from websockets.asyncio.client import connect

from benchmarks.result import Result, Skipped
from broadcast import config
from broadcast.demo.seed import Seeded, seed
from broadcast.demo.world import World
from broadcast.embedded.broker import mosquitto
from broadcast.keys.keyring import first_keys
from broadcast.kit import clock, db

HORNS = 300
SECONDS = 60.0
"""The buffer settles in 25; then ten seconds are held against the last ten."""
FRAME = 0.04
FRAME_BYTES = 80
"""Of 16 kbit/s."""
LOSS, JITTER = 0.05, 0.3


def run() -> list[Result]:
    """Seconds, shares, and cores."""
    if mosquitto() is None:
        raise Skipped("mosquitto is not on PATH; apt install mosquitto")
    with tempfile.TemporaryDirectory() as folder, World(Path(folder), "mosquitto") as world:
        settings = world.configure({"quiet_hours": "[]"})
        asyncio.run(db.migrate(world.postgres.dsn))
        seeded = asyncio.run(_seed(settings))
        world.start_server()
        enrolment = _enrolment(world, settings, seeded)
        good = _measure(world, seeded, enrolment, 0.0, 0.0)
        bad = _measure(world, seeded, enrolment, LOSS, JITTER)
    print(json.dumps({"good": good, "bad": bad}))
    return [
        Result("live_horns", good["horns"], HORNS, "horns", "≥ 1"),
        Result("live_mouth_to_ear_p50", good["p50"], 1.0, "s"),
        Result("live_mouth_to_ear_p99", good["p99"], 1.0, "s", "≤ 1"),
        Result("live_loss", good["gaps"], 1.0, "of frames", "≤ 0"),
        Result("live_harness_stood_still", good["stood_still"], 1.0, "s"),
        Result("live_server_cpu", good["server"], 1.0, "cores", "≤ 0.15"),
        Result("live_broker_cpu", good["broker"], 1.0, "cores"),
        Result("live_bad_mouth_to_ear_p99", bad["p99"], 1.0, "s", "≤ 1"),
        Result("live_bad_gaps", bad["gaps_worst"], 1.0, "of frames", "≤ 0.05"),
        Result("live_bad_drift", bad["drift"], 1.0, "s", "≤ 0.1"),
        Result("live_bad_harness_stood_still", bad["stood_still"], 1.0, "s"),
        Result("live_bad_server_cpu", bad["server"], 1.0, "cores", "≤ 0.15"),
    ]


async def _seed(settings: config.Settings) -> Seeded:
    engine = db.create_engine(settings.postgres)
    try:
        return await seed(engine, settings, HORNS, clock.now())
    finally:
        await engine.dispose()


def _enrolment(world: World, settings: config.Settings, seeded: Seeded) -> Path:
    async def pinned() -> list[dict[str, str]]:
        engine = db.create_engine(settings.postgres)
        try:
            keys = await first_keys(engine, settings.keys, clock.now())
        finally:
            await engine.dispose()
        return [{"kid": key.kid, "use": key.use, "x": key.x} for key in keys]

    file = world.folder / "horns.json"
    devices = [{"device_id": code} for code in seeded.devices]
    file.write_text(json.dumps({"keys": asyncio.run(pinned()), "devices": devices}))
    return file


def _measure(
    world: World, seeded: Seeded, enrolment: Path, loss: float, jitter: float
) -> dict[str, Any]:
    address = (world.broker.host, str(world.broker.port))
    horns = subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks.harness.horns", str(enrolment), *address),
            *(str(loss), str(jitter), "2" if loss else "1"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert horns.stdout is not None
    try:
        assert horns.stdout.readline().strip() == "ready"
        used = asyncio.run(_speak(world, seeded))
        time.sleep(8)
        horns.send_signal(signal.SIGTERM)
        summary: dict[str, Any] = json.loads(horns.stdout.readline())
    finally:
        horns.kill()
        horns.wait()
    return summary | used


async def _speak(world: World, seeded: Seeded) -> dict[str, float]:
    headers = {"Authorization": f"Bearer {seeded.approver}"}
    body = {"title": "Đo", "targets": [{"area": seeded.province}], "most_minutes": 5}
    async with httpx.AsyncClient(base_url=world.url, headers=headers, timeout=60) as client:
        made = await client.post("/api/v1/live-sessions", json=body)
        made.raise_for_status()
        live_id = made.json()["id"]
    address = world.url.replace("http", "ws", 1) + f"/api/v1/live-sessions/{live_id}/speech"
    server, broker = (psutil.Process(pid) for pid in (world.server_pid, world.broker.pid))
    async with connect(address, additional_headers=headers) as socket:
        told: dict[str, Any] = json.loads(await socket.recv())
        if told["state"] != "speaking":
            raise RuntimeError(told)
        reading = asyncio.create_task(_read(socket))
        await asyncio.sleep(4)  # as the page counts in
        before = _seconds(server), _seconds(broker)
        began = time.monotonic()
        for number in range(round(SECONDS / FRAME)):
            ended = began + (number + 1) * FRAME
            await asyncio.sleep(max(0.0, ended - time.monotonic()))
            spoken_at = round((began + number * FRAME) * 1e9)
            opus = b"\x50" + spoken_at.to_bytes(8, "big")
            await socket.send(number.to_bytes(4, "big") + b"\0" + opus.ljust(FRAME_BYTES, b"."))
        used = time.monotonic() - began
        after = _seconds(server), _seconds(broker)
        await socket.send("stop")
        last = await reading
    return {
        "server": (after[0] - before[0]) / used,
        "broker": (after[1] - before[1]) / used,
        "listening": float(last.get("listening", 0)),
    }


async def _read(socket: Any) -> dict[str, Any]:
    last: dict[str, Any] = {}
    async for message in socket:
        told = json.loads(message)
        if told["state"] == "ended":
            return last
        last = {"listening": told.get("listening_count", 0)}
    return last


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
