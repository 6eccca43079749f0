"""What is taken from a device it has no longer, over a connection that stands too."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from broadcast.enrolment import authority_files
from broadcast.enrolment.authority import Revoked, pem
from broadcast.kit import clock
from broadcast.mqtt.link import Link
from tests.deploy.broker import Deployed, deployed, needs_mosquitto, passwords_of
from tests.mqtt.links import connected

pytestmark = [
    needs_mosquitto,
    pytest.mark.servers,
    # paho leaves the socket of a failed handshake open.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployed]:
    with deployed(tmp_path, ["QN-3", "QN-4"]) as broker:
        yield broker
    gc.collect()


def revocation_list(deployment: Deployed, *serials: int, at: dt.datetime | None = None) -> str:
    now = at or clock.now()
    authority = authority_files.devices(deployment.settings)
    return pem(authority.revocation_list([Revoked(each, now) for each in serials], 7, now))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  told by nobody
            await asyncio.sleep(0.02)


async def refused(link: Link) -> bool:
    async with link:
        try:
            await connected(link, 1.0)
        except TimeoutError:
            return True
        return False


async def test_a_revoked_device_is_cut_off_and_kept_out_and_no_other(
    deployment: Deployed,
) -> None:
    one, other = deployment.device("QN-1"), deployment.device("QN-2")
    serial = deployment.certify("QN-1").serial_number
    async with (
        Link(deployment.server(), subscriptions=[("ttn/v1/device/+/event/+", 1)]) as server,
        Link(one) as stolen,
        Link(other) as honest,
    ):
        for link in (server, stolen, honest):
            await connected(link)
        deployment.tell(revoked="QN-1 closed\n", crl=revocation_list(deployment, serial))
        await until(lambda: not stolen.connected)
        assert await refused(Link(one, client_id="anything"))
        await honest.publish("ttn/v1/device/QN-2/event/boot", b"still here")
        async with asyncio.timeout(60):
            assert [each.topic for each in await server.receive()] == [
                "ttn/v1/device/QN-2/event/boot"
            ]
        assert (server.connection, honest.connection) == (0, 0)
        # Enrolled anew it is a device like others; the certificate before it stays out.
        before = {name: (deployment.folder / "devices" / name).read_bytes()
                  for name in ("QN-1.crt", "QN-1.key")}  # fmt: skip
        deployment.certify("QN-1")
        deployment.tell(revoked="")
        async with Link(deployment.device("QN-1")) as again:
            await connected(again)
        for name, content in before.items():
            (deployment.folder / "devices" / name).write_bytes(content)
        assert await refused(Link(one))


async def test_a_connection_that_was_not_closed_may_do_nothing(deployment: Deployed) -> None:
    """Whatever keeps a revoked device connected: here its certificate is still good."""
    hears_all = [("ttn/v1/device/+/event/+", 1)]
    async with (
        Link(deployment.server(), subscriptions=hears_all) as server,
        Link(deployment.device("QN-1")) as closed,
        Link(deployment.device("QN-2")) as other,
    ):
        for link in (server, closed, other):
            await connected(link)
        deployment.tell(revoked="QN-1 closed\n")
        await until(lambda: closed.connection > 0 and closed.connected)
        await closed.publish("ttn/v1/device/QN-1/event/boot", b"in vain")
        await other.publish("ttn/v1/device/QN-2/event/boot", b"heard")
        async with asyncio.timeout(60):
            assert [each.payload for each in await server.receive()] == [b"heard"]


async def test_a_device_that_was_taken_down_has_only_what_is_its_own(
    deployment: Deployed,
) -> None:
    area, own = "ttn/v1/area/51/state/programme", "ttn/v1/device/QN-1/command/identify"
    hears_all = [("ttn/v1/device/+/event/+", 1)]
    follows = [("ttn/v1/area/51/state/+", 1), ("ttn/v1/device/QN-1/command/+", 1)]
    async with (
        Link(deployment.server(), subscriptions=hears_all) as server,
        Link(deployment.device("QN-1"), subscriptions=follows) as device,
    ):
        await connected(server)
        await connected(device)

        async def heard_until(payload: bytes) -> list[bytes]:
            heard: list[bytes] = []
            async with asyncio.timeout(60):
                while payload not in heard:
                    for message in await device.receive():
                        heard.append(message.payload)
                        message.ack()
            return heard

        deployment.tell(revoked="QN-1 own\n")
        async with asyncio.timeout(60):  # until the broker has read it
            while True:
                await server.publish(area, b"of the area")
                await server.publish(own, b"its own")
                if await heard_until(b"its own") == [b"its own"]:
                    break
        await device.publish("ttn/v1/device/QN-1/event/playback", b"its journal")
        async with asyncio.timeout(60):
            assert [each.payload for each in await server.receive()] == [b"its journal"]
        deployment.tell(revoked="")
        async with asyncio.timeout(60):
            while True:
                await server.publish(area, b"of the area")
                await server.publish(own, b"its own")
                if b"of the area" in await heard_until(b"its own"):
                    break
        assert device.connection == 0


async def test_a_password_that_was_taken_back_ends_its_connection(deployment: Deployed) -> None:
    three, four = deployment.password_device("QN-3"), deployment.password_device("QN-4")
    async with Link(three) as gone, Link(four) as kept:
        await connected(gone)
        await connected(kept)
        deployment.tell(passwords=passwords_of("QN-4"))
        await until(lambda: not gone.connected)
        assert await refused(Link(three))
        assert (kept.connected, kept.connection) == (True, 0)


async def test_a_broken_list_gives_nobody_rights_and_an_expired_one_refuses_all(
    deployment: Deployed,
) -> None:
    """As docs/operations.md says: why the list is made anew daily, and its age raises an alarm.

    Mosquitto 2.0 that cannot read the list goes on without any: who was revoked may connect, and
    has no rights, because the plugin knows as well.
    """
    revoked = deployment.device("QN-1")
    serial = deployment.certify("QN-1").serial_number
    deployment.tell(crl=revocation_list(deployment, serial), revoked="QN-1 closed\n")
    async with asyncio.timeout(60):
        while not await refused(Link(revoked)):
            pass
    deployment.tell(crl="no list")
    hears_all = [("ttn/v1/device/+/event/+", 1)]
    async with (
        Link(deployment.server(), subscriptions=hears_all) as server,
        Link(deployment.device("QN-2")) as other,
    ):
        await connected(server)
        await connected(other)
        async with Link(revoked) as stolen:
            with suppress(TimeoutError):
                await connected(stolen, 1.0)
                await stolen.publish("ttn/v1/device/QN-1/event/boot", b"in vain")
        await other.publish("ttn/v1/device/QN-2/event/boot", b"heard")
        async with asyncio.timeout(60):
            assert [each.payload for each in await server.receive()] == [b"heard"]
    expired = revocation_list(deployment, at=clock.now() - dt.timedelta(days=31))
    deployment.tell(crl=expired)
    async with asyncio.timeout(60):
        while not await refused(Link(deployment.device("QN-2"))):
            pass
    deployment.tell(crl=revocation_list(deployment, serial))
    async with Link(deployment.device("QN-2")) as again:
        await connected(again)
