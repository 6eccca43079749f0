"""Room is measured where it can be, computed where it is configured, else honestly unknown."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from broadcast import config
from broadcast.upkeep.storage import rooms

HERE = "postgresql:///broadcast?host=/run/postgresql"
THERE = "postgresql://broadcast@10.0.0.7/broadcast"


async def database(tmp_path: Path, dsn: str, directory: str | None, **upkeep: Any) -> Any:
    settings = config.Settings(
        postgres=config.Postgres(dsn=SecretStr(dsn)),
        content_dir=tmp_path / "not" / "yet",
        upkeep=config.Upkeep(**upkeep),
    )
    content, found = await rooms(settings, directory, 300)
    assert (content.place, content.how) == ("content", "file_system")
    assert content.total_bytes == shutil.disk_usage(tmp_path).total
    return found.how, found.free_bytes


async def test_a_local_data_directory_is_measured(tmp_path: Path) -> None:
    how, free = await database(tmp_path, HERE, str(tmp_path), database_capacity_bytes=1000)
    assert how == "file_system"
    assert free > 1000


@pytest.mark.parametrize(
    ("dsn", "directory"), [(HERE, None), (HERE, "/no/such/folder"), (THERE, "/")]
)
async def test_elsewhere_room_is_computed_or_unknown(
    tmp_path: Path, dsn: str, directory: str | None
) -> None:
    assert await database(tmp_path, dsn, directory) == ("unknown", None)
    known = await database(tmp_path, dsn, directory, database_capacity_bytes=1000)
    assert known == ("capacity", 700)
    assert await database(tmp_path, dsn, directory, database_capacity_bytes=200) == ("capacity", 0)
