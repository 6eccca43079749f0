"""Lock files and the list of dependencies say what pyproject.toml says."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def names(requirements: list[str]) -> set[str]:
    return {
        re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower() for requirement in requirements
    }


RUNNING = names(PROJECT["project"]["dependencies"])
OPTIONAL = names(PROJECT["project"]["optional-dependencies"]["piper"])
DEVELOPING = names(PROJECT["dependency-groups"]["dev"])


def test_every_dependency_is_explained_and_nothing_else() -> None:
    page = (ROOT / "docs/dependencies.md").read_text()
    explained = re.findall(r"^\| ([\w.-]+) \|", page, re.MULTILINE)
    assert sorted(name for name in explained if name != "package") == sorted(
        RUNNING | OPTIONAL | DEVELOPING
    )


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_names_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*--(?!hash=sha256:)", text, re.MULTILINE)


def test_the_lock_file_of_node_red_pins_everything_by_hash_and_names_no_address() -> None:
    lock = json.loads((ROOT / "benchmarks/nodered/package-lock.json").read_text())
    packages = [
        entry for name, entry in lock["packages"].items() if name and not entry.get("inBundle")
    ]
    assert len(packages) > 100
    assert all(entry["integrity"].startswith("sha512-") for entry in packages)
    assert not any("resolved" in entry for entry in packages)


@pytest.mark.parametrize(
    ("lock", "wanted"), [(LOCKS[0], RUNNING), (LOCKS[1], RUNNING | DEVELOPING)]
)
def test_a_lock_file_pins_every_dependency_with_hashes(lock: str, wanted: set[str]) -> None:
    pins = re.findall(
        r"^([\w.-]+)(?:\[[\w,]+\])?==\S+(?: ;[^\\]+)? \\\n    --hash=sha256:[0-9a-f]{64}",
        (ROOT / lock).read_text(),
        re.MULTILINE,
    )
    assert wanted <= set(pins)


def test_what_runs_is_pinned_alike_in_both_lock_files() -> None:
    running, developing = (
        set(re.findall(r"^[\w.-]+==\S+", (ROOT / lock).read_text(), re.MULTILINE))
        for lock in LOCKS
    )
    assert running <= developing
