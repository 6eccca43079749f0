"""The broker, configured as we hand it out, lets everybody do what is theirs and no more."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import ssl
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from broadcast import config
from broadcast.config import Mqtt
from broadcast.enrolment import authority_files
from broadcast.enrolment.authority import new_key, pem, private_pem
from broadcast.kit import clock
from broadcast.mqtt.link import Link
from broadcast.wire.envelope import SigningKey
from broadcast.wire.events import EVENTS
from device_sim.commons import Commons
from device_sim.faults import NONE, Faults
from device_sim.fleet import Enrolled, Fleet
from device_sim.link import Access
from tests.deploy.broker import DEPLOY, NAME, Deployed, deployed, needs_mosquitto
from tests.mqtt.links import connected

pytestmark = [needs_mosquitto, pytest.mark.servers]


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployed]:
    with deployed(tmp_path, ["QN-3"]) as broker:
        yield broker


async def test_a_device_speaks_for_itself_only(deployment: Deployed) -> None:
    hears_all = [("ttn/v1/device/+/event/+", 1)]
    wants_all = [("ttn/v1/device/+/command/+", 1), ("ttn/v1/area/51/state/+", 1)]
    async with (
        Link(deployment.server(), subscriptions=hears_all) as server,
        Link(deployment.device("QN-1"), subscriptions=wants_all) as device,
    ):
        await connected(server)
        await connected(device)
        await device.publish("ttn/v1/device/QN-2/event/boot", b"as another")
        await device.publish("ttn/v1/area/51/state/programme", b"as the server")
        await device.publish("ttn/v1/device/QN-1/event/boot", b"as itself")
        async with asyncio.timeout(60):
            assert [m.payload for m in await server.receive()] == [b"as itself"]
        await server.publish("ttn/v1/device/QN-2/command/reboot", b"not yours")
        await server.publish("ttn/v1/device/QN-1/command/identify", b"yours")
        block = bytes(200_000)
        await server.publish("ttn/v1/area/51/state/programme", block)
        received: list[bytes] = []
        async with asyncio.timeout(60):
            while len(received) < 2:
                received += [message.payload for message in await device.receive()]
        assert received == [b"yours", block]


def test_the_acl_names_every_kind_of_event_and_no_other() -> None:
    acl = (DEPLOY / "mosquitto-devices.acl").read_text()
    named = re.findall(r"^pattern write ttn/v1/device/%u/event/(\S+)$", acl, re.MULTILINE)
    assert sorted(named) == sorted(EVENTS)
    assert acl.count("pattern write") == len(named)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_strangers_are_refused(deployment: Deployed, tmp_path: Path) -> None:
    elsewhere = config.Enrolment(authority_dir=tmp_path / "elsewhere")
    authority_files.create(elsewhere.authority_dir, [NAME], "broadcast", clock.now())
    forged = replace(deployment, settings=elsewhere, folder=elsewhere.authority_dir)
    ours = {"tls_ca_file": deployment.settings.authority_dir / "broker-ca.crt"}
    nothing = {"tls_cert_file": None, "tls_key_file": None}
    server, device = deployment.server(), deployment.device("QN-1")
    for settings in (
        server.model_copy(update=nothing),
        device.model_copy(update=nothing),
        device.model_copy(update=nothing | {"username": "QN-1"}),
        forged.server().model_copy(update=ours),
        forged.device("QN-1").model_copy(update=ours),
        deployment.password_device("QN-3").model_copy(update={"password_file": None}),
        deployment.password_device("QN-1"),
        # Whoever has a certificate of the one kind is not the other.
        deployment.device("broadcast", deployment.server_port),
        server.model_copy(update={"port": deployment.device_port}),
    ):
        async with Link(settings) as link:
            with pytest.raises(TimeoutError):
                await connected(link, 0.5)
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_broker_that_there_is_no_reason_to_trust_is_refused(
    deployment: Deployed, tmp_path: Path
) -> None:
    authority_files.create(tmp_path / "another", [NAME], "broadcast", clock.now())
    for distrusted in (
        {"tls_ca_file": tmp_path / "another/broker-ca.crt"},
        {"tls_ca_file": deployment.settings.authority_dir / "device-ca.crt"},
        {"tls_server_name": "another.example"},
    ):
        async with Link(deployment.device("QN-1").model_copy(update=distrusted)) as link:
            with pytest.raises(TimeoutError):
                await connected(link, 0.5)
    gc.collect()  # paho leaves the socket of a failed handshake open; its warning belongs here


async def both_sessions(settings: Mqtt) -> None:
    """The server's two sessions stand at once, and much passes between them."""
    hears_all = [("ttn/v1/device/+/event/+", 1)]
    dispatch = f"{settings.client_id}-dispatch"
    async with (
        Link(settings, subscriptions=hears_all) as ingest,
        Link(settings, client_id=dispatch) as dispatcher,
    ):
        await connected(ingest)
        await connected(dispatcher)
        topic = "ttn/v1/device/QN-1/event/boot"
        sent = [bytes([number]) * 60_000 for number in range(200)]
        sending = asyncio.gather(*(dispatcher.publish(topic, each) for each in sent))
        received: list[bytes] = []
        async with asyncio.timeout(30):
            while len(received) < len(sent):
                taken = await ingest.receive()
                received += [message.payload for message in taken]
                for message in taken:
                    message.ack()
        await sending
        assert received == sent
        assert (ingest.connection, dispatcher.connection) == (0, 0)


async def test_the_sessions_of_the_server_share_its_certificate(deployment: Deployed) -> None:
    """Under the name that the broker bears, as from another machine."""
    await both_sessions(deployment.server(tls_server_name=NAME))


async def test_each_session_can_have_a_certificate_of_its_own(tmp_path: Path) -> None:
    """Where a broker takes the common name for the client id, as ours does of devices."""
    every = "use_identity_as_username true\nacl_file /etc/mosquitto/mosquitto-server.acl"
    changes = {every: f"use_username_as_clientid true\n{every}"}
    with deployed(tmp_path, changes=changes) as broker:
        folder = broker.settings.authority_dir
        authority = authority_files.load(folder, authority_files.BROKER_CA)
        for name in ("broadcast", "broadcast-dispatch"):
            key = new_key()
            signed = authority.server(name, key, clock.now())
            (folder / f"{name}.crt").write_text(pem(signed))
            (folder / f"{name}.key").write_bytes(private_pem(key))
        users = broker.folder / "mosquitto-server.acl"
        users.write_text("pattern readwrite ttn/v1/#\n")
        os.kill(broker.child.pid, signal.SIGHUP)
        settings = broker.server().model_copy(
            update={
                "tls_cert_file": folder / "{session}.crt",
                "tls_key_file": folder / "{session}.key",
            }
        )
        await both_sessions(settings)


async def test_two_kinds_of_devices_and_nobody_takes_another_session(
    deployment: Deployed,
) -> None:
    """Whatever client id a device says, it is the one of its certificate or its user."""
    hears_all = [("ttn/v1/device/+/event/+", 1)]
    async with (
        Link(deployment.server(), subscriptions=hears_all) as server,
        Link(deployment.device("QN-1")) as one,
        Link(deployment.password_device("QN-3")) as other,
    ):
        for link in (server, one, other):
            await connected(link)
        await one.publish("ttn/v1/device/QN-1/event/boot", b"by certificate")
        await other.publish("ttn/v1/device/QN-3/event/boot", b"by password")
        heard: set[bytes] = set()
        async with asyncio.timeout(60):
            while len(heard) < 2:
                for message in await server.receive():
                    heard.add(message.payload)
                    message.ack()
        assert heard == {b"by certificate", b"by password"}
        for claimed in ("QN-1", "broadcast", "broadcast-dispatch"):
            taking = deployment.device("QN-2")
            async with Link(taking, client_id=claimed) as thief:
                await connected(thief)
                await thief.publish("ttn/v1/device/QN-2/event/boot", b"still QN-2")
        for link in (server, one, other):
            assert link.connected
            assert link.connection == 0


async def test_simulated_devices_connect_as_real_ones_do(
    deployment: Deployed, tmp_path: Path
) -> None:
    """Over TLS with a password; what the server says in one breath is read to its end."""
    truth = (tmp_path / "truth.jsonl").open("w+", buffering=1)
    tls = ssl.create_default_context(cafile=deployment.settings.authority_dir / "broker-ca.crt")
    access = Access(("127.0.0.1", deployment.password_port), "ttn/v1", tls=lambda: tls)
    commons = Commons(access, Faults(NONE), truth=truth)
    fleet = Fleet(commons)
    key = SigningKey.generate("programme")
    device = Enrolled(device_id="QN-3", username="QN-3", password="secret of QN-3")
    fleet.add((key.public(),), device)
    stop = asyncio.Event()
    hears_all = [("ttn/v1/device/QN-3/event/+", 1)]
    async with Link(deployment.server(), subscriptions=hears_all) as server:
        await connected(server)
        running = asyncio.create_task(fleet.run(stop))
        kinds: Counter[str] = Counter()

        async def until(kind: str, count: int) -> None:
            async with asyncio.timeout(60):
                while kinds[kind] < count:
                    for message in await server.receive():
                        kinds[message.topic.rpartition("/")[2]] += 1
                        message.ack()

        await until("boot", 1)
        topic = "ttn/v1/device/QN-3/command/identify"
        await asyncio.gather(
            *(server.publish(topic, b"%d" % number + bytes(3_000)) for number in range(50))
        )
        # Neither is signed: each is refused, so each has been read.
        await until("refusal", 1)
        async with asyncio.timeout(60):
            while fleet.units[0]._received < 50:  # noqa: ASYNC110  counted, not told
                await asyncio.sleep(0.05)
        assert kinds["refusal"] > 0
    stop.set()
    await running
    fleet.shut_down()
    truth.close()
