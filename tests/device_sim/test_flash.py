"""Flash: what is written together is found together, whatever was cut."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.wire.events import Ended, EndReason, Skipped, SkipReason, Started
from device_sim.journal import COMMANDS_KEPT, Change, FileFlash, Flash, Memory, Progress

NOON = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)


def everything(memory: Memory) -> dict[str, Any]:
    return {name: getattr(memory, name) for name in Memory.__slots__}


def started(seq: int) -> Started:
    return Started(seq=seq, occurrence_id=f"o{seq}", at=NOON, sha256="a" * 64)


def progress(*, sounding: bool = True) -> Progress:
    return Progress(sounding=sounding, at=NOON, ends_by=NOON, position=5.0, heard=5.0)


CHANGES = [
    Change(boots=1),
    Change(documents={"area/51/programme": b"aaa.bbb.ccc", "device/d/config": b"d.e.f"}),
    Change(records=[started(1)], started={"o1": progress()}),
    Change(started={"o1": progress(sounding=False)}),
    Change(
        records=[Ended(2, "o1", NOON, EndReason.COMPLETED, 60.0)],
        settled={"o1": NOON},
    ),
    Change(records=[Skipped(3, "o2", NOON, SkipReason.LATE)], settled={"o2": NOON}),
    Change(documents={"area/51/programme": b""}),
    Change(content={"a" * 64: 10, "b" * 64: 20}),
    Change(content={"a" * 64: 0}),
    Change(confirmed=2),
    Change(command="c1", volume=0),
    Change(faults={"bad_content": True, "storage_full": True}),
    Change(faults={"bad_content": False}),
    Change(bound=NOON, lead_seconds=-3.5),
]


def written(changes: list[Change]) -> Memory:
    memory = Memory("j")
    for change in changes:
        memory.apply(change)
    return memory


def test_what_is_written_is_found_again(tmp_path: Path) -> None:
    flash = FileFlash("j", tmp_path / "d.log")
    for change in CHANGES:
        flash.write(change)
    expected = everything(written(CHANGES))
    assert everything(flash.load()) == expected
    assert everything(FileFlash("other", tmp_path / "d.log").load()) == expected


@given(st.data())
def test_a_line_cut_anywhere_is_no_change_at_all(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("flash") / "d.log"
    flash = FileFlash("j", path)
    ends = [path.stat().st_size]
    for change in CHANGES:
        flash.write(change)
        ends.append(path.stat().st_size)
    cut = data.draw(st.integers(ends[0], ends[-1]))
    path.write_bytes(path.read_bytes()[:cut])
    whole = sum(end <= cut for end in ends) - 1
    found = FileFlash("j", path)
    assert everything(found.load()) == everything(written(CHANGES[:whole]))
    found.write(Change(boots=9))
    again = FileFlash("j", path).load()
    assert everything(again) == everything(written([*CHANGES[:whole], Change(boots=9)]))


def test_a_log_that_has_grown_is_rewritten_to_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileFlash, "REWRITE_BYTES", 4096)
    path = tmp_path / "d.log"
    flash = FileFlash("j", path)
    for change in CHANGES:
        flash.write(change)
    for number in range(500):
        flash.write(Change(bound=NOON.replace(microsecond=number)))
    assert path.stat().st_size < 3 * 4096
    expected = written([*CHANGES, Change(bound=NOON.replace(microsecond=499))])
    assert everything(FileFlash("j", path).load()) == everything(expected)


def test_a_confirmed_journal_goes_on_counting_after_a_rewrite() -> None:
    memory = written([Change(records=[started(1), started(2)]), Change(confirmed=2)])
    again = written(memory.snapshot())
    assert again.last_seq == 2
    assert not again.records


def test_a_working_copy_is_independent_of_the_flash() -> None:
    flash = Flash("j")
    copy = flash.load()
    copy.apply(Change(settled={"o": NOON}, records=[started(1)], command="c"))
    assert everything(flash.load()) == everything(Memory("j"))


def test_only_the_last_commands_are_remembered() -> None:
    memory = written([Change(command=f"c{n}") for n in range(COMMANDS_KEPT + 5)])
    assert list(memory.commands) == [f"c{n}" for n in range(5, COMMANDS_KEPT + 5)]


def test_what_was_settled_long_ago_is_forgotten() -> None:
    memory = written(
        [
            Change(settled={"old": NOON.replace(day=1), "new": NOON}),
            Change(forget_before=NOON),
        ]
    )
    assert memory.settled == {"new": NOON}
