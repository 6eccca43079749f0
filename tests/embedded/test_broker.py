"""The brokers we start, and the configuration we hand out for the one we do not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from broadcast.config import Mqtt
from broadcast.embedded.broker import Broker, mosquitto
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
