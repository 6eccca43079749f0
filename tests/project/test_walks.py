"""`tests/walks.py`, by which docs/architecture.md is held against a run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit import text
from broadcast.kit.locks import Lock, lock
from tests.walks import Walk

PAGE = """
## Another

| hop | file · function | does |
|---|---|---|
| 1 | `kit/gone.py` · `gone` | nothing |

## A lock

| hop | file · function | does |
|---|---|---|
| 1 | `kit/text.py`\\* · `clean_line` | text |
| 2 | `kit/locks.py` · `lock`, `acquire` | takes `it` · twice |
| 2a | … · `try_lock` | is not called |
| | back in `clean_line` | nothing that is called |
| 3 | `kit/text.py` · `clean_prose` | elsewhere |
| 4 | `devices/enrolment_cache.py` | a file without a function |
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE, encoding="utf-8")
    return path


async def test_functions_are_noted_as_they_are_first_called(
    page: Path, session: AsyncSession
) -> None:
    walk = Walk.read("A lock", page)
    assert walk.files == ["kit/text.py", "kit/locks.py"]
    with walk.traced() as called:
        text.clean_line("a")
        await lock(session, Lock.ROLLUP)
        await asyncio.get_running_loop().run_in_executor(None, text.clean_prose, "b")
        await lock(session, Lock.ROLLUP)
        text.clean_line("c")
    text.clean_prose("not traced any more")
    wanted = walk.functions
    wanted.remove("kit/locks.py · try_lock")
    assert called == wanted


def test_a_method_may_be_named_without_its_class_after_another(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    rows = "| 1 | `ingest/pipeline.py` · `Pipeline.walk`, `_gather` | x |\n"
    path.write_text(f"## W\n{rows}", encoding="utf-8")
    assert len(Walk.read("W", path).functions) == 2


def test_what_does_not_exist_is_refused(page: Path) -> None:
    with pytest.raises(ModuleNotFoundError):
        Walk.read("Another", page)
    with pytest.raises(AssertionError, match="no section"):
        Walk.read("Nowhere", page)
