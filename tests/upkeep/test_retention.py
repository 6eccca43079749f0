"""What grows without end is deleted by age, a bounded number at a time; proof is kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.accounts.model import OneTimeLink, Purpose, SignInFailures
from broadcast.alerts.cap.judge import Action
from broadcast.alerts.cap.model import CapMessage
from broadcast.auth.session import AccountSession, Method
from broadcast.bulletins.model import Draft
from broadcast.commands.model import Command, CommandResult
from broadcast.commands.state import CommandKind
from broadcast.kit import db
from broadcast.kit.db import Base
from broadcast.telemetry.model import (
    Boot,
    DeadLetterRow,
    HealthProgress,
    Readiness,
    Receipt,
    Refusal,
)
from broadcast.upkeep import retention
from broadcast.upkeep.retention import delete_old
from tests.callers import LAN
from tests.devices.fleet import EIGHT, enrol

SETTINGS = config.Upkeep()
DAY = timedelta(days=1)


async def rows(engine: AsyncEngine, table: str) -> int:
    async with db.transaction(engine) as session:
        return await session.scalar(sa.text(f"SELECT count(*) FROM {table}")) or 0


def letter(at: datetime) -> DeadLetterRow:
    return DeadLetterRow(
        received_at=at, topic="t", size_bytes=1, payload=b"x", field="$", reason="bad"
    )


def row(table: str, device_id: int, number: int, at: datetime) -> Base:
    """A row of a table whose time began at a moment."""
    of_device: dict[str, Any] = {"device_id": device_id, "received_at": at}
    made: dict[str, Callable[[], Base]] = {
        "boots": lambda: Boot(
            session=number + 1, sent_at=at, reason="reset", body={}, **of_device
        ),
        "bulletin_drafts": lambda: Draft(
            account_id=LAN, page=f"{number}", form={}, source_file=None, source_sha256=None,
            preparation_id=None, saved_at=at,
        ),
        "cap_messages": lambda: CapMessage(
            sha256=f"{number}", document=b"x", received_at=at, received_by=LAN, alert_id=None,
            sender=None, identifier=None, sent_at=None, status=None, action=Action.REFUSE,
            reasons=[], issuer="", event="", texts=[], area_codes=[], starts_at=None,
            ends_at=None, ends=[], ended_by_id=None,
        ),
        "commands": lambda: Command(
            command_id=f"c{number}", device_id=device_id, kind=CommandKind.SELF_TEST,
            ordered_by=LAN, ordered_at=at, not_after=at,
        ),
        "command_results": lambda: CommandResult(
            command_id=f"c{number}", result="done", sent_at=at, **of_device
        ),
        "dead_letters": lambda: letter(at),
        "health_progress": lambda: HealthProgress(hour=at, beats=1, done_at=at),
        "one_time_links": lambda: OneTimeLink(
            purpose=Purpose.INVITE, account_id=LAN, token_sha256=f"{number}", created_at=at,
            expires_at=at, used_at=None,
        ),
        "readiness": lambda: Readiness(
            occurrence_id=uuid4(), bulletin_revision=1, state="ready", sent_at=at, **of_device
        ),
        "receipts": lambda: Receipt(
            document="area/51/programme", revision=number + 1, **of_device
        ),
        "refusals": lambda: Refusal(topic="t", reason="key", sent_at=at, **of_device),
        "sessions": lambda: AccountSession(
            account_id=LAN, token_sha256=f"{number}", method=Method.PASSWORD, created_at=at,
            last_used_at=at, expires_at=at, ended_at=None, second_factor_at=None,
            address="192.0.2.1", network="192.0.2.1", agent="",
        ),
        "sign_in_failures": lambda: SignInFailures(
            login_sha256=f"{number}", network="192.0.2.1", attempts=1, last_at=at
        ),
    }  # fmt: skip
    return made[table]()


async def test_each_table_loses_what_is_older_than_its_setting(engine: AsyncEngine) -> None:
    kept = retention.keep_days(SETTINGS)
    async with db.transaction(engine) as session:
        (device,) = await enrol(session, "A")
        session.add_all(
            row(table, device.id, number, EIGHT - age * DAY)
            for table, days in kept.items()
            for number, age in enumerate((days + 1, days - 1))
        )
    assert await delete_old(engine, SETTINGS, EIGHT) == dict.fromkeys(kept, 1)
    assert [await rows(engine, table) for table in kept] == [1] * len(kept)
    assert await delete_old(engine, SETTINGS, EIGHT) == dict.fromkeys(kept, 0)


async def test_what_a_device_holds_now_is_known_however_old(engine: AsyncEngine) -> None:
    long_ago = EIGHT - 1000 * DAY
    async with db.transaction(engine) as session:
        (device,) = await enrol(session, "A")
        for document in ("area/51/programme", "device/A/config"):
            for revision in (1, 2, 3):
                session.add(
                    Receipt(
                        device_id=device.id, document=document, revision=revision,
                        received_at=long_ago,
                    )
                )  # fmt: skip
        for number in (1, 2):
            session.add(
                Boot(
                    device_id=device.id, session=number, sent_at=long_ago, received_at=long_ago,
                    reason="reset", body={},
                )
            )  # fmt: skip
    await delete_old(engine, SETTINGS, EIGHT)
    async with db.transaction(engine) as session:
        assert set(await session.scalars(sa.select(Receipt.revision))) == {3}
        assert list(await session.scalars(sa.select(Boot.session))) == [2]
    assert await rows(engine, "receipts") == 2


async def test_a_backlog_goes_in_chunks_each_of_its_own_transaction(engine: AsyncEngine) -> None:
    async with db.transaction(engine) as session:
        session.add_all(letter(EIGHT - 40 * DAY) for _ in range(25))
    deletes = 0

    def count(_: object, __: object, statement: str, *___: object) -> None:
        nonlocal deletes
        deletes += "DELETE FROM dead_letters" in statement

    sa.event.listen(engine.sync_engine, "before_cursor_execute", count)
    assert (await delete_old(engine, SETTINGS, EIGHT, chunk=10))["dead_letters"] == 25
    assert deletes == 3
    assert await rows(engine, "dead_letters") == 0


async def test_a_row_that_somebody_holds_is_left_for_the_next_time(engine: AsyncEngine) -> None:
    async with db.transaction(engine) as session:
        session.add_all(letter(EIGHT - 40 * DAY) for _ in range(2))
    async with db.transaction(engine) as holder:
        await holder.execute(sa.text("SELECT * FROM dead_letters LIMIT 1 FOR UPDATE"))
        assert (await delete_old(engine, SETTINGS, EIGHT))["dead_letters"] == 1
    assert (await delete_old(engine, SETTINGS, EIGHT))["dead_letters"] == 1


def test_proof_is_in_no_list() -> None:
    proof = {
        "journal_records", "plays", "play_changes", "online_minutes", "presence_changes",
        "listening_spans", "faults",
    }  # fmt: skip
    assert not proof & retention.keep_days(SETTINGS).keys()
