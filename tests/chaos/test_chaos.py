"""A short run of `make chaos` with a fixed seed: everything is struck, no promise is broken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from broadcast.embedded.broker import mosquitto
from chaos.plan import EVERY_SECONDS

pytestmark = pytest.mark.servers

SEED = 24
SECONDS = 34
DEVICES = 60


@pytest.mark.skipif(mosquitto() is None, reason="the broker in Python forgets what it confirmed")
@pytest.mark.timeout(400)
def test_a_short_chaos_breaks_no_promise(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "--seconds", str(SECONDS), "--seed", str(SEED),
         "--devices", str(DEVICES), "--keep", tmp_path / "chaos"],
        capture_output=True, text=True, timeout=380, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    broken = ("lost", "duplicates", "double_plays", "late_plays", "unexplained", "untrue",
              "false_offline")  # fmt: skip
    assert {name: result[name] for name in broken} == dict.fromkeys(broken, 0), done.stderr[-3000:]
    assert done.returncode == 0
    assert set(result["kills"]) == set(EVERY_SECONDS)
    assert all(result["kills"].values())
    assert result["plays_expected"] > DEVICES
    assert result["played"] > DEVICES / 4
    assert result["records_stored"] == result["records_journalled"] > DEVICES
    assert min(result["troubles"].values()) > 0
