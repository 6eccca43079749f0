"""The audit as a file: whole, verified alone, and every change of it found."""

from __future__ import annotations

import hashlib
import json
import random
from datetime import datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.audit.chain import Anchor
from broadcast.auditing import export, sealing
from broadcast.auditing.export import Unreadable
from broadcast.kit import db
from tests.auditing.worlds import COUNT, KEY, NOW, TRUSTED, append, build

LATER = NOW + timedelta(days=1)


async def exported(engine: AsyncEngine, since: datetime, until: datetime = LATER) -> list[bytes]:
    async with db.transaction(engine) as session:
        span = await export.span(session, since, until)
    parts = [part async for part in export.lines(engine, span, since, until, LATER)]
    return b"".join(parts).splitlines(keepends=True)


async def test_a_part_is_verified_alone(engine: AsyncEngine) -> None:
    await build(engine)
    text = await exported(engine, NOW + timedelta(minutes=15), NOW + timedelta(minutes=36))
    head, verdict = export.verify(text, TRUSTED)
    assert (head.first, head.last) == (15, 35)
    assert (verdict.first, verdict.last.seq, verdict.findings) == (15, 35, [])
    assert (verdict.signed_seq, verdict.checkpoints_count) == (30, 2)


async def test_anybody_can_verify_it_with_sha256_alone(engine: AsyncEngine) -> None:
    await build(engine)
    head, *lines = [line.rstrip(b"\n") for line in await exported(engine, NOW)]
    before, count = json.loads(head)["before"], 0
    for line in lines:
        if not line.startswith(b'{"seq":'):
            continue
        seq, hash_ = json.loads(line)["seq"], json.loads(line)["hash"]
        text = line.partition(b',"entry":')[2].removesuffix(b"}")
        before = hashlib.sha256(f"{before} {seq} ".encode() + text).hexdigest()
        assert before == hash_
        count += 1
    assert count == COUNT


async def test_parts_of_a_large_file_follow_each_other(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await build(engine)
    monkeypatch.setattr(export, "CHUNK", 7)
    _, verdict = export.verify(await exported(engine, NOW), TRUSTED)
    assert (verdict.first, verdict.last.seq, verdict.findings) == (1, COUNT, [])


async def test_a_part_after_a_cut_is_verified_alone(engine: AsyncEngine) -> None:
    await build(engine)
    now = NOW + timedelta(days=10, minutes=26)
    await sealing.cut_off(engine, KEY, timedelta(days=10), now)
    _, verdict = export.verify(await exported(engine, NOW), TRUSTED)
    assert (verdict.first, verdict.findings) == (26, [])


async def test_a_file_that_was_made_anew_is_held_against_an_anchor(engine: AsyncEngine) -> None:
    await append(engine, 1, 5)
    head, *lines = await exported(engine, NOW)
    before, forged = "0" * 64, [head]
    for number, line in enumerate(lines, 1):
        text = line.partition(b',"entry":')[2].rstrip(b"\n").removesuffix(b"}")
        text = text.replace("Người 3".encode(), "Người 4".encode())
        before = hashlib.sha256(f"{before} {number} ".encode() + text).hexdigest()
        forged.append(b'{"seq":%d,"hash":"%s","entry":%s}\n' % (number, before.encode(), text))
    anchor = Anchor(4, json.loads(lines[3])["hash"])
    assert export.verify(forged, TRUSTED)[1].findings == []
    assert [each.seq for each in export.verify(forged, TRUSTED, [anchor])[1].findings] == [4]
    elsewhere = Anchor(9, anchor.hash)
    assert export.verify([head, *lines], TRUSTED, [anchor, elsewhere])[1].findings == []


async def test_a_time_without_entries_is_an_empty_file(engine: AsyncEngine) -> None:
    await append(engine, 1, 2)
    text = await exported(engine, LATER, LATER + timedelta(days=1))
    assert len(text) == 1
    assert export.verify(text, TRUSTED)[1].findings == []


async def test_each_of_a_thousand_random_changes_to_a_file_is_found(engine: AsyncEngine) -> None:
    await build(engine)
    text = await exported(engine, NOW)
    rng = random.Random(5)
    missed = []
    for number in range(1000):
        altered = [*text]
        at = rng.randrange(1, len(text))
        match number % 4:
            case 0:
                place = rng.randrange(len(text[at]) - 1)
                line = bytearray(text[at])
                line[place] ^= 1 << rng.randrange(7)
                altered[at] = bytes(line)
            case 1:
                del altered[min(at, COUNT)]
            case 2:
                other = rng.choice([n for n in range(1, COUNT + 1) if n != at])
                altered[min(at, COUNT)], altered[other] = altered[other], altered[min(at, COUNT)]
                if altered == text:
                    altered.pop()
                    del altered[other]
            case _:
                del altered[rng.randrange(1, COUNT + 1) : COUNT + 1]
        try:
            findings = export.verify(altered, TRUSTED)[1].findings
        except Unreadable:
            continue
        if not findings:
            missed.append((number, at))
    assert missed == []


@pytest.mark.parametrize("text", [[], [b"x\n"], [b"{}\n"], [b'{"format":"other/1"}\n']])
def test_what_is_no_export_is_told(text: list[bytes]) -> None:
    with pytest.raises(Unreadable):
        export.verify(text, TRUSTED)
