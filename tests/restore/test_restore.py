"""After a restore nothing is published before a person has decided, and then what was decided."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.model import Account, AccountState, ApiToken, Grant
from broadcast.auth.permissions import Role
from broadcast.backup import manifest
from broadcast.kit import db
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.plays.model import Play, PlayState
from broadcast.restore import mark
from broadcast.restore.differences import Choice, Kind
from broadcast.restore.model import Cause, RestoreDecision
from broadcast.schedules import occurrence_edits
from broadcast.schedules.model import Occurrence, Schedule, ScheduleState
from tests.callers import LAN
from tests.delivery.world import NOW
from tests.restore.world import ADMIN, Restorable

COMMUNE = {"area": "21001"}
HOUR = timedelta(hours=1)


@pytest.fixture
async def world(engine: AsyncEngine, postgres_dsn: str, tmp_path: Path) -> Restorable:
    world = Restorable(engine, postgres_dsn, tmp_path)
    await world.build()
    await world.turn()
    return world


async def test_what_was_withdrawn_since_is_silent_and_what_was_made_since_is_not_forgotten(
    world: Restorable,
) -> None:
    daily = await world.schedule(await world.bulletin(b"a"), COMMUNE, 3, "FREQ=DAILY")
    moved = await world.schedule(await world.bulletin(b"b"), COMMUNE, 4)
    stays = await world.schedule(await world.bulletin(b"c"), COMMUNE, 5)
    await world.turn()
    await world.back_up()
    await world.withdraw(daily)
    await world.move_some(moved, HOUR / 2)
    made = await world.schedule(await world.bulletin(b"d"), {"area": "V1"}, 6)
    await world.turn()
    told = {item.occurrence_id: item.starts_at for item in world.told()}
    new = [item.occurrence_id for item in world.told("area/V1")]
    revisions = world.revisions()
    retained = dict(world.broker.retained)

    await world.put_back()
    published = len(world.broker.publishes)
    await world.look()
    assert world.broker.retained == retained
    assert len(world.broker.publishes) == published
    restore = await world.restore()
    assert restore is not None
    assert restore.cause is Cause.BROKER
    comparison = await world.compare()
    assert {each.kind: each.subject for each in comparison.differences} == {
        Kind.WITHDRAWN: str(daily),
        Kind.MOVED: str((await world.occurrence(moved)).id),
        Kind.UNKNOWN: new[0],
    }

    await world.accept(seen=comparison.digest)
    await world.look()
    assert {item.occurrence_id: item.starts_at for item in world.told()} == told
    assert [item.occurrence_id for item in world.told("area/V1")] == new
    assert {str((await world.occurrence(each)).id) for each in (moved, stays)} == told.keys()
    after = world.revisions()
    assert all(after[topic] > revision for topic, revision in revisions.items())
    # A week later, too, nothing of it returns.
    await world.turn(after=timedelta(days=3))
    assert str(daily) not in {str(each) for each in await schedules_told(world)}
    assert made not in await schedules_told(world)
    assert await world.restore() is None
    async with db.transaction(world.engine) as session:
        decided = await session.scalars(sa.select(RestoreDecision.choice))
        assert list(decided) == ["follow"] * 3


async def schedules_told(world: Restorable) -> set[UUID]:
    ids = [UUID(item.occurrence_id) for items in world.items().values() for item in items]
    async with db.transaction(world.engine) as session:
        return set(
            await session.scalars(sa.select(Occurrence.schedule_id).where(Occurrence.id.in_(ids)))
        )


async def test_a_person_may_decide_otherwise(world: Restorable) -> None:
    daily = await world.schedule(await world.bulletin(b"a"), COMMUNE, 3, "FREQ=DAILY")
    moved = await world.schedule(await world.bulletin(b"b"), COMMUNE, 4)
    await world.turn()
    await world.back_up()
    planned = await world.starts(moved)
    await world.withdraw(daily)
    await world.move_some(moved, HOUR / 2)
    await world.schedule(await world.bulletin(b"d"), COMMUNE, 6)
    await world.turn()
    await world.put_back()
    await world.look()
    comparison = await world.compare()
    names = {each.kind: each.name for each in comparison.differences}
    with pytest.raises(Conflict, match="chưa quyết định"):
        await world.accept({names[Kind.MOVED]: Choice.KEEP}, rest_as_proposed=False)
    with pytest.raises(InvalidInput, match="không chọn được"):
        await world.accept({names[Kind.UNKNOWN]: Choice.KEEP})
    with pytest.raises(InvalidInput, match="không có khác biệt"):
        await world.accept({"withdrawn/7": Choice.KEEP})
    with pytest.raises(Conflict, match="đã đổi"):
        await world.accept(seen="another")
    await world.look()
    assert await world.restore() is not None
    await world.accept(
        {
            names[Kind.WITHDRAWN]: Choice.KEEP,
            names[Kind.MOVED]: Choice.KEEP,
            names[Kind.UNKNOWN]: Choice.DROP,
        },
        rest_as_proposed=False,
    )
    await world.look()
    assert await schedules_told(world) == {daily, moved}
    ours = str((await world.occurrence(moved)).id)
    assert {i.occurrence_id: i.starts_at for i in world.told()}[ours] == planned


async def test_a_single_day_that_was_left_out_stays_left_out(world: Restorable) -> None:
    daily = await world.schedule(await world.bulletin(), COMMUNE, 3, "FREQ=DAILY")
    await world.turn()
    await world.back_up()
    async with db.transaction(world.engine) as session:
        row = await session.get_one(Occurrence, (await world.occurrence(daily)).id)
        await occurrence_edits.cancel_occurrence(session, row, ADMIN, world.now)
    await world.turn()
    told = [item.starts_at for item in world.told()]
    await world.put_back()
    await world.look()
    assert await world.kinds() == [Kind.LEFT_OUT]
    await world.accept()
    await world.look()
    assert [item.starts_at for item in world.told()] == told


async def test_a_restore_that_the_broker_does_not_show_is_found_by_the_mark(
    world: Restorable,
) -> None:
    await world.dispatcher.mark(world.now)
    await world.back_up()
    await world.turn(after=HOUR)
    await world.dispatcher.mark(world.now)
    world.broker.retained.clear()
    await world.put_back()
    await world.look()
    restore = await world.restore()
    assert restore is not None
    assert (restore.cause, restore.lost_since) == (Cause.MARK, NOW + timedelta(seconds=1))
    assert world.broker.retained == {}
    await world.accept()
    await world.look()
    assert world.broker.retained
    await world.dispatcher.mark(world.now)
    world.restart(believed=False)
    await world.dispatcher.restores.begin(world.now)
    await world.look()
    assert await world.restore() is None


async def test_a_declared_restore_waits_although_nothing_differs(world: Restorable) -> None:
    await world.schedule(await world.bulletin(), COMMUNE, 3)
    await world.turn()
    await world.back_up()
    await world.put_back(declared=True)
    with pytest.raises(Conflict, match="Chưa đọc xong"):
        await world.accept()
    await world.look()
    restore = await world.restore()
    assert restore is not None
    assert restore.cause is Cause.COMMAND
    published = len(world.broker.publishes)
    await world.look()
    assert len(world.broker.publishes) == published
    assert (await world.compare()).differences == []
    await world.accept()
    await world.look()
    assert len(world.broker.publishes) > published
    with pytest.raises(Conflict, match="Không có lần khôi phục"):
        await world.accept()


async def test_a_play_of_the_lost_time_is_lost_proof_not_unexplained(world: Restorable) -> None:
    await world.schedule(await world.bulletin(), COMMUNE, 2)
    await world.turn()
    await world.dispatcher.mark(world.now)
    await world.back_up()
    world.now += timedelta(hours=4)
    await world.put_back(declared=True)
    await world.look()
    assert {state for state, _ in await world.plays()} == {PlayState.PLANNED}
    assert (await world.compare()).lost_plays == 2
    await world.accept()
    await world.look()
    assert await world.plays() == [(PlayState.MISSED, "proof_lost")] * 2
    async with db.transaction(world.engine) as session:
        assert not list(await session.scalars(sa.select(Play).where(Play.reason == "unexplained")))


async def tokens(world: Restorable) -> dict[str, bool]:
    """Whether each token is still one."""
    async with db.transaction(world.engine) as session:
        rows = await session.execute(sa.select(ApiToken.label, ApiToken.revoked_at))
        return {label: revoked_at is None for label, revoked_at in rows}


async def revoke(world: Restorable, label: str) -> None:
    async with db.transaction(world.engine) as session:
        await session.execute(
            sa.update(ApiToken).where(ApiToken.label == label).values(revoked_at=world.now)
        )


@pytest.fixture
async def with_tokens(world: Restorable) -> Restorable:
    async with db.transaction(world.engine) as session:
        session.add_all(
            ApiToken(account_id=LAN, token_sha256=label, label=label, created_at=world.now)
            for label in ("lost", "kept")
        )
    await world.dispatcher.mark(world.now)
    await world.back_up()
    return world


@pytest.mark.parametrize("declared", [True, False])
async def test_a_token_that_was_revoked_after_the_backup_stays_revoked(
    with_tokens: Restorable, declared: bool
) -> None:
    world = with_tokens
    await revoke(world, "lost")
    await world.dispatcher.mark(world.now)
    await world.put_back(declared=declared)
    assert await tokens(world) == {"lost": False, "kept": True}
    await world.look()
    await world.accept()
    await world.look()
    await world.dispatcher.mark(world.now)
    assert await tokens(world) == {"lost": False, "kept": True}


async def test_on_a_new_machine_nobody_knows_what_was_revoked_so_all_tokens_end(
    with_tokens: Restorable,
) -> None:
    world = with_tokens
    await revoke(world, "lost")
    await world.dispatcher.mark(world.now)
    mark.path(world.settings.keys).unlink()
    await world.put_back(declared=True)
    assert await tokens(world) == {"lost": False, "kept": False}


async def test_an_account_that_was_disabled_and_a_grant_that_was_revoked_stay_so(
    world: Restorable,
) -> None:
    async with db.transaction(world.engine) as session:
        session.add(
            Grant(
                account_id=LAN, role=Role.PROVINCE_EDITOR, valid_from=world.now.date(),
                granted_at=world.now,
            )
        )  # fmt: skip
    await world.dispatcher.mark(world.now)
    await world.back_up()
    async with db.transaction(world.engine) as session:
        await session.execute(
            sa.update(Account).where(Account.id == LAN).values(state=AccountState.DISABLED)
        )
        await session.execute(sa.update(Grant).values(revoked_at=world.now))
    await world.dispatcher.mark(world.now)
    await world.put_back()
    async with db.transaction(world.engine) as session:
        assert (
            await session.scalar(sa.select(Account.state).where(Account.id == LAN)) == "disabled"
        )
        assert await session.scalar(sa.select(Grant.revoked_at)) is not None


async def test_what_was_taken_in_can_be_withdrawn(world: Restorable) -> None:
    await world.back_up()
    await world.schedule(await world.bulletin(), COMMUNE, 3)
    await world.turn()
    [item] = world.told()
    await world.put_back()
    await world.look()
    assert await world.kinds() == [Kind.UNKNOWN]
    await world.accept()
    await world.look()
    assert [each.occurrence_id for each in world.told()] == [item.occurrence_id]
    async with db.transaction(world.engine) as session:
        schedule = (await session.scalars(sa.select(Schedule))).one()
        assert schedule.state is ScheduleState.ENDED
    await world.withdraw(schedule.id)
    await world.look()
    assert world.told() == []


def test_only_a_mark_of_the_same_installation_counts() -> None:
    one, other = (mark.Mark(UUID(int=n), 7, NOW) for n in (1, 2))
    behind = mark.Mark(UUID(int=1), 6, NOW + HOUR)
    assert mark.is_behind(behind, one)
    assert not mark.is_behind(one, behind)
    assert not mark.is_behind(one, one)
    assert not mark.is_behind(behind, other)
    assert not mark.is_behind(None, one)
    assert not mark.is_behind(one, None)


def test_a_mark_is_read_as_it_was_written_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    written = mark.Mark(UUID(int=1), 7, NOW)
    file = tmp_path / manifest.MARK
    assert mark.read(file) is None
    mark.write(file, written)
    assert mark.read(file) == written
    file.write_text("{")
    assert mark.read(file) is None
