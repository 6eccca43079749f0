"""The whole system with a simulated fleet, and Debian's Chromium in front of it.

Where Chromium is missing, the journeys are skipped and say so.
"""

from __future__ import annotations

import math
import shutil
import struct
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import httpx2 as httpx
import pytest
import pytest_asyncio
import sqlalchemy as sa
from playwright.async_api import Browser, Page, async_playwright, expect
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.auth.permissions import Role
from broadcast.demo import portals
from broadcast.demo.api import Api
from broadcast.demo.people import NAMES
from broadcast.demo.run import NEWS, NOTICE, OFFER, RULES
from broadcast.demo.seed import Seeded, seed
from broadcast.demo.world import World
from broadcast.devices.model import Device, Installation
from broadcast.incidents.causes import Cause, Evidence
from broadcast.incidents.grouping import Kind
from broadcast.incidents.model import Incident, IncidentLoss
from broadcast.keys.keyring import first_keys
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from broadcast.stations.model import Cluster

CHROMIUM = shutil.which("chromium")

DEVICES = 12

OURS = {**RULES, "incident_calm": "PT12H"}
"""An incident that is over is watched for longer than the journeys take."""

HANG_SECONDS = 60.0

DESKTOP, PHONE = (1366, 768), (360, 740)

TONES = (440, 880, 1320, 660, 1760)
"""What is said into the microphone: each for a second, in Hz."""

RATE = 48_000


class System(NamedTuple):
    """A province with its server, broker, database and loudspeakers."""

    url: str
    settings: config.Settings
    seeded: Seeded
    world: World

    def client(self, role: Role) -> httpx.AsyncClient:
        """REST, as somebody with this role."""
        headers = {"Authorization": f"Bearer {self.seeded.doors.by_role[role].token}"}
        return httpx.AsyncClient(base_url=self.url + "/api/v1", headers=headers, timeout=60)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.servers)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that Chromium takes for what its microphone hears."""
    path = tmp_path_factory.mktemp("microphone") / "tones.wav"
    samples = (
        round(12_000 * math.sin(2 * math.pi * tone * number / RATE))
        for tone in TONES
        for number in range(RATE)
    )
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return path


@pytest.fixture(scope="session")
def environment() -> Iterator[pytest.MonkeyPatch]:
    """Settings of the system, gone after the journeys."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def system(
    tmp_path_factory: pytest.TempPathFactory, environment: pytest.MonkeyPatch
) -> AsyncIterator[System]:
    """The system, as the demo builds it, without faults; started once for all journeys."""
    if CHROMIUM is None:
        pytest.skip("Chromium is missing (apt-get install chromium)")
    with World(tmp_path_factory.mktemp("system")) as world, portals.serving() as sites:
        for name in world.environment(OURS):
            environment.setenv(name, "")  # undone at the end, whatever is set meanwhile
        settings = world.configure(OURS)
        await db.migrate(world.postgres.dsn)
        engine = db.create_engine(settings.postgres, "tests.journeys")
        try:
            seeded = await seed(engine, settings, DEVICES, clock.now())
            async with db.transaction(engine) as session:
                await portals.seed_portals(session, seeded.commune, sites, clock.now())
            world.start_server()
            keys = await first_keys(engine, settings.keys, clock.now())
            world.start_fleet(seeded.devices, keys, "none", 1)
            await _broadcast(world, seeded)
            async with db.transaction(engine) as session:
                await _came_back(session, seeded.devices[-1], clock.now())
            yield System(world.page_url.rstrip("/"), settings, seeded, world)
        finally:
            await engine.dispose()


async def _came_back(session: AsyncSession, code: str, now: datetime) -> None:
    """An incident that is being watched: a device was away."""
    device, cluster = (
        await session.execute(
            sa.select(Device, Cluster)
            .join(Installation, Installation.device_id == Device.id)
            .join(Cluster, Cluster.id == Installation.cluster_id)
            .where(Device.code == code)
        )
    ).one()
    fell_at = now - timedelta(hours=3)
    incident = Incident(
        kind=Kind.DEVICE, code=code, name=cluster.name, cause=Cause.DEVICE, opened_at=fell_at,
        noticed_at=now, recovered_at=now, devices_count=1, down_count=0, villages_count=1,
        communes_count=1,
    )  # fmt: skip
    session.add(incident)
    await session.flush()
    session.add(
        IncidentLoss(
            device_id=device.id, cluster_id=cluster.id, fell_at=fell_at, incident_id=incident.id,
            noticed_at=now, returned_at=now, evidence=Evidence.NONE,
        )
    )  # fmt: skip


async def _broadcast(world: World, seeded: Seeded) -> None:
    """Have something to look at: on air now, every morning, and waiting for an approval."""
    people = seeded.broadcaster, seeded.approver
    async with Api(world.url, *people, patience=HANG_SECONDS) as api:
        await api.alert_template("Xả lũ", "Hồ chứa đang xả lũ.", seeded.commune)
        await api.proposed_alert("Báo lũ", "Lũ đang lên.", seeded.commune)
        news = await api.approved_bulletin(
            "Thông báo của UBND tỉnh", NEWS, seeded.province, "priority"
        )
        notice = await api.approved_bulletin("Thông báo họp thôn", NOTICE, seeded.commune)
        await api.submitted_bulletin(
            "Lịch tiêm phòng", "Mời bà con đến trạm y tế.", seeded.commune
        )
        soon = clock.now().replace(microsecond=0) + timedelta(seconds=10)
        await api.schedule(news, [{"area": seeded.province}], soon)
        offer = await api.approved_bulletin("Lịch tiêm chủng", OFFER, seeded.province)
        await api.send(offer, [seeded.commune], soon + timedelta(days=7))
        tomorrow = soon.astimezone(LOCAL).replace(hour=5, minute=30, second=0) + timedelta(days=1)
        await api.schedule(
            notice, [{"area": seeded.commune}], tomorrow, rrule="FREQ=DAILY;COUNT=30"
        )
        tune = await api.approved_bulletin("Nhạc hiệu đài xã", "Đây là đài xã.", seeded.commune)
        await api.air_session(
            "Buổi chiều", seeded.commune, tomorrow.replace(hour=17),
            [("signature", tune), ("own", notice), ("closing", tune)],
        )  # fmt: skip


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser(microphone: Path) -> AsyncIterator[Browser]:
    """Debian's Chromium, whose microphone hears `TONES`."""
    if CHROMIUM is None:
        pytest.skip("Chromium is missing (apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--no-first-run",
                "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-audio-capture={microphone}",
            ],
        )  # fmt: skip
        yield browser
        await browser.close()


# A shared machine stalls a browser now and then; that is no finding.
expect.set_options(timeout=HANG_SECONDS * 1000)

SignIn = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(loop_scope="session")
async def sign_in(system: System, browser: Browser) -> AsyncIterator[SignIn]:
    """Sign in by one click: `page = await sign_in(Role.PROVINCE_MONITOR, size=PHONE)`.

    Every page fails the test for an error in its scripts or a breach of its policy.
    """
    troubles: list[str] = []
    async with AsyncExitStack() as stack:

        async def enter(
            role: Role, size: tuple[int, int] = DESKTOP, path: str = "/", **options: object
        ) -> Page:
            context = await browser.new_context(
                base_url=system.url,
                viewport={"width": size[0], "height": size[1]},
                locale="vi-VN",
                timezone_id="Asia/Ho_Chi_Minh",
                permissions=["microphone"],
                **options,  # type: ignore[arg-type]
            )
            stack.push_async_callback(context.close)
            context.set_default_timeout(HANG_SECONDS * 1000)
            page = await context.new_page()
            page.on("pageerror", lambda error: troubles.append(str(error)))
            page.on("console", lambda said: troubles.append(said.text)
                    if "Content Security Policy" in said.text else None)  # fmt: skip
            await page.goto("/sign-in")
            await page.locator(f"button[name=login][value='{NAMES[role][1]}']").click()
            await page.wait_for_url(system.url + "/")
            if path != "/":
                await page.goto(path)
            return page

        yield enter
    assert troubles == []
