"""Issuing documents: what is dirty is compiled, signed and stored, to be published from there.

A cause marks scopes dirty in its own transaction. Everything here can be repeated, and two
dispatchers at once would only do the same work twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.devices.model import Device
from broadcast.keys.keyring import Keys
from broadcast.kit import failures
from broadcast.kit.clock import LOCAL
from broadcast.programmes import compile as rule
from broadcast.programmes import contents
from broadcast.programmes.model import DirtyScope, ProgrammeRevision
from broadcast.programmes.model import Document as Stored
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.wire import WireError
from broadcast.wire.codec import decode, encode
from broadcast.wire.documents import (
    DOCUMENT_KINDS,
    LIVE_KIND,
    Alerts,
    Audio,
    Config,
    Document,
    Live,
    Programme,
)
from broadcast.wire.envelope import kid_of, read_own

log = structlog.get_logger()

ISSUED = Counter("broadcast_documents_issued", "Documents signed and stored", ["kind"])


AT_ONCE = 500
"""Scopes of one transaction: a change of the whole province is seen to progress."""

ROLL_EVERY = timedelta(hours=1)
"""Interval of the search for documents that have grown old."""

KEEP_REVISIONS = timedelta(days=90)
"""Time for which the contents of each revision are kept; a play is settled long before."""


async def mark_dirty(
    session: AsyncSession, scopes: Iterable[str], kind: str, now: datetime
) -> None:
    """Have these documents compiled again, with the caller's commit."""
    await session.execute(_MARK, {"scopes": sorted(set(scopes)), "kind": kind, "now": now})


_MARK = sa.text("""
    INSERT INTO dirty_scopes (scope, kind, since)
    SELECT scope, :kind, :now FROM unnest(CAST(:scopes AS text[])) AS n (scope)
    ON CONFLICT (scope, kind) DO UPDATE SET since = dirty_scopes.since
""")
"""A mark that is there is locked: it is taken, with the change that it stands for, only once this
transaction is over. Left as it is, it could be taken before."""


async def mark_devices(session: AsyncSession, scopes: Iterable[str], now: datetime) -> None:
    """Have what is for these devices alone compiled again: another key signs it."""
    some = sorted(scopes)
    await mark_dirty(session, some, "config", now)
    programmes = sa.select(Stored.scope).where(Stored.kind == "programme", Stored.scope.in_(some))
    await mark_dirty(session, await session.scalars(programmes), "programme", now)


async def mark_configs_dirty(session: AsyncSession, now: datetime) -> None:
    """Have the config of every device compiled again.

    The config of a retired one names no areas, as long as its last config is valid.
    """
    enrolled = sa.or_(Device.retired_at.is_(None), Device.retired_at > now - rule.CONFIG_VALID)
    codes = await session.scalars(sa.select(Device.code).where(enrolled))
    await mark_dirty(session, (f"device/{code}" for code in codes), "config", now)


async def mark_all(session: AsyncSession, now: datetime) -> None:
    """Have everything compiled again: settings or keys may be others than the last leader had."""
    await mark_configs_dirty(session, now)
    for kind in ("programme", "alerts", LIVE_KIND):
        stored = sa.select(Stored.scope).where(Stored.kind == kind)
        await mark_dirty(session, await session.scalars(stored), kind, now)


async def mark_entering(session: AsyncSession, now: datetime, until: datetime) -> None:
    """Mark the programmes of all that is to come: a new local day brings new items into them."""
    entering = sa.select(sa.func.unnest(Occurrence.scopes).label("scope")).where(
        Occurrence.state == OccurrenceState.PLANNED,
        Occurrence.starts_at > now,
        Occurrence.starts_at < until,
    )
    await mark_dirty(session, await session.scalars(entering.distinct()), "programme", now)


async def mark_old(session: AsyncSession, now: datetime) -> None:
    """Mark documents that have grown old; call it every `ROLL_EVERY` and with every local day.

    One that has lapsed is left alone: it was empty, and says nothing more than none at all.
    """
    for kind in DOCUMENT_KINDS:
        old = sa.select(Stored.scope).where(
            Stored.kind == kind,
            Stored.issued_at < rule.stale_before(kind, now, LOCAL),
            Stored.not_after > now,
        )
        await mark_dirty(session, await session.scalars(old), kind, now)


async def forget_revisions(session: AsyncSession, now: datetime) -> None:
    """Delete the contents of revisions older than `KEEP_REVISIONS`."""
    await session.execute(
        sa.delete(ProgrammeRevision).where(ProgrammeRevision.issued_at < now - KEEP_REVISIONS)
    )


class Issued(NamedTuple):
    """A document as it was signed and stored."""

    document: Document
    token: bytes

    @property
    def kind(self) -> str:
        """Last level of its topic."""
        return _kind(self.document)

    def audio(self) -> list[Audio]:
        """Return the audio that has to be at the broker before it."""
        return needed_audio(self.document)


def needed_audio(document: Document) -> list[Audio]:
    """Return the audio of a document's items, and of its alerts that do not bring their own."""
    if isinstance(document, Programme):
        return [
            audio
            for item in document.items
            for some in (item.audio, *(each.audio for each in item.versions))
            for audio in some
        ]
    if isinstance(document, Alerts):
        return [audio for each in document.alerts if each.inline is None for audio in each.audio]
    return []


class Name(NamedTuple):
    """Name of a document."""

    scope: str
    kind: str

    def __str__(self) -> str:
        return f"{self.scope}/{self.kind}"


async def dirty(session: AsyncSession, but: Collection[str] = ()) -> list[Name]:
    """Up to `AT_ONCE` documents to be compiled, longest waiting first; `but`: not these."""
    named = DirtyScope.scope + "/" + DirtyScope.kind
    rows = await session.execute(
        sa.select(DirtyScope.scope, DirtyScope.kind)
        .where(named.not_in(but))
        .order_by(DirtyScope.since, DirtyScope.scope)
        .limit(AT_ONCE)
    )
    return [Name(*row) for row in rows]


async def issue(
    session: AsyncSession,
    names: Collection[Name],
    keys: Keys,
    settings: config.Settings,
    now: datetime,
) -> list[Issued]:
    """Compile those of these documents that are dirty; store what says something new.

    A mark that somebody sets at this moment is left to the next time.

    Returns:
        What was stored.
    """
    stored = await _claim(session, names)
    scopes = [scope for scope, kind in stored if kind == "programme"]
    alerted = [scope for scope, kind in stored if kind == "alerts"]
    devices = [scope for scope, kind in stored if kind == "config"]
    spoken = [scope for scope, kind in stored if kind == LIVE_KIND]
    compiled: list[Document] = [
        *await contents.live(session, spoken, now),
        *await _alerts(session, alerted, settings, now),
        *await _programmes(session, scopes, settings, now),
        *await contents.configs(session, devices, keys, settings, now),
    ]
    changed = [
        (document, max(held.revision, held.above))
        for document in compiled
        for held in (stored[document.scope, _kind(document)],)
        if _is_new(document, held, keys, now)
    ]
    return await _store(session, changed, keys, now)


async def issue_above(session: AsyncSession, revisions: Mapping[Name, int], now: datetime) -> None:
    """Have these documents issued again, each under a revision higher than the one given.

    For a database that is older than what devices and broker hold. A programme that it does not
    even know is overtaken by an empty one; a device that it does not know is none of its own.
    """
    await session.execute(
        _ABOVE,
        {
            "scopes": [name.scope for name in revisions],
            "kinds": [name.kind for name in revisions],
            "revisions": list(revisions.values()),
            "now": now,
        },
    )


_ABOVE = sa.text("""
    INSERT INTO dirty_scopes (scope, kind, since, above)
    SELECT scope, kind, :now, revision
    FROM unnest(CAST(:scopes AS text[]), CAST(:kinds AS text[]), CAST(:revisions AS bigint[]))
        AS n (scope, kind, revision)
    ON CONFLICT (scope, kind) DO UPDATE SET above = GREATEST(dirty_scopes.above, excluded.above)
""").bindparams(sa.bindparam("now", type_=sa.DateTime(timezone=True)))


def _kind(document: Document) -> str:
    match document:
        case Programme():
            return "programme"
        case Alerts():
            return "alerts"
        case Live():
            return LIVE_KIND
        case _:
            return "config"


_TAKE = sa.text("""
    WITH waiting AS MATERIALIZED (
        SELECT scope, kind FROM dirty_scopes
        WHERE (scope, kind) IN (
            SELECT * FROM unnest(CAST(:scopes AS text[]), CAST(:kinds AS text[]))
        )
        FOR UPDATE SKIP LOCKED
    ),
    taken AS (
        DELETE FROM dirty_scopes AS d USING waiting AS w
        WHERE d.scope = w.scope AND d.kind = w.kind
        RETURNING d.scope, d.kind, d.above
    ),
    held AS MATERIALIZED (
        SELECT d.scope, d.kind, d.revision, d.token
        FROM documents AS d JOIN taken AS t ON d.scope = t.scope AND d.kind = t.kind
        FOR UPDATE OF d
    )
    SELECT t.scope, t.kind, t.above, h.revision, h.token
    FROM taken AS t LEFT JOIN held AS h ON h.scope = t.scope AND h.kind = t.kind
""")
"""Marks and the documents that they stand for, both locked. Of a document that had to be waited
for, its row is the newest; what it is compiled from is read only after this statement."""


class _Held(NamedTuple):
    """A marked document as it is stored, and the revision above which it is to be issued anew.

    `token` is empty of one that is not stored.
    """

    revision: int
    token: bytes
    above: int


async def _claim(session: AsyncSession, names: Collection[Name]) -> dict[tuple[str, str], _Held]:
    """Take the marks of those of these documents that nobody else works on."""
    rows = await session.execute(
        _TAKE, {"scopes": [name.scope for name in names], "kinds": [name.kind for name in names]}
    )
    return {
        (scope, kind): _Held(revision or 0, token or b"", above)
        for scope, kind, above, revision, token in rows
    }


def _is_new(document: Document, stored: _Held, keys: Keys, now: datetime) -> bool:
    """Tell whether a compiled document is to be issued."""
    if stored.above:
        return True
    if not stored.token:
        return not _is_empty(document)
    held = _read(document.scope, _kind(document), stored.token)
    return (
        held is None
        or not rule.is_equivalent(held, document, now)
        or rule.is_stale(held, now, LOCAL)
        or kid_of(stored.token) != keys.signer(document.scope, _kind(document)).kid
    )


def _is_empty(document: Document) -> bool:
    match document:
        case Programme(items=carried) | Alerts(alerts=carried) | Live(sessions=carried):
            return not carried
        case _:
            return False


def _read(scope: str, kind: str, token: bytes) -> Document | None:
    """Return a stored document; None when it cannot be read, and is to be issued anew."""
    try:
        return read_own(token)
    except WireError as error:
        log.error(  # noqa: TRY400 — it is mended at once
            "programmes.document.unreadable",
            scope=scope, kind=kind, error=str(error),
        )  # fmt: skip
        return None


async def _store(
    session: AsyncSession, documents: Iterable[tuple[Document, int]], keys: Keys, now: datetime
) -> list[Issued]:
    """Sign documents and store them, each under a revision above the one given with it.

    Raises:
        WireError: One of them is nothing that a device would accept.
    """
    # In a thread: a device that holds the keys takes half a millisecond for each.
    issued = await asyncio.to_thread(_sign, list(documents), keys, now)
    if not issued:
        return issued
    await session.execute(
        _STORE,
        {
            "scopes": [document.scope for document, _ in issued],
            "kinds": [each.kind for each in issued],
            "revisions": [document.revision for document, _ in issued],
            "tokens": [token for _, token in issued],
            "issued_at": [document.issued_at for document, _ in issued],
            "not_after": [document.not_after for document, _ in issued],
            "occurrences": [_occurrences(document) for document, _ in issued],
            "kids": [keys.signer(each.document.scope, each.kind).kid for each in issued],
            "named": [_named(document) for document, _ in issued],
        },
    )
    for each in issued:
        ISSUED.labels(each.kind).inc()
    return issued


_STORE = sa.text("""
    WITH new AS (
        SELECT * FROM unnest(
            CAST(:scopes AS text[]), CAST(:kinds AS text[]), CAST(:revisions AS bigint[]),
            CAST(:tokens AS bytea[]), CAST(:issued_at AS timestamptz[]),
            CAST(:not_after AS timestamptz[]), CAST(:occurrences AS text[]),
            CAST(:kids AS text[]), CAST(:named AS text[])
        ) AS n (scope, kind, revision, token, issued_at, not_after, occurrence_ids, kid, named)
    ),
    carried AS (
        INSERT INTO programme_revisions (scope, kind, revision, issued_at, occurrence_ids)
        SELECT scope, kind, revision, issued_at, CAST(occurrence_ids AS uuid[])
        FROM new WHERE kind <> 'config'
    ),
    keys AS (
        INSERT INTO config_keys (scope, revision, kids)
        SELECT scope, revision, CAST(named AS text[]) FROM new
        WHERE kind = 'config' AND CAST(named AS text[]) IS DISTINCT FROM (
            SELECT k.kids FROM config_keys AS k WHERE k.scope = new.scope
            ORDER BY k.revision DESC LIMIT 1
        )
    )
    INSERT INTO documents (
        scope, kind, revision, token, issued_at, not_after, published_revision, kid, key_since
    )
    SELECT scope, kind, revision, token, issued_at, not_after, 0, kid, revision FROM new
    ON CONFLICT (scope, kind) DO UPDATE SET
        revision = excluded.revision, token = excluded.token,
        issued_at = excluded.issued_at, not_after = excluded.not_after, kid = excluded.kid,
        key_since = CASE WHEN documents.kid = excluded.kid THEN documents.key_since
                         ELSE excluded.key_since END
""")


def _sign(documents: list[tuple[Document, int]], keys: Keys, now: datetime) -> list[Issued]:
    issued = []
    for unnumbered, previous in documents:
        document = rule.issued(unnumbered, rule.next_revision(previous, now), now)
        decode(encode(document), type(document))
        signer = keys.signer(document.scope, _kind(document))
        issued.append(Issued(document, signer.sign(document)))
    return issued


def _named(document: Document) -> str:
    """Return the ids of the keys that a config names as an array literal of PostgreSQL."""
    kids = [key.kid for key in document.keys] if isinstance(document, Config) else []
    return f"{{{','.join(kids)}}}"


def _occurrences(document: Document) -> str:
    """Return the ids in a document as an array literal of PostgreSQL: they differ in number."""
    match document:
        case Programme(items=items):
            ids = [item.occurrence_id for item in items]
        case Alerts(alerts=alerts):
            ids = [alert.alert_id for alert in alerts]
        case Live(sessions=sessions):
            ids = [spoken.session_id for spoken in sessions]
        case _:
            ids = []
    return f"{{{','.join(str(UUID(id_)) for id_ in ids)}}}"


OVERFULL = "overfull"
"""Step under which scopes are recorded whose programme is not complete."""


class Overfull(Exception):
    """Saving a schedule refuses it; a merger of areas can come to it all the same."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"{count} buổi phát ưu tiên thấp nhất không gửi được: chương trình đã đầy"
        )


ITEMS = "items"
"""Step under which occurrences are recorded that no device would accept: the others of their
programmes go on."""


async def _programmes(
    session: AsyncSession, scopes: Collection[str], settings: config.Settings, now: datetime
) -> list[Programme]:
    """Compile the programmes of these scopes, and record what is not in them."""
    if not scopes:
        return []
    compiled = await contents.programmes(session, scopes, settings, now)
    await _record_left_out(session, scopes, compiled, now)
    return compiled.documents


async def _alerts(
    session: AsyncSession, scopes: Collection[str], settings: config.Settings, now: datetime
) -> list[Alerts]:
    """Compile the alerts of these scopes, and record what is not in them."""
    if not scopes:
        return []
    compiled = await contents.alerts(session, scopes, settings, now)
    await _record_left_out(session, scopes, compiled, now)
    return compiled.documents


async def _record_left_out(
    session: AsyncSession,
    scopes: Collection[str],
    compiled: contents.Compiled[Any],
    now: datetime,
) -> None:
    overfull = {scope: Overfull(count) for scope, count in compiled.left_over.items()}
    await _record_failures(
        session,
        {ITEMS: compiled.read, OVERFULL: set(scopes)},
        {ITEMS: compiled.refused, OVERFULL: overfull},
        now,
    )


async def _record_failures(
    session: AsyncSession,
    looked_at: Mapping[str, Collection[str]],
    failed: Mapping[str, Mapping[str, Exception]],
    now: datetime,
) -> None:
    """Record, by step, what failed of what was looked at, and forget what did not."""
    known = await failures.known(session, looked_at)
    for step, names in looked_at.items():
        for name, error in failed[step].items():
            await failures.record(session, step, name, error, now)
        await failures.forget(session, step, known[step] & set(names) - failed[step].keys())
