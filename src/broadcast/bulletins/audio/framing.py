"""What is put around the words of an alert: attention tone, repeats, and that it is a drill.

It lies in the sound itself, so that no device and no broker can leave it out. A real alert begins
with two tones that alternate; a drill with a bell, and words that say so before every repeat.
"""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from broadcast.bulletins.audio import chime
from broadcast.bulletins.audio.pcm import RATE, Samples
from broadcast.bulletins.audio.prepared import Framing, Trim, content_path
from broadcast.bulletins.audio.renditions import decode_pcm

DRILL_SCRIPT = "Đây là diễn tập."
"""Said before the words of a drill, each time."""

DRILL_OVER_SCRIPT = "Diễn tập kết thúc, bà con không cần làm gì."

_HIGH, _LOW = 960.0, 800.0
"""Hertz; both lie in the middle of what a horn carries (300-6,000 Hz)."""

_STROKE_SECONDS = 0.4
_STROKES = 10

_PAUSE = np.zeros(RATE // 2, np.int16)
_LOUD = 0.25
"""Amplitude of tone and bell against full scale; the loudness of the whole is set afterwards."""

Pcm = npt.NDArray[np.int16]
Say = Callable[[str, Path], None]
"""Reads a script aloud into a WAV file."""


def frame(
    source: Path | None,
    target: Path,
    framing: Framing,
    content_dir: Path,
    say: Say,
    trim: Trim = Trim(),  # noqa: B008 — immutable
) -> None:
    """Write the sound of an alert to a WAV file.

    Args:
        source: The words; None where `framing.body` names them.
        target: File to write, beside which scratch files are made.
        framing: What is put around them.
        content_dir: Store of the sound that `framing` names by its SHA-256.
        say: Reads what makes it a drill.
        trim: Part of the source that is used.

    Raises:
        InvalidInput: A recording cannot be read.
    """
    if source is None:
        assert framing.body is not None
        source = content_path(content_dir, framing.body)
    languages = [
        *(content_path(content_dir, each) for each in framing.before),
        source,
        *(content_path(content_dir, each) for each in framing.others),
    ]
    words = [decode_pcm(path) for path in languages]
    if trim != Trim():
        place = len(framing.before)
        end = None if trim.end_seconds is None else round(trim.end_seconds * RATE)
        words[place] = words[place][round(trim.start_seconds * RATE) : end]
    before = after = np.zeros(0, np.int16)
    if framing.is_drill:
        before = _said(DRILL_SCRIPT, target.with_name("drill.wav"), say)
        after = _said(DRILL_OVER_SCRIPT, target.with_name("over.wav"), say)
    pieces: list[Pcm] = []
    if framing.tone:
        pieces += [_pcm(chime.attention() if framing.is_drill else attention_tone()), _PAUSE]
    for _ in range(framing.repeats):
        for one in words:
            pieces += [before, one, _PAUSE]
    _write(target, [*pieces, after])


def attention_tone() -> Samples:
    """Two tones that alternate, 4 seconds; each stroke fades in and out."""
    at = np.arange(round(_STROKE_SECONDS * RATE)) / RATE
    edge = np.minimum(np.minimum(at, _STROKE_SECONDS - at) / 0.02, 1)
    strokes = [
        np.sin(2 * np.pi * (_HIGH if number % 2 == 0 else _LOW) * at) * edge
        for number in range(_STROKES)
    ]
    return np.asarray(np.concatenate(strokes), np.float32)


def _said(script: str, path: Path, say: Say) -> Pcm:
    say(script, path)
    return decode_pcm(path)


def _pcm(sound: Samples) -> Pcm:
    return np.asarray(np.rint(sound * _LOUD * 32767), np.int16)


def _write(target: Path, pieces: Iterable[Pcm]) -> None:
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        for piece in pieces:
            file.writeframes(piece.tobytes())
