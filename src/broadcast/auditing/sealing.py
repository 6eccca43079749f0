"""What the leader does for the audit: look at what is new, sign it, cut off what had its time."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.audit.chain import START, Anchor, Finding, Walk
from broadcast.audit.entry import Entry, Outcome, Who
from broadcast.audit.model import AuditCheckpoint, AuditEntry
from broadcast.audit.recording import add
from broadcast.auditing import checkpoints
from broadcast.auditing.verify import CHUNK, links
from broadcast.kit import db, failures
from broadcast.wire.envelope import SigningKey

log = structlog.get_logger()

SEQ = Gauge("broadcast_audit_seq", "Number of the newest signed entry; it never falls")

STEP = "audit"
"""Name under which what is wrong is reported."""

EVERY = timedelta(minutes=1)

SYSTEM = Who("(hệ thống)")


class Altered(Exception):
    """The stored audit is not what it was; the text says where."""


async def sign_new(engine: AsyncEngine, key: SigningKey, now: datetime) -> bool:
    """Sign the newest entry, once those since the last checkpoint have been looked at.

    What is wrong with them is reported, and signed all the same: the break stays for everybody to
    see, and what comes after it is protected again.

    Returns:
        Whether more is waiting.
    """
    async with db.transaction(engine) as session:
        before = await checkpoints.newest(session)
        after = START if before is None else Anchor(before.seq, before.hash)
        walk = Walk(after)
        findings = await _altered(session, after) if before else []
        async for some in links(session, walk.last.seq + 1, walk.last.seq + CHUNK):
            findings += walk.over(some)
        for each in findings:
            log.error("audit.chain.broken", seq=each.seq, detail=each.detail)
            await failures.record(session, STEP, f"dòng {each.seq}", Altered(each.detail), now)
        if walk.last == after:
            SEQ.set(after.seq)
            return False
        signed = await checkpoints.store(session, walk.last, key, now)
    SEQ.set(signed.seq)
    log.info("audit.checkpoint.signed", number=signed.number, seq=signed.seq, hash=signed.hash)
    return walk.last.seq - after.seq >= CHUNK


async def _altered(session: AsyncSession, signed: Anchor) -> list[Finding]:
    """What is wrong with the entry that was signed last."""
    row = await session.scalar(sa.select(AuditEntry).where(AuditEntry.seq == signed.seq))
    if row is not None and row.hash == signed.hash:
        return []
    cut = await _newest_cut(session)
    if row is None and cut is not None and cut.seq >= signed.seq:
        return []
    return [Finding(signed.seq, "dòng đã ký không còn như khi ký")]


async def _newest_cut(session: AsyncSession) -> AuditCheckpoint | None:
    rows = sa.select(AuditCheckpoint).where(AuditCheckpoint.is_cut)
    return await session.scalar(rows.order_by(AuditCheckpoint.number.desc()).limit(1))


async def cut_off(engine: AsyncEngine, key: SigningKey, keep: timedelta, now: datetime) -> int:
    """Delete entries that have had their time; returns how many.

    What is left begins after a signed cut, so that it can still be verified; an entry tells of it.
    """
    async with db.transaction(engine) as session:
        # The entries up to the first one that must stay: their order is that of the commits.
        kept = sa.select(sa.func.min(AuditEntry.seq)).where(AuditEntry.at >= now - keep)
        old = sa.select(AuditEntry).where(AuditEntry.at < now - keep, AuditEntry.seq.is_not(None))
        first_kept = await session.scalar(kept)
        if first_kept is not None:
            old = old.where(AuditEntry.seq < first_kept)
        last = await session.scalar(old.order_by(AuditEntry.seq.desc()).limit(1))
        if last is None or last.seq is None or last.hash is None:
            return 0
        await checkpoints.store(session, Anchor(last.seq, last.hash), key, now, is_cut=True)
        gone = sa.delete(AuditEntry).where(AuditEntry.seq <= last.seq)
        count = int((await session.execute(gone)).rowcount)  # type: ignore[attr-defined]
        await session.execute(sa.delete(AuditCheckpoint).where(AuditCheckpoint.seq < last.seq))
        details = {"deleted": count, "up_to": last.seq, "keep_days": keep.days}
        await add(
            session, Entry(now, SYSTEM, Outcome.DONE, "audit retention", details=details)
        )  # fmt: skip
    log.info("audit.entries.deleted", count=count, up_to=last.seq)
    return count
