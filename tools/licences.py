"""The licence of every package of the lock files, as it says itself, against those allowed.

`make licences`, a part of `make check`, needs no network: it reads what is installed. What a
package says of itself may be less than the truth: docs/dependencies.md says where.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]

PERMISSIVE = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0",
    "PSF-2.0", "Zlib",
}  # fmt: skip
ALLOWED = {
    "requirements.lock": PERMISSIVE,
    "requirements-dev.lock": PERMISSIVE | {"MPL-2.0"},
}
"""By lock file: what is not passed on may be copyleft by file."""

EXCEPTIONS = {
    "axe-playwright-python": "says nothing; MIT in its LICENSE, its axe-core MPL-2.0: only tests",
    "certifi": "MPL-2.0, by file: Mozilla's list, passed on as it is; signxml has it",
    "espeakng-loader": "says nothing; its eSpeak NG is GPL-3.0-or-later: docs/dependencies.md",
    "vietnam-provinces": "says nothing; GPL-3.0-or-later in its repository: docs/dependencies.md",
}
"""Packages that are here all the same, and why."""

NAMES = {
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""SPDX identifiers of what older packages write."""


class Package(NamedTuple):
    """A package of a lock file, and the licence that it says it has; empty: none."""

    name: str
    licence: str


def pinned(lock: str) -> Iterator[str]:
    """Names of the packages in a lock file that this machine installs."""
    for line in lock.splitlines():
        if re.match(r"[\w.-]+(\[[\w,-]+\])?==", line):
            requirement = Requirement(line.rstrip("\\ "))
            if requirement.marker is None or requirement.marker.evaluate():
                yield requirement.name


def said(name: str) -> str:
    """Licence of an installed package as an SPDX expression; empty where it says none."""
    metadata = distribution(name).metadata
    if expression := metadata["License-Expression"]:
        return str(expression)
    classes = [line.split(" :: ")[-1] for line in metadata.get_all("Classifier") or ()
               if line.startswith("License ::") and "approved" not in line]  # fmt: skip
    # The field may be the whole text of a licence; a short one is exacter than the class.
    written = str(metadata["License"] or "").strip()
    told = [written] if written and "\n" not in written else classes
    return " OR ".join(NAMES.get(each, each) for each in told)


def is_allowed(expression: str, allowed: set[str]) -> bool:
    """Tell whether an SPDX expression without brackets leaves us a choice of what is allowed."""
    return any(
        all(part in allowed for part in choice.split(" AND "))
        for choice in expression.split(" OR ")
    )


def faults(packages: list[Package], allowed: set[str]) -> list[str]:
    """Packages that may not be here, and exceptions that nothing needs."""
    refused = [each for each in packages if not is_allowed(each.licence, allowed)]
    unexpected = [
        f"{each.name}: licence “{each.licence or 'none'}” is not among those allowed"
        for each in refused
        if each.name not in EXCEPTIONS
    ]
    idle = [
        f"{each.name}: an exception that it does not need"
        for each in packages
        if each.name in EXCEPTIONS and is_allowed(each.licence, PERMISSIVE)
    ]
    return unexpected + idle


def main() -> int:
    """Print what is wrong; the number of faults."""
    found = []
    for lock, allowed in ALLOWED.items():
        names = sorted(set(pinned((ROOT / lock).read_text())))
        try:
            packages = [Package(name, said(name)) for name in names]
        except PackageNotFoundError as error:
            found.append(f"{lock}: {error.name} is not installed; run make setup")
            continue
        found += [f"{lock}: {fault}" for fault in faults(packages, allowed)]
    for line in found:
        print(line, file=sys.stderr)
    return len(found)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
