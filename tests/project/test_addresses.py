"""No file of the repository names a package registry: each machine has its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
KNOWN = (
    "pypi" + ".org",
    "python" + "hosted",
    "npm" + "js",
    "deb.debian" + ".org",
    "/sim" + "ple/",
)


def hosts_of_this_machine() -> set[str]:
    """Hosts of the registries that pip and uv are set up with here."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    settings = [value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_"))]
    addresses = re.findall(r"https?://[^\s'\"]+", " ".join([listed, *settings]))
    hosts = {urlsplit(address).hostname or "" for address in addresses}
    return hosts - {"", "localhost", "127.0.0.1"}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no clone of the repository")
def test_no_file_names_a_registry() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    names = (*KNOWN, *hosts_of_this_machine())
    found = []
    for name in listed.stdout.split("\0")[:-1]:
        path = ROOT / name
        text = path.read_text(errors="replace").lower() if path.is_file() else ""
        found += [f"{name}: {each}" for each in names if each in text]
    assert found == []
