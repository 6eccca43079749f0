"""The chain of entries and what breaks it. Pure.

Each entry has a number, without gaps and in the order of the commits, and a hash over the hash
before, its number and its text. PostgreSQL makes both at the commit (migration 0017).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from broadcast.audit import entry


class Anchor(NamedTuple):
    """An entry that is known from elsewhere: its number and hash."""

    seq: int
    hash: str


START = Anchor(0, "0" * 64)
"""Comes before the first entry."""


class Link(NamedTuple):
    """A stored entry.

    Attributes:
        seq: Number.
        hash: As stored.
        line: Its text.
        columns: By which it is found, as stored; None where there are none, as in an export.
    """

    seq: int
    hash: str
    line: str
    columns: Mapping[str, Any] | None = None


class Finding(NamedTuple):
    """Something that nobody has a right to do to the audit was done.

    Attributes:
        seq: Number of the entry where it shows; None: of none.
        detail: What, for a person.
    """

    seq: int | None
    detail: str


def digest(before: str, seq: int, line: str) -> str:
    """Hash of an entry: SHA-256 over the hash before, its number and its text, with blanks."""
    return hashlib.sha256(f"{before} {seq} {line}".encode()).hexdigest()


class Walk:
    """The entries one after the other, and what is found wrong with them.

    Attributes:
        last: The last entry that was walked over, or the anchor that it begins after.
        first_seq: Number of the first one; None before it.
        hashes: Hash of each number asked for.
    """

    def __init__(self, after: Anchor = START, wanted: Iterable[int] = ()) -> None:
        self.last = after
        self.first_seq: int | None = None
        self.hashes: dict[int, str] = {}
        self._wanted = frozenset(wanted)

    def over(self, links: Iterable[Link]) -> Iterator[Finding]:
        """What is wrong with entries, given in the order of their numbers."""
        for link in links:
            if self.first_seq is None:
                self.first_seq = link.seq
            if link.seq != self.last.seq + 1:
                yield Finding(link.seq, _gap(self.last.seq, link.seq))
            elif link.hash != digest(self.last.hash, link.seq, link.line):
                yield Finding(link.seq, "nội dung, số thứ tự hoặc mã băm đã bị sửa")
            if link.columns is not None:
                yield from _columns(link)
            self.last = Anchor(link.seq, link.hash)
            if link.seq in self._wanted:
                self.hashes[link.seq] = link.hash


def _gap(before: int, seq: int) -> str:
    missing = seq - before - 1
    if missing < 0:
        return f"số thứ tự {seq} đứng sau số {before}"
    return f"thiếu {missing} dòng, từ số {before + 1} đến số {seq - 1}"


def _columns(link: Link) -> Iterator[Finding]:
    try:
        expected = entry.columns(entry.decode(link.line))
    except ValueError:
        yield Finding(link.seq, "nội dung không đọc được")
        return
    assert link.columns is not None
    for name, value in expected.items():
        if link.columns[name] != value:
            yield Finding(link.seq, f"cột {name} đã bị sửa, khác với nội dung")


def anchored(anchor: Anchor, walk: Walk, where: str) -> Iterator[Finding]:
    """Whether an entry that is known from elsewhere is still what it was.

    Args:
        anchor: Known from elsewhere.
        walk: Over all entries, the number of the anchor wanted.
        where: From where it is known, for a person.
    """
    if walk.first_seq is not None and anchor.seq < walk.first_seq:
        return  # had its time; the walk has begun after what was signed then
    if anchor.seq > walk.last.seq:
        yield Finding(
            walk.last.seq,
            f"thiếu các dòng cuối, từ số {walk.last.seq + 1} đến ít nhất {anchor.seq} ({where})",
        )
    elif walk.hashes.get(anchor.seq) not in {None, anchor.hash}:
        yield Finding(anchor.seq, f"dòng đã bị thay, khác với {where}")
