"""PostgreSQL hangs and dies under load: memory stays flat, the backlog drains, nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import outage
from benchmarks.harness.system import System
from broadcast.embedded.broker import mosquitto

pytestmark = pytest.mark.servers


@pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")
async def test_what_came_while_the_database_was_away_is_stored_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "FROZEN_SECONDS", 3.0)
    with System(tmp_path) as system:
        suffered = await outage.suffer(system, devices=2000, rounds=6)
    assert suffered.grown_bytes < outage.LIMIT_BYTES
