"""Boxes from the claim code to the first message: real server, real Mosquitto, simulated boxes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.api import create_app
from broadcast.enrolment import enrolling
from broadcast.enrolment.model import Password
from broadcast.keys import changes
from broadcast.kit import clock, db
from broadcast.mqtt.link import Link
from broadcast.web import server
from broadcast.wire.codec import decode, encode
from broadcast.wire.enrolment import Claim
from device_sim.enrolling import Keeper, Refused, enrol
from tests.deploy.broker import Deployed, accepts, deployed, free_ports, needs_mosquitto
from tests.devices import fleet
from tests.keys.memory import MemoryStore
from tests.mqtt.links import connected
from tests.web.routes import worked_out

pytestmark = [needs_mosquitto, pytest.mark.servers]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Deployed]:
    with deployed(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def settings(broker: Deployed, tmp_path: Path) -> config.Settings:
    keys = config.Keys(dir=tmp_path / "keys", passphrase_file=tmp_path / "keys.passphrase")
    [port] = free_ports(1)
    enrolment = broker.settings.model_copy(
        update={
            "broker_host": "127.0.0.1",
            "broker_port": broker.device_port,
            "password_port": broker.password_port,
        }
    )
    return config.Settings(
        web=config.Web(port=port, public_url=f"http://127.0.0.1:{port}"),
        mqtt=broker.server(),
        keys=keys,
        enrolment=enrolment,
    )


@asynccontextmanager
async def serving(engine: AsyncEngine, settings: config.Settings) -> AsyncIterator[None]:
    app = worked_out(create_app(settings, engine))
    listener = server.bind("127.0.0.1", settings.web.port, "BROADCAST_WEB__PORT")
    task = asyncio.create_task(server.serve(app, listener, 64))
    async with asyncio.timeout(60):
        while not accepts(settings.web.port):  # noqa: ASYNC110  told by nobody
            await asyncio.sleep(0.02)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        listener.close()


async def claim_of(engine: AsyncEngine, settings: config.Settings, code: str) -> Claim:
    async with db.transaction(engine) as session:
        opened = await enrolling.open_claim(session, settings, code, clock.now())
    return decode(opened.qr_text.encode(), Claim)


async def boots(link: Link, *codes: str) -> None:
    """Wait for the first message of each of these devices."""
    missing = set(codes)
    async with asyncio.timeout(60):
        while missing:
            for message in await link.receive():
                missing.discard(message.topic.split("/")[3])
                message.ack()


async def test_boxes_enrol_themselves_and_connect(
    engine: AsyncEngine, settings: config.Settings, broker: Deployed, tmp_path: Path
) -> None:
    """Two by claim codes, one by what its installer typed in; again after the process ended."""
    async with db.transaction(engine) as session:
        await fleet.enrol(session, "QN-1", "QN-2", "QN-3")
        await changes.begin(session, MemoryStore(), clock.now())
    claims = [await claim_of(engine, settings, code) for code in ("QN-1", "QN-2")]
    async with db.transaction(engine) as session:
        typed = await enrolling.give_password(session, settings, "QN-3", clock.now())
        hashed = await session.scalar(sa.select(Password.hash))
    broker.tell(passwords=f"QN-3:{hashed}\n")
    boxes = {
        "devices": [
            *({"device_id": each.device_id, "claim": json.loads(encode(each))} for each in claims),
            {"device_id": "QN-3", "bundle": json.loads(encode(typed))},
        ]
    }
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    command = (
        sys.executable, "-m", "device_sim", "--devices-file", tmp_path / "boxes.json",
        "--keep", tmp_path / "boxes",
    )  # fmt: skip
    hears_all = [("ttn/v1/device/+/event/boot", 1)]
    async with serving(engine, settings), Link(broker.server(), subscriptions=hears_all) as link:
        await connected(link)
        for _ in range(2):
            running = await asyncio.create_subprocess_exec(*command, stdout=-1)
            try:
                await boots(link, "QN-1", "QN-2", "QN-3")
            finally:
                running.terminate()
                await running.communicate()
    async with db.transaction(engine) as session:
        shown = await enrolling.show(session, "QN-1", clock.now())
    assert len(shown.certificates) == 1, "the second time it had its certificate"


async def test_a_box_that_is_refused_says_why_and_keeps_its_key(
    engine: AsyncEngine, settings: config.Settings, tmp_path: Path
) -> None:
    async with db.transaction(engine) as session:
        await fleet.enrol(session, "QN-1", "QN-2")
        await changes.begin(session, MemoryStore(), clock.now())
    claim = await claim_of(engine, settings, "QN-1")
    keeper = Keeper(tmp_path / "box")
    with pytest.raises(Refused, match=r"127\.0\.0\.1"):
        await asyncio.to_thread(enrol, claim, keeper)
    key = keeper.key_file.read_bytes()
    async with serving(engine, settings):
        wrong = Claim(claim.url, "QN-1", "0000-0000-0000")
        with pytest.raises(Refused, match=r"403: Mã đăng ký không đúng"):
            await asyncio.to_thread(enrol, wrong, keeper)
        with pytest.raises(Refused, match="given QN-1"):
            await asyncio.to_thread(enrol, Claim(claim.url, "QN-2", claim.claim_code), keeper)
        bundle = await asyncio.to_thread(enrol, claim, keeper)
    assert keeper.key_file.read_bytes() == key
    assert keeper.bundle == bundle
    other = Keeper(tmp_path / "other")
    other.signing_request()
    with pytest.raises(Refused, match="another key"):
        other.keep(bundle)
    assert other.bundle is None
