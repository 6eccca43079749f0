"""SECURITY.md says of tests, tables and retention what is true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

import broadcast.api
import broadcast.cli
import broadcast.delivery.dispatcher
import broadcast.ingest.worker  # noqa: F401 — every table is known
from broadcast.config import Upkeep
from broadcast.kit.db import Base
from broadcast.upkeep import retention

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
TABLES = Base.metadata.tables

TELLING = re.compile(
    r"name|login|person|mail|phone|address|network|agent|photo|password|secret|label|note"
    r"|credential|public_key|^text$|^entry$|payload|token|attested"
)
"""Names of columns that may hold something about a person."""

IMPERSONAL = {
    *(f"{table}.name" for table in ("areas", "clusters", "incidents", "plants", "role_states")),
    *("stations.name", "village_register.name", "documents.token", "newer_documents.token"),
    *("air_sessions.name", "calendar_days.name", "stream_sources.name", "portals.name"),
    "cap_feeds.name",
    *("restore_decisions.name", "restores.credentials"),
}
"""Places, sessions, marked days, roles, what is signed for devices, what is decided later."""


def rows() -> Iterator[tuple[list[str], str]]:
    """Columns of each row of the table on people, and how long they are kept."""
    _, _, section = PAGE.partition("## Data about people")
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        columns = re.findall(r"`(\w+\.\w+)`", cells[0])
        if len(cells) == 3 and columns:
            yield columns, cells[2]


def test_the_tests_that_it_names_exist() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))
    assert len(named) > 25
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_column_that_it_names_exists() -> None:
    for columns, _ in rows():
        for column in columns:
            table, _, name = column.partition(".")
            assert name in TABLES[table].columns, column


def test_every_column_that_tells_of_a_person_is_named() -> None:
    named = {column for columns, _ in rows() for column in columns} | IMPERSONAL
    telling = {
        f"{table.name}.{column.name}"
        for table in TABLES.values()
        for column in table.columns
        if TELLING.search(column.name) and not column.foreign_keys and not is_number(column)
    }
    assert sorted(telling - named) == []
    assert sorted(IMPERSONAL - telling) == []


def is_number(column: sa.Column[object]) -> bool:
    return isinstance(column.type, sa.Integer | sa.Float | sa.Boolean | sa.DateTime)


def test_what_is_deleted_by_age_is_said_with_its_age() -> None:
    kept = retention.keep_days(Upkeep())
    for columns, said in rows():
        for table in {column.partition(".")[0] for column in columns}:
            setting = re.match(r"`(\w+)`", said)
            if table in kept:
                days = getattr(Upkeep(), setting[1].lower()) if setting else int(said.split()[0])
                assert kept[table] == days, table
            elif setting:
                assert hasattr(Upkeep(), setting[1].lower()), setting[1]
            else:
                assert re.match("permanently|until|as long|2 days", said), (table, said)
