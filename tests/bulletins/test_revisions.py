"""Revisions as rows: numbered without gaps, moved by one person at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Role
from broadcast.bulletins import revisions
from broadcast.bulletins.approval import Action
from broadcast.bulletins.model import ApprovalStep, RevisionState, SourceKind
from broadcast.kit import db
from broadcast.kit.errors import Conflict, Forbidden, NotFound
from broadcast.wire.fields import Codec
from tests.bulletins.make import NOW, bulletin, prepared, revision
from tests.callers import LAN, caller

DRAFT, SUBMITTED, APPROVED, RETURNED, WITHDRAWN = RevisionState
HUNG = caller("Hùng", Role.PROVINCE_APPROVER)
MAI = caller("Mai", Role.PROVINCE_APPROVER)


async def test_revisions_are_numbered_from_one(session: AsyncSession, tmp_path: Path) -> None:
    made, sound = await bulletin(session), prepared(tmp_path)
    numbers = [(await revision(session, made, sound)).number for _ in range(3)]
    assert numbers == [1, 2, 3]
    assert [r.number for r in await revisions.of_bulletin(session, made.id)] == [3, 2, 1]


async def test_revisions_that_come_at_once_get_different_numbers(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    sound = prepared(tmp_path)
    async with db.transaction(engine) as session:
        made = await bulletin(session)

    async def add() -> int:
        async with db.transaction(engine) as session:
            return (await revision(session, made, sound)).number

    assert sorted(await asyncio.gather(*(add() for _ in range(5)))) == [1, 2, 3, 4, 5]


async def test_what_preparation_found_is_kept(session: AsyncSession, tmp_path: Path) -> None:
    made = await bulletin(session)
    await revisions.add(
        session,
        made,
        prepared(tmp_path),
        kind=SourceKind.TEXT,
        text="Kính báo.",
        by=LAN,
        now=NOW,
    )
    stored = await revisions.get_revision(session, made.id, 1)
    await session.refresh(stored)
    assert (stored.state, stored.seconds, stored.loudness_lufs) == (DRAFT, 61.5, -16.1)
    assert stored.facts["trimmed_seconds"] == 1.25
    kept = await revisions.renditions(session, [(made.id, 1)])
    assert [(r.codec, r.size_bytes) for r in kept[made.id, 1]] == [(Codec.OPUS, 4), (Codec.MP3, 3)]


async def test_every_step_is_kept_with_its_actor(session: AsyncSession, tmp_path: Path) -> None:
    made = await bulletin(session)
    key = (made.id, (await revision(session, made, prepared(tmp_path))).number)
    lan = caller("Lan", Role.PROVINCE_EDITOR)
    await revisions.move(session, key, Action.SUBMIT, lan, "", NOW)
    await revisions.move(session, key, Action.RETURN, HUNG, " sai ngày ", NOW)
    steps = (await revisions.steps(session, made.id))[1]
    assert [(step.state, step.actor, step.note) for step in steps] == [
        (DRAFT, LAN, ""),
        (SUBMITTED, LAN, ""),
        (RETURNED, HUNG.account_id, "sai ngày"),
    ]


async def test_of_two_approvers_at_once_the_second_is_told(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    async with db.transaction(engine) as session:
        made = await bulletin(session)
        await revision(session, made, prepared(tmp_path), SUBMITTED)

    async def approve(caller: Caller) -> str:
        try:
            async with db.transaction(engine) as session:
                await revisions.move(session, (made.id, 1), Action.APPROVE, caller, "", NOW)
                await session.execute(sa.text("SELECT pg_sleep(0.05)"))
        except Conflict as conflict:
            return str(conflict.extra["state"])
        return "done"

    answers = await asyncio.gather(approve(HUNG), approve(MAI), approve(HUNG))
    assert sorted(answers) == ["approved", "approved", "done"]
    async with db.transaction(engine) as session:
        steps = await session.scalars(
            sa.select(ApprovalStep).where(ApprovalStep.state == APPROVED)
        )
        assert len(steps.all()) == 1


async def test_a_refused_step_leaves_no_trace(session: AsyncSession, tmp_path: Path) -> None:
    made = await bulletin(session)
    await revision(session, made, prepared(tmp_path), SUBMITTED)
    with pytest.raises(Forbidden):
        await revisions.move(
            session,
            (made.id, 1),
            Action.APPROVE,
            caller("Lan", Role.PROVINCE_EDITOR),
            "",
            NOW,
        )
    assert (await revisions.get_revision(session, made.id, 1)).state is SUBMITTED
    assert len((await revisions.steps(session, made.id))[1]) == 1


async def test_only_what_is_approved_now_may_go_on_air(
    session: AsyncSession, tmp_path: Path
) -> None:
    made, sound = await bulletin(session), prepared(tmp_path)
    for state in (APPROVED, APPROVED, SUBMITTED, WITHDRAWN, RETURNED, DRAFT):
        await revision(session, made, sound, state)
    keys = [(made.id, number) for number in range(1, 8)]
    assert set(await revisions.approved_renditions(session, keys)) == {(made.id, 1), (made.id, 2)}
    newest = await revisions.newest_approved(session, made.id)
    assert newest is not None
    assert newest.number == 2
    await revisions.move(session, (made.id, 2), Action.WITHDRAW, HUNG, "", NOW)
    assert set(await revisions.approved_renditions(session, keys)) == {(made.id, 1)}


async def test_a_bulletin_without_approval_has_nothing_for_the_air(
    session: AsyncSession, tmp_path: Path
) -> None:
    made = await bulletin(session)
    await revision(session, made, prepared(tmp_path))
    assert await revisions.newest_approved(session, made.id) is None
    assert await revisions.approved_renditions(session, []) == {}
    assert await revisions.renditions(session, []) == {}


async def test_what_does_not_exist_is_named(session: AsyncSession) -> None:
    with pytest.raises(NotFound, match="bản tin"):
        await revisions.get_bulletin(session, uuid4())
    with pytest.raises(NotFound, match="phiên bản 9"):
        await revisions.get_revision(session, uuid4(), 9)
