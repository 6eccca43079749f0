"""Whatever is done to the stored audit is found."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.audit.chain import START, Anchor, Walk
from broadcast.audit.recording import add
from broadcast.auditing.checkpoints import Verifier
from broadcast.auditing.verify import Verdict, verify
from broadcast.kit import db
from broadcast.wire.envelope import SigningKey
from tests.auditing.worlds import COUNT, TRUSTED, append, build, chain_anew, entry, unguarded

CHANGES = 1000


@pytest.fixture
async def stored(engine: AsyncEngine) -> AsyncEngine:
    await build(engine)
    return engine


async def look(engine: AsyncEngine, *anchors: Anchor) -> Verdict:
    async with db.transaction(engine) as session:
        return await verify(session, TRUSTED, anchors)


async def run(session: AsyncSession, statement: str, **values: object) -> None:
    result = await session.execute(sa.text(statement), values)
    assert result.rowcount, statement  # type: ignore[attr-defined]


# --- what somebody may do ----------------------------------------------------------------------

Attack = Callable[[AsyncSession, random.Random], Awaitable[None]]


async def alter_text(session: AsyncSession, rng: random.Random) -> None:
    seq = rng.randint(1, COUNT)
    line = await session.scalar(
        sa.text("SELECT entry FROM audit_entries WHERE seq = :n"), {"n": seq}
    )
    at = rng.randrange(len(line))
    letter = chr(ord(line[at]) ^ 1)
    altered = line[:at] + letter + line[at + 1 :]
    await run(session, "UPDATE audit_entries SET entry = :e WHERE seq = :n", e=altered, n=seq)


async def alter_column(session: AsyncSession, rng: random.Random) -> None:
    change = rng.choice([
        "at = at + interval '1 microsecond'", "account_id = account_id + 1", "account_id = NULL",
        "name = name || ' '", "action = 'GET /'", "objects = '{}'", "areas = '{51}'",
        "outcome = CASE outcome WHEN 'done' THEN 'refused' ELSE 'done' END",
        "areas = areas || '{01}'", "objects = objects[2:]",
    ])  # fmt: skip
    seq = rng.randint(1, COUNT)
    await run(session, f"UPDATE audit_entries SET {change} WHERE seq = :n", n=seq)


async def alter_hash(session: AsyncSession, rng: random.Random) -> None:
    hash_ = f"{rng.getrandbits(256):064x}"
    await run(
        session, "UPDATE audit_entries SET hash = :h WHERE seq = :n",
        h=hash_, n=rng.randint(1, COUNT),
    )  # fmt: skip


async def remove(session: AsyncSession, rng: random.Random) -> None:
    first = rng.randint(1, COUNT)
    last = rng.choice([first, rng.randint(first, COUNT), COUNT])
    await run(session, "DELETE FROM audit_entries WHERE seq BETWEEN :a AND :b", a=first, b=last)


async def remove_all(session: AsyncSession, rng: random.Random) -> None:
    del rng
    await run(session, "DELETE FROM audit_entries")


async def remove_and_renumber(session: AsyncSession, rng: random.Random) -> None:
    await run(session, "DELETE FROM audit_entries WHERE seq = :n", n=rng.randint(1, COUNT))
    await chain_anew(session)


async def alter_and_chain_anew(session: AsyncSession, rng: random.Random) -> None:
    await alter_text(session, rng)
    await chain_anew(session)


async def insert_and_chain_anew(session: AsyncSession, rng: random.Random) -> None:
    await add(session, entry(rng.randint(1, COUNT)))
    after = rng.randint(0, COUNT - 1)
    await run(
        session,
        "UPDATE audit_entries SET seq = seq + 1000 WHERE seq > :n", n=after,
    )  # fmt: skip
    await run(session, "UPDATE audit_entries SET seq = :n WHERE seq IS NULL", n=after + 1)
    await chain_anew(session)


async def reorder(session: AsyncSession, rng: random.Random) -> None:
    one, other = rng.sample(range(1, COUNT + 1), 2)
    what = rng.choice(["seq", "whole", "text"])
    for source, target in ((one, -1), (other, one), (-1, other)):
        await run(session, "UPDATE audit_entries SET seq = :t WHERE seq = :s", s=source, t=target)
    if what == "whole":
        await chain_anew(session)
    elif what == "text":
        await run(
            session,
            "UPDATE audit_entries a SET hash = b.hash FROM audit_entries b"
            " WHERE (a.seq, b.seq) IN ((:x, :y), (:y, :x))",
            x=one, y=other,
        )  # fmt: skip


async def put_at_the_end(session: AsyncSession, rng: random.Random) -> None:
    seq = rng.randint(1, COUNT - 1)
    await run(session, "UPDATE audit_entries SET seq = :t WHERE seq = :n", n=seq, t=COUNT + 1)


async def insert_without_a_number(session: AsyncSession, rng: random.Random) -> None:
    await add(session, entry(rng.randint(1, COUNT)))


async def remove_checkpoint(session: AsyncSession, rng: random.Random) -> None:
    await run(session, "DELETE FROM audit_checkpoints WHERE number = :n", n=rng.randint(1, 3))


async def alter_checkpoint(session: AsyncSession, rng: random.Random) -> None:
    change = rng.choice([
        "seq = seq - 1", "hash = repeat('0', 64)", "is_cut = true", "at = at + interval '1 s'",
        "number = number + 10", "signature = ''", "signature = 'a.b.c'",
    ])  # fmt: skip
    number = rng.randint(1, 4)
    await run(session, f"UPDATE audit_checkpoints SET {change} WHERE number = :n", n=number)


async def alter_signature(session: AsyncSession, rng: random.Random) -> None:
    number = rng.randint(1, 4)
    text = await session.scalar(
        sa.text("SELECT signature FROM audit_checkpoints WHERE number = :n"), {"n": number}
    )
    at = rng.randrange(len(text))
    letter = "A" if text[at] != "A" else "B"
    altered = text[:at] + letter + text[at + 1 :]
    await run(
        session, "UPDATE audit_checkpoints SET signature = :s WHERE number = :n",
        s=altered, n=number,
    )  # fmt: skip


async def cut_off_with_checkpoints(session: AsyncSession, rng: random.Random) -> None:
    """Only what is known from elsewhere tells of it: `verify` is given the end."""
    kept = rng.randint(1, COUNT - 1)
    await run(session, "DELETE FROM audit_entries WHERE seq > :n", n=kept)
    await run(session, "DELETE FROM audit_checkpoints WHERE seq > :n", n=kept)


ATTACKS: tuple[Attack, ...] = (
    alter_text, alter_column, alter_hash, remove, remove_all, remove_and_renumber,
    alter_and_chain_anew, insert_and_chain_anew, reorder, put_at_the_end,
    insert_without_a_number, remove_checkpoint, alter_checkpoint, alter_signature,
    cut_off_with_checkpoints,
)  # fmt: skip


async def test_each_of_a_thousand_random_changes_is_found(stored: AsyncEngine) -> None:
    whole = await look(stored)
    assert whole.findings == []
    assert (whole.first, whole.last.seq, whole.signed_seq) == (1, COUNT, COUNT)
    rng = random.Random(17)
    missed = []
    for number in range(CHANGES):
        attack = ATTACKS[number % len(ATTACKS)]
        async with db.transaction(stored) as session:
            await unguarded(session)
            await attack(session, rng)
            verdict = await verify(session, TRUSTED, [whole.last])
            if not verdict.findings:
                missed.append((number, attack.__name__))
            await session.rollback()
    assert missed == []
    assert (await look(stored)).findings == []


async def test_the_place_is_named(stored: AsyncEngine) -> None:
    async with db.transaction(stored) as session:
        await unguarded(session)
        await run(session, "UPDATE audit_entries SET entry = '{}' WHERE seq = 17")
        verdict = await verify(session, TRUSTED)
        await session.rollback()
    assert {each.seq for each in verdict.findings} == {17}


async def test_the_end_is_missed_as_soon_as_it_was_signed(stored: AsyncEngine) -> None:
    await append(stored, COUNT + 1, COUNT + 2)
    unsigned = await look(stored)
    assert unsigned.findings == []
    assert (unsigned.last.seq, unsigned.signed_seq) == (COUNT + 2, COUNT)
    async with db.transaction(stored) as session:
        await unguarded(session)
        await run(session, "DELETE FROM audit_entries WHERE seq > :n", n=COUNT)
        assert (await verify(session, TRUSTED)).findings == []
        assert (await verify(session, TRUSTED, [unsigned.last])).findings
        await session.rollback()


async def test_signatures_of_a_strange_key_are_none(stored: AsyncEngine) -> None:
    strange = Verifier([SigningKey.generate("programme").public()])
    async with db.transaction(stored) as session:
        verdict = await verify(session, strange)
    assert len(verdict.findings) == 4
    assert verdict.signed_seq == 0
    assert "khóa lạ" in verdict.findings[0].detail


async def test_without_keys_the_chain_is_looked_at_all_the_same(stored: AsyncEngine) -> None:
    async with db.transaction(stored) as session:
        await unguarded(session)
        assert (await verify(session, None)).findings == []
        await run(session, "DELETE FROM audit_entries WHERE seq = 3")
        assert (await verify(session, None)).findings
        await session.rollback()


async def test_an_empty_audit_is_whole(engine: AsyncEngine) -> None:
    verdict = await look(engine)
    assert (verdict.findings, verdict.first, verdict.last) == ([], None, START)


def test_a_walk_begins_after_its_anchor() -> None:
    assert Walk(Anchor(7, "ab" * 32)).last.seq == 7
