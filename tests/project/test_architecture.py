"""docs/architecture.md knows every package."""

from __future__ import annotations

import re
from pathlib import Path

import broadcast

ROOT = Path(__file__).parents[2]


def test_every_package_has_its_sentence() -> None:
    table = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    said = set(
        re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)))
    )
    package = Path(broadcast.__file__).parent
    rooms = {p.parent.name for p in package.glob("*/__init__.py")}
    modules = {p.stem for p in package.glob("*.py")} - {"__init__", "__main__"}
    assert rooms | modules <= said


def test_every_package_says_what_it_is() -> None:
    for init in Path(broadcast.__file__).parent.rglob("__init__.py"):
        assert init.read_text(encoding="utf-8").startswith('"""'), init


# What has no package of its own: the composition, the repository itself, statements of several
# packages, whole days, and programs beside the server.
BESIDES = {"cases", "app", "project", "plans", "scenarios", "e2e"}
BESIDES |= {"chaos", "deploy", "device_sim", "install"}


def test_folders_of_tests_are_named_for_packages() -> None:
    folders = {p.parent.name for p in (ROOT / "tests").glob("*/test_*.py")}
    packages = {p.parent.name for p in Path(broadcast.__file__).parent.glob("*/__init__.py")}
    assert folders <= packages | BESIDES
    assert not list((ROOT / "tests").glob("test_*.py"))
