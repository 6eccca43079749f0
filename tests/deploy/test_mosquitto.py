"""The broker, configured as we hand it out, lets everybody do what is theirs and no more."""

from __future__ import annotations

import asyncio
import gc
import re
import ssl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcast.config import Mqtt
from broadcast.mqtt.link import Link
from broadcast.wire.envelope import SigningKey
from broadcast.wire.events import EVENTS
from device_sim.commons import Commons
from device_sim.faults import NONE, Faults
from device_sim.fleet import Enrolled, Fleet
from tests.deploy.broker import DEPLOY, NAME, Deployed, certificates, deployed, needs_mosquitto
from tests.mqtt.links import connected

pytestmark = [needs_mosquitto, pytest.mark.servers]

SESSIONS = ["broadcast", "broadcast-dispatch", "broadcast-2", "broadcast-doctor"]


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployed]:
    with deployed(tmp_path, [*SESSIONS, "QN-1", "QN-2"]) as broker:
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
        async with asyncio.timeout(10):
            assert [m.payload for m in await server.receive()] == [b"as itself"]
        await server.publish("ttn/v1/device/QN-2/command/reboot", b"not yours")
        await server.publish("ttn/v1/device/QN-1/command/identify", b"yours")
        block = bytes(200_000)
        await server.publish("ttn/v1/area/51/state/programme", block)
        received: list[bytes] = []
        async with asyncio.timeout(10):
            while len(received) < 2:
                received += [message.payload for message in await device.receive()]
        assert received == [b"yours", block]


def test_the_acl_names_every_kind_of_event_and_no_other() -> None:
    acl = (DEPLOY / "mosquitto.acl").read_text()
    named = re.findall(r"^pattern write ttn/v1/device/%u/event/(\S+)$", acl, re.MULTILINE)
    assert sorted(named) == sorted(EVENTS)
    assert acl.count("pattern write") == len(named)


async def test_strangers_are_refused(deployment: Deployed) -> None:
    for settings in (deployment.server(), deployment.device("QN-1")):
        async with Link(settings.model_copy(update={"password_file": None})) as link:
            with pytest.raises(TimeoutError):
                await connected(link, 0.3)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_broker_that_there_is_no_reason_to_trust_is_refused(
    deployment: Deployed, tmp_path: Path
) -> None:
    certificates(tmp_path / "another")
    for distrusted in (
        {"tls_ca_file": tmp_path / "another/ca.crt"},
        {"tls_server_name": "another.example"},
    ):
        async with Link(deployment.device("QN-1").model_copy(update=distrusted)) as link:
            with pytest.raises(TimeoutError):
                await connected(link, 0.3)
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


async def test_a_server_on_another_machine_shows_a_certificate(deployment: Deployed) -> None:
    certs = deployment.folder / "certs"
    settings = deployment.user("broadcast", deployment.remote, username=None, password_file=None)
    async with Link(settings) as link:
        with pytest.raises(TimeoutError):
            await connected(link, 0.3)
    await both_sessions(
        settings.model_copy(
            update={
                "tls_server_name": NAME,
                "tls_cert_file": certs / "broadcast.crt",
                "tls_key_file": certs / "broadcast.key",
            }
        )
    )


@pytest.mark.parametrize("by", ["password", "certificate"])
async def test_each_session_can_be_a_user_of_its_own(tmp_path: Path, by: str) -> None:
    """Where the broker takes the user name for the client id, as it does of devices."""
    of_passwords = "allow_anonymous false\npassword_file /etc/mosquitto/passwords\n"
    changes = {"use_identity_as_username true": "use_username_as_clientid true"}
    if by == "password":
        changes |= {"require_certificate true": of_passwords}
        identity = {"username": "{session}", "password_file": "{session}.password"}
    else:
        changes = {key: f"{key}\n{value}" for key, value in changes.items()}
        identity = {"tls_cert_file": "certs/{session}.crt", "tls_key_file": "certs/{session}.key"}
    with deployed(tmp_path, SESSIONS, changes) as broker:
        files = {
            name: broker.folder / value if name.endswith("_file") else value
            for name, value in identity.items()
        }
        nobody = {"username": None, "password_file": None}
        await both_sessions(broker.user("broadcast", broker.remote, **{**nobody, **files}))


async def test_simulated_devices_connect_as_real_ones_do(
    deployment: Deployed, tmp_path: Path
) -> None:
    """Over TLS with a password; what the server says in one breath is read to its end."""
    truth = (tmp_path / "truth.jsonl").open("w+", buffering=1)
    tls = ssl.create_default_context(cafile=deployment.folder / "certs/ca.crt")
    address = ("127.0.0.1", deployment.outside)
    commons = Commons(address, "ttn/v1", Faults(NONE), truth=truth, tls=tls)
    fleet = Fleet(commons)
    key = SigningKey.generate("programme")
    device = Enrolled(device_id="QN-1", username="QN-1", password="secret of QN-1")
    fleet.add((key.public(),), device)
    stop = asyncio.Event()
    hears_all = [("ttn/v1/device/QN-1/event/+", 1)]
    async with Link(deployment.server(), subscriptions=hears_all) as server:
        await connected(server)
        running = asyncio.create_task(fleet.run(stop))
        kinds: Counter[str] = Counter()

        async def until(kind: str, count: int) -> None:
            async with asyncio.timeout(20):
                while kinds[kind] < count:
                    for message in await server.receive():
                        kinds[message.topic.rpartition("/")[2]] += 1
                        message.ack()

        await until("boot", 1)
        topic = "ttn/v1/device/QN-1/command/identify"
        await asyncio.gather(
            *(server.publish(topic, b"%d" % number + bytes(3_000)) for number in range(50))
        )
        # Neither is signed: each is refused, so each has been read.
        await until("refusal", 1)
        async with asyncio.timeout(20):
            while fleet.units[0]._received < 50:  # noqa: ASYNC110  counted, not told
                await asyncio.sleep(0.05)
        assert kinds["refusal"] > 0
    stop.set()
    await running
    fleet.shut_down()
    truth.close()
