"""The brokers we start, and the configuration we hand out for the one we do not."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from broadcast.config import Mqtt
from broadcast.embedded.broker import HOST, Broker, MutualTls, mosquitto
from broadcast.enrolment import authority_files, broker_files
from broadcast.enrolment.authority import Revoked, new_key, pem, private_pem
from broadcast.kit import clock
from broadcast.kit.errors import Unavailable
from broadcast.mqtt.link import Link
from tests.mqtt.links import connected

pytestmark = pytest.mark.servers

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
            await connected(link)
            await link.publish("state", b"kept", retain=True)
        device = settings.model_copy(update={"client_id": "device"})
        async with Link(device) as link:
            await connected(link)
            await link.publish("event", b"queued")
        broker.restart()
        async with Link(settings, subscriptions=[("event", 1), ("state", 1)]) as link:
            received: set[bytes] = set()
            async with asyncio.timeout(60):
                while len(received) < 2:
                    received |= {message.payload for message in await link.receive()}
    assert received == {b"kept", b"queued"}


@needs_mosquitto
async def test_mutual_tls_admits_who_has_a_certificate_to_what_is_its_own(tmp_path: Path) -> None:
    now = clock.now()
    tls = MutualTls(tmp_path / "authority", tmp_path / "admitted", "broadcast", "ttn/v1")
    authority_files.create(tls.authority_dir, [HOST], tls.user, now)
    devices = authority_files.load(tls.authority_dir, authority_files.DEVICE_CA)
    broker_files.create(tls.broker_dir, devices, now)
    key = new_key()
    certificate = devices.device("QN-1", key.public_key(), now, timedelta(days=1))
    (tmp_path / "QN-1.crt").write_text(pem(certificate))
    (tmp_path / "QN-1.key").write_bytes(private_pem(key))
    with Broker(tmp_path / "broker", kind="mosquitto", tls=tls) as broker:
        trusts = {"host": HOST, "tls_ca_file": tls.authority_dir / "broker-ca.crt"}
        server = Mqtt(
            **trusts, port=broker.port, client_id="broadcast",
            tls_cert_file=tls.authority_dir / "server.crt",
            tls_key_file=tls.authority_dir / "server.key",
        )  # fmt: skip
        device = Mqtt(
            **trusts, port=broker.device_port, client_id="QN-1",
            tls_cert_file=tmp_path / "QN-1.crt", tls_key_file=tmp_path / "QN-1.key",
        )  # fmt: skip
        for port in (broker.port, broker.device_port):
            for stranger in (Mqtt(host=HOST, port=port), Mqtt(**trusts, port=port)):
                assert not await admitted(stranger)
        async with Link(server, subscriptions=[("ttn/v1/#", 1)]) as hears, Link(device) as box:
            await connected(hears)
            await connected(box)
            await box.publish("ttn/v1/device/QN-2/event/boot", b"as another")
            await box.publish("ttn/v1/device/QN-1/event/boot", b"itself")
            async with asyncio.timeout(60):
                assert [each.payload for each in await hears.receive()] == [b"itself"]
            revoked = devices.revocation_list([Revoked(certificate.serial_number, now)], 1, now)
            broker_files.write(
                tls.broker_dir, {broker_files.REVOCATION_LIST: pem(revoked).encode()}, now
            )
            broker.reload()
        async with asyncio.timeout(60):
            while await admitted(device):
                pass
        assert await admitted(server)


async def admitted(settings: Mqtt) -> bool:
    async with Link(settings) as link:
        try:
            await connected(link, 1.0)
        except TimeoutError:
            return False
        return True
