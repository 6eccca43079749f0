"""The bundles that are committed are those of the present sources."""

from __future__ import annotations

import hashlib

from broadcast.console.assets import STATIC

SOURCES = STATIC.with_name("assets")


def test_the_bundles_are_of_these_sources() -> None:
    files = [*SOURCES.glob("css/**/*"), *SOURCES.glob("js/**/*"), SOURCES / "package-lock.json"]
    present = {
        path.relative_to(SOURCES).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }
    lines = (STATIC / "sources.sha256").read_text().splitlines()
    bundled = {line.split("  ")[1]: line.split("  ")[0] for line in lines}
    assert bundled == present, "run `make assets` and commit src/broadcast/console/static"
