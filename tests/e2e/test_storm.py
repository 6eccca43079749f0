"""The broker dies under its devices and everybody comes back, over real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.system import System, allow_connections
from benchmarks.result import Skipped
from benchmarks.storm import weather
from broadcast.embedded.broker import mosquitto

pytestmark = pytest.mark.servers

DEVICES = 1000


@pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")
async def test_a_thousand_devices_return_and_nothing_confirmed_is_lost(tmp_path: Path) -> None:
    try:
        allow_connections(DEVICES)
    except Skipped as reason:
        pytest.skip(str(reason))
    with System(tmp_path) as system:
        storm = await weather(system, DEVICES, interval=3.0)
    assert storm.seconds < 30
    assert storm.heartbeats > DEVICES
