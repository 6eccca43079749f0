"""`make bench`: what it says and how it ends."""

from __future__ import annotations

import importlib
import json
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as bench
from benchmarks.result import Result, Skipped


@pytest.mark.parametrize(
    ("ours", "against", "unit", "limit", "missed"),
    [
        (2.0, 1.0, "s", "≤ 2", False),
        (2.1, 1.0, "s", "≤ 2", True),
        (0.6, 1.0, "msg/s", "≥ 0.6", False),
        (0.59, 1.0, "msg/s", "≥ 0.6", True),
        (301.0, 300.0, "MB", "≤ 300 MB", True),
        (0.15, 0.15, "of a core", "≤ 0.15 of a core", False),
        (9.0, 1.0, "s", None, False),
    ],
)
def test_a_limit_is_of_the_ratio_or_with_a_unit_of_ours(
    ours: float, against: float, unit: str, limit: str | None, missed: bool
) -> None:
    assert Result("x", ours, against, unit, limit).missed is missed


def test_a_limit_in_another_unit_is_no_limit() -> None:
    with pytest.raises(ValueError, match="kB"):
        _ = Result("x", 1, 1, "MB", "≤ 2 kB").missed


def run(name: str) -> list[Result]:
    if name == "audio":
        raise Skipped("ffmpeg is not on PATH; apt install ffmpeg")
    if name == "storm":
        raise TimeoutError("nobody came back")
    return [Result(f"{name}_x", 3.0, 1.0, "s", "≤ 2" if name == "fanout" else "≤ 4")]


@pytest.mark.parametrize(
    ("names", "code", "said"),
    [
        (["startup"], 0, ""),
        (["startup", "fanout"], 1, "fanout_x misses its limit: ≤ 2"),
        (["storm", "startup"], 1, "storm failed"),
        (["audio"], 0, "apt install ffmpeg"),
    ],
)
def test_the_exit_code_is_1_when_a_limit_is_missed_and_it_is_named(
    names: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def module(name: str) -> SimpleNamespace:
        return SimpleNamespace(run=lambda: run(name.removeprefix("benchmarks.")))

    monkeypatch.setattr(importlib, "import_module", module)
    monkeypatch.setattr(bench.logging, "disable", lambda _: None)
    assert bench.main(names) == code
    out = capsys.readouterr().out
    assert said in out
    figures = json.loads(out.splitlines()[-1])
    assert {name for name, of in figures.items() if of["missed"]} == (
        {"fanout_x"} if "fanout" in names else set()
    )
