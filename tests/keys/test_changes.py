"""Keys as the database knows them: the first ones, strangers, and each step of a change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.devices.model import Device
from broadcast.keys import changes, rows
from broadcast.keys.keyring import Keyring
from broadcast.keys.pins import evidence
from broadcast.keys.report import report
from broadcast.keys.states import State
from broadcast.kit import db
from broadcast.kit.errors import Conflict, Unavailable
from broadcast.programmes.model import Document
from broadcast.telemetry.model import DevicePresence, Refusal
from broadcast.telemetry.presence import Presence
from broadcast.wire.documents import Config
from broadcast.wire.envelope import SigningKey
from tests import province
from tests.keys.memory import MemoryStore

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


async def ring(engine: AsyncEngine) -> dict[str, State]:
    async with db.transaction(engine) as session:
        return {key.kid: key.state for key in (await rows.read(session)).ring}


async def test_the_first_start_makes_the_keys_and_knows_them(engine: AsyncEngine) -> None:
    store = MemoryStore()
    keyring = Keyring(store)
    with pytest.raises(Unavailable):
        _ = keyring.keys
    await keyring.refresh(engine, NOW)
    assert keyring.trouble == ""
    assert [key.use for key in store.all] == ["programme", "alert"]
    assert await ring(engine) == {key.kid: State.SIGNING for key in store.all}
    again = Keyring(store)
    await again.refresh(engine, NOW)
    assert again.keys == keyring.keys
    assert len(store.all) == 2


async def test_a_rebuilt_machine_signs_nothing_and_says_why(engine: AsyncEngine) -> None:
    old = MemoryStore()
    await Keyring(old).refresh(engine, NOW)
    for stranger in (
        MemoryStore(),
        MemoryStore(*map(SigningKey.generate, ("programme", "alert"))),
    ):
        keyring = Keyring(stranger)
        count = len(stranger.all)
        await keyring.refresh(engine, NOW)
        assert not keyring.usable
        assert old.all[0].kid in keyring.trouble
        assert "broadcast keys adopt" in keyring.trouble
        assert len(stranger.all) == count, "no key is made where devices obey another"
        with pytest.raises(Unavailable, match="không có khóa ký"):
            _ = keyring.keys
        stranger.all = old.all  # restored
        await keyring.refresh(engine, NOW)
        assert keyring.keys.programme == old.all[0]


async def test_a_database_of_before_keys_were_known_goes_by_what_devices_hold(
    engine: AsyncEngine,
) -> None:
    pinned = [SigningKey.generate("programme"), SigningKey.generate("alert")]
    config = Config(
        scope="device/A", revision=5, issued_at=NOW, not_after=NOW + MINUTE, areas=[],
        keys=[key.public() for key in pinned],
    )  # fmt: skip
    async with db.transaction(engine) as session:
        session.add(
            Document(
                scope="device/A", kind="config", revision=5, token=pinned[0].sign(config),
                published_revision=5, issued_at=NOW, not_after=NOW + MINUTE,
            )
        )  # fmt: skip
        session.add(device := province.device("A", NOW - MINUTE))
        await session.flush()
        session.add(presence(device, {"device/A/config": 4}))
    stranger = Keyring(MemoryStore())
    await stranger.refresh(engine, NOW)
    assert pinned[0].kid in stranger.trouble
    keyring = Keyring(MemoryStore(*pinned))
    await keyring.refresh(engine, NOW)
    assert keyring.keys.programme == pinned[0]
    async with db.transaction(engine) as session:
        [known] = await evidence(session, ())
    assert known.evidence.pinned == {key.kid for key in pinned}


def presence(device: Device, held: dict[str, int]) -> DevicePresence:
    return DevicePresence(
        device_id=device.id, presence=Presence.ONLINE, since=NOW, session=1, seq=1,
        last_seen_at=NOW, silent_after=NOW + MINUTE, held=held,
    )  # fmt: skip


async def holds(engine: AsyncEngine, code: str, revision: int, *keys: str) -> None:
    """A device says that it holds a revision of its config, which named these keys."""
    async with db.transaction(engine) as session:
        scope = f"device/{code}"
        id_ = await session.scalar(sa.select(Device.id).where(Device.code == code))
        assert id_ is not None
        await session.execute(
            sa.text("INSERT INTO config_keys VALUES (:scope, :revision, :kids)"),
            {"scope": scope, "revision": revision, "kids": list(keys)},
        )
        present = await session.get(DevicePresence, id_)
        if present is None:
            session.add(
                presence(await session.get_one(Device, id_), {f"{scope}/config": revision})
            )
        else:
            present.held = {f"{scope}/config": revision}


async def test_a_new_key_signs_by_itself_once_every_device_has_pinned_it(
    engine: AsyncEngine,
) -> None:
    store = MemoryStore()
    keyring = Keyring(store)
    await keyring.refresh(engine, NOW)
    old, alert = store.all
    async with db.transaction(engine) as session:
        session.add_all(province.device(code, NOW + MINUTE) for code in ("A", "B", "NEVER-HEARD"))
    for code in ("A", "B"):
        await holds(engine, code, 1, old.kid, alert.kid)
    async with db.transaction(engine) as session:
        [new] = await changes.rotate(session, store, ["programme"], NOW + 2 * MINUTE)
    await keyring.refresh(engine, NOW)
    assert keyring.keys.programme == old
    assert [key.kid for key in keyring.keys.named] == [old.kid, new.kid, alert.kid]
    assert new.kid in keyring.able, "it is to sign as soon as it may"
    with pytest.raises(Conflict, match="chưa ký"):
        async with db.transaction(engine) as session:
            await changes.rotate(session, store, ["programme"], NOW)

    await holds(engine, "A", 2, old.kid, new.kid, alert.kid)
    async with db.transaction(engine) as session:
        assert not await changes.step(session, {key.kid for key in store.all}, NOW)
        found = await report(session)
    assert found.devices_count == 3
    assert [(each.device, each.lacks) for each in found.lacking] == [
        ("B", [new.kid]),
        ("NEVER-HEARD", [new.kid, alert.kid]),
    ]
    await holds(engine, "B", 2, old.kid, new.kid, alert.kid)
    async with db.transaction(engine) as session:
        assert await changes.step(session, {key.kid for key in store.all}, NOW + 3 * MINUTE)
    await keyring.refresh(engine, NOW)
    assert keyring.keys.programme == new
    assert keyring.keys.signer("device/A") == new
    assert keyring.keys.signer("device/NEVER-HEARD") == old, "which it was given"
    assert await ring(engine) == {
        old.kid: State.REPLACED, new.kid: State.SIGNING, alert.kid: State.SIGNING,
    }  # fmt: skip


async def test_whoever_goes_on_without_a_device_is_told_and_the_device_keeps_its_key(
    engine: AsyncEngine,
) -> None:
    store = MemoryStore()
    keyring = Keyring(store)
    await keyring.refresh(engine, NOW)
    old, alert = store.all
    async with db.transaction(engine) as session:
        session.add(province.device("A", NOW))
    await holds(engine, "A", 1, old.kid, alert.kid)
    async with db.transaction(engine) as session:
        [new] = await changes.rotate(session, store, ["programme"], NOW)
    with pytest.raises(Conflict, match="1 thiết bị chưa ghim"):
        async with db.transaction(engine) as session:
            await changes.activate(session, store, new.kid, NOW, without_waiting=False)
    async with db.transaction(engine) as session:
        assert await changes.activate(session, store, new.kid, NOW, without_waiting=True) == 1
        await changes.retire(session, store, old.kid, NOW)
    await keyring.refresh(engine, NOW)
    assert keyring.keys.programme == new
    assert keyring.keys.signer("device/A") == old
    assert [key.kid for key in keyring.keys.named_to("device/B")] == [new.kid, alert.kid]
    assert [key.kid for key in keyring.keys.named_to("device/A")] == [new.kid, alert.kid, old.kid]
    await holds(engine, "A", 2, new.kid, alert.kid, old.kid)
    async with db.transaction(engine) as session:
        await changes.step(session, {key.kid for key in store.all}, NOW)
    await keyring.refresh(engine, NOW)
    assert keyring.keys.own == {}


async def test_a_device_that_refuses_its_config_is_tried_with_another_key(
    engine: AsyncEngine,
) -> None:
    store = MemoryStore()
    keyring = Keyring(store)
    await keyring.refresh(engine, NOW)
    old, _ = store.all
    async with db.transaction(engine) as session:
        [new] = await changes.rotate(session, store, ["programme"], NOW)
        await changes.activate(session, store, new.kid, NOW, without_waiting=True)
        session.add(device := province.device("A", NOW + MINUTE))
        session.add(
            Document(
                scope="device/A", kind="config", revision=5, token=b"", published_revision=5,
                issued_at=NOW, not_after=NOW + MINUTE,
            )
        )  # fmt: skip
        await session.flush()
        session.add(presence(device, {}))
        session.add(
            Refusal(
                device_id=device.id, topic="device/A/state/config", reason="key",
                sent_at=NOW + MINUTE, received_at=NOW + MINUTE,
            )
        )  # fmt: skip
    async with db.transaction(engine) as session:
        await changes.step(session, {key.kid for key in store.all}, NOW)
    await keyring.refresh(engine, NOW)
    assert keyring.keys.signer("device/A") == old, "the bundle it was given is an older one"


async def test_keys_of_a_machine_are_adopted_where_the_old_ones_are_lost(
    engine: AsyncEngine,
) -> None:
    await Keyring(MemoryStore()).refresh(engine, NOW)
    lost = set(await ring(engine))
    store = MemoryStore()
    keyring = Keyring(store)
    async with db.transaction(engine) as session:
        new = await changes.adopt(session, store, NOW)
    assert [key.use for key in new] == ["programme", "alert"]
    await keyring.refresh(engine, NOW)
    assert keyring.keys.programme == new[0]
    states_of = await ring(engine)
    assert {states_of[kid] for kid in lost} == {State.REPLACED}
    async with db.transaction(engine) as session:
        assert await changes.adopt(session, store, NOW) == []


async def test_a_key_that_an_older_database_does_not_know_is_adopted_beside_its_own(
    engine: AsyncEngine,
) -> None:
    store = MemoryStore()
    keyring = Keyring(store)
    await keyring.refresh(engine, NOW)
    since = store.create("programme")
    keyring = Keyring(store)
    await keyring.refresh(engine, NOW)
    assert since.kid not in {key.kid for key in keyring.keys.named}
    assert since.kid in {key.kid for key in keyring.keys.trusted()}, "what it signed is newer"
    async with db.transaction(engine) as session:
        assert await changes.adopt(session, store, NOW) == [since]
    await keyring.refresh(engine, NOW)
    assert keyring.keys.programme == store.all[0]
    assert since.kid in {key.kid for key in keyring.keys.named}
