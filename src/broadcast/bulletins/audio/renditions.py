"""From any recording to the two renditions loudspeakers play; the only door to libav and pydub.

`prepare` takes these steps:

1. decode the source once to 48 kHz mono, high-passed, into a scratch file, measuring as it goes;
2. trim silence off both ends;
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
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Self, cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream

from broadcast import config
from broadcast.bulletins.audio import chime, loudness
from broadcast.bulletins.audio.decoding import CHUNK, FOR_AIR, UNREADABLE, Source, plain
from broadcast.bulletins.audio.faults import Warned, of_levels
from broadcast.bulletins.audio.loudness import (
    RATE,
    STEP,
    TICK,
    Filters,
    Meter,
    Overall,
    Samples,
    Series,
)
from broadcast.kit.errors import InvalidInput

with warnings.catch_warnings():
    # pydub warns that audioop leaves the standard library, and that ffmpeg is not on PATH.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment

VERSION = 4
"""Of what comes out of the same source and settings; raise it with every change of that."""

SILENCE_LU = 30.0
"""This far below the bulletin's own loudness is silence: breath stays, room noise goes."""

LEAD_STEPS, TAIL_STEPS = 2, 4
"""Tenths of a second kept of the silence around it: no consonant is cut, a room may ring out."""

SHORTEST_SECONDS = 1.0
"""Less than this is a slip of the record button."""

MOST_GAIN_DB = 40.0
"""A recording quieter than this below the target would come out as noise."""

TOLERANCE_LU = 0.4
"""Accepted distance of a rendition from the target; the promise is 0.5."""

_DECODING, _ENCODING = 0.3, 0.7
"""For progress: decoding's part of the whole, and encoding's part of the rest."""

_NO_SPEECH = (
    "Không đưa được bản ghi về độ to chuẩn: chỉ có tiếng lách tách hoặc tiếng nổ ngắn."
    " Hãy ghi lại bằng giọng nói rõ."
)

_SHAPING = Lock()
"""An hour's envelope takes a hundred megabytes while it is made; one at a time."""

_ATTEMPTS = 6
_HEADROOM = 16.0
"""pydub clips at full scale; what it assembles is kept this much lower, in 32 bits."""

_CODECS = {
    "opus": ("libopus", "ogg", "flt", 0.2),
    "mp3": ("libmp3lame", "mp3", "fltp", 0.3),
}
"""Encoder, container, sample format, and LU that a voice loses with its highest sibilants."""

CODEC_MARGIN_DB = {"opus": 3.0, "mp3": 1.6}
"""What a codec at these rates may add to a peak; where it adds more, it costs another encoding."""

_EFFORT = {
    "opus": {"compression_level": "6", "vbr": "constrained"},
    "mp3": {"compression_level": "7"},
}
"""What costs a third of the processor time and makes no difference on a horn."""


@dataclass(frozen=True)
class Measured:
    """Loudness of a file as it is decoded.

    Attributes:
        loudness_lufs: Integrated, EBU R 128; -inf for silence.
        true_peak_dbtp: Highest true peak; -inf for silence.
        seconds: Decoded length.
    """

    loudness_lufs: float
    true_peak_dbtp: float
    seconds: float


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


def prepare(
    source: Path,
    content_dir: Path,
    settings: config.Audio,
    *,
    scratch: Path | None = None,
    report: Callable[[float], None] = lambda _: None,
) -> Prepared:
    """Prepare one bulletin and store its renditions.

    Args:
        source: Any recording that libav reads.
        content_dir: Root of the content-addressed store.
        settings: Loudness, bit rates, limits.
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
            return prepare(source, content_dir, settings, scratch=Path(made), report=report)

    stored = scratch / "sound.f32"
    reader, meter = _decode(source, stored, settings.longest_seconds, report)
    powers, peaks = meter.finish()
    levels = loudness.speech_levels(powers)
    first, last = _trim(powers, levels, settings.loudness_lufs)
    source_seconds = meter.samples / RATE
    programme = _Programme.around(
        _Stored(stored, first * STEP, last * STEP),
        powers[first * 100 : last * 100],
        peaks[first * 100 : last * 100],
        levels[first:last],
        settings,
    )
    warnings = [
        *reader.faults.warnings(),
        *_told(powers, levels, programme, first, last, settings.loudness_lufs),
    ]
    del powers, peaks, meter, levels
    done = dict.fromkeys(_CODECS, 0.0)

    def progress(codec: str, share: float) -> None:
        done[codec] = max(done[codec], share)
        report(_DECODING + (1 - _DECODING) * min(done.values()))

    with ThreadPoolExecutor(len(_CODECS)) as pool:
        rendered = list(
            pool.map(
                lambda codec: programme.render(
                    codec, scratch, settings, lambda share: progress(codec, share)
                ),
                _CODECS,
            )
        )
    worst = max(rendered, key=lambda r: abs(r[1].loudness_lufs - settings.loudness_lufs))
    return Prepared(
        seconds=programme.seconds,
        loudness_lufs=round(worst[1].loudness_lufs, 2),
        true_peak_dbtp=round(max(measured.true_peak_dbtp for _, measured in rendered), 2),
        source_seconds=round(source_seconds, 3),
        trimmed_seconds=round(max(source_seconds - (last - first) / 10, 0.0), 3),
        gain_db=round(programme.gain_db, 2),
        damaged_frames=reader.damaged,
        warnings=tuple(warnings),
        renditions=tuple(
            _publish(codec, path, measured.seconds, content_dir)
            for codec, (path, measured) in zip(_CODECS, rendered, strict=True)
        ),
    )


def measure(path: Path) -> Measured:
    """Loudness, true peak and length of any file that libav reads.

    Raises:
        InvalidInput: libav does not read it.
    """
    overall, filters = Overall(), Filters(())
    for sound in plain(path):
        overall.add(*filters.push(sound))
    return Measured(
        loudness_lufs=overall.loudness(),
        true_peak_dbtp=loudness.decibels(overall.peak),
        seconds=overall.samples / RATE,
    )


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


def content_path(content_dir: Path, sha256: str) -> Path:
    """Where the store keeps content of that SHA-256 (64 hexadecimal digits)."""
    return content_dir / sha256[:2] / sha256


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


def _trim(powers: Samples, levels: Series, target_lufs: float) -> tuple[int, int]:
    """First and one-past-last 100 ms to keep."""
    first, last = loudness.audible(powers, levels, SILENCE_LU)
    if loudness.integrated(powers) < target_lufs - MOST_GAIN_DB:
        raise InvalidInput(
            "file",
            "Bản ghi không có tiếng hoặc quá nhỏ. Hãy kiểm tra micro, ghi lại gần miệng hơn.",
        )
    if first == last:
        raise InvalidInput("file", _NO_SPEECH)
    if last - first < SHORTEST_SECONDS * 10:
        raise InvalidInput("file", "Bản ghi ngắn hơn 1 giây. Hãy ghi lại rồi tải lên.")
    return max(first - LEAD_STEPS, 0), min(last + TAIL_STEPS, len(powers) // 100)


def _told(
    powers: Samples,
    levels: Series,
    programme: _Programme,
    first: int,
    last: int,
    target: float,
) -> list[Warned]:
    """What the levels before and after tell."""
    inner = slice((first + 1) * 100, (last - 1) * 100)
    after = loudness.speech_levels(powers[inner] * programme.gains**2)
    before = loudness.each_tenth(powers[inner])
    spoken = levels[first + 1 : last - 1]
    return of_levels(before, spoken, after, target, (first + 1) / 10)


class _Stored:
    """Part of the scratch file; read piece by piece, because a map of it would count as ours."""

    def __init__(self, path: Path, first: int, last: int) -> None:
        self._path, self._first, self._last = path, first, last

    def __len__(self) -> int:
        return self._last - self._first

    def inner(self) -> _Stored:
        """All but its first and last tenth of a second."""
        return _Stored(self._path, self._first + STEP, self._last - STEP)

    def read(self, first: int, last: int) -> Samples:
        """Samples of a part of this part."""
        last = min(last, len(self))
        return np.fromfile(self._path, np.float32, last - first, offset=4 * (self._first + first))


@dataclass(frozen=True)
class _Programme:
    """Everything that sounds, and its measures before the limiter.

    Attributes:
        opening: Chime, pause and the faded first tenth of a second.
        body: What was recorded, without its first and last tenth of a second.
        closing: The faded last tenth, pause and chime.
        gains: Of every millisecond of the body.
        powers: K-weighted mean squares after these gains.
        peaks: True peaks after these gains.
        gain_db: Median gain of the body.
    """

    opening: Samples
    body: _Stored
    closing: Samples
    gains: Samples
    powers: Samples
    peaks: Samples
    gain_db: float

    @property
    def seconds(self) -> float:
        return len(self.powers) / 1000

    @classmethod
    def around(
        cls,
        body: _Stored,
        powers: Samples,
        peaks: Samples,
        levels: Series,
        settings: config.Audio,
    ) -> Self:
        """Chime, pause, body, pause, chime; the body's edges faded."""
        gains = loudness.level(powers, levels, settings.loudness_lufs, MOST_GAIN_DB)
        head = loudness.apply(body.read(0, STEP), gains, 0)
        foot = loudness.apply(body.read(len(body) - STEP, len(body)), gains, len(gains) - 100)
        lead = AudioSegment.silent(400, RATE) + _segment(head).fade_in(30)
        tail = _segment(foot).fade_out(80) + AudioSegment.silent(600, RATE)
        if settings.chime:
            lead = _segment(_at_loudness(chime.attention(), settings.loudness_lufs)) + lead
            tail = tail + _segment(_at_loudness(chime.closing(), settings.loudness_lufs))
        opening, closing = _samples(lead), _samples(tail)
        opening_powers, opening_peaks = _meter(opening).finish()
        closing_powers, closing_peaks = _meter(closing).finish()
        inner = gains[100:-100]
        return cls(
            opening=opening,
            body=body.inner(),
            closing=closing,
            gains=inner,
            powers=np.concatenate((opening_powers, powers[100:-100] * inner**2, closing_powers)),
            peaks=np.concatenate((opening_peaks, peaks[100:-100] * inner, closing_peaks)),
            gain_db=loudness.decibels(float(np.median(gains))),
        )

    def _sound(self, envelope: Samples, report: Callable[[float], None]) -> Iterator[Samples]:
        tick = 0
        for piece in chain((self.opening,), self._levelled(), (self.closing,)):
            yield loudness.apply(piece, envelope, tick)
            tick += len(piece) // TICK
            report(_ENCODING * tick / len(self.powers))

    def _levelled(self) -> Iterator[Samples]:
        for at in range(0, len(self.body), CHUNK):
            yield loudness.apply(self.body.read(at, at + CHUNK), self.gains, at // TICK)

    def render(
        self,
        codec: str,
        scratch: Path,
        settings: config.Audio,
        report: Callable[[float], None],
    ) -> tuple[Path, Measured]:
        """Encode until what comes out of the decoder keeps the target and the limit.

        Raises:
            InvalidInput: No gain does that.
        """
        path = scratch / codec
        bit_rate = settings.opus_bitrate if codec == "opus" else settings.mp3_bitrate
        aim = settings.loudness_lufs + _CODECS[codec][3]
        ceiling = settings.true_peak_dbtp - CODEC_MARGIN_DB[codec]
        for _ in range(_ATTEMPTS):
            try:
                with _SHAPING:
                    envelope = loudness.shape(self.powers, self.peaks, aim, ceiling)
            except ValueError:
                break
            _encode(self._sound(envelope, report), path, codec, bit_rate)
            measured = measure(path)
            off = measured.loudness_lufs - settings.loudness_lufs
            over = measured.true_peak_dbtp - settings.true_peak_dbtp
            if abs(off) <= TOLERANCE_LU and over <= 0:
                return path, measured
            aim -= off
            ceiling -= over + 0.1 if over > 0 else 0
        raise InvalidInput("file", _NO_SPEECH)


def _segment(sound: Samples) -> AudioSegment:
    scaled = np.clip(sound.astype(np.float64) / _HEADROOM, -1, 1) * (2**31 - 1)
    return AudioSegment(
        scaled.astype("<i4").tobytes(), sample_width=4, frame_rate=RATE, channels=1
    )


def _samples(segment: AudioSegment) -> Samples:
    scaled = np.frombuffer(segment.raw_data, "<i4") * (_HEADROOM / 2**31)
    return np.pad(scaled, (0, -len(scaled) % STEP)).astype(np.float32)


def _meter(sound: Samples) -> Meter:
    meter, filters = Meter(), Filters(())
    for at in range(0, len(sound), CHUNK):
        meter.add(*filters.push(sound[at : at + CHUNK]))
    return meter


def _at_loudness(sound: Samples, target_lufs: float) -> Samples:
    powers, _ = _meter(sound).finish()
    return sound * np.float32(10 ** ((target_lufs - loudness.integrated(powers)) / 20))


def _encode(sound: Iterator[Samples], path: Path, codec: str, bit_rate: int) -> None:
    encoder, container_format, sample_format, _ = _CODECS[codec]
    # Without bitexact, Ogg draws a random serial number and both name the library's version.
    with av.open(
        str(path),
        "w",
        format=container_format,
        container_options={"fflags": "bitexact"},
    ) as container:
        stream = cast(
            "AudioStream",
            container.add_stream(encoder, rate=RATE, layout="mono", options=_EFFORT[codec]),
        )
        stream.bit_rate = bit_rate
        at = 0
        for piece in sound:
            frame = av.AudioFrame.from_ndarray(piece[None], format=sample_format, layout="mono")
            frame.sample_rate, frame.pts = RATE, at
            at += len(piece)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


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
