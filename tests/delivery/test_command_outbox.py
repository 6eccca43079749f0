"""Commands that people gave, from their rows to the broker."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.commands import order as commanding
from broadcast.commands.model import Command
from broadcast.commands.state import VALID, CommandKind
from broadcast.kit import db
from broadcast.wire.commands import AnyCommand, Identify, Reboot, SelfTest, SetVolume
from broadcast.wire.envelope import Verifier
from tests.callers import LAN
from tests.delivery.world import PINNED, World


@pytest.fixture
async def world(engine: AsyncEngine, tmp_path: Path) -> World:
    world = World(engine, tmp_path)
    await world.build()
    return world


async def order(
    world: World, kind: CommandKind = CommandKind.SELF_TEST, device: str = "D-V1"
) -> str:
    volume = 40 if kind is CommandKind.VOLUME else None
    async with db.transaction(world.engine) as session:
        command = await commanding.order(session, device, kind, volume, LAN, (), world.now)
    return command.command_id


async def unpublished(world: World) -> int:
    async with db.transaction(world.engine) as session:
        count = await session.scalar(
            sa.select(sa.func.count()).where(Command.published_at.is_(None))
        )
    return count or 0


def commands(world: World) -> list[tuple[str, AnyCommand]]:
    verifier = Verifier(PINNED)
    return [(topic, verifier.command(token)) for topic, token in world.broker.commands]


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        (CommandKind.SELF_TEST, SelfTest),
        (CommandKind.IDENTIFY, Identify),
        (CommandKind.REBOOT, Reboot),
        (CommandKind.VOLUME, SetVolume),
    ],
)
async def test_a_command_is_signed_and_published_once(
    world: World, kind: CommandKind, type_: type
) -> None:
    not_after = world.now + VALID
    command_id = await order(world, kind)
    await world.turn()
    world.restart()
    await world.turn()
    [(topic, command)] = commands(world)
    assert topic == f"device/D-V1/command/{kind.value}"
    assert type(command) is type_
    assert (command.command_id, command.scope) == (command_id, "device/D-V1")
    assert command.not_after == not_after
    if isinstance(command, SetVolume):
        assert command.volume == 40


async def test_what_the_broker_did_not_take_goes_again(world: World) -> None:
    await order(world)
    await order(world, device="D-V2")
    world.broker.refuse = lambda topic: topic.startswith("device/D-V1/command")
    await world.turn()
    assert [topic for topic, _ in commands(world)] == ["device/D-V2/command/self_test"]
    assert await unpublished(world) == 1
    world.broker.refuse = lambda _: False
    await world.turn()
    assert [topic for topic, _ in commands(world)][1:] == ["device/D-V1/command/self_test"]
    assert await unpublished(world) == 0


async def test_a_command_whose_time_is_over_is_not_published(world: World) -> None:
    await order(world)
    world.broker.away = True
    await world.turn()
    world.broker.away = False
    await world.turn(after=VALID + timedelta(seconds=1))
    assert commands(world) == []
    assert await unpublished(world) == 1
