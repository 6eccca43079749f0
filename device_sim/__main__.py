"""`python -m device_sim`: a fleet of simulated loudspeakers on a broker.

Ends on SIGTERM, or after `--seconds`; the last line on stdout says in JSON what happened. After
SIGUSR1 nothing goes wrong any more.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import signal
import ssl
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from broadcast.wire import WireError
from broadcast.wire.codec import decode
from device_sim.commons import Commons
from device_sim.enrolling import Refused
from device_sim.faults import PROFILES, Faults
from device_sim.fleet import Enrolled, Enrolment, Fleet
from device_sim.link import Access


def main() -> None:
    """Run the fleet and print what happened."""
    options = _options()
    try:
        enrolment = decode(options.devices_file.read_bytes(), Enrolment)
    except (OSError, WireError) as error:
        sys.exit(f"{options.devices_file}: {error}")
    # A connection each; the usual soft limit of 1,024 would stop short of a thousand devices.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    summary = asyncio.run(_run(options, enrolment))
    print(json.dumps(summary), flush=True)  # noqa: T201 — the result


async def _run(options: argparse.Namespace, enrolment: Enrolment) -> dict[str, Any]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for stopping in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(stopping, stop.set)
    if options.seconds is not None:
        loop.call_later(options.seconds, stop.set)
    with ExitStack() as stack:
        truth = None
        if options.truth is not None:
            # A line at a time: what is told was true even if this process is killed.
            opened = options.truth.open("a", encoding="utf-8", buffering=1)
            truth = stack.enter_context(opened)
        tls = ssl.create_default_context(cafile=options.ca) if options.ca else None
        commons = Commons(
            Access(
                (options.host, options.port),
                options.prefix,
                tls=None if tls is None else lambda: tls,
            ),
            Faults(PROFILES[options.faults], options.seed, options.scale),
            ntp=options.clock == "ntp",
            keep=options.keep,
            recordings=options.record,
            truth=truth,
        )
        loop.add_signal_handler(signal.SIGUSR1, commons.calm)
        fleet = Fleet(commons, options.keep)
        devices = enrolment.devices or _numbered(options.count or 1)
        for number, device in enumerate(devices[: options.count]):
            try:
                fleet.add(enrolment.keys, device, recorded=number < options.record_devices)
            except Refused as error:
                sys.exit(f"{device.device_id}: {error}")
        # Everything there is now stays: the collector need not look at it again and again.
        gc.freeze()
        await fleet.run(stop)
        return fleet.shut_down()


def _numbered(count: int) -> list[Enrolled]:
    return [Enrolled(device_id=f"sim-{number:05}") for number in range(1, count + 1)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m device_sim", description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="of the broker")
    add("--port", type=int, default=1883, help="of the broker")
    add("--ca", type=Path, metavar="FILE", help="speak TLS; whom to trust for it")
    add("--prefix", default="ttn/v1", help="first levels of every topic")
    add("--devices-file", type=Path, required=True, metavar="FILE", help="enrolment, JSON")
    add(
        "--count",
        type=int,
        metavar="N",
        help="only the first N; N numbered ones if none is listed",
    )
    add("--faults", choices=PROFILES, default="none", help="what goes wrong")
    add("--seed", type=int, default=0, help="the same faults for the same seed")
    add("--scale", type=float, default=1.0, help="faults come and go so many times faster")
    add("--clock", choices=("ntp", "server"), default="ntp", help="where devices get the time")
    add("--record", type=Path, metavar="DIR", help="write what sounds as WAV")
    add("--record-devices", type=int, default=1, metavar="K", help="of the first K devices")
    add("--keep", type=Path, metavar="DIR", help="flash and content outlive the process")
    add("--truth", type=Path, metavar="FILE", help="append what really happened, JSON lines")
    add("--seconds", type=float, help="end after so long")
    return parser.parse_args()


if __name__ == "__main__":
    main()
