"""From any recording to the two renditions loudspeakers play.

`prepare` takes these steps:

1. decode the source once to 48 kHz mono, 100 Hz to 12 kHz, into a scratch file, and measure it;
2. take the part that a person has chosen, and trim silence off its ends;
3. put the attention chime before and the closing chime after, with pauses and fades;
4. bring the whole to its loudness under a true-peak ceiling, and encode it to Opus and to MP3;
5. decode each rendition, measure it, and encode it again if the codec moved it off its target.

The same source and settings give the same bytes, so that the SHA-256 names them for good.
Sources are untrusted: outside tests and benchmarks, call it through `broadcast.bulletins.sandbox`.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from broadcast import config
from broadcast.bulletins.audio import loudness
from broadcast.bulletins.audio.decoding import FOR_AIR, UNREADABLE, Source
from broadcast.bulletins.audio.faults import of_levels
from broadcast.bulletins.audio.loudness import Meter
from broadcast.bulletins.audio.mastering import CODECS, MOST_GAIN_DB, NO_SPEECH, Programme, Stored
from broadcast.bulletins.audio.pcm import RATE, STEP, Samples, Series
from broadcast.bulletins.audio.prepared import (
    Heard,
    Prepared,
    Rendition,
    Trim,
    Warned,
    content_path,
)
from broadcast.bulletins.audio.waveform import outline
from broadcast.kit.errors import InvalidInput

SILENCE_LU = 30.0
"""This far below the bulletin's own loudness is silence: breath stays, room noise goes."""

LEAD_STEPS, TAIL_STEPS = 2, 4
"""Tenths of a second kept of the silence around it: no consonant is cut, a room may ring out."""

SHORTEST_SECONDS = 1.0
"""Less than this is a slip of the record button."""

WHOLE = Trim()

_SILENT = -120.0
"""Level of silence as a number that JSON has."""

_DECODING = 0.2
"""For progress: its part of the whole."""


def prepare(
    source: Path,
    content_dir: Path,
    settings: config.Audio,
    *,
    trim: Trim = WHOLE,
    scratch: Path | None = None,
    report: Callable[[float], None] = lambda _: None,
) -> Prepared:
    """Prepare one bulletin and store its renditions.

    Args:
        source: Any recording that libav reads.
        content_dir: Root of the content-addressed store.
        settings: Loudness, bit rates, limits.
        trim: Part of the recording to be used.
        scratch: Empty directory on the file system of `content_dir`; needs 192 kB a second of
            sound. One is made and removed when None.
        report: Told now and then which part of the whole is done.

    Raises:
        InvalidInput: The file is no recording, is silent, too short, too long or too broken, or
            cannot be brought to the target.
    """
    if scratch is None:
        content_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".prepare-", dir=content_dir) as made:
            return prepare(
                source, content_dir, settings, trim=trim, scratch=Path(made), report=report
            )

    stored = scratch / "sound.f32"
    reader, meter = _decode(source, stored, settings.longest_seconds, report)
    powers, peaks = meter.finish()
    source_seconds = meter.samples / RATE
    picture = outline(peaks)
    begins, ends = _steps(trim, len(powers) // 100)
    powers, peaks = powers[begins * 100 : ends * 100], peaks[begins * 100 : ends * 100]
    heard = Heard(
        round(max(loudness.integrated(powers), _SILENT), 2),
        round(max(loudness.decibels(float(peaks.max())), _SILENT), 2),
        picture,
    )
    levels = loudness.speech_levels(powers)
    first, last = _audible(powers, levels, settings.loudness_lufs)
    programme = Programme.around(
        Stored(stored, (begins + first) * STEP, (begins + last) * STEP),
        powers[first * 100 : last * 100],
        peaks[first * 100 : last * 100],
        levels[first:last],
        settings,
    )
    warnings = [
        *reader.faults.warnings(),
        *_told(powers, levels, programme, (first, last), begins, settings.loudness_lufs),
    ]
    del powers, peaks, meter, levels
    done = dict.fromkeys(CODECS, 0.0)

    def progress(codec: str, share: float) -> None:
        done[codec] = max(done[codec], share)
        report(_DECODING + (1 - _DECODING) * min(done.values()))

    with ThreadPoolExecutor(len(CODECS)) as pool:
        rendered = list(
            pool.map(
                lambda codec: programme.render(
                    codec, scratch, settings, lambda share: progress(codec, share)
                ),
                CODECS,
            )
        )
    worst = max(rendered, key=lambda r: abs(r[1].loudness_lufs - settings.loudness_lufs))
    return Prepared(
        seconds=programme.seconds,
        loudness_lufs=round(worst[1].loudness_lufs, 2),
        true_peak_dbtp=round(max(measured.true_peak_dbtp for _, measured in rendered), 2),
        source_seconds=round(source_seconds, 3),
        trimmed_seconds=round(
            max(min(source_seconds, ends / 10) - begins / 10 - (last - first) / 10, 0.0), 3
        ),
        gain_db=round(programme.gain_db, 2),
        damaged_frames=reader.damaged,
        warnings=tuple(warnings),
        renditions=tuple(
            _publish(codec, path, measured.seconds, content_dir)
            for codec, (path, measured) in zip(CODECS, rendered, strict=True)
        ),
        source=heard,
        outline=rendered[0][1].outline,
    )


def _steps(trim: Trim, whole: int) -> tuple[int, int]:
    """First and one-past-last 100 ms of the part of a source that is used.

    Raises:
        InvalidInput: Nothing of it lies in the source, or less than `SHORTEST_SECONDS`.
    """
    begins = round(trim.start_seconds * 10)
    ends = whole if trim.end_seconds is None else min(round(trim.end_seconds * 10), whole)
    if trim != WHOLE and ends - begins < SHORTEST_SECONDS * 10:
        raise InvalidInput(
            "file",
            f"Đoạn giữ lại quá ngắn hoặc nằm ngoài bản ghi (dài {whole / 10:.1f} giây)."
            " Hãy chọn đoạn dài ít nhất 1 giây.",
        )
    return begins, ends


def decode_pcm(path: Path) -> npt.NDArray[np.int16]:
    """Samples of any file that libav reads, as 48 kHz mono.

    Raises:
        InvalidInput: libav does not read it.
    """
    pieces = [
        np.rint(np.clip(sound * 32768, -32768, 32767)).astype(np.int16)
        for sound, _ in Source(path)
    ]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


def _decode(
    source: Path, scratch: Path, longest_seconds: float, report: Callable[[float], None]
) -> tuple[Source, Meter]:
    """Write the sound of the source to a scratch file; its reader and its measures."""
    channel = None
    while True:
        meter = Meter()
        reader = Source(source, FOR_AIR, longest_seconds, channel)
        with scratch.open("wb") as file:
            for sound, weighted in reader:
                meter.add(sound, weighted)
                file.write(sound.tobytes())
                whole = max(reader.stated_seconds or 0, reader.heard_seconds, 1)
                report(_DECODING * meter.samples / RATE / whole)
            file.write(bytes(-meter.samples % STEP * 4))
        reader.refuse_broken()
        if not meter.samples:
            raise InvalidInput("file", UNREADABLE, damaged_frames=reader.damaged)
        if channel is not None or (channel := reader.faults.better_channel()) is None:
            return reader, meter


def _audible(powers: Samples, levels: Series, target_lufs: float) -> tuple[int, int]:
    """First and one-past-last 100 ms to keep."""
    first, last = loudness.audible(powers, levels, SILENCE_LU)
    if loudness.integrated(powers) < target_lufs - MOST_GAIN_DB:
        raise InvalidInput(
            "file",
            "Bản ghi không có tiếng hoặc quá nhỏ. Hãy kiểm tra micro, ghi lại gần miệng hơn.",
        )
    if first == last:
        raise InvalidInput("file", NO_SPEECH)
    if last - first < SHORTEST_SECONDS * 10:
        raise InvalidInput("file", "Bản ghi ngắn hơn 1 giây. Hãy ghi lại rồi tải lên.")
    return max(first - LEAD_STEPS, 0), min(last + TAIL_STEPS, len(powers) // 100)


def _told(
    powers: Samples,
    levels: Series,
    programme: Programme,
    kept: tuple[int, int],
    begins: int,
    target: float,
) -> list[Warned]:
    """Warnings from the levels before and after."""
    first, last = kept
    before = loudness.each_tenth(powers[(first + 1) * 100 : (last - 1) * 100])
    after = loudness.speech_levels(programme.body_powers)
    spoken = levels[first + 1 : last - 1]
    return of_levels(before, spoken, after, target, (begins + first + 1) / 10)


def _publish(codec: str, path: Path, seconds: float, content_dir: Path) -> Rendition:
    """Move a finished rendition to the name its content gives it, all of it or nothing."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size_bytes = file.tell()
        os.fsync(file.fileno())
    target = content_path(content_dir, sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return Rendition(codec, sha256, size_bytes, round(seconds, 3), target)
