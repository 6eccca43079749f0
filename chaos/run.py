"""The world, the killing, the healing and the waiting.

1. PostgreSQL, broker, four server processes (web and ingest; ingest; two that dispatch) and the
   fleet, each a child of ours; what the servers say to the broker passes a line that can be cut.
2. For a while children are killed as the plan says, and started again some seconds later. A child
   that ends by itself is started again as systemd would, and counted. People work meanwhile.
3. Everything is healed. When all journals are stored and all plays are settled, or after a
   limit, the verdict.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.config import Role
from broadcast.demo.api import Api
from broadcast.demo.seed import Seeded, seed
from broadcast.demo.world import World
from broadcast.keys.keyring import first_keys
from broadcast.kit import clock, db
from broadcast.kit.errors import Unavailable
from broadcast.plays.schemas import SummaryOut
from broadcast.plays.summary import summary
from broadcast.wire.documents import PublicKey
from chaos.person import PATIENCE_SECONDS, Asked, Person, prepare
from chaos.plan import EVERY_SECONDS, FREEZE_RATIO, Fault, Target, airings, faults
from chaos.stored import configured, read_stored
from chaos.uplink import Uplink
from chaos.verdict import Truth, Verdict, judge, read_truth

RULES = {
    "heartbeat_seconds": "5",
    "offline_after": "PT30S",
    "return_within": "PT15S",
    "settle_after": "PT10S",
    "quiet_hours": "[]",
}
"""An hour's patience of the real ones in a minute, so that there are flips and settlements to
judge; what is promised does not depend on how long it is."""

PROCESSES: dict[Target, tuple[tuple[Role, ...], int]] = {
    "server": ((Role.WEB, Role.INGEST, Role.PREPARE), 1),
    "worker": ((Role.INGEST,), 2),
    "dispatcher": ((Role.DISPATCH,), 1),
    "standby": ((Role.DISPATCH,), 1),
}
"""Processes of ours: their roles, and which worker they are. Two share the inbound path; of the
two that dispatch one leads, and the other takes over."""
FORGETFUL_RATIO = 0.2
"""Of the kills of the broker: it comes back without sessions and retained messages."""
RESTART_SECONDS = 2.0
"""As in deploy/systemd/broadcast.service."""
STEP_SECONDS = 0.05
READY_SECONDS = 60.0
GATHERED_RATIO = 0.8
"""Links fail and power goes from the beginning, so that some device is always away."""
SHORTEST_QUIET_SECONDS = 15.0
"""So that what the chaos left behind has time to do harm."""
LONGEST_QUIET_SECONDS = 420.0
"""Devices that nobody answered for minutes wait that long before they ask again (wire.md §9)."""
LOOK_SECONDS = 3.0
HANGING_SECONDS = 60.0
"""A fleet that has told nothing for so long does nothing, not even heartbeats."""


@dataclass(frozen=True)
class Options:
    """Options of a run."""

    seconds: float
    seed: int
    devices: int
    keep: Path | None = None
    freeze_ratio: float = FREEZE_RATIO


def run(options: Options) -> dict[str, Any]:
    """Result of a run; `clean` tells whether every promise was kept."""
    folder = options.keep or Path(tempfile.mkdtemp(prefix="broadcast-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with ExitStack() as stack:
            world = stack.enter_context(World(folder, "mosquitto"))
            uplink = stack.enter_context(Uplink(world.broker.host, world.broker.port))
            return _Chaos(options, world, uplink).run()
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


class _Chaos:
    """One run and how far it is."""

    def __init__(self, options: Options, world: World, uplink: Uplink) -> None:
        self._options = options
        self._world = world
        self._uplink = uplink
        self._began = time.monotonic()
        self._kills: Counter[Target] = Counter()
        self._exits: Counter[Target] = Counter()
        self._down: dict[Target, float] = {}
        """Until when a target stays down."""
        self._frozen: set[Target] = set()
        """Those of them that only stand still."""

    # --- the whole ------------------------------------------------------------------------------

    def run(self) -> dict[str, Any]:
        """Do it all."""
        options = self._options
        settings = self._world.configure(RULES)
        os.environ["BROADCAST_MQTT__PORT"] = str(self._uplink.port)
        os.environ["BROADCAST_INGEST__WORKERS"] = str(max(n for _, n in PROCESSES.values()))
        seeded, bulletins = self._prepare(settings)
        programme = airings(options.seed, options.seconds, len(bulletins[0]))
        began_at, began = clock.now().replace(microsecond=0), time.monotonic()
        person = Person(
            lambda: self._api(seeded), seeded, bulletins, programme, began_at, self._say
        )
        person.start()
        self._inject_faults(faults(options.seed, options.seconds, options.freeze_ratio), began)
        self._heal()
        person.join(PATIENCE_SECONDS)
        if person.is_alive() or person.failure is not None:
            raise Unavailable("Người soạn bản tin không làm xong việc; xem lỗi ở trên.")
        until = clock.now()
        verdict, truth, total, more = self._settle(settings, person.asked, began_at, until)
        for detail in verdict.details[:50]:
            self._say(detail)
        return {
            "clean": verdict.clean,
            **verdict.counts,
            "seed": options.seed,
            "devices": options.devices,
            "kills": {target: self._kills[target] for target in EVERY_SECONDS},
            "exits": dict(self._exits),
            "tracebacks": self._tracebacks(),
            "plays_expected": total.expected,
            "played": total.played,
            "partial": total.partial,
            "preempted": total.preempted,
            "missed": total.missed_by_reason,
            "records_journalled": len(truth.journalled),
            "schedules": len(person.asked.schedules),
            "refused": len(person.asked.refused),
            "answers": dict(sorted(person.asked.answers.items())),
            "troubles": {
                name: truth.counts[name]
                for name in ("power_off", "offline", "disconnected", "clock_step")
            },
            "start_error_ms": {"p50": total.start_error_ms_p50, "p99": total.start_error_ms_p99},
            **more,
            "seconds": round(time.monotonic() - self._began, 1),
        }

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:7.1f} s  {text}", file=sys.stderr, flush=True)

    def _api(self, seeded: Seeded) -> Api:
        return Api(self._world.url, seeded.broadcaster, seeded.approver, PATIENCE_SECONDS)

    # --- before ---------------------------------------------------------------------------------

    def _prepare(self, settings: config.Settings) -> tuple[Seeded, list[list[dict[str, Any]]]]:
        world, options = self._world, self._options
        seeded, public = asyncio.run(self._seed(settings))
        for name, (roles, worker) in PROCESSES.items():
            world.spawn(name, roles, worker)
        self._wait("the server", world.ready)
        self._say("PostgreSQL, broker, server and dispatcher run")
        world.start_fleet(seeded.devices, public, "chaos", options.seed)
        bulletins = asyncio.run(self._bulletins(seeded))
        self._wait("the devices", lambda: asyncio.run(self._gathered(settings)), 1.0)
        self._say(f"{options.devices} devices, {sum(map(len, bulletins))} bulletins")
        return seeded, bulletins

    async def _seed(self, settings: config.Settings) -> tuple[Seeded, list[PublicKey]]:
        await db.migrate(settings.postgres.dsn.get_secret_value())
        async with _engine(settings) as engine:
            seeded = await seed(engine, settings, self._options.devices, clock.now())
            return seeded, await first_keys(engine, settings.keys, clock.now())

    async def _bulletins(self, seeded: Seeded) -> list[list[dict[str, Any]]]:
        async with self._api(seeded) as api:
            return await prepare(api, seeded)

    async def _gathered(self, settings: config.Settings) -> bool:
        """Tell whether nearly all devices are online and have reported their config."""
        async with _engine(settings) as engine, db.transaction(engine) as session:
            return await configured(session) >= GATHERED_RATIO * self._options.devices

    def _wait(
        self, what: str, ready: Callable[[], bool], every_seconds: float = STEP_SECONDS
    ) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not ready():
            if time.monotonic() > deadline:
                raise Unavailable(f"{what}: sau {READY_SECONDS:.0f} giây vẫn chưa sẵn sàng")
            self._supervise()
            time.sleep(every_seconds)

    # --- the killing ----------------------------------------------------------------------------

    def _inject_faults(self, plan: list[Fault], began: float) -> None:
        """Strike as planned, and start again what has been down long enough."""
        agenda = deque(plan)
        while (elapsed := time.monotonic() - began) < self._options.seconds:
            while agenda and agenda[0].at <= elapsed:
                self._inject(agenda.popleft())
            self._supervise()
            time.sleep(STEP_SECONDS)

    def _inject(self, fault: Fault) -> None:
        target = fault.target
        if target in self._down:
            return  # this machine was so slow that it is not back yet
        if target == "backend" and "postgres" in self._down:
            return
        self._say(f"{'freeze' if fault.freezes else 'kill'} {target} for {fault.down_seconds} s")
        self._kills[target] += 1
        if fault.freezes:
            self._freeze(target)
        else:
            self._kill(target, fault.choice)
        if target != "backend":
            self._down[target] = time.monotonic() + fault.down_seconds

    def _freeze(self, target: Target) -> None:
        self._frozen.add(target)
        if target == "uplink":
            self._uplink.stall()
        else:
            for pid in self._pids(target):
                os.kill(pid, signal.SIGSTOP)

    def _thaw(self, target: Target) -> None:
        self._frozen.discard(target)
        if target == "uplink":
            self._uplink.mend()
        else:
            for pid in self._pids(target):
                os.kill(pid, signal.SIGCONT)

    def _pids(self, target: Target) -> list[int]:
        """A target's process, and those that it has started."""
        match target:
            case "broker":
                pid = self._world.broker.pid
            case "postgres":
                pid = self._world.postgres.pid
            case _:
                pid = self._world.process(target).pid
        return [pid, *_children(pid)]

    def _kill(self, target: Target, choice: float) -> None:
        match target:
            case "server" | "worker" | "dispatcher" | "standby":
                self._world.process(target).kill()
            case "broker":
                self._world.broker.kill()
                if choice < FORGETFUL_RATIO:
                    self._say("the broker has lost its disk")
                    (self._world.folder / "broker/mosquitto.db").unlink(missing_ok=True)
            case "postgres":
                self._world.postgres.kill()
            case "uplink":
                self._uplink.cut()
            case "backend":
                self._kill_backend(choice)

    def _kill_backend(self, choice: float) -> None:
        """Kill one of PostgreSQL's processes that serve clients."""
        backends = sorted(_children(self._world.postgres.pid, b"postgres: broadcast "))
        if backends:
            os.kill(backends[int(choice * len(backends))], signal.SIGKILL)

    def _supervise(self) -> None:
        """Start what has been down long enough, or has ended by itself."""
        now = time.monotonic()
        for target in PROCESSES:
            process = self._world.process(target)
            if target not in self._down and not process.alive:
                self._exits[target] += 1
                self._say(f"{target} ended by itself: {process.log_tail().splitlines()[-1:]}")
                self._down[target] = now + RESTART_SECONDS
        for target, until in list(self._down.items()):
            if until <= now:
                self._start(target)

    def _start(self, target: Target) -> None:
        del self._down[target]
        if target in self._frozen:
            self._thaw(target)
            self._say(f"thaw {target}")
            return
        match target:
            case "broker":
                self._world.broker.start()
            case "postgres":
                self._world.postgres.start()
            case "uplink":
                self._uplink.mend()
            case _:
                self._world.spawn(target, *PROCESSES[target])
        self._say(f"start {target}")

    def _heal(self) -> None:
        for target in list(self._down):
            self._start(target)
        self._world.calm_fleet()
        self._say("everything is healed")

    # --- after ----------------------------------------------------------------------------------

    def _settle(
        self, settings: config.Settings, asked: Asked, since: datetime, until: datetime
    ) -> tuple[Verdict, Truth, SummaryOut, dict[str, Any]]:
        """Wait until nothing is under way any more, and judge."""
        began = time.monotonic()
        while True:
            self._supervise()
            truth, verdict, total, sizes = self._look(settings, asked, since, until)
            waited = time.monotonic() - began
            done = not (verdict.lost or verdict.unexplained or verdict.untrue)
            if (done and waited > SHORTEST_QUIET_SECONDS) or waited > LONGEST_QUIET_SECONDS:
                return verdict, truth, total, sizes | {"quiet_seconds": round(waited, 1)}
            self._say(f"waiting: {verdict.lost} records, {verdict.unexplained} plays")
            self._pause(LOOK_SECONDS)

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._supervise()
            time.sleep(STEP_SECONDS)

    def _look(
        self, settings: config.Settings, asked: Asked, since: datetime, until: datetime
    ) -> tuple[Truth, Verdict, SummaryOut, dict[str, Any]]:
        self._world.check_fleet()
        # The truth first: what was written after it would count as lost.
        path = self._world.folder / "truth.jsonl"
        if clock.now().timestamp() - path.stat().st_mtime > HANGING_SECONDS:
            raise Unavailable("Các thiết bị mô phỏng không còn hoạt động: đó là lỗi của chúng.")
        with path.open(encoding="utf-8") as lines:
            truth = read_truth(lines)
        verdict, total, sizes = asyncio.run(self._judge(settings, truth, asked, since, until))
        return truth, verdict, total, sizes

    async def _judge(
        self,
        settings: config.Settings,
        truth: Truth,
        asked: Asked,
        since: datetime,
        until: datetime,
    ) -> tuple[Verdict, SummaryOut, dict[str, Any]]:
        async with _engine(settings) as engine, db.transaction(engine) as session:
            stored = await read_stored(session, settings.rules, until)
            total = await summary(session, since, until)
        verdict = judge(truth, stored, asked.schedules)
        return verdict, total, {"records_stored": len(stored.records), "flips": len(stored.flips)}

    def _tracebacks(self) -> dict[str, int]:
        """Stack traces in the logs of our processes: each one a finding."""
        return {
            target: self._world.process(target).log().count("Traceback (most recent call last)")
            for target in PROCESSES
        }


@asynccontextmanager
async def _engine(settings: config.Settings) -> AsyncIterator[AsyncEngine]:
    engine = db.create_engine(settings.postgres, "broadcast.chaos")
    try:
        yield engine
    finally:
        await engine.dispose()


def _children(pid: int, title: bytes = b"") -> Iterator[int]:
    """Child processes whose title begins like this."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            if Path(f"/proc/{child}/cmdline").read_bytes().startswith(title):
                yield int(child)
        except FileNotFoundError:  # it has ended meanwhile
            continue
