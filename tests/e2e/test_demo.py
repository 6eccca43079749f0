"""The demo is the system: PostgreSQL, a broker, the server and a fleet, judged by the database.

And by what was heard: the recordings of simulated loudspeakers.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from broadcast.bulletins.audio.mastering import measure
from broadcast.bulletins.audio.prepared import content_path
from broadcast.embedded.broker import mosquitto
from device_sim.sound import decode

pytestmark = pytest.mark.servers

PLAN = Path(__file__).parents[1] / "bulletins/speech" / "plan_section_ii.txt"


def demo(folder: Path, *arguments: str, seconds: float = 400) -> dict[str, Any]:
    """Result of one cycle; fails with what the demo said."""
    done = subprocess.run(
        [sys.executable, "-m", "broadcast", "demo", "--once", "--json", "--keep", folder,
         *arguments],
        capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-2000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def truth(folder: Path) -> list[dict[str, Any]]:
    """What the simulator says really happened."""
    return [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]


@pytest.mark.timeout(420)
def test_sixty_loudspeakers_play_everything_once_over_the_broker_of_pypi(tmp_path: Path) -> None:
    result = demo(tmp_path, "--devices", "60", "--broker", "amqtt")
    assert result["devices"] == 60
    assert result["played"] == result["expected_plays"] > 60
    assert result["missed"] == {}
    assert (result["unexplained"], result["duplicates"], result["late"]) == (0, 0, 0)
    assert result["indicators"]["1.1"]["BC"]["denominator"] == 96
    assert not list((tmp_path / "boxes").rglob("certificate.pem"))


@pytest.mark.timeout(420)
def test_faults_and_a_server_crash_leave_nothing_unexplained_or_doubled(tmp_path: Path) -> None:
    result = demo(tmp_path, "--devices", "60", "--faults", "all")
    assert (result["unexplained"], result["duplicates"], result["late"]) == (0, 0, 0)
    told = result["played"] + result["partial"] + result["preempted"]
    assert told + sum(result["missed"].values()) == result["expected_plays"]
    happened = {line["event"] for line in truth(tmp_path)}
    assert {"power_off", "disconnected", "clock_step"} <= happened
    if mosquitto():
        assert len(list((tmp_path / "boxes").rglob("certificate.pem"))) == 60
        conf = (tmp_path / "broker/mosquitto.conf").read_text()
        assert "allow_anonymous" not in conf
        assert conf.count("require_certificate true") == conf.count("listener ") == 2


@pytest.mark.timeout(900)
def test_the_plan_s_targets_are_read_aloud_in_all_communes_and_heard_back(tmp_path: Path) -> None:
    """Section II of plan 148/KH-UBND at 200 clusters; the recording equals the bulletin."""
    result = demo(tmp_path, "--devices", "200", "--text", str(PLAN), seconds=880)
    assert result["played"] == result["expected_plays"] > 200
    started = [line for line in truth(tmp_path) if line["event"] == "started"]
    longest = max((tmp_path / "recordings").rglob("*.wav"), key=lambda path: path.stat().st_size)
    [sha256] = {line["sha256"] for line in started if line["occurrence_id"] == longest.stem}
    rendition = content_path(tmp_path / "content", sha256)
    assert hashlib.sha256(rendition.read_bytes()).hexdigest() == sha256
    sound, heard = measure(rendition), measure(longest)
    assert sound.seconds > 60
    assert heard.seconds == pytest.approx(sound.seconds, abs=0.05)
    assert heard.loudness_lufs == pytest.approx(-16, abs=0.5)
    assert heard.true_peak_dbtp <= -1.0
    played = decode(longest.read_bytes()).samples
    meant = decode(rendition.read_bytes()).samples[: len(played)]
    assert np.array_equal(played, meant)
