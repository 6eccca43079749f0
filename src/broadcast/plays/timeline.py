"""Events around a play: one statement and one wording for each kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.plays import texts
from broadcast.plays.records import comes_before_it_happens
from broadcast.plays.schemas import TimelineEntryOut
from broadcast.plays.settle import PlayState
from broadcast.telemetry.sweep import complete_spans

Row = Mapping[str, Any]
"""A row of one of the statements."""


class Source(NamedTuple):
    """The source of one kind of entry."""

    kind: str
    statement: sa.TextClause
    parameters: frozenset[str]
    describe: Callable[[Row], str]


_TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "occurrence_id": sa.Uuid(),
    "cluster_id": sa.Integer(),
    "devices": postgresql.ARRAY(sa.Integer()),
    "scheduled_at": sa.DateTime(timezone=True),
    "since": sa.DateTime(timezone=True),
    "until": sa.DateTime(timezone=True),
    "tested_since": sa.DateTime(timezone=True),
    "tested_until": sa.DateTime(timezone=True),
    "day": sa.Date(),
}


def _source(kind: str, describe: Callable[[Row], str], sql: str) -> Source:
    names = frozenset(re.findall(r"(?<!:):(\w+)", sql))
    typed = (sa.bindparam(name, type_=_TYPES[name]) for name in names)
    return Source(kind, sa.text(sql).bindparams(*typed), names, describe)


async def read_events(session: AsyncSession, scope: Mapping[str, Any]) -> list[TimelineEntryOut]:
    """Read entries of every kind, those of a kind in order.

    Args:
        session: Where to read.
        scope: `occurrence_id`, `cluster_id`, `devices` (those installed there), `scheduled_at`,
            `since` and `until` (how far to look), `tested_since` and `tested_until` (the same
            for self-tests), `day` (local day of the play).
    """
    entries = []
    for source in SOURCES:
        parameters = {name: scope[name] for name in source.parameters}
        for row in (await session.execute(source.statement, parameters)).mappings():
            data: dict[str, Any] = {str(name): value for name, value in row.items()}
            text = source.describe(data)
            entries.append(
                TimelineEntryOut(at=data.pop("at"), kind=source.kind, text=text, data=data)
            )
    return entries


def _published(row: Row) -> str:
    return f"Chương trình của {row['scope']} có buổi phát này được máy chủ gửi đi"


def _received(row: Row) -> str:
    return f"Thiết bị {row['device']} báo đã giữ chương trình của {row['scope']}"


def _refused(row: Row) -> str:
    return f"Thiết bị {row['device']} từ chối {row['topic']}: {row['reason']}"


def _readiness(row: Row) -> str:
    return str(texts.READINESS.get(row["state"], row["state"]))


def _presence(row: Row) -> str:
    return str(texts.PRESENCE.get(row["presence"], row["presence"]))


def _boot(row: Row) -> str:
    return f"Thiết bị {row['device']} kết nối: {texts.BOOTS.get(row['reason'], row['reason'])}"


def _fault(row: Row) -> str:
    ended = f", hết lúc {texts.clock_time(row['closed_at'])}" if row["closed_at"] else ", chưa hết"
    return f"Thiết bị {row['device']} lỗi {texts.FAULTS.get(row['kind'], row['kind'])}{ended}"


def _outage(row: Row) -> str:
    kind = "mất điện" if row["kind"] == "power_cut" else "bảo trì"
    return f"Khai báo {kind} đến {texts.clock_time(row['ends_at'])}"


def _server_away(row: Row) -> str:
    return f"Máy chủ không nghe được thiết bị đến {texts.clock_time(row['until'])}"


def _journal(row: Row) -> str:
    reason_text = (
        f": {texts.reason(row['reason'])}" if row["reason"] not in {"", "completed"} else ""
    )
    if row["event"] == "started":
        text = "Bắt đầu phát" if not row["offset_seconds"] else "Phát tiếp"
    elif row["event"] == "ended":
        text = f"Kết thúc sau {texts.seconds(row['played_seconds'])} giây{reason_text}"
    else:
        text = f"Bỏ qua{reason_text}"
    said_at: datetime = row["said_at"]
    if comes_before_it_happens(row["event"], row["reason"], said_at, row["received_at"]):
        text += f" (đồng hồ thiết bị sai: báo {texts.clock_time(said_at)})"
    return text


def _self_test(row: Row) -> str:
    if row["result"] != "done":
        return f"Thiết bị {row['device']} tự thử: không nghe thấy tiếng loa"
    return f"Thiết bị {row['device']} tự thử: {texts.HEARD[row['heard']]}"


def _restated(row: Row) -> str:
    old, new = (texts.STATES[PlayState(state)] for state in (row["old_state"], row["new_state"]))
    reason_text = f" ({texts.reason(row['new_reason'])})" if row["new_reason"] else ""
    return f"Sổ phát đổi từ “{old}” sang “{new}”{reason_text}"


SOURCES = (
    _source("published", _published, """
        SELECT min(p.published_at) AS at, p.scope, min(p.revision) AS revision
        FROM programme_revisions AS p
        WHERE p.occurrence_ids @> ARRAY[:occurrence_id] AND p.published_at IS NOT NULL
        GROUP BY p.scope, p.kind
        ORDER BY EXISTS (
            SELECT FROM receipts AS r
            WHERE r.device_id = ANY(:devices) AND r.document = p.scope || '/' || p.kind
        ) DESC, at
        LIMIT 5
    """),
    _source("received", _received, """
        SELECT min(r.received_at) AS at, d.code AS device, p.scope, min(r.revision) AS revision
        FROM programme_revisions AS p
        JOIN receipts AS r ON r.document = p.scope || '/' || p.kind AND r.revision = p.revision
        JOIN devices AS d ON d.id = r.device_id
        WHERE p.occurrence_ids @> ARRAY[:occurrence_id] AND r.device_id = ANY(:devices)
        GROUP BY p.scope, d.code ORDER BY at LIMIT 20
    """),
    _source("refused", _refused, """
        SELECT f.received_at AS at, d.code AS device, f.topic, f.reason, f.detail
        FROM refusals AS f JOIN devices AS d ON d.id = f.device_id
        WHERE f.device_id = ANY(:devices) AND f.topic ~ '/state/|/live/sessions$'
          AND f.received_at >= :scheduled_at AND f.received_at <= :until
        ORDER BY f.received_at DESC LIMIT 20
    """),
    _source("readiness", _readiness, """
        SELECT r.sent_at AS at, d.code AS device, r.state, r.bulletin_revision
        FROM readiness AS r JOIN devices AS d ON d.id = r.device_id
        WHERE r.occurrence_id = :occurrence_id AND r.device_id = ANY(:devices)
        ORDER BY r.sent_at
    """),
    _source("outage", _outage, """
        SELECT o.starts_at AS at, o.ends_at, o.kind, o.area_code, o.document
        FROM outages AS o
        WHERE o.starts_at <= :until AND o.ends_at >= :since AND (
            o.cluster_id = :cluster_id OR o.area_code IN (
                WITH RECURSIVE up (code, parent_code) AS (
                    SELECT a.code, a.parent_code
                    FROM cluster_villages AS v JOIN areas AS a ON a.code = v.village_code
                    WHERE v.cluster_id = :cluster_id AND v.grade = 'primary'
                      AND v.valid_from <= :day AND (v.valid_to IS NULL OR v.valid_to >= :day)
                      AND a.valid_from <= :day AND (a.valid_to IS NULL OR a.valid_to >= :day)
                    UNION
                    SELECT a.code, a.parent_code
                    FROM up JOIN areas AS a ON a.code = up.parent_code
                    WHERE a.valid_from <= :day AND (a.valid_to IS NULL OR a.valid_to >= :day)
                )
                SELECT code FROM up
            )
        )
        ORDER BY o.starts_at LIMIT 20
    """),
    _source("server_deaf", _server_away, f"""
        WITH listened AS ({complete_spans(":since - interval '7 days'", ":until")}),
        whole AS (SELECT range_agg(span) AS spans FROM listened, unnest(listened.spans) AS span)
        SELECT lower(gap) AS at, upper(gap) AS until
        FROM whole, unnest(tstzmultirange(range_merge(spans)) - spans) AS gap
        WHERE lower(gap) <= :until AND upper(gap) >= :since
        ORDER BY lower(gap) LIMIT 50
    """),  # noqa: S608 — made of constants
    _source("boot", _boot, """
        SELECT b.received_at AS at, d.code AS device, b.reason, b.session
        FROM boots AS b JOIN devices AS d ON d.id = b.device_id
        WHERE b.device_id = ANY(:devices) AND b.received_at BETWEEN :since AND :until
        ORDER BY b.received_at LIMIT 100
    """),
    _source("presence", _presence, """
        SELECT p.happened_at AS at, d.code AS device, p.presence, p.cause
        FROM presence_changes AS p JOIN devices AS d ON d.id = p.device_id
        WHERE p.device_id = ANY(:devices) AND p.happened_at <= :until
          AND p.happened_at >= COALESCE((
              SELECT b.happened_at FROM presence_changes AS b
              WHERE b.device_id = p.device_id AND b.happened_at <= :since
              ORDER BY b.happened_at DESC, b.id DESC LIMIT 1
          ), :since)
        ORDER BY p.happened_at, p.id LIMIT 100
    """),
    _source("fault", _fault, """
        SELECT f.opened_at AS at, f.closed_at, d.code AS device, f.kind, f.detail
        FROM faults AS f JOIN devices AS d ON d.id = f.device_id
        WHERE f.device_id = ANY(:devices) AND f.opened_at <= :until
          AND (f.closed_at IS NULL OR f.closed_at >= :since)
        ORDER BY f.opened_at LIMIT 100
    """),
    _source("journal", _journal, """
        SELECT LEAST(j.at, j.received_at) AS at, j.at AS said_at,
               j.event, j.received_at, d.code AS device, j.journal_id, j.seq,
               COALESCE(j.body->>'reason', '') AS reason,
               COALESCE((j.body->>'offset_seconds')::float, 0) AS offset_seconds,
               COALESCE((j.body->>'played_seconds')::float, 0) AS played_seconds,
               (j.body->>'volume')::integer AS volume, j.body->>'sha256' AS sha256
        FROM journal_records AS j JOIN devices AS d ON d.id = j.device_id
        WHERE j.occurrence_id = CAST(:occurrence_id AS text) AND j.cluster_id = :cluster_id
        ORDER BY j.journal_id, j.seq LIMIT 200
    """),
    _source("self_test", _self_test, """
        SELECT c.sent_at AS at, d.code AS device, c.command_id, c.result, c.heard, c.detail
        FROM command_results AS c JOIN devices AS d ON d.id = c.device_id
        WHERE c.device_id = ANY(:devices) AND c.kind = 'self_test'
          AND c.sent_at BETWEEN :tested_since AND :tested_until
          AND c.result IN ('done', 'failed')
        ORDER BY c.sent_at LIMIT 20
    """),
    _source("restated", _restated, """
        SELECT c.changed_at AS at, c.old_state, c.old_reason, c.new_state, c.new_reason, c.cause
        FROM play_changes AS c
        WHERE c.occurrence_id = :occurrence_id AND c.cluster_id = :cluster_id
        ORDER BY c.id LIMIT 100
    """),
)  # fmt: skip
"""In the order of cause and effect."""
