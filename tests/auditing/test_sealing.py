"""What the leader does: signs what is new, tells of what is broken, cuts off what had its time."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from broadcast.audit.entry import decode
from broadcast.audit.model import AuditEntry
from broadcast.auditing import checkpoints, sealing
from broadcast.auditing.checkpoints import Checkpoint, Untrusted, Verifier, sign
from broadcast.auditing.verify import verify
from broadcast.kit import db
from broadcast.kit.failures import Failure
from broadcast.wire import WireError, envelope
from broadcast.wire.envelope import SigningKey
from tests.auditing.worlds import COUNT, KEY, NOW, TRUSTED, append, build, unguarded


async def failures(engine: AsyncEngine) -> list[str]:
    async with db.transaction(engine) as session:
        return list(await session.scalars(sa.select(Failure.subject)))


async def test_nothing_new_is_not_signed_again(engine: AsyncEngine) -> None:
    await append(engine, 1, 3)
    with capture_logs() as logs:
        for _ in range(2):
            assert not await sealing.sign_new(engine, KEY, NOW)
    async with db.transaction(engine) as session:
        (row,) = await checkpoints.load(session)
    assert (row.number, row.seq, row.is_cut) == (1, 3, False)
    assert TRUSTED.read(row.signature).anchor == (3, row.hash)
    assert [(each["event"], each["seq"], each["hash"]) for each in logs] == [
        ("audit.checkpoint.signed", 3, row.hash)
    ]


async def test_a_backlog_is_signed_in_parts(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "CHUNK", 2)
    await append(engine, 1, 5)
    more = [await sealing.sign_new(engine, KEY, NOW) for _ in range(3)]
    async with db.transaction(engine) as session:
        verdict = await verify(session, TRUSTED)
    assert more == [True, True, False]
    assert (verdict.signed_seq, verdict.checkpoints_count, verdict.findings) == (5, 3, [])


@pytest.mark.parametrize(
    ("statement", "subject"),
    [
        ("UPDATE audit_entries SET entry = '{}' WHERE seq = 42", "dòng 42"),
        ("DELETE FROM audit_entries WHERE seq = 42", "dòng 43"),
        ("DELETE FROM audit_entries WHERE seq >= 38", "dòng 40"),
    ],
)
async def test_what_is_broken_is_an_alarm_and_the_rest_goes_on(
    engine: AsyncEngine, statement: str, subject: str
) -> None:
    await build(engine)
    await append(engine, COUNT + 1, COUNT + 3)
    async with db.transaction(engine) as session:
        await unguarded(session)
        await session.execute(sa.text(statement))
    with capture_logs() as logs:
        await sealing.sign_new(engine, KEY, NOW)
        await append(engine, 1, 2)
        await sealing.sign_new(engine, KEY, NOW)
    assert subject in await failures(engine)
    assert "audit.chain.broken" in {each["event"] for each in logs}
    async with db.transaction(engine) as session:
        verdict = await verify(session, TRUSTED)
    assert verdict.findings
    assert verdict.signed_seq >= verdict.last.seq


async def test_what_had_its_time_is_cut_off_and_the_rest_can_be_verified(
    engine: AsyncEngine,
) -> None:
    await build(engine)
    now = NOW + timedelta(days=10, minutes=26)
    assert await sealing.cut_off(engine, KEY, timedelta(days=10), now) == 25
    assert await sealing.cut_off(engine, KEY, timedelta(days=10), now) == 0
    await append(engine, 1, 2)
    await sealing.sign_new(engine, KEY, now)
    async with db.transaction(engine) as session:
        verdict = await verify(session, TRUSTED)
        told = await session.scalar(sa.select(AuditEntry.entry).where(AuditEntry.seq == COUNT + 1))
    assert (verdict.first, verdict.last.seq, verdict.findings) == (26, COUNT + 3, [])
    assert told is not None
    assert decode(told).details == {"deleted": 25, "up_to": 25, "keep_days": 10}
    assert await failures(engine) == []


async def test_everything_may_have_had_its_time(engine: AsyncEngine) -> None:
    await build(engine)
    now = NOW + timedelta(days=100)
    assert await sealing.cut_off(engine, KEY, timedelta(days=1), now) == COUNT
    await sealing.sign_new(engine, KEY, now)
    async with db.transaction(engine) as session:
        verdict = await verify(session, TRUSTED)
    assert (verdict.first, verdict.last.seq, verdict.findings) == (COUNT + 1, COUNT + 1, [])


@pytest.mark.parametrize("first", [26, 27, COUNT])
async def test_what_is_removed_behind_a_cut_is_found(engine: AsyncEngine, first: int) -> None:
    await build(engine)
    now = NOW + timedelta(days=10, minutes=26)
    await sealing.cut_off(engine, KEY, timedelta(days=10), now)
    async with db.transaction(engine) as session:
        await unguarded(session)
        await session.execute(sa.text("DELETE FROM audit_entries WHERE seq = :n"), {"n": first})
        verdict = await verify(session, TRUSTED)
    assert verdict.findings


# --- the signature -----------------------------------------------------------------------------

CHECKPOINT = Checkpoint(3, 40, "ab" * 32, is_cut=False, at=NOW)


def test_a_checkpoint_reads_back() -> None:
    assert TRUSTED.read(sign(CHECKPOINT, KEY)) == CHECKPOINT


def test_every_letter_of_a_signature_counts() -> None:
    text = sign(CHECKPOINT, KEY)
    for at in range(len(text)):
        letter = "A" if text[at] != "A" else "B"
        with pytest.raises(Untrusted):
            TRUSTED.read(text[:at] + letter + text[at + 1 :])


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "é.b.c", "....", "e30.e30.e30"])
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(Untrusted):
        TRUSTED.read(text)


def test_no_device_takes_a_checkpoint_for_a_document() -> None:
    device = envelope.Verifier([KEY.public()])
    token = sign(CHECKPOINT, KEY).encode()
    with pytest.raises(WireError):
        device.document(token)
    with pytest.raises(WireError):
        device.command(token)


def test_no_document_is_taken_for_a_checkpoint() -> None:
    header, payload, _ = sign(CHECKPOINT, KEY).split(".")
    plain = checkpoints._encoded(b'{"alg":"Ed25519","kid":"%s"}' % KEY.kid.encode())
    signed = f"{plain}.{payload}"
    token = f"{signed}.{checkpoints._encoded(KEY.sign_bytes(signed.encode()))}"
    assert header != plain
    with pytest.raises(Untrusted, match="không phải chữ ký của nhật ký"):
        TRUSTED.read(token)


def test_another_key_is_told_apart() -> None:
    other = SigningKey.generate("programme")
    with pytest.raises(Untrusted, match="khóa lạ"):
        Verifier([other.public()]).read(sign(CHECKPOINT, KEY))
