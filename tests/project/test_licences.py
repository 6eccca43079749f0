"""What `make licences` lets through."""

from __future__ import annotations

import pytest

from tools import licences
from tools.licences import ALLOWED, PERMISSIVE, Package, faults, is_allowed, pinned


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ("MIT", True),
        ("MIT AND PSF-2.0", True),
        ("EPL-2.0 OR BSD-3-Clause", True),
        ("MIT AND GPL-3.0-or-later", False),
        ("GPL-3.0-or-later", False),
        ("MPL-2.0", False),
        ("Proprietary", False),
        ("", False),
    ],
)
def test_an_expression_needs_a_choice_that_is_allowed(expression: str, fits: bool) -> None:
    assert is_allowed(expression, PERMISSIVE) is fits


def test_a_stranger_and_an_idle_exception_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "EXCEPTIONS", {"known": "why", "idle": "why", "absent": "why"})
    packages = [
        Package("good", "MIT"), Package("stranger", "SSPL-1.0"), Package("silent", ""),
        Package("known", ""), Package("idle", "MIT"),
    ]  # fmt: skip
    named = [fault.partition(":")[0] for fault in faults(packages, PERMISSIVE)]
    assert named == ["stranger", "silent", "idle"]


def test_a_lock_is_read_as_it_holds_on_this_machine() -> None:
    lock = (
        "a==1.0 \\\n    --hash=sha256:00\nb[x,y]==2 ; sys_platform == 'win32' \\\n"
        "c==3 ; python_full_version >= '3.11' \\\n    # via a\n"
    )
    assert list(pinned(lock)) == ["a", "c"]


def test_every_package_of_the_locks_is_looked_at() -> None:
    for lock in ALLOWED:
        text = (licences.ROOT / lock).read_text()
        assert len(list(pinned(text))) > 40
