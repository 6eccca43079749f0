"""The brokers we start, and the configuration we hand out for the one we do not."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import ipaddress
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from broadcast.config import Mqtt
from broadcast.embedded.broker import Broker, mosquitto
from broadcast.embedded.child import Child, hand_over, unprivileged_user
from broadcast.errors import Unavailable
from broadcast.mqtt import Link

DEPLOY = Path(__file__).parents[2] / "deploy"

needs_mosquitto = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")


@pytest.mark.broker
def test_a_taken_port_is_named_as_the_reason(broker: Broker, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="chọn cổng khác"):
        Broker(tmp_path / "second", broker.port, kind=broker.kind).start()


@needs_mosquitto
async def test_mosquitto_keeps_sessions_and_retained_messages_over_a_restart(
    tmp_path: Path,
) -> None:
    with Broker(tmp_path / "broker", kind="mosquitto") as broker:
        settings = Mqtt(host=broker.host, port=broker.port, client_id="server")
        async with Link(settings, subscriptions=[("event", 1)]) as link:
            await link.wait_connected()
            await link.publish("state", b"kept", retain=True)
        device = settings.model_copy(update={"client_id": "device"})
        async with Link(device) as link:
            await link.wait_connected()
            await link.publish("event", b"queued")
        broker.restart()
        async with Link(settings, subscriptions=[("event", 1), ("state", 1)]) as link:
            received: set[bytes] = set()
            async with asyncio.timeout(10):
                while len(received) < 2:
                    received |= {message.payload for message in await link.receive()}
    assert received == {b"kept", b"queued"}


def certificate(folder: Path) -> None:
    """A self-signed server certificate for loopback."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[tuple[Mqtt, Mqtt]]:
    """deploy/mosquitto.conf at work in a folder: settings of the server and of device QN-1."""
    folder = tmp_path / "etc"
    user = unprivileged_user()
    hand_over(folder, user)
    inside, outside = free_ports(2)
    conf = (DEPLOY / "mosquitto.conf").read_text()
    for there, here in {
        "/etc/mosquitto/certs": folder,
        "/etc/mosquitto": folder,
        "/var/lib/mosquitto": folder,
        "listener 1883": f"listener {inside}",
        "listener 8883": f"listener {outside} 127.0.0.1",
        "log_dest syslog": "log_dest stderr",
    }.items():
        assert there in conf
        conf = conf.replace(there, str(here))
    (folder / "mosquitto.conf").write_text(conf)
    shutil.copy(DEPLOY / "mosquitto.acl", folder)
    certificate(folder)
    (folder / "passwords").touch()
    for name in ("broadcast", "QN-1"):
        (folder / f"{name}.password").write_text(f"secret of {name}\n")
        subprocess.run(
            ["mosquitto_passwd", "-b", folder / "passwords", name, f"secret of {name}"], check=True
        )
    for path in folder.iterdir():
        if user is not None:
            shutil.chown(path, user)
    program = mosquitto()
    assert program is not None
    child = Child("mosquitto", tmp_path / "log", user)
    child.start([program, "-c", folder / "mosquitto.conf"], lambda: accepts(inside))
    yield (
        Mqtt(
            host="127.0.0.1",
            port=inside,
            username="broadcast",
            password_file=folder / "broadcast.password",
        ),
        Mqtt(
            host="127.0.0.1",
            port=outside,
            username="QN-1",
            password_file=folder / "QN-1.password",
            tls_ca_file=folder / "server.crt",
        ),
    )
    child.stop()


@needs_mosquitto
async def test_the_deployed_broker_lets_a_device_speak_for_itself_only(
    deployed: tuple[Mqtt, Mqtt],
) -> None:
    server_settings, device_settings = deployed
    hears_all = [("ttn/v1/device/+/event/+", 1)]
    wants_all = [("ttn/v1/device/+/command/+", 1), ("ttn/v1/area/51/state/+", 1)]
    async with (
        Link(server_settings, subscriptions=hears_all) as server,
        Link(device_settings, subscriptions=wants_all) as device,
    ):
        await server.wait_connected()
        await device.wait_connected()
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


@needs_mosquitto
async def test_the_deployed_broker_refuses_strangers(deployed: tuple[Mqtt, Mqtt]) -> None:
    for settings in deployed:
        async with Link(settings.model_copy(update={"password_file": None})) as link:
            with pytest.raises(Unavailable):
                await link.wait_connected(timeout=0.3)


@needs_mosquitto
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_device_refuses_a_broker_that_it_has_no_reason_to_trust(
    deployed: tuple[Mqtt, Mqtt], tmp_path: Path
) -> None:
    certificate(tmp_path)
    trusting_another = {"tls_ca_file": tmp_path / "server.crt"}
    async with Link(deployed[1].model_copy(update=trusting_another)) as link:
        with pytest.raises(Unavailable):
            await link.wait_connected(timeout=0.3)
    gc.collect()  # paho leaves the socket of a failed handshake open; its warning belongs here
