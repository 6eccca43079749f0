"""Each reason for not being ready, by itself; every other fact is well."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broadcast.config import Upkeep
from broadcast.upkeep import checks
from broadcast.upkeep.checks import Check, Facts, Name
from broadcast.upkeep.storage import Room
from tests.devices.fleet import EIGHT, MINUTE

SETTINGS = Upkeep()
PARTS = (("plays", "plays_202507"), ("heartbeats", "heartbeats_20250701"))
WELL = Facts(
    partitions=frozenset(name for _, name in PARTS),
    wanted=PARTS,
    ahead=PARTS,
    undropped=(),
    unpublished=0,
    unpublished_since=None,
    expected=100,
    heard_at=EIGHT - MINUTE,
    listened_until=EIGHT - MINUTE,
)


def judged(**changes: Any) -> dict[Name, Check]:
    return {c.name: c for c in checks.work(replace(WELL, **changes), SETTINGS, EIGHT)}


def test_all_is_well() -> None:
    assert all(check.ok and not check.alarm and not check.detail for check in judged().values())


@pytest.mark.parametrize(
    ("changes", "name", "ok", "says"),
    [
        ({"partitions": frozenset({"plays_202507"})}, Name.PARTITIONS, False, "_20250701"),
        ({"ahead": (*PARTS, ("plays", "plays_202508"))}, Name.PARTITIONS, True, "plays_202508"),
        ({"undropped": ("heartbeats_20250101",)}, Name.RETENTION, True, "heartbeats_20250101"),
        ({"unpublished": 3, "unpublished_since": EIGHT - 11 * MINUTE}, Name.OUTBOX, False,
         "3 tài liệu"),
        ({"unprepared": 3, "unprepared_since": EIGHT - 11 * MINUTE}, Name.PREPARATION, False,
         "broadcast-prepare"),
        ({"unprepared": 3, "unprepared_since": EIGHT - 11 * MINUTE, "preparing": 2},
         Name.PREPARATION, True, "2 bản đang làm"),
        ({"listened_until": EIGHT - 16 * MINUTE}, Name.LISTENING, False, "16 phút"),
        ({"listened_until": None}, Name.LISTENING, False, "chưa từng"),
        ({"heard_at": EIGHT - 3 * timedelta(hours=1)}, Name.DEVICES, False, "3 giờ"),
    ],
)  # fmt: skip
def test_one_thing_is_wrong(changes: dict[str, Any], name: Name, ok: bool, says: str) -> None:
    found = judged(**changes)
    assert [n for n, check in found.items() if check.alarm] == [name]
    assert found[name].ok is ok
    assert says in found[name].detail


@pytest.mark.parametrize(
    "changes",
    [
        {"unpublished": 3, "unpublished_since": EIGHT - 9 * MINUTE},
        {"unprepared": 3, "unprepared_since": EIGHT - 9 * MINUTE},
        {"listened_until": EIGHT - 14 * MINUTE},
        {"heard_at": EIGHT - 14 * MINUTE},
        # Nobody is expected: a new installation, or one whose devices are all long gone.
        {"expected": 0, "heard_at": None, "listened_until": None},
        {"expected": 0, "heard_at": EIGHT - timedelta(days=9), "listened_until": None},
        # A pilot with few devices is switched off at night.
        {"expected": 4, "heard_at": EIGHT - 20 * MINUTE},
    ],
)
def test_nothing_is_wrong_yet(changes: dict[str, Any]) -> None:
    assert not any(check.alarm for check in judged(**changes).values())


def room(free: int | None, place: Any = "content") -> Room:
    return Room(place=place, how="unknown" if free is None else "file_system", free_bytes=free)


def test_a_disk_is_low_full_or_nobody_knows() -> None:
    limit = SETTINGS.disk_free_bytes
    assert checks.disk([room(limit), room(limit, "database")], SETTINGS) == Check(
        name=Name.DISK, ok=True
    )
    low = checks.disk([room(limit), room(limit - 1, "database")], SETTINGS)
    assert (low.ok, low.alarm) == (False, True)
    assert "cơ sở dữ liệu còn 2.0 GiB" in low.detail
    unknown = checks.disk([room(limit), room(None, "database")], SETTINGS)
    assert (unknown.ok, unknown.alarm) == (True, False)
    assert "Không đo được" in unknown.detail


def test_a_schema_is_the_one_of_this_code() -> None:
    assert checks.schema("0004", "0004").ok
    for stored in ("0001", None):
        check = checks.schema(stored, "0004")
        assert not check.ok
        assert "broadcast migrate" in check.detail
