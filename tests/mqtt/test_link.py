"""The link against real brokers, including the ones that die."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from broadcast.config import Mqtt
from broadcast.embedded.broker import Broker
from broadcast.kit.errors import Unavailable
from broadcast.mqtt import inbox
from broadcast.mqtt import link as link_module
from broadcast.mqtt.link import Link
from broadcast.mqtt.packets import Message
from broadcast.wire.limits import COMMAND_BYTES
from tests.mqtt.links import connected

pytestmark = pytest.mark.broker

EVENTS = [("device/+/event/+", 1)]


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "FIRST_RETRY", 0.05)
    monkeypatch.setattr(link_module, "LONGEST_RETRY", 0.2)


async def take(link: Link, count: int) -> list[Message]:
    """The next `count` messages, not acknowledged."""
    taken: list[Message] = []
    async with asyncio.timeout(60):
        while len(taken) < count:
            taken += await link.receive(count - len(taken))
    return taken


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  nobody signals the end of a silence
            await asyncio.sleep(0.01)


@pytest.fixture
def redelivering(broker: Broker) -> None:
    if broker.kind == "amqtt":
        pytest.skip("the Python broker forgets what was not acknowledged when its client goes")


async def test_the_longest_packet_of_the_contract_passes(mqtt: Mqtt) -> None:
    async with Link(mqtt, subscriptions=[("area/+/state/+", 1)]) as link:
        await connected(link)
        payload = bytes(COMMAND_BYTES)
        await link.publish("area/51/state/programme", payload, retain=True)
        (message,) = await take(link, 1)
        assert message.payload == payload


async def test_a_published_message_arrives_as_it_was_sent(mqtt: Mqtt) -> None:
    payload = bytes(range(256)) * 256
    async with Link(mqtt, subscriptions=EVENTS) as link:
        await connected(link)
        await link.publish("device/QN-1/event/boot", payload)
        (message,) = await take(link, 1)
        assert (message.topic, message.payload) == ("device/QN-1/event/boot", payload)
        assert not message.retain


async def test_messages_keep_their_order(mqtt: Mqtt) -> None:
    async with Link(mqtt, subscriptions=EVENTS) as link:
        await connected(link)
        for number in range(100):
            await link.publish("device/QN-1/event/playback", b"%d" % number)
        assert [m.payload for m in await take(link, 100)] == [b"%d" % n for n in range(100)]


@pytest.mark.usefixtures("redelivering")
async def test_what_is_not_acknowledged_comes_again(mqtt: Mqtt) -> None:
    async with Link(mqtt, subscriptions=EVENTS) as link:
        await connected(link)
        await link.publish("device/QN-1/event/playback", b"committed")
        await link.publish("device/QN-1/event/playback", b"lost in a crash")
        committed, _ = await take(link, 2)
        committed.ack()
    async with Link(mqtt, subscriptions=EVENTS) as link:
        (again,) = await take(link, 1)
        if again.payload == b"committed":  # its acknowledgement may be lost with the connection
            again.ack()
            (again,) = await take(link, 1)
        assert again.payload == b"lost in a crash"
        again.ack()
        await link.publish("device/QN-1/event/playback", b"next")
        (following,) = await take(link, 1)
        assert following.payload == b"next"


async def test_messages_wait_at_the_broker_while_the_server_is_away(mqtt: Mqtt) -> None:
    async with Link(mqtt, subscriptions=EVENTS) as link:
        await connected(link)
    device = mqtt.model_copy(update={"client_id": "device"})
    async with Link(device) as publisher:
        await connected(publisher)
        await asyncio.gather(
            *(publisher.publish("device/QN-1/event/heartbeat", b"%d" % n) for n in range(300))
        )
    async with Link(mqtt, subscriptions=EVENTS) as link:
        arrived = await take(link, 300)
        assert sorted(int(m.payload) for m in arrived) == list(range(300))


async def test_the_link_comes_back_after_the_broker_was_killed(mqtt: Mqtt, broker: Broker) -> None:
    async with Link(mqtt, subscriptions=EVENTS) as link:
        stood = 0

        def count() -> None:
            nonlocal stood
            stood += 1

        link.on_connect.append(count)
        await connected(link)
        broker.kill()
        await until(lambda: not link.connected)
        broker.start()
        await connected(link)
        await link.publish("device/QN-1/event/boot", b"again")
        assert [m.payload for m in await take(link, 1)] == [b"again"]
        assert stood == 2


async def test_publishing_without_a_connection_fails_and_sends_nothing_later(
    mqtt: Mqtt, broker: Broker
) -> None:
    async with Link(mqtt, subscriptions=[("device/+/command/+", 1)]) as link:
        await connected(link)
        broker.kill()
        await until(lambda: not link.connected)
        for _ in range(mqtt.inflight + 1):  # each gives its slot back
            with pytest.raises(Unavailable):
                await link.publish("device/QN-1/command/reboot", b"stale")
        broker.start()
        await connected(link)
        await link.publish("device/QN-1/command/identify", b"fresh")
        assert [m.payload for m in await take(link, 1)] == [b"fresh"]


async def test_publishes_on_their_way_fail_when_the_link_breaks(
    mqtt: Mqtt, broker: Broker
) -> None:
    async with Link(mqtt) as link:
        await connected(link)
        flood = asyncio.gather(
            *(link.publish("area/51/state/programme", bytes(65536)) for _ in range(2000)),
            return_exceptions=True,
        )
        await asyncio.sleep(0)
        broker.kill()
        results = await flood
        failures = [result for result in results if result is not None]
        assert failures
        assert all(isinstance(failure, Unavailable) for failure in failures)
        broker.start()
        await connected(link)
        await asyncio.gather(*(link.publish("a", b"") for _ in range(mqtt.inflight + 1)))


async def test_closing_does_not_wait_for_a_broker_that_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    async with asyncio.timeout(60):
        async with Link(Mqtt(host="127.0.0.1", port=port)) as link:
            with pytest.raises(Unavailable):
                await link.publish("a", b"")


async def test_a_slow_consumer_stops_the_reading_and_loses_nothing(
    mqtt: Mqtt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "QUEUE_SIZE", 100)
    device = mqtt.model_copy(update={"client_id": "device"})
    async with (
        Link(mqtt, subscriptions=[("flood", 0)]) as link,
        Link(device) as publisher,
    ):
        await connected(link)
        await connected(publisher)
        await asyncio.gather(*(publisher.publish("flood", b"%d" % n, qos=0) for n in range(1000)))
        await publisher.publish("flood", b"end")
        await until(lambda: link._paused)
        assert len(link._inbox) == 100
        payloads = [m.payload for m in await take(link, 1001)]
        assert payloads == [*(b"%d" % n for n in range(1000)), b"end"]


async def test_large_messages_stop_the_reading_before_they_fill_the_memory(
    mqtt: Mqtt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "QUEUE_BYTES", 2**20)
    device = mqtt.model_copy(update={"client_id": "device"})
    async with Link(mqtt, subscriptions=[("flood", 1)]) as link, Link(device) as publisher:
        await connected(link)
        await connected(publisher)
        sends = [publisher.publish("flood", bytes(2**17)) for _ in range(40)]
        await asyncio.gather(*sends)
        await until(lambda: link._paused)
        assert sum(len(message.payload) for message in link._inbox._queue) <= 2**20 + 2**19
        taken = await take(link, 40)
        assert {len(message.payload) for message in taken} == {2**17}
        assert link._inbox.queued_bytes == 0


async def test_retained_state_arrives_at_a_later_subscriber_and_only_there(mqtt: Mqtt) -> None:
    # A broker that mixes up whose subscription is whose would send a device all that we hear.
    async with Link(mqtt, subscriptions=[("area/#", 1)]) as server:
        await connected(server)
        await server.publish("area/51/state/programme", b"signed", retain=True)
        await server.publish("area/52/state/programme", b"not for us", retain=True)
        device = mqtt.model_copy(update={"client_id": "device"})
        async with Link(device, subscriptions=[("area/51/state/+", 1)]) as link:
            (message,) = await take(link, 1)
            assert (message.payload, message.retain) == (b"signed", True)
            await server.publish("area/51/state/alerts", b"last")
            assert [m.payload for m in await take(link, 1)] == [b"last"]


async def test_the_will_of_a_device_that_dies_arrives(mqtt: Mqtt) -> None:
    device = paho.Client(CallbackAPIVersion.VERSION2, "QN-1")
    device.will_set("device/QN-1/event/gone", b"session 7", qos=1)
    async with Link(mqtt, subscriptions=EVENTS) as link:
        await connected(link)
        device.connect(mqtt.host, mqtt.port)
        await asyncio.to_thread(lambda: [device.loop(0.05) for _ in range(5)])
        assert device.is_connected()
        device.socket().close()  # type: ignore[union-attr]
        (message,) = await take(link, 1)
        assert (message.topic, message.payload) == ("device/QN-1/event/gone", b"session 7")


async def test_subscriptions_are_made_again_when_the_broker_has_forgotten_them(
    mqtt: Mqtt,
) -> None:
    async with Link(mqtt, subscriptions=EVENTS) as link:
        await connected(link)
    forget = paho.Client(CallbackAPIVersion.VERSION2, mqtt.client_id, clean_session=True)
    forget.connect(mqtt.host, mqtt.port)
    await asyncio.to_thread(lambda: [forget.loop(0.05) for _ in range(5)])
    forget.disconnect()
    async with Link(mqtt, subscriptions=EVENTS) as link:
        await connected(link)
        await link.publish("device/QN-1/event/boot", b"heard")
        assert [m.payload for m in await take(link, 1)] == [b"heard"]


async def test_a_closed_link_ends_its_consumer(mqtt: Mqtt) -> None:
    async with Link(mqtt, subscriptions=EVENTS) as link:
        await connected(link)
        consumer = asyncio.create_task(link.receive())
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await consumer
