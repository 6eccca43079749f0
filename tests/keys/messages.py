"""A document to sign."""

from __future__ import annotations

from datetime import UTC, datetime

from broadcast.wire.documents import Programme

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)


def programme(revision: int = 1) -> Programme:
    return Programme(scope="area/51", revision=revision, issued_at=NOW, not_after=NOW, items=[])
