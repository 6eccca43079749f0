"""Loudspeakers within earshot of each other: how far apart they begin, over a real broker.

Eight groups of four boxes without NTP, the four of a group in four processes. Every clock is wrong
by up to three seconds, every link takes 10 to 40 ms each way and up to 0.3 s more. One bulletin
is scheduled over REST; what counts is when each box really begins, by the one clock of this
machine. Beside it stands what the server says of the same starts by what the boxes tell
(`/earshot-groups`).

`…_stood_still` is the longest for which a process of boxes got no processor: a start may be late
by that without any fault of a clock. The server is told of such lateness, not of how wrong the
clocks were, so `…_clocks_width` is how far apart a group would have begun whose boxes have a
processor each.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2 as httpx

from benchmarks.result import Result, Skipped
from broadcast import config
from broadcast.auth.permissions import Role
from broadcast.demo.api import Api
from broadcast.demo.seed import Seeded, seed
from broadcast.demo.world import World
from broadcast.embedded.broker import mosquitto
from broadcast.keys.keyring import first_keys
from broadcast.kit import clock, db
from broadcast.wire.documents import PublicKey

GROUPS, EACH = 8, 4
SKEW = 3.0
LEAD = timedelta(seconds=150)
"""From the schedule to the start: boxes ask for the time meanwhile."""
TOLD_SECONDS = 20.0
"""For the records of the starts to come to the server."""
TITLE = "Đo giờ phát"


def run() -> list[Result]:
    """Seconds."""
    if mosquitto() is None:
        raise Skipped("mosquitto is not on PATH; apt install mosquitto")
    with tempfile.TemporaryDirectory() as folder, World(Path(folder), "mosquitto") as world:
        # No group by the distances of the demo: those here are said by a person.
        settings = world.configure({"quiet_hours": "[]", "earshot_metres": "1"})
        asyncio.run(db.migrate(world.postgres.dsn))
        seeded, keys = asyncio.run(_seed(settings))
        world.start_server()
        boxes = [_start(world, seeded.devices[each::EACH], keys, each) for each in range(EACH)]
        try:
            for box in boxes:
                assert box.stdout is not None
                assert box.stdout.readline().strip() == "ready"
            occurrence_id, starts_at, told = asyncio.run(_broadcast(world, seeded))
            heard = [_stop(box) for box in boxes]
        finally:
            for box in boxes:
                box.kill()
                box.wait()
    true = {
        code: at - starts_at.timestamp()
        for each in heard
        for code, at in each["starts"].get(occurrence_id, {}).items()
    }
    if len(true) != GROUPS * EACH:
        raise RuntimeError(f"{len(true)} of {GROUPS * EACH} boxes began")
    widths = [_width([true[code] for code in group]) for group in _groups(seeded.devices)]
    by_cluster = dict(zip(seeded.clusters, seeded.devices, strict=True))
    wrong = {code: true[code] - told[cluster] for cluster, code in by_cluster.items()}
    by_clock = [_width([wrong[code] for code in group]) for group in _groups(seeded.devices)]
    skews = {code: skew for each in heard for code, skew in each["skews"].items()}
    print(json.dumps({"widths": widths, "late": true, "told": told, "skews": skews}))
    return [
        Result("earshot_boxes", len(true), GROUPS * EACH, "boxes", "≥ 1"),
        Result("earshot_clock_worst", max(map(abs, skews.values())), SKEW, "s"),
        Result("earshot_width_worst", max(widths), 0.05, "s", "≤ 1"),
        Result("earshot_from_plan_worst", max(map(abs, true.values())), 0.05, "s", "≤ 1"),
        Result("earshot_clocks_width_worst", max(by_clock), 0.05, "s", "≤ 1"),
        Result("earshot_told_wrong_worst", max(map(abs, wrong.values())), 0.05, "s", "≤ 1"),
        Result("earshot_stood_still", max(each["stood_still"] for each in heard), 0.05, "s"),
    ]


def _groups(codes: list[str]) -> list[list[str]]:
    return [codes[at : at + EACH] for at in range(0, len(codes), EACH)]


def _width(starts: list[float]) -> float:
    return max(starts) - min(starts)


async def _seed(settings: config.Settings) -> tuple[Seeded, list[PublicKey]]:
    engine = db.create_engine(settings.postgres)
    try:
        seeded = await seed(engine, settings, GROUPS * EACH, clock.now())
        return seeded, await first_keys(engine, settings.keys, clock.now())
    finally:
        await engine.dispose()


def _start(
    world: World, codes: list[str], keys: list[PublicKey], number: int
) -> subprocess.Popen[str]:
    file = world.folder / f"poles-{number}.json"
    pinned = [{"kid": key.kid, "use": key.use, "x": key.x} for key in keys]
    devices = [{"device_id": code} for code in codes]
    file.write_text(json.dumps({"keys": pinned, "devices": devices}))
    address = (world.broker.host, str(world.broker.port))
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks.harness.poles", str(file), *address),
            *(str(SKEW), str(number)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )


def _stop(box: subprocess.Popen[str]) -> dict[str, Any]:
    assert box.stdout is not None
    box.send_signal(signal.SIGTERM)
    said: dict[str, Any] = json.loads(box.stdout.readline())
    return said


async def _broadcast(world: World, seeded: Seeded) -> tuple[str, datetime, dict[str, float]]:
    """Occurrence, planned start, and by cluster how late the server says that it began."""
    admin = {"Authorization": f"Bearer {seeded.doors.by_role[Role.PROVINCE_ADMIN].token}"}
    async with httpx.AsyncClient(
        base_url=f"{world.url}/api/v1", headers=admin, timeout=60
    ) as client:
        for group in _groups(seeded.clusters):
            for cluster, other in pairwise(group):
                path = f"/earshot-pairs/{cluster}/{other}"
                (await client.put(path, json={"heard": True})).raise_for_status()
        async with Api(world.url, seeded.broadcaster, seeded.approver) as api:
            bulletin = await api.approved_bulletin(
                TITLE, "Một, hai, ba.", seeded.province, "priority"
            )
            starts_at = clock.now().replace(microsecond=0) + LEAD
            await api.schedule(bulletin, [{"area": seeded.province}], starts_at)
        until = starts_at.timestamp() + TOLD_SECONDS
        await asyncio.sleep(until - time.time())
        answer = await client.get("/earshot-groups")
        answer.raise_for_status()
    spreads = [group["spreads"][0] for group in answer.json() if group["spreads"]]
    told = {
        start["cluster"]: start["late_ms"] / 1000
        for spread in spreads
        for start in spread["starts"]
        if start["late_ms"] is not None
    }
    return spreads[0]["occurrence_id"], starts_at, told
