"""A stored audit that is chained and signed, and what somebody with the database may do to it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.audit.entry import Change, Entry, Origin, Outcome, Who
from broadcast.audit.recording import add
from broadcast.auditing import sealing
from broadcast.auditing.checkpoints import Verifier
from broadcast.kit import db
from broadcast.wire.envelope import SigningKey

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
KEY = SigningKey.generate("programme")
TRUSTED = Verifier([KEY.public()])
COUNT, SIGNED_EVERY = 40, 10


def entry(number: int, at: datetime | None = None) -> Entry:
    return Entry(
        at or NOW + timedelta(minutes=number),
        Who(f"Người {number % 7}", number % 7, "token/1"),
        Outcome.REFUSED if number % 5 == 0 else Outcome.DONE,
        "PUT /api/v1/clusters/{code}",
        object=f"/api/v1/clusters/CL-{number}",
        origin=Origin("192.0.2.9", "curl/8"),
        areas=("51", f"{21000 + number}"),
        changes=(Change("clusters", str(number), {"watts": number}, {"watts": number + 1}),),
    )


async def append(engine: AsyncEngine, first: int, last: int) -> None:
    for number in range(first, last + 1):
        async with db.transaction(engine) as session:
            await add(session, entry(number))


async def build(engine: AsyncEngine) -> None:
    """Forty entries, signed after each ten."""
    for first in range(1, COUNT + 1, SIGNED_EVERY):
        await append(engine, first, first + SIGNED_EVERY - 1)
        await sealing.sign_new(engine, KEY, NOW + timedelta(minutes=first + SIGNED_EVERY))


async def unguarded(session: AsyncSession) -> None:
    """Be somebody who owns the database: no trigger stops them."""
    await session.execute(sa.text("SET LOCAL session_replication_role = replica"))


async def chain_anew(session: AsyncSession) -> None:
    """Number what is there and make every hash anew, as somebody would to cover their traces."""
    rows = (
        await session.execute(sa.text("SELECT id, entry FROM audit_entries ORDER BY seq, id"))
    ).all()
    await session.execute(sa.text("UPDATE audit_entries SET seq = -id"))
    before = "0" * 64
    for number, (id_, line) in enumerate(rows, 1):
        before = hashlib.sha256(f"{before} {number} {line}".encode()).hexdigest()
        await session.execute(
            sa.text("UPDATE audit_entries SET seq = :seq, hash = :hash WHERE id = :id"),
            {"seq": number, "hash": before, "id": id_},
        )
