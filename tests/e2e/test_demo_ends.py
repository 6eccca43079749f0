"""A demo ends with all it has started, whoever ends it and when, and can be started again."""

from __future__ import annotations

import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from broadcast.demo.live import View, draw
from broadcast.demo.people import NAMES
from broadcast.embedded.broker import mosquitto
from broadcast.kit import clock
from broadcast.plays.model import PlayState
from broadcast.telemetry.presence import Presence
from tests.waiting import until

pytestmark = pytest.mark.servers


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "broadcast", "demo", "--devices", "3", "--json", "--keep", folder],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "BROADCAST_ENV_FILE": ""},
    )  # fmt: skip


def left(folder: Path) -> list[str]:
    """Processes that still work in the folder of a demo."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ", "status"]):
        words = [*(process.info["cmdline"] or ()), *(process.info["environ"] or {}).values()]
        lives = process.pid != os.getpid() and process.info["status"] != psutil.STATUS_ZOMBIE
        if lives and any(str(folder) in word for word in words):
            found.append(f"{process.pid} {process.info['cmdline']}")
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_of_it_with_a_summary(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if "phát lúc" in line:
            break
    time.sleep(1)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out.splitlines()[-1])["devices"] == 3
    assert left(tmp_path) == []
    text = "".join(said)
    for role, (_, login) in NAMES.items():
        door = rf"mã truy cập {role} +ttn_\S+  {login or ''}$"
        assert re.search(door, text, re.MULTILINE), role
    assert "của mọi tên đăng nhập" in text
    assert "postgresql://" in text
    admits = "bằng chứng chỉ server.crt" if mosquitto() else "ai trên máy này cũng vào được"
    assert admits in text


def server_of(folder: Path, program: str) -> psutil.Process:
    """The oldest process of a program that works in the folder of a demo."""
    found = [
        process
        for process in psutil.process_iter(["name", "cmdline", "create_time"])
        if process.info["name"] == program
        and any(str(folder) in word for word in process.info["cmdline"] or ())
    ]
    return min(found, key=lambda process: float(process.info["create_time"]))


@pytest.mark.timeout(300)
def test_a_server_that_stops_under_a_demo_is_started_again_and_said(tmp_path: Path) -> None:
    process = start(tmp_path)
    assert process.stderr is not None
    waited_for = iter(["phát lúc", "PostgreSQL đã chạy lại", "(mosquitto) đã chạy lại",
                       "máy chủ broadcast đã chạy lại"])  # fmt: skip
    ended = iter(["postgres", "mosquitto", "serve"])
    said, wanted = [], next(waited_for)
    for line in process.stderr:
        said.append(line)
        if wanted not in line:
            continue
        match next(ended, None):
            case None:
                break
            case "serve":
                [server] = [
                    each for each in psutil.Process(process.pid).children()
                    if each.cmdline()[-1:] == ["serve"]
                ]  # fmt: skip
                server.kill()
            case program:
                server_of(tmp_path, program).kill()
        wanted = next(waited_for)
    time.sleep(3)
    process.send_signal(signal.SIGTERM)
    out, rest = process.communicate(timeout=120)
    text = "".join(said) + rest
    assert process.returncode == 0, text
    assert json.loads(out.splitlines()[-1])["unexplained"] == 0
    for name in ("PostgreSQL", "MQTT (mosquitto)", "máy chủ broadcast"):
        assert f"{name} đã dừng đột ngột; đang khởi động lại" in text
    assert "Traceback" not in text
    assert left(tmp_path) == []


@pytest.mark.timeout(600)
def test_a_demo_that_was_killed_at_any_moment_can_be_started_again(tmp_path: Path) -> None:
    chance = random.Random(8)
    for attempt in range(6):
        process = start(tmp_path)
        number = signal.SIGKILL if attempt % 2 == 0 else signal.SIGTERM
        try:
            process.wait(chance.uniform(0.5, 9))
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        _, said = process.communicate(timeout=60)
        # SIGTERM as such: it came before the first line of ours.
        assert process.returncode in {-signal.SIGKILL, -signal.SIGTERM, 0, 130}, said
        # Whoever is killed cannot wait for its children; they end by themselves.
        if number == signal.SIGTERM:
            assert left(tmp_path) == []
        until(lambda: not left(tmp_path))
    process = start(tmp_path)
    assert process.stderr is not None
    assert any("phát lúc" in line for line in process.stderr)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_the_picture_fits_a_terminal_of_80_columns_and_rounds_as_the_answer_does() -> None:
    states = {state: 100 + number for number, state in enumerate(PlayState)}
    variant = {"numerator": 2999, "denominator": 3000, "value": 2999 / 3000}
    now = clock.now()
    view = View(
        now, 3000, {Presence.ONLINE: 2999},
        [("Thông báo của UBND tỉnh", now, states), ("Cảnh báo lũ", now, {PlayState.PLAYED: 3})],
        {"1.1": {"BC": variant, "NG(0,8)": variant}}, "bản tin 21 giây phát lúc 10:00:00",
    )  # fmt: skip
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(draw(view))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 30
    assert any("Thông báo của UBND tỉnh" in line for line in lines)
    assert any("đã phát" in line for line in lines)
    assert any("99,9 %" in line for line in lines)
    assert not any("100,0 %" in line for line in lines)
