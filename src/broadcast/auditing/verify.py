"""Finding whatever was altered, removed, put in between or reordered in the stored audit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.audit.chain import START, Anchor, Finding, Link, Walk, anchored
from broadcast.audit.entry import COLUMNS
from broadcast.audit.model import AuditCheckpoint, AuditEntry
from broadcast.auditing import checkpoints
from broadcast.auditing.checkpoints import Checkpoint, Untrusted, Verifier

CHUNK = 5000
"""Entries that are read at once."""

MOST_FINDINGS = 1000
"""After which nobody reads on."""


class Verdict(NamedTuple):
    """What was looked at and what is wrong with it.

    Attributes:
        first: Number of the first entry; None: there is none.
        last: The last entry.
        signed_seq: Number up to which the entries are signed.
        checkpoints_count: Signatures that were looked at.
        findings: What is wrong.
    """

    first: int | None
    last: Anchor
    signed_seq: int
    checkpoints_count: int
    findings: list[Finding]


async def links(
    session: AsyncSession, first: int, last: int | None = None
) -> AsyncIterator[list[Link]]:
    """The entries from a number on, in their order, some at a time."""
    while True:
        rows = sa.select(AuditEntry).where(AuditEntry.seq >= first)
        if last is not None:
            rows = rows.where(AuditEntry.seq <= last)
        found = (await session.scalars(rows.order_by(AuditEntry.seq).limit(CHUNK))).all()
        if not found:
            return
        yield [_link(row) for row in found]
        session.expunge_all()
        assert found[-1].seq is not None
        first = found[-1].seq + 1


def _link(row: AuditEntry) -> Link:
    assert row.seq is not None
    columns = {name: getattr(row, name) for name in COLUMNS}
    return Link(row.seq, row.hash or "", row.entry, columns)


async def verify(
    session: AsyncSession, trusted: Verifier | None, anchors: Iterable[Anchor] = ()
) -> Verdict:
    """Look at every entry and every checkpoint.

    Args:
        session: Of a transaction that sees one state of the database.
        trusted: Keys that checkpoints are signed with; None: signatures are not looked at.
        anchors: Entries that are known from elsewhere, such as a log or an export.
    """
    stored = await checkpoints.load(session)
    findings: list[Finding] = []
    signed = _signed(stored, trusted, findings)
    cut = next((each for each in reversed(signed) if each.is_cut), None)
    anchors = [*anchors]
    wanted = {each.seq for each in signed} | {each.seq for each in anchors}
    walk = Walk(START if cut is None else cut.anchor, wanted)
    async for some in links(session, 0):
        findings += walk.over(some)
        if len(findings) > MOST_FINDINGS:
            return Verdict(walk.first_seq, walk.last, 0, len(stored), findings[:MOST_FINDINGS])
    loose = await session.scalar(
        sa.select(sa.func.count()).select_from(AuditEntry).where(AuditEntry.seq.is_(None))
    )
    if loose:
        findings.append(Finding(None, f"{loose} dòng không có số thứ tự"))
    for each in signed:
        findings += anchored(each.anchor, walk, f"chữ ký số {each.number}")
    for anchor in anchors:
        findings += anchored(anchor, walk, "mốc đã cho")
    reach = max((each.seq for each in signed), default=0)
    return Verdict(walk.first_seq, walk.last, reach, len(stored), findings)


def _signed(
    stored: Sequence[AuditCheckpoint], trusted: Verifier | None, findings: list[Finding]
) -> list[Checkpoint]:
    """What is really signed; what is wrong with the rest is added to `findings`."""
    signed: list[Checkpoint] = []
    for row in stored:
        if trusted is None:
            signed.append(Checkpoint(row.number, row.seq, row.hash, row.is_cut, row.at))
            continue
        try:
            checkpoint = trusted.read(row.signature)
        except Untrusted as why:
            findings.append(Finding(row.seq, f"chữ ký số {row.number}: {why}"))
            continue
        if checkpoints.differing(row, checkpoint):
            findings.append(Finding(row.seq, f"chữ ký số {row.number} là của dòng khác"))
        signed.append(checkpoint)
    # Those before the newest cut are deleted with their entries.
    before = next((row.number for row in reversed(stored) if row.is_cut), 1) - 1
    for row in stored:
        if row.number > before + 1:
            missing = f"từ số {before + 1} đến số {row.number - 1}"
            findings.append(Finding(None, f"thiếu chữ ký {missing}"))
        before = max(before, row.number)
    return signed
