"""The next certificate of a device that has one."""

from __future__ import annotations

import asyncio
import ssl
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography import x509
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.delivery.renewals import renew
from broadcast.devices.enrolment import retire
from broadcast.devices.model import Device
from broadcast.enrolment import enrolling, renewal
from broadcast.enrolment.model import Certificate, RenewalRequest
from broadcast.keys import changes
from broadcast.kit import clock, db
from broadcast.mqtt.link import Link
from broadcast.telemetry.arrival import Arrival
from broadcast.wire.codec import decode_event
from broadcast.wire.events import CertificateRequest
from device_sim.commons import Commons
from device_sim.enrolling import Keeper, Refused
from device_sim.faults import NONE, Faults
from device_sim.fleet import Enrolled, Fleet
from device_sim.link import Access
from tests.deploy.broker import deployed, needs_mosquitto
from tests.devices.fleet import enrol
from tests.enrolment.fleet import DAY, NOW, csr, installation, p256
from tests.keys.memory import MemoryStore, keyring
from tests.mqtt.links import connected

LATER = NOW + 61 * DAY


class Asking:
    """An installation with devices that ask."""

    def __init__(self, engine: AsyncEngine, settings: config.Settings) -> None:
        self.engine = engine
        self.settings = settings

    async def enrol(self, *codes: str) -> None:
        async with db.transaction(self.engine) as session:
            await enrol(session, *codes)
            await changes.begin(session, MemoryStore(), NOW)
            for code in codes:
                await enrolling.sign(session, self.settings, code, csr(p256()), NOW)

    async def ask(self, code: str, request: str, now: datetime = LATER) -> None:
        async with db.transaction(self.engine) as session:
            device_id = await session.scalar(sa.select(Device.id).where(Device.code == code))
            assert device_id is not None
            arrival = Arrival(device_id, code, CertificateRequest(request))
            await renewal.record(session, [arrival, arrival], now)

    async def issue(self, now: datetime = LATER) -> list[tuple[str, str]]:
        """Devices with the serials they get; the answers reach the broker."""
        async with db.transaction(self.engine) as session:
            given = await renewal.issue(session, self.settings.enrolment, now)
            found = [(device.code, certificate.serial) for device, certificate in given]
            await renewal.answered(session, [device for device, _ in given], now)
            return found

    async def waiting(self) -> int:
        async with db.transaction(self.engine) as session:
            statement = sa.select(sa.func.count()).select_from(RenewalRequest)
            return await session.scalar(statement.where(RenewalRequest.answered_at.is_(None))) or 0


@pytest.fixture
def asking(engine: AsyncEngine, tmp_path: Path) -> Asking:
    return Asking(engine, installation(tmp_path))


@pytest.mark.postgres
async def test_the_next_certificate_stands_beside_the_one_before(asking: Asking) -> None:
    await asking.enrol("QN-1")
    key = p256()
    await asking.ask("QN-1", csr(key))
    [(code, serial)] = await asking.issue()
    assert code == "QN-1"
    async with db.transaction(asking.engine) as session:
        rows = (
            await session.scalars(sa.select(Certificate).order_by(Certificate.issued_at))
        ).all()
    assert [row.revoked_at for row in rows] == [None, None]
    assert (rows[1].serial, rows[1].expires_at) == (serial, LATER + 90 * DAY)
    given = x509.load_pem_x509_certificate(rows[1].pem.encode())
    assert given.public_key() == key.public_key()
    assert await asking.issue() == []
    # Its answer was lost, so it asks again: the same.
    await asking.ask("QN-1", csr(key))
    assert await asking.issue(LATER + timedelta(hours=1)) == [("QN-1", serial)]


async def test_who_is_revoked_while_it_asks_gets_none(asking: Asking) -> None:
    await asking.enrol("QN-1")
    await asking.ask("QN-1", csr(p256()))
    async with db.transaction(asking.engine) as session:
        await enrolling.revoke(session, "QN-1", LATER)
        answer = asyncio.create_task(asking.issue())
        await held_up(asking.engine)
    assert await answer == []


async def held_up(engine: AsyncEngine) -> None:
    """Somebody waits for a lock."""
    waits = sa.text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
    while True:
        async with db.transaction(engine) as session:
            if await session.scalar(waits):
                return


async def test_who_has_no_certificate_that_holds_gets_none(asking: Asking) -> None:
    await asking.enrol("QN-1", "QN-2", "QN-3", "QN-4", "QN-5")
    async with db.transaction(asking.engine) as session:
        await enrolling.revoke(session, "QN-1", NOW)
        device = await session.scalar(sa.select(Device).where(Device.code == "QN-2"))
        assert device is not None
        await retire(session, device, NOW + DAY)
        await enrolling.give_password(session, asking.settings, "QN-3", NOW)
    for code in ("QN-1", "QN-2", "QN-3"):
        await asking.ask(code, csr(p256()))
    await asking.ask("QN-4", "no request")
    assert await asking.issue() == []
    await asking.ask("QN-5", csr(p256()), NOW + 91 * DAY)
    assert await asking.issue(NOW + 91 * DAY) == [], "it has expired: a technician, a new code"
    assert await asking.waiting() == 0


async def test_one_device_cannot_have_certificates_without_end(asking: Asking) -> None:
    await asking.enrol("QN-1")
    given = []
    for minutes in range(10):
        await asking.ask("QN-1", csr(p256()))
        given += await asking.issue(LATER + timedelta(minutes=minutes))
    assert len(given) == renewal.MOST
    await asking.ask("QN-1", csr(p256()))
    assert len(await asking.issue(LATER + 2 * DAY)) == 1


@needs_mosquitto
async def test_a_box_renews_over_the_connection_it_has(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    """A box enrolled seventy days ago, the real broker, and the leader's step."""
    truth = (tmp_path / "truth.jsonl").open("w+", buffering=1)
    key_ring = await keyring()
    with deployed(tmp_path / "broker") as broker:
        enrolment = broker.settings.model_copy(
            update={"broker_host": "127.0.0.1", "broker_port": broker.device_port}
        )
        settings = config.Settings(mqtt=broker.server(), enrolment=enrolment)
        keeper = Keeper(tmp_path / "enrolment/QN-1")
        async with db.transaction(engine) as session:
            [device] = await enrol(session, "QN-1")
            await changes.begin(session, MemoryStore(*key_ring._here.values()), clock.now())
            before = await enrolling.sign(
                session, settings, "QN-1", keeper.signing_request(), clock.now() - 70 * DAY
            )
        keeper.keep(before)
        commons = Commons(Access(("", 0), ""), Faults(NONE), truth=truth)
        fleet = Fleet(commons, tmp_path)
        fleet.add((), Enrolled(device_id="QN-1", bundle=before))
        stop = asyncio.Event()
        hears = [("ttn/v1/device/QN-1/event/certificate_request", 1)]
        async with Link(broker.server(), subscriptions=hears) as link:
            await connected(link)
            running = asyncio.create_task(fleet.run(stop))
            async with asyncio.timeout(60):
                [message] = await link.receive()
            asked = decode_event("certificate_request", message.payload)
            async with db.transaction(engine) as session:
                arrivals = [Arrival(device.id, "QN-1", asked)]
                await renewal.record(session, arrivals, clock.now())
            assert not await renew(engine, link, settings, key_ring.keys, clock.now())
            async with asyncio.timeout(60):
                while not commons.counts["certificate_kept"]:  # noqa: ASYNC110  told by nobody
                    await asyncio.sleep(0.02)
        stop.set()
        await running
        fleet.shut_down()
        after = keeper.bundle
        assert after is not None
        assert after.expires_at is not None
        assert before.expires_at is not None
        assert after.expires_at - before.expires_at >= 69 * DAY
        assert isinstance(keeper.tls(), ssl.SSLContext)
        with pytest.raises(Refused, match="not newer"):
            keeper.keep_renewed(after.certificate or "", NOW, after.expires_at)
        async with Link(
            broker.device("unused").model_copy(
                update={
                    "client_id": "QN-1",
                    "tls_cert_file": keeper.certificate_file,
                    "tls_key_file": keeper.key_file,
                }
            )
        ) as again:
            await connected(again)
    truth.close()
