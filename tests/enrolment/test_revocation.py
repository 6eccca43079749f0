"""Who may connect, from the database to the broker's files."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.devices.enrolment import retire
from broadcast.devices.installations import install
from broadcast.devices.model import Device
from broadcast.enrolment import authority_files, enrolling
from broadcast.enrolment.model import Because, Certificate, RevocationList
from broadcast.enrolment.revocation import KEPT_LISTS, refresh
from broadcast.keys import changes
from broadcast.kit import clock, db
from broadcast.mqtt.link import Link
from broadcast.stations.model import Cluster
from broadcast.upkeep import checks, facts
from broadcast.upkeep.checks import Certificates, Name
from broadcast.wire.enrolment import Bundle
from tests.deploy.broker import Deployed, deployed, needs_mosquitto
from tests.deploy.test_revocation import until
from tests.devices.fleet import enrol
from tests.enrolment.fleet import DAY, MINUTE, NOW, csr, installation, p256
from tests.keys.memory import MemoryStore
from tests.mqtt.links import connected
from tests.stations import sample


@pytest.fixture
def settings(tmp_path: Path) -> config.Settings:
    return installation(tmp_path)


class Told:
    """An installation and what its broker is told."""

    def __init__(self, engine: AsyncEngine, settings: config.Settings) -> None:
        self.engine = engine
        self.settings = settings

    @property
    def folder(self) -> Path:
        return self.settings.enrolment.broker_dir

    async def devices(self, *codes: str) -> None:
        async with db.transaction(self.engine) as session:
            await enrol(session, *codes)
            await changes.begin(session, MemoryStore(), NOW)

    async def certify(self, code: str, now: datetime = NOW) -> int:
        async with db.transaction(self.engine) as session:
            bundle = await enrolling.sign(session, self.settings, code, csr(p256()), now)
        assert bundle.certificate is not None
        return x509.load_pem_x509_certificate(bundle.certificate.encode()).serial_number

    async def password(self, code: str) -> Bundle:
        async with db.transaction(self.engine) as session:
            return await enrolling.give_password(session, self.settings, code, NOW)

    async def revoke(self, code: str, now: datetime = NOW) -> None:
        async with db.transaction(self.engine) as session:
            await enrolling.revoke(session, code, now)

    async def refresh(self, now: datetime) -> list[str]:
        return await refresh(self.engine, self.settings.enrolment, now)

    def listed(self) -> set[int]:
        crl = x509.load_pem_x509_crl((self.folder / "device-ca.crl").read_bytes())
        authority = authority_files.devices(self.settings.enrolment)
        assert crl.is_signature_valid(authority.key.public_key())
        return {each.serial_number for each in crl}

    def revoked(self) -> str:
        return (self.folder / "revoked").read_text()


@pytest.fixture
def told(engine: AsyncEngine, settings: config.Settings) -> Told:
    return Told(engine, settings)


@pytest.mark.postgres
async def test_what_is_taken_from_a_device_is_told_at_once_and_once(told: Told) -> None:
    await told.devices("QN-1", "QN-2", "QN-3")
    one, two = await told.certify("QN-1"), await told.certify("QN-2")
    await told.password("QN-3")
    assert await told.refresh(NOW) == ["device-ca.crl", "passwords", "revoked"]
    assert (told.listed(), told.revoked()) == (set(), "")
    passwords = (told.folder / "passwords").read_text()
    assert passwords.startswith("QN-3:$7$101$")
    for path in told.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0 or path.name == "changed"
    assert await told.refresh(NOW + MINUTE) == []
    await told.revoke("QN-1", NOW + MINUTE)
    assert await told.refresh(NOW + MINUTE) == ["device-ca.crl", "revoked"]
    assert (told.listed(), told.revoked()) == ({one}, "QN-1 closed\n")
    await told.revoke("QN-3", NOW + MINUTE)
    assert await told.refresh(NOW + MINUTE) == ["passwords", "revoked"]
    assert (told.folder / "passwords").read_text() == ""
    assert "passwords revoked" in (told.folder / "changed").read_text()
    # Enrolled anew: the old certificate stays out, the device is like others.
    await told.certify("QN-1", NOW + 2 * MINUTE)
    await told.certify("QN-2", NOW + 2 * MINUTE)
    await told.refresh(NOW + 2 * MINUTE)
    assert (told.listed(), told.revoked()) == ({one, two}, "QN-3 closed\n")


async def test_a_device_that_was_retired_is_closed(told: Told) -> None:
    await told.devices("QN-1", "QN-2", "QN-3")
    serial = await told.certify("QN-1")
    await told.password("QN-2")
    async with db.transaction(told.engine) as session:
        for device in await session.scalars(sa.select(Device)):
            await retire(session, device, NOW + MINUTE)
    await told.refresh(NOW + MINUTE)
    assert told.listed() == {serial}
    assert told.revoked() == "QN-1 closed\nQN-2 closed\n", "the third never had anything"
    assert (told.folder / "passwords").read_text() == ""
    async with db.transaction(told.engine) as session:
        row = await session.scalar(sa.select(Certificate))
        assert row is not None
        assert (row.revoked_at, row.revoked_because) == (NOW + MINUTE, Because.RETIRED)


async def test_a_device_that_was_swapped_keeps_what_is_its_own_until_it_hangs_again(
    told: Told,
) -> None:
    async with db.transaction(told.engine) as session:
        await sample.everything(session)
    await told.devices("QN-1", "QN-2", "QN-9")
    for code in ("QN-1", "QN-2", "QN-9"):
        await told.certify(code)

    async def hang(code: str, cluster: str, at: datetime) -> str:
        async with db.transaction(told.engine) as session:
            device = await session.scalar(sa.select(Device).where(Device.code == code))
            place = await session.scalar(sa.select(Cluster).where(Cluster.code == cluster))
            assert device is not None
            assert place is not None
            await install(session, device, place, at)
        await told.refresh(at)
        return told.revoked()

    assert await hang("QN-1", "C-1", NOW) == "", "the others wait to be hung for the first time"
    assert await hang("QN-2", "C-1", NOW + MINUTE) == "QN-1 own\n"
    assert await hang("QN-1", "C-2", NOW + 2 * MINUTE) == ""
    assert told.listed() == set()


async def test_the_list_is_made_anew_daily_and_few_are_kept(told: Told) -> None:
    await told.devices("QN-1")
    serial = await told.certify("QN-1")
    await told.revoke("QN-1")
    for day in range(KEPT_LISTS + 3):
        assert ("device-ca.crl" in await told.refresh(NOW + day * DAY)) is True
        assert "device-ca.crl" not in await told.refresh(NOW + day * DAY + 60 * MINUTE)
        assert told.listed() == {serial}
    async with db.transaction(told.engine) as session:
        numbers = list(await session.scalars(sa.select(RevocationList.number)))
    assert sorted(numbers) == list(range(4, KEPT_LISTS + 4))
    await told.refresh(NOW + 91 * DAY)
    assert told.listed() == set(), "it has expired"


async def test_what_the_broker_was_told_stays_revoked_in_an_older_database(told: Told) -> None:
    await told.devices("QN-1", "QN-2")
    one, two = await told.certify("QN-1"), await told.certify("QN-2")
    await told.revoke("QN-1")
    await told.revoke("QN-2")
    await told.refresh(NOW)
    async with db.transaction(told.engine) as session:  # as it was before both
        await session.execute(sa.delete(RevocationList))
        await session.execute(sa.delete(Certificate).where(Certificate.serial == f"{two:X}"))
        await session.execute(sa.update(Certificate).values(revoked_at=None, revoked_because=None))
    await told.refresh(NOW + MINUTE)
    assert told.listed() == {one, two}
    assert told.revoked() == "QN-1 closed\n"
    (told.folder / "device-ca.crl").write_text("broken")
    assert "device-ca.crl" in await told.refresh(NOW + 2 * MINUTE)
    assert told.listed() == {one, two}


async def test_without_an_authority_nothing_is_done(
    engine: AsyncEngine, settings: config.Settings, tmp_path: Path
) -> None:
    update = {"authority_dir": tmp_path / "none", "broker_dir": tmp_path / "nothing"}
    assert await refresh(engine, settings.enrolment.model_copy(update=update), NOW) == []
    assert not (tmp_path / "nothing").exists()


# What the person on duty hears -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "ok", "alarm", "says"),
    [
        (None, True, False, ""),
        (Certificates(NOW, NOW + 30 * DAY, 0), True, False, ""),
        (Certificates(NOW - 4 * DAY, NOW + 26 * DAY, 0), True, True, "từ 4 ngày trước"),
        (Certificates(NOW - 26 * DAY, NOW + 4 * DAY, 0), False, True, "từ chối mọi thiết bị"),
        (Certificates(None, None, 0), False, True, "chưa có"),
        (Certificates(NOW, NOW + 30 * DAY, 3), True, True, "3 thiết bị sắp hết hạn"),
    ],
)
def test_an_old_list_is_an_alarm_before_it_refuses_everybody(
    stored: Certificates | None, ok: bool, alarm: bool, says: str
) -> None:
    check = checks._certificates(stored, NOW)
    assert (check.name, check.ok, check.alarm) == (Name.CERTIFICATES, ok, alarm)
    assert says in check.detail


async def test_devices_that_have_not_renewed_are_counted(told: Told) -> None:
    async def counted(now: datetime) -> Certificates | None:
        async with db.transaction(told.engine) as session:
            return await facts._certificates(session, now)

    await told.devices("QN-1", "QN-2")
    assert await counted(NOW) is None
    await told.certify("QN-1")
    assert await counted(NOW) == Certificates(None, None, 0)
    await told.refresh(NOW)
    assert await counted(NOW + 75 * DAY) == Certificates(NOW, NOW + 30 * DAY, 0)
    assert await counted(NOW + 77 * DAY) == Certificates(NOW, NOW + 30 * DAY, 1)
    await told.certify("QN-1", NOW + 77 * DAY)
    assert await counted(NOW + 77 * DAY) == Certificates(NOW, NOW + 30 * DAY, 0)


# To the end --------------------------------------------------------------------------------------


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Deployed]:
    with deployed(tmp_path / "broker") as broker:
        yield broker


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


@needs_mosquitto
async def test_a_revoked_device_loses_its_open_connection(
    engine: AsyncEngine, settings: config.Settings, broker: Deployed, tmp_path: Path
) -> None:
    """As `broadcast-broker.path` does, Mosquitto is told whenever files have changed."""
    told = Told(engine, settings.model_copy(update={"enrolment": broker.settings}))
    await told.devices("QN-1", "QN-2")
    links = {}
    for code in ("QN-1", "QN-2"):
        mqtt = broker.device(code)
        key = mqtt.tls_key_file
        assert key is not None
        async with db.transaction(engine) as session:
            made = await enrolling.sign(
                session, told.settings, code, csr(read_key(key)), clock.now()
            )
        assert mqtt.tls_cert_file is not None
        mqtt.tls_cert_file.write_text(made.certificate or "")
        links[code] = Link(mqtt)

    async def refreshed() -> None:
        if await told.refresh(clock.now()):
            os.kill(broker.child.pid, signal.SIGHUP)

    await refreshed()
    async with links["QN-1"] as one, links["QN-2"] as two:
        await connected(one)
        await connected(two)
        await told.revoke("QN-1", clock.now())
        await refreshed()
        await until(lambda: not one.connected)
        assert (two.connected, two.connection) == (True, 0)
