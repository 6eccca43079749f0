"""Results of a preparation, for modules that make no sound: no decoder is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

VERSION = 6
"""Of what comes out of the same source and settings; raise it with every change of that."""


@dataclass(frozen=True)
class Trim:
    """Part of a source that is used, in tenths of a second; the source itself stays whole.

    Attributes:
        start_seconds: Where it begins.
        end_seconds: Where it ends; None: with the source.
    """

    start_seconds: float = 0.0
    end_seconds: float | None = None


@dataclass(frozen=True)
class Framing:
    """What is put around the words of an alert, or of a version, in its sound itself.

    Attributes:
        tone: An attention tone comes first.
        repeats: How many times the words are said.
        is_drill: "This is a drill" is said before the words each time, and after the last.
        body: SHA-256 of the sound that says them, where it is kept already; None: the source.
        others: The same in further languages, by SHA-256; said after it, each time.
        before: Sound that comes before it, each time, by SHA-256.
        is_joined: Several sounds make one bulletin; it is no alert.
    """

    tone: bool = True
    repeats: int = 2
    is_drill: bool = False
    body: str | None = None
    others: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    is_joined: bool = False


@dataclass(frozen=True)
class Heard:
    """Measures of the part of a source that is used, before anything was done to it.

    Attributes:
        loudness_lufs: Integrated, EBU R 128.
        true_peak_dbtp: Highest true peak.
        outline: Heights of 0-100 of equal stretches of the whole source, for a picture.
    """

    loudness_lufs: float
    true_peak_dbtp: float
    outline: tuple[int, ...]


@dataclass(frozen=True)
class Warned:
    """Something about a recording that its author ought to know.

    Attributes:
        kind: One word for programs.
        at_seconds: Where in the source it begins; None where it is everywhere.
        seconds: How long it lasts; None where it is everywhere.
        detail: What it is, and what to do.
    """

    kind: str
    at_seconds: float | None
    seconds: float | None
    detail: str


@dataclass(frozen=True)
class Rendition:
    """One encoding of a prepared bulletin, stored under its SHA-256."""

    codec: str
    sha256: str
    size_bytes: int
    seconds: float
    path: Path


@dataclass(frozen=True)
class Prepared:
    """A bulletin ready for air.

    Attributes:
        seconds: Length on air, chimes and pauses included.
        loudness_lufs: Of the decoded rendition that is furthest from the target.
        true_peak_dbtp: Of the decoded rendition with the highest.
        source_seconds: Decoded length of the source.
        trimmed_seconds: Silence taken off its two ends.
        gain_db: Gain that the source got.
        damaged_frames: Pieces of the source that could not be decoded and were skipped.
        renditions: Opus first, then MP3.
        warnings: What its author ought to hear before it is submitted.
        source: The source as it came; None of what was prepared by version 5 or earlier.
        outline: Heights of 0-100 of equal stretches of what is heard, for a picture.
    """

    seconds: float
    loudness_lufs: float
    true_peak_dbtp: float
    source_seconds: float
    trimmed_seconds: float
    gain_db: float
    damaged_frames: int
    renditions: tuple[Rendition, ...]
    warnings: tuple[Warned, ...] = ()
    source: Heard | None = None
    outline: tuple[int, ...] = ()


def content_path(content_dir: Path, sha256: str) -> Path:
    """Path of content in the store by its SHA-256 (64 hexadecimal digits)."""
    return content_dir / sha256[:2] / sha256
