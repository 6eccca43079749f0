"""The audit as a file that can be verified alone: JSON Lines.

The first line says what the file is and which hash comes before; then each entry with its number
and hash, `{"seq": 1, "hash": "…", "entry": {…}}`, where the text of the entry is byte for byte
what was hashed; at the end the signed checkpoints of these entries.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.audit.chain import START, Anchor, Finding, Link, Walk, anchored
from broadcast.audit.model import AuditCheckpoint, AuditEntry
from broadcast.auditing import checkpoints
from broadcast.auditing.checkpoints import Untrusted, Verifier
from broadcast.auditing.verify import CHUNK, Verdict, links
from broadcast.kit import db

FORMAT = "broadcast-audit/1"


class Head(msgspec.Struct):
    """The first line.

    Attributes:
        format: `FORMAT`.
        made_at: When the file was made.
        since: Entries from then on.
        until: Entries before then.
        first: Number of the first entry; 0: there is none.
        last: Number of the last entry.
        before: Hash before the first.
    """

    format: str
    made_at: datetime
    since: datetime
    until: datetime
    first: int
    last: int
    before: str


class _Line(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    seq: int = 0
    hash: str = ""
    entry: msgspec.Raw = msgspec.Raw()
    checkpoint: str = ""


class Span(NamedTuple):
    """The entries of a file."""

    first: int
    last: int
    before: str


async def span(session: AsyncSession, since: datetime, until: datetime) -> Span:
    """The entries of a time, without gaps: those that a late clock dated otherwise, too."""
    found = sa.select(sa.func.min(AuditEntry.seq), sa.func.max(AuditEntry.seq)).where(
        AuditEntry.at >= since, AuditEntry.at < until
    )
    first, last = (await session.execute(found)).one()
    if first is None or last is None:
        return Span(0, 0, START.hash)
    return Span(first, last, await _before(session, first))


async def _before(session: AsyncSession, first: int) -> str:
    before = await session.scalar(sa.select(AuditEntry.hash).where(AuditEntry.seq == first - 1))
    if before is not None:
        return before
    cut = sa.select(AuditCheckpoint.hash).where(
        AuditCheckpoint.is_cut, AuditCheckpoint.seq == first - 1
    )
    return await session.scalar(cut) or START.hash


async def lines(
    engine: AsyncEngine, of: Span, since: datetime, until: datetime, now: datetime
) -> AsyncIterator[bytes]:
    """The file, some lines at a time."""
    head = Head(FORMAT, now, since, until, *of)
    yield msgspec.json.encode(head) + b"\n"
    if not of.first:
        return
    # A transaction for each part: who reads slowly must not keep a connection.
    for first in range(of.first, of.last + 1, CHUNK):
        async with db.transaction(engine) as session:
            some = [
                link
                async for part in links(session, first, min(of.last, first + CHUNK - 1))
                for link in part
            ]
        yield b"".join(_written(link) for link in some)
    async with db.transaction(engine) as session:
        stored = await checkpoints.load(session, of.first, of.last)
    yield b"".join(
        msgspec.json.encode(_Line(checkpoint=each.signature)) + b"\n" for each in stored
    )


def _written(link: Link) -> bytes:
    line = _Line(link.seq, link.hash, msgspec.Raw(link.line.encode()))
    return msgspec.json.encode(line) + b"\n"


class Unreadable(Exception):
    """The file is no export of the audit; the text says why, for a person."""


def verify(
    text: Iterable[bytes], trusted: Verifier | None, anchors: Iterable[Anchor] = ()
) -> tuple[Head, Verdict]:
    """Look at every line of a file.

    Args:
        text: Its lines.
        trusted: Keys of the installation; None: signatures are not looked at.
        anchors: Entries that are known from elsewhere; those of another time tell nothing.

    Raises:
        Unreadable: It is none.
    """
    read = iter(text)
    try:
        head = msgspec.json.decode(next(read, b""), type=Head)
    except ValueError:
        raise Unreadable("dòng đầu không phải của một tệp xuất nhật ký") from None
    if head.format != FORMAT:
        raise Unreadable(f"định dạng {head.format[:50]} không đọc được; cần {FORMAT}")
    signatures: list[str] = []
    findings: list[Finding] = []
    after = Anchor(head.first - 1, head.before) if head.first else START
    signed = []
    links_found = [*_links(read, signatures)]
    if trusted is not None:
        for signature in signatures:
            try:
                signed.append(trusted.read(signature))
            except Untrusted as error:
                findings.append(Finding(None, str(error)))
    known = [each for each in anchors if head.first <= each.seq <= head.last]
    walk = Walk(after, {each.seq for each in signed} | {each.seq for each in known})
    findings += walk.over(links_found)
    if walk.last.seq != max(head.last, after.seq):
        findings.append(Finding(walk.last.seq, f"thiếu các dòng cuối, đến số {head.last}"))
    for each in signed:
        findings += anchored(each.anchor, walk, f"chữ ký số {each.number}")
    for anchor in known:
        findings += anchored(anchor, walk, "mốc đã cho")
    reach = max((each.seq for each in signed), default=0)
    return head, Verdict(walk.first_seq, walk.last, reach, len(signatures), findings)


def _links(text: Iterator[bytes], signatures: list[str]) -> Iterator[Link]:
    for number, raw in enumerate(text, 2):
        try:
            line = msgspec.json.decode(raw, type=_Line)
            entry = bytes(line.entry).decode()
        except ValueError:
            raise Unreadable(f"dòng {number} của tệp không đọc được") from None
        if line.checkpoint:
            signatures.append(line.checkpoint)
        else:
            yield Link(line.seq, line.hash, entry)
