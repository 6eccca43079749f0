"""`broadcast demo`: build the world, put a bulletin on air, watch, and judge by the database."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from rich.console import Console
from rich.live import Live
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.demo import portals
from broadcast.demo.api import Api
from broadcast.demo.live import View, draw, look
from broadcast.demo.seed import Seeded, seed
from broadcast.demo.world import World
from broadcast.embedded.broker import Kind
from broadcast.embedded.supervisor import Supervisor
from broadcast.enrolment.enrolling import open_claim
from broadcast.indicators.figures import compute, figures
from broadcast.keys.keyring import first_keys
from broadcast.kit import clock, db
from broadcast.kit.errors import Unavailable
from broadcast.plays.model import OPEN, Play
from broadcast.plays.schemas import SummaryOut
from broadcast.plays.summary import summary
from broadcast.wire.codec import decode
from broadcast.wire.enrolment import Claim

log = structlog.get_logger()

RULES = {
    "heartbeat_seconds": "5",
    "offline_after": "PT30S",
    "return_within": "PT15S",
    "settle_after": "PT20S",
    # So that the demo sounds at whatever hour it is shown.
    "quiet_hours": "[]",
}

LATE_LIMIT_SECONDS = 30

NEWS_PRIORITY = 120
"""Below that of the warning, which comes in between."""

COLLISION_AFTER = timedelta(hours=3)
"""When a priority item of the commune meets one of the province: a guest has time to decide."""

PATIENCE_SECONDS = 60.0
"""For which people and the summary wait while a server is started again."""

INTERRUPTED = 130
"""Exit code where somebody has ended it before anything was on air, as of a shell."""

NEWS = """\
Ủy ban nhân dân tỉnh Quảng Ngãi thông báo. Theo Kế hoạch 148/KH-UBND, đến năm 2025, 100% xã, \
phường có hệ thống truyền thanh hoạt động đến thôn, tổ dân phố."""

OFFER = """\
Từ ngày 1 đến ngày 20, trạm y tế các xã tiêm vắc-xin cho trẻ dưới năm tuổi. \
Bà con nhớ mang theo sổ tiêm chủng."""

WATER = "Thông báo của ủy ban nhân dân xã: chiều nay ngừng cấp nước để sửa đường ống."

EPIDEMIC = "Tin ưu tiên của tỉnh. Phòng chống sốt xuất huyết: diệt lăng quăng, ngủ trong màn."

NOTICE = "Mời bà con đến nhà văn hóa thôn họp lúc 19h30 ngày 15/12."

EXERCISE = "Lũ trên sông đang lên. Bà con ven sông chuẩn bị di chuyển lên chỗ cao."
WARNING = "Tin ưu tiên. Đề phòng lũ trên sông Trà Khúc trong 6 giờ tới."


@dataclass(frozen=True)
class Options:
    """Options of the command line."""

    devices: int
    faults: str
    once: bool
    json: bool
    keep: Path | None
    seed: int
    text: Path | None = None
    broker: Kind | None = None


def run(options: Options) -> int:
    """Run the demo; returns the exit code: 0 only if nothing is unexplained or duplicated.

    SIGTERM ends it as Ctrl-C does: once the programme is on air with a summary, and always with
    every child.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = options.keep or Path(tempfile.mkdtemp(prefix="broadcast-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # People read stderr while --json keeps stdout for programs.
        console = Console(file=sys.stderr if options.json else sys.stdout)
        console.print(_at(0.0, "đang khởi động PostgreSQL và broker MQTT …"))
        with (
            World(folder, options.broker, anew=True, mutual_tls=True) as world,
            portals.serving() as sites,
        ):
            try:
                return asyncio.run(_Demo(options, world, console, sites).run())
            finally:
                # The children are ended in order, however impatient somebody is.
                for number in (signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def _at(seconds: float, text: str) -> str:
    return f"[dim]{seconds:5.1f} s[/]  {text}"


class _Demo:
    """One demo: what it made, and how far it is."""

    def __init__(self, options: Options, world: World, console: Console, sites: str) -> None:
        self._options = options
        self._world = world
        self._console = console
        self._sites = sites
        self._stopping = asyncio.Event()
        self._on_air = False
        self._began = time.monotonic()
        self._note = ""
        self._figures: dict[str, Any] = {}

    async def run(self) -> int:
        """Do it all, with its servers kept running; returns the exit code.

        Raises:
            Unavailable: A server cannot be kept running, or the simulated devices are gone.
        """
        loop = asyncio.get_running_loop()
        work = asyncio.create_task(self._work())
        watch = asyncio.create_task(Supervisor(self._world.servers(), self._say).watch())
        telling = asyncio.create_task(self._world.tell_broker())
        for number in (signal.SIGINT, signal.SIGTERM):
            # An exception out of a handler would be lost now and then, in a callback or a thread.
            loop.add_signal_handler(number, self._end, work)
        try:
            await asyncio.wait([work, watch], return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else watch.result()
        except db.AWAY as error:
            raise Unavailable(
                f"PostgreSQL dừng giữa lúc chuẩn bị ({db.brief(error)}); hãy chạy lại."
            ) from error
        finally:
            for task in (work, watch, telling):
                task.cancel()
            await asyncio.wait([work, watch, telling])

    async def _work(self) -> int:
        options, world = self._options, self._world
        settings = world.configure(RULES)
        self._say(f"PostgreSQL và broker MQTT ({world.broker.kind}) đã chạy")
        self._say("đang lập lược đồ cơ sở dữ liệu …")
        await db.migrate(world.postgres.dsn)
        engine = db.create_engine(settings.postgres, "broadcast.demo")
        try:
            self._say("đang lập tỉnh mẫu: đơn vị hành chính từ 2020, thôn, đài, cụm loa …")
            seeded = await seed(engine, settings, options.devices, clock.now())
            self._say(
                f"đã lập tỉnh mẫu: {seeded.communes} xã, {seeded.villages} thôn, "
                f"{len(seeded.devices)} thiết bị"
            )
            async with db.transaction(engine) as session:
                await portals.seed_portals(session, seeded.commune, self._sites, clock.now())
            self._say("đang khởi động máy chủ …")
            world.start_server()
            self._say(f"máy chủ: {world.page_url} (một lần bấm cho mỗi vai trò; REST: /docs)")
            self._show_doors(seeded)
            keys = await first_keys(engine, settings.keys, clock.now())
            claims = await self._claims(engine, settings, seeded.devices)
            world.start_fleet(seeded.devices, keys, options.faults, options.seed, claims)
            since = clock.now()
            people = seeded.broadcaster, seeded.approver
            async with Api(world.url, *people, PATIENCE_SECONDS) as api:
                await self._fill_inbox(api, seeded, clock.now())
                on_air = await self._broadcast(api, seeded)
                await self._watch(engine, seeded, since, on_air)
            result = await self._judge(engine, since)
        finally:
            await engine.dispose()
        if options.json:
            print(json.dumps(result, ensure_ascii=False), flush=True)  # noqa: T201  the result
        else:
            self._console.print_json(json.dumps(result, ensure_ascii=False))
        sound = result["expected_plays"] > 0 or not options.once
        return 0 if sound and result["unexplained"] == result["duplicates"] == 0 else 1

    async def _claims(
        self, engine: AsyncEngine, settings: config.Settings, devices: Sequence[str]
    ) -> dict[str, Claim]:
        """What a technician would scan at each box; nothing where the broker asks for none."""
        if self._world.broker.tls is None:
            self._say("broker kèm theo nhận mọi thiết bị trên máy này; cài mosquitto để có TLS")
            return {}
        self._say(
            "thiết bị đăng ký bằng mã, nhận chứng chỉ của tỉnh và nối broker qua TLS hai chiều"
        )
        async with db.transaction(engine) as session:
            opened = [await open_claim(session, settings, code, clock.now()) for code in devices]
        return {each.device_code: decode(each.qr_text.encode(), Claim) for each in opened}

    def _end(self, work: asyncio.Task[Any] | None) -> None:
        """Somebody has had enough: with a summary, if there is anything to sum up."""
        if self._on_air:
            self._stopping.set()
        elif work is not None and not work.cancelling():
            work.cancel()

    def _show_doors(self, seeded: Seeded) -> None:
        """Addresses, logins and tokens, for a guest who looks behind the picture."""
        broker = self._world.broker
        admits = "ai trên máy này cũng vào được"
        if broker.tls is not None:
            admits = f"bằng chứng chỉ server.crt trong {broker.tls.authority_dir}"
        doors = {
            "mật khẩu": f"{seeded.doors.password}, của mọi tên đăng nhập dưới đây",
            **{
                f"mã truy cập {role.value}": f"{door.token}  {door.login or ''}"
                for role, door in seeded.doors.by_role.items()
            },
            "PostgreSQL": self._world.postgres.dsn,
            "broker MQTT": f"{broker.host}:{broker.port}, {admits}",
        }
        for name, what in doors.items():
            self._console.print(f"{'':9}{name:32}{what}", soft_wrap=True)

    def _say(self, text: str) -> None:
        self._note = text
        self._console.print(_at(time.monotonic() - self._began, text))

    async def _broadcast(self, api: Api, seeded: Seeded) -> datetime:
        """Put three items on air; returns when the first one starts."""
        text = self._options.text.read_text() if self._options.text else NEWS
        news, notice, warning = await asyncio.gather(
            api.approved_bulletin("Thông báo của UBND tỉnh", text, seeded.province, "priority"),
            api.approved_bulletin("Thông báo họp thôn", NOTICE, seeded.commune),
            api.approved_bulletin("Cảnh báo lũ", WARNING, seeded.province, "priority"),
        )
        first = clock.now().replace(microsecond=0) + timedelta(
            seconds=12 + self._options.devices / 20
        )
        late = {"late_limit_seconds": LATE_LIMIT_SECONDS}
        seconds = news["revisions"][0]["seconds"]
        await api.schedule(
            news, [{"area": seeded.province}], first, priority=NEWS_PRIORITY, **late
        )
        # Pre-empts the news on a few clusters, which resume it afterwards.
        await api.schedule(
            warning,
            [{"cluster": code} for code in seeded.clusters[-3:]],
            first + timedelta(seconds=5),
            **late,
        )
        await api.schedule(
            notice,
            [{"area": seeded.commune}],
            first + timedelta(seconds=seconds + 20),
            **late,
        )
        await api.schedule(
            notice,
            [{"area": seeded.commune}],
            first + timedelta(days=1),
            rrule="FREQ=DAILY;COUNT=30",
            **late,
        )
        if not self._options.once:
            drilled_at = first + timedelta(seconds=seconds + 60)
            await api.exercise("Diễn tập báo lũ", EXERCISE, seeded.commune, drilled_at)
        self._say(
            f"bản tin {seconds:.0f} giây phát lúc {first.astimezone(clock.LOCAL):%H:%M:%S} "
            f"tại {len(seeded.devices)} cụm loa"
        )
        return first

    async def _fill_inbox(self, api: Api, seeded: Seeded, now: datetime) -> None:
        """One bulletin for the commune to pick, and one whose place it is to decide."""
        self._say("đang đọc các bản tin thành tiếng nói …")
        offer, water, epidemic = await asyncio.gather(
            api.approved_bulletin("Lịch tiêm chủng", OFFER, seeded.province),
            api.approved_bulletin("Ngừng cấp nước", WATER, seeded.commune, "priority"),
            api.approved_bulletin("Phòng sốt xuất huyết", EPIDEMIC, seeded.province, "priority"),
        )
        at = (now + COLLISION_AFTER).replace(minute=0, second=0, microsecond=0)
        await api.schedule(water, [{"area": seeded.commune}], at)
        useful_until = now + timedelta(days=7)
        for each in (offer, epidemic):
            await api.send(each, [seeded.commune], useful_until)
        self._say(
            "hộp tin đến của xã: một tin để nhận hoặc từ chối, một tin ưu tiên trùng giờ lúc "
            f"{at.astimezone(clock.LOCAL):%H:%M} để xã chọn thứ tự"
        )

    async def _watch(
        self,
        engine: AsyncEngine,
        seeded: Seeded,
        since: datetime,
        on_air: datetime,
    ) -> None:
        """Draw until all is settled; without `--once`, until somebody stops it (a signal)."""
        self._on_air = True
        crash_at = on_air + timedelta(seconds=4) if self._options.faults == "all" else None
        with Live(console=self._console, auto_refresh=False, screen=False) as live:
            while True:
                now = clock.now()
                self._world.check_fleet()
                if crash_at is not None and now >= crash_at:
                    crash_at = None
                    self._note = "máy chủ bị ngắt đột ngột và khởi động lại"
                    self._world.crash_server()
                    self._world.start_server()
                try:
                    view, waiting = await self._look(engine, seeded, since, now)
                except db.AWAY as error:
                    # The supervisor says what stopped, and starts it again.
                    log.info("demo.look.failed", error=db.brief(error))
                else:
                    if self._console.is_terminal:
                        live.update(draw(view), refresh=True)
                    if now > on_air and not waiting and self._options.once:
                        return
                with suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await self._stopping.wait()
                        return

    async def _look(
        self, engine: AsyncEngine, seeded: Seeded, since: datetime, now: datetime
    ) -> tuple[View, int]:
        """The picture of now, and the number of plays still open."""
        async with db.transaction(engine) as session:
            self._figures = figures(await compute(session, clock.today(), seeded.province, now))
            view = await look(session, since, now, self._figures, self._note)
            waiting = await session.scalar(
                sa.select(sa.func.count())
                .select_from(Play)
                .where(Play.state.in_(OPEN), Play.starts_at < since + clock.HOUR)
            )
        return view, waiting or 0

    async def _judge(self, engine: AsyncEngine, since: datetime) -> dict[str, Any]:
        total = await self._total(engine, since)
        return {
            "devices": self._options.devices,
            "expected_plays": total.expected,
            "played": total.played,
            "partial": total.partial,
            "preempted": total.preempted,
            "missed": total.missed_by_reason,
            "unexplained": total.unexplained,
            "duplicates": total.duplicates,
            "late": total.late,
            "start_error_ms": {"p50": total.start_error_ms_p50, "p99": total.start_error_ms_p99},
            "indicators": self._figures,
            "seconds": round(time.monotonic() - self._began, 1),
        }

    async def _total(self, engine: AsyncEngine, since: datetime) -> SummaryOut:
        """The ledger of the demo, once the database is there."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                async with db.transaction(engine) as session:
                    return await summary(session, since, clock.now())
            except db.AWAY:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(1)
