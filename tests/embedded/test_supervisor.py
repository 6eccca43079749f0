"""What stops or hangs is started again, and said; not for ever."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from broadcast.embedded import supervisor
from broadcast.embedded.broker import Broker, mosquitto
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.embedded.supervisor import Server, Supervisor
from broadcast.kit.errors import Unavailable
from tests import waiting
from tests.conftest import POSTGRES

pytestmark = pytest.mark.servers

Running = EmbeddedPostgres | Broker


@pytest.fixture(params=["postgres", "mosquitto", "amqtt"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    if request.param == "postgres":
        made: Running = EmbeddedPostgres(tmp_path / "data", POSTGRES["wheel"], durable=False)
    elif request.param == "mosquitto" and mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    else:
        made = Broker(tmp_path / "broker", kind=request.param)
    with made:
        yield made


async def supervised(
    servers: list[Server], said: list[str], until: Callable[[], Awaitable[None]]
) -> None:
    watch = asyncio.create_task(Supervisor(servers, said.append, hangs_after=4.0).watch())
    done = asyncio.create_task(until())
    try:
        async with asyncio.timeout(60):
            await asyncio.wait([watch, done], return_when=asyncio.FIRST_COMPLETED)
        if watch.done():
            watch.result()
        await done
    finally:
        for task in (watch, done):
            task.cancel()
        await asyncio.wait([watch, done])


async def to_be_said(said: list[str], text: str, times: int = 1) -> None:
    while sum(text in line for line in said) < times:  # noqa: ASYNC110  a plain list is simpler
        await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "SAID_AFTER", 0.3)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_what_was_ended_runs_again_at_the_same_address(
    server: Running, number: signal.Signals
) -> None:
    said: list[str] = []
    before = server.pid

    async def end() -> None:
        await asyncio.sleep(0.3)
        while not said:  # an interrupt may come to a Python program when it heeds none
            with suppress(ProcessLookupError):
                os.kill(before, number)
            await asyncio.sleep(1)
        await to_be_said(said, "đã chạy lại")

    await supervised([server], said, end)
    assert server.answers()
    assert server.pid != before
    assert said == [
        f"{server.name} đã dừng đột ngột; đang khởi động lại …", f"{server.name} đã chạy lại",
    ]  # fmt: skip


async def test_what_hangs_is_ended_with_all_its_children_and_runs_again(server: Running) -> None:
    said: list[str] = []
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]

    async def stop() -> None:
        for process in family:
            process.suspend()
        assert not await asyncio.to_thread(server.answers)
        await to_be_said(said, "đã chạy lại")

    await supervised([server], said, stop)
    assert server.answers()
    assert len(said) == 3
    assert "không trả lời; chờ thêm" in said[0]
    assert "bị treo" in said[1]
    assert not any(process.is_running() and process.status() == "stopped" for process in family)


async def test_what_stops_again_and_again_is_given_up_with_what_to_do(tmp_path: Path) -> None:
    said: list[str] = []
    with Broker(tmp_path / "broker") as server:

        async def again_and_again() -> None:
            for times in range(1, 10):
                server.kill()
                await to_be_said(said, "đã chạy lại", times)

        with pytest.raises(Unavailable, match=r"Đã khởi động lại 3 lần.*đĩa và bộ nhớ"):
            await supervised([server], said, again_and_again)
    assert sum("đã chạy lại" in line for line in said) == supervisor.MOST_STARTS


async def test_what_cannot_start_says_why_and_is_tried_again(tmp_path: Path) -> None:
    said: list[str] = []
    with Broker(tmp_path / "first") as server:
        server.kill()
        with Broker(tmp_path / "second", server.port) as other:

            async def make_room() -> None:
                await to_be_said(said, "chưa khởi động lại được")
                other.stop()
                await to_be_said(said, "đã chạy lại")

            await supervised([server], said, make_room)
        assert server.answers()
    assert any("Cổng" in line for line in said)


def test_an_interrupt_ends_the_broker_of_last_resort_that_a_shell_began_in_the_background(
    tmp_path: Path,
) -> None:
    """What is begun there ignores interrupts, and so do its children."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Broker(tmp_path / "broker", kind="amqtt") as server:
            assert server.alive
            os.kill(server.pid, signal.SIGINT)
            waiting.until(lambda: not server.alive)
    finally:
        signal.signal(signal.SIGINT, before)
