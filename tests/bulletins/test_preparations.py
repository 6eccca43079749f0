"""The queue of preparations: once for each content, by urgency, through kills and the like."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.bulletins import (
    preparations,
    prepare_worker,
    revision_audio,
    revisions,
    sandbox,
    scratch,
)
from broadcast.bulletins.audio.prepared import Prepared
from broadcast.bulletins.model import (
    Preparation,
    PreparationState,
    Revision,
    RevisionState,
    SourceKind,
)
from broadcast.bulletins.preparations import Source
from broadcast.kit import db
from broadcast.kit.child import NICENESS
from broadcast.kit.errors import BroadcastError, InvalidInput
from broadcast.wire.fields import BulletinClass
from tests import waiting
from tests.bulletins.audio.sources import noise, write
from tests.bulletins.make import NOW, bulletin, prepared
from tests.callers import LAN

SETTINGS = config.Audio(chime=False, longest_seconds=400)
ME, OTHER = uuid4(), uuid4()
WAITING, RUNNING, DONE, REFUSED, FAILED, CANCELLED = PreparationState


async def asked(
    session: AsyncSession,
    folder: Path,
    text: str = "Xin chào.",
    class_: BulletinClass = BulletinClass.NORMAL,
    settings: config.Audio = SETTINGS,
) -> tuple[Preparation, Revision]:
    row = await preparations.enqueue(session, Source.of_text(text), settings, folder, class_, NOW)
    made = await bulletin(session, class_=class_)
    ready = preparations.result_of(row) if row.state is DONE else None
    revision = await revisions.add(
        session, made, ready, kind=SourceKind.TEXT, preparation_id=row.id, by=LAN, now=NOW
    )
    return row, revision


async def test_the_same_content_with_the_same_settings_is_prepared_once(
    session: AsyncSession, tmp_path: Path
) -> None:
    row, first = await asked(session, tmp_path)
    assert (await asked(session, tmp_path))[0].id == row.id
    more_memory = SETTINGS.model_copy(update={"work_bytes": 2**32, "at_once": 9})
    assert (await asked(session, tmp_path, settings=more_memory))[0].id == row.id
    softer = SETTINGS.model_copy(update={"loudness_lufs": -18.0})
    assert (await asked(session, tmp_path, settings=softer))[0].id != row.id
    assert (await asked(session, tmp_path, "Khác."))[0].id != row.id
    as_file = Source(Source.of_text("Xin chào.").sha256, file="x")
    row_of_file = await preparations.enqueue(
        session, as_file, SETTINGS, tmp_path, BulletinClass.NORMAL, NOW
    )
    assert row_of_file.id != row.id

    assert (await preparations.claim(session, ME, NOW)) is row
    made = prepared(tmp_path)
    assert await preparations.finish(session, row.id, ME, made, NOW)
    assert first.seconds == made.seconds
    again, late = await asked(session, tmp_path)
    assert (again.id, again.state, late.seconds) == (row.id, DONE, made.seconds)
    counted = sa.select(sa.func.count()).select_from(Revision)
    assert await session.scalar(counted.where(Revision.seconds.is_not(None))) == 4


async def test_what_the_disk_lost_is_prepared_anew(session: AsyncSession, tmp_path: Path) -> None:
    row, _ = await asked(session, tmp_path)
    await preparations.claim(session, ME, NOW)
    made = prepared(tmp_path)
    await preparations.finish(session, row.id, ME, made, NOW)
    made.renditions[1].path.unlink()
    again, revision = await asked(session, tmp_path)
    assert (again.state, revision.seconds) == (WAITING, None)


@pytest.mark.parametrize("ended", [REFUSED, FAILED, CANCELLED])
async def test_what_came_to_nothing_is_begun_anew(
    session: AsyncSession, tmp_path: Path, ended: PreparationState
) -> None:
    row, _ = await asked(session, tmp_path)
    row.state, row.detail, row.attempts_count = ended, "vì sao", 5
    await asked(session, tmp_path)
    assert (row.state, row.detail, row.attempts_count) == (WAITING, "", 0)


async def test_the_most_urgent_is_taken_first_then_the_oldest(
    session: AsyncSession, tmp_path: Path
) -> None:
    normal, emergency, priority = (
        BulletinClass.NORMAL,
        BulletinClass.EMERGENCY,
        BulletinClass.PRIORITY,
    )
    rows = [
        (await asked(session, tmp_path, f"tin {number}", class_))[0].id
        for number, class_ in enumerate((normal, normal, priority, emergency))
    ]
    raised = (await asked(session, tmp_path, "tin 1", emergency))[0]
    order = []
    while (row := await preparations.claim(session, ME, NOW)) is not None:
        order.append(row.id)
    assert order == [rows[1], rows[3], rows[2], rows[0]]
    assert raised.id == rows[1]


async def test_only_emergencies_take_the_places_of_emergencies(
    session: AsyncSession, tmp_path: Path
) -> None:
    await asked(session, tmp_path)
    assert await preparations.claim(session, ME, NOW, preparations.EMERGENCY) is None
    await asked(session, tmp_path, "lũ", BulletinClass.EMERGENCY)
    assert await preparations.claim(session, ME, NOW, preparations.EMERGENCY) is not None


async def test_what_a_killed_worker_held_is_taken_when_its_lease_is_over(
    session: AsyncSession, tmp_path: Path
) -> None:
    row, _ = await asked(session, tmp_path)
    await preparations.claim(session, ME, NOW)
    later = NOW + timedelta(seconds=10)
    assert await preparations.renew(session, row.id, ME, 40, later) == 0
    assert await preparations.claim(session, OTHER, NOW + preparations.LEASE) is None
    after = later + preparations.LEASE
    taken = await preparations.claim(session, OTHER, after)
    assert taken is not None
    assert (taken.id, taken.percent, taken.attempts_count) == (row.id, 0, 2)
    assert await preparations.renew(session, row.id, ME, 50, after) is None
    assert not await preparations.finish(session, row.id, ME, prepared(tmp_path), after)
    assert not await preparations.refuse(session, row.id, ME, "x", after)
    assert await preparations.finish(session, row.id, OTHER, prepared(tmp_path), after)


async def test_what_failed_is_tried_again_later_and_later_and_at_last_given_up(
    session: AsyncSession, tmp_path: Path
) -> None:
    row, _ = await asked(session, tmp_path)
    now, waits = NOW, []
    while row.state is WAITING:
        assert await preparations.claim(session, ME, row.due_at - timedelta(seconds=1)) is None
        now = row.due_at
        await preparations.claim(session, ME, now)
        await preparations.fail(session, row.id, ME, "đĩa đầy", now)
        await session.refresh(row)
        waits.append((row.due_at - now).total_seconds())
    assert waits == [10, 20, 40, 80, 0]
    assert (row.state, row.detail) == (FAILED, "đĩa đầy")


async def test_what_was_given_back_counts_as_not_begun(
    session: AsyncSession, tmp_path: Path
) -> None:
    row, _ = await asked(session, tmp_path)
    await preparations.claim(session, ME, NOW)
    await preparations.give_back(session, row.id, ME, NOW)
    await session.refresh(row)
    assert (row.state, row.attempts_count, row.locked_by) == (WAITING, 0, None)


async def test_a_withdrawal_stops_what_nobody_else_waits_for(
    session: AsyncSession, tmp_path: Path
) -> None:
    row, first = await asked(session, tmp_path)
    _, second = await asked(session, tmp_path)
    for revision, state in ((first, WAITING), (second, CANCELLED)):
        revision.state = RevisionState.WITHDRAWN
        await session.flush()
        await revision_audio.release_preparation(session, revision.preparation_id, NOW)
        assert row.state is state


async def test_nothing_without_sound_leaves_the_draft(
    session: AsyncSession, tmp_path: Path
) -> None:
    _, revision = await asked(session, tmp_path)
    revision.state = RevisionState.SUBMITTED
    with pytest.raises(sa.exc.IntegrityError, match="ck_bulletin_revisions_prepared"):
        await session.flush()


# --- the worker --------------------------------------------------------------------------------


Server = Callable[[], Awaitable[asyncio.Task[None]]]


@pytest.fixture
async def start(engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Server]:
    """Starts workers, which end with the test."""
    settings = config.Settings(content_dir=tmp_path / "content", audio=SETTINGS)
    tasks: list[asyncio.Task[None]] = []

    async def start() -> asyncio.Task[None]:
        tasks.append(asyncio.create_task(prepare_worker.run(engine, settings)))
        await asyncio.sleep(0)
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def ask_for(
    engine: AsyncEngine, tmp_path: Path, source: Path | str, class_: str = "normal"
) -> int:
    content_dir = tmp_path / "content"
    if isinstance(source, str):
        wanted = Source.of_text(source)
    else:
        copy = tmp_path / f"copy-{source.name}"
        await asyncio.to_thread(copy.write_bytes, await asyncio.to_thread(source.read_bytes))
        name = await asyncio.to_thread(scratch.keep, content_dir, copy)
        wanted = Source(source.name, file=name)
    async with db.transaction(engine) as session:
        now = datetime.now(UTC)
        row = await preparations.enqueue(
            session, wanted, SETTINGS, content_dir, BulletinClass(class_), now
        )
        return row.id


async def until(
    engine: AsyncEngine, preparation_id: int, *states: PreparationState
) -> Preparation:
    async with asyncio.timeout(100):
        while True:
            async with db.transaction(engine) as session:
                row = await session.get_one(Preparation, preparation_id)
            if row.state in states:
                return row
            await asyncio.sleep(0.02)


async def eventually(is_so: Callable[[], bool]) -> None:
    assert await asyncio.to_thread(waiting.until, is_so)


async def test_a_source_is_kept_until_it_is_prepared_and_no_longer(
    engine: AsyncEngine, tmp_path: Path, start: Server
) -> None:
    source = write(tmp_path / "a.wav", noise(2))
    asked_for = await ask_for(engine, tmp_path, source)
    refused = await ask_for(engine, tmp_path, write(tmp_path / "b.wav", noise(0.6)))
    assert len(list((tmp_path / "content" / "sources").glob("*"))) == 2
    await start()
    row = await until(engine, asked_for, DONE)
    assert preparations.result_of(row).seconds == pytest.approx(3, abs=0.2)
    assert "ngắn hơn 1 giây" in (await until(engine, refused, REFUSED)).detail
    await eventually(lambda: not (list((tmp_path / "content" / "sources").glob("*"))))


async def test_an_end_that_was_written_down_is_not_taken_for_a_lease_that_was_lost(
    engine: AsyncEngine, tmp_path: Path, start: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is renewed all the time, and removing the source takes as long as that."""
    monkeypatch.setattr(prepare_worker, "RENEW_SECONDS", 0.001)
    kept_sources = preparations.kept_sources

    async def slow(session: AsyncSession) -> set[str]:
        found = await kept_sources(session)
        await asyncio.sleep(0.5)
        return found

    monkeypatch.setattr(preparations, "kept_sources", slow)
    asked_for = await ask_for(engine, tmp_path, write(tmp_path / "a.wav", noise(2)))
    await start()
    await until(engine, asked_for, DONE)
    await eventually(lambda: not (list((tmp_path / "content" / "sources").glob("*"))))


async def test_an_emergency_passes_everything_that_is_in_preparation(
    engine: AsyncEngine, tmp_path: Path, start: Server
) -> None:
    """Both ordinary places are taken by long recordings; they stand still meanwhile."""
    for name in "ab":
        source = write(tmp_path / f"{name}.wav", noise(350))
        slow = await ask_for(engine, tmp_path, source)
    await start()
    await until(engine, slow, RUNNING)
    urgent = await ask_for(engine, tmp_path, "Nước lên, bà con sơ tán ngay.", "emergency")
    await until(engine, urgent, RUNNING)
    await eventually(lambda: sum(state == "T" for _, _, state in children(tmp_path)) == 2)
    mine = os.nice(0)
    assert not {n for _, n, state in children(tmp_path) if state != "T"} - {mine}
    await until(engine, urgent, DONE)
    await eventually(lambda: not (any(state == "T" for _, _, state in children(tmp_path))))
    assert {n for _, n, _ in children(tmp_path)} == {min(mine + NICENESS, 19)}
    async with db.transaction(engine) as session:
        assert (await session.get_one(Preparation, slow)).state is RUNNING


def children(content_dir: Path) -> list[tuple[int, int, str]]:
    """Process, niceness and state of every child at work in a store."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"{content_dir}/" in (entry / "environ").read_bytes().decode(errors="replace"):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                found.append((int(entry.name), int(fields[16]), fields[0]))
        except OSError:
            continue
    return found


async def test_a_cancelled_preparation_ends_at_once(
    engine: AsyncEngine, tmp_path: Path, start: Server
) -> None:
    row_id = await ask_for(engine, tmp_path, write(tmp_path / "a.wav", noise(350)))
    await start()
    await until(engine, row_id, RUNNING)
    await eventually(lambda: bool(children(tmp_path)))
    async with db.transaction(engine) as session:
        made = await bulletin(session)
        revision = await revisions.add(
            session, made, None, kind=SourceKind.UPLOAD, preparation_id=row_id, by=LAN, now=NOW
        )
        revision.state = RevisionState.WITHDRAWN
        await session.flush()
        await revision_audio.release_preparation(session, revision.preparation_id, NOW)
    await eventually(lambda: not children(tmp_path))
    assert (await until(engine, row_id, CANCELLED)).percent < 100


async def test_a_worker_that_ends_leaves_its_work_to_the_next(
    engine: AsyncEngine, tmp_path: Path, start: Server
) -> None:
    row_id = await ask_for(engine, tmp_path, "Xin chào bà con. " * 30)
    first = await start()
    await until(engine, row_id, RUNNING)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    row = await until(engine, row_id, WAITING)
    assert (row.attempts_count, row.locked_by) == (0, None)
    assert children(tmp_path) == []
    await start()
    await until(engine, row_id, DONE)


async def test_no_more_ordinary_work_at_once_than_there_are_places(
    engine: AsyncEngine, tmp_path: Path, start: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    working, most = 0, 0

    async def prepare_text(self: object, text: str, *_: Any) -> Prepared:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await asyncio.sleep(0.05)
        working -= 1
        raise InvalidInput("text", text)

    monkeypatch.setattr(sandbox.Child, "prepare_text", prepare_text)
    rows = [await ask_for(engine, tmp_path, f"tin {number}") for number in range(7)]
    await start()
    for row in rows:
        await until(engine, row, REFUSED)
    assert most == SETTINGS.at_once


async def test_a_fault_of_ours_is_tried_again(
    engine: AsyncEngine, tmp_path: Path, start: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0

    async def prepare_text(*_: Any) -> Prepared:
        nonlocal tried
        tried += 1
        if tried < 3:
            raise BroadcastError("đĩa đầy")
        return prepared(tmp_path / "content")

    monkeypatch.setattr(sandbox.Child, "prepare_text", prepare_text)
    monkeypatch.setattr(preparations, "FIRST_RETRY", timedelta(seconds=0.05))
    monkeypatch.setattr(prepare_worker, "POLL_SECONDS", 0.05)
    row_id = await ask_for(engine, tmp_path, "Xin chào.")
    await start()
    await until(engine, row_id, DONE)
    assert tried == 3


async def test_a_start_removes_what_a_killed_server_left(
    engine: AsyncEngine, tmp_path: Path, start: Server
) -> None:
    content_dir = tmp_path / "content"
    for name in (".prepare-x", "sources"):
        (content_dir / name).mkdir(parents=True)
    for name in (".upload-x", "sources/old", "sources/new"):
        (content_dir / name).touch()
    os.utime(content_dir / "sources/old", (1e9, 1e9))
    await start()
    await eventually(lambda: {p.name for p in content_dir.rglob("*")} == {"sources", "new"})
