"""Mastering: what a bulletin sounds like as a whole, in both codecs, each at its loudness.

The chime before and after, pauses and fades are put around what was recorded; the whole is brought
to its loudness under a true-peak ceiling and encoded. Each rendition is decoded and measured, and
turned down or encoded again if the codec moved it off its target.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Self, cast

import av
import numpy as np
from av.audio.stream import AudioStream

from broadcast import config
from broadcast.bulletins.audio import chime, gain, loudness, opus_gain
from broadcast.bulletins.audio.decoding import plain
from broadcast.bulletins.audio.filters import Filters
from broadcast.bulletins.audio.loudness import Meter, Overall
from broadcast.bulletins.audio.pcm import CHUNK, RATE, STEP, TICK, Samples, Series
from broadcast.bulletins.audio.waveform import outline, tenths
from broadcast.kit.errors import InvalidInput

with warnings.catch_warnings():
    # pydub warns that audioop leaves the standard library, and that ffmpeg is not on PATH.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment

MOST_GAIN_DB = 40.0
"""A recording quieter than this below the target would come out as noise."""

TOLERANCE_LU = 0.4
"""Accepted distance of a rendition from the target; the promise is 0.5."""

NO_SPEECH = (
    "Không đưa được bản ghi về độ to chuẩn: chỉ có tiếng lách tách hoặc tiếng nổ ngắn."
    " Hãy ghi lại bằng giọng nói rõ."
)

_SHAPING = Lock()
"""An hour's envelope takes tens of megabytes while it is made; one at a time."""

_ENCODING = 0.75
"""For progress: its part of a rendition; the rest is measuring."""

_SPARE_DB = 0.01
"""For the rounding of a decoder that turns down."""

_ATTEMPTS = 6
_HEADROOM = 16.0
"""pydub clips at full scale; what it assembles is kept this much lower, in 32 bits."""

CODEC_MARGIN_DB = {"opus": 3.0, "mp3": 1.6}
"""What a codec at these rates may add to a peak; where it adds more, it costs another encoding."""


@dataclass(frozen=True)
class _Codec:
    """Settings of an encoder of libav.

    Attributes:
        encoder: Its name.
        container: The format of the file.
        sample_format: What the encoder takes.
        rate: Samples a second.
        lost_lu: What speech loses in it; LAME makes everything softer by 0.45 dB.
        options: Of the encoder.
    """

    encoder: str
    container: str
    sample_format: str
    rate: int
    lost_lu: float
    options: dict[str, str]


CODECS = {
    # From level 7 on four times as slow; without a cut-off bits go where the source has nothing.
    "opus": _Codec(
        "libopus", "ogg", "flt", RATE, 0.05,
        {"compression_level": "5", "vbr": "constrained", "cutoff": "12000"},
    ),
    # The lowest rate of MPEG-1; level 7 decides what neither tests nor ears tell from better ones.
    "mp3": _Codec("libmp3lame", "mp3", "fltp", 32_000, 0.45, {"compression_level": "7"}),
}  # fmt: skip
"""Renditions, in the order in which they are offered to devices."""


@dataclass(frozen=True)
class Measured:
    """Loudness of a file as it is decoded.

    Attributes:
        loudness_lufs: Integrated, EBU R 128; -inf for silence.
        true_peak_dbtp: Highest true peak; -inf for silence.
        seconds: Decoded length.
        outline: Heights of 0-100 of equal stretches.
    """

    loudness_lufs: float
    true_peak_dbtp: float
    seconds: float
    outline: tuple[int, ...]

    def softer(self, decibels: float) -> Measured:
        """The same file, played that much softer."""
        return Measured(
            self.loudness_lufs - decibels,
            self.true_peak_dbtp - decibels,
            self.seconds,
            self.outline,
        )


@dataclass(frozen=True)
class Programme:
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
    body: Stored
    closing: Samples
    gains: Samples
    powers: Samples
    peaks: Samples
    gain_db: float

    @property
    def seconds(self) -> float:
        """Length of the whole."""
        return len(self.powers) / 1000

    @property
    def body_powers(self) -> Samples:
        """K-weighted mean squares of the body alone, after its gains."""
        first = len(self.opening) // TICK
        return self.powers[first : first + len(self.gains)]

    @classmethod
    def around(
        cls,
        body: Stored,
        powers: Samples,
        peaks: Samples,
        levels: Series,
        settings: config.Audio,
    ) -> Self:
        """Chime, pause, body, pause, chime; the body's edges faded."""
        gains = gain.level(powers, levels, settings.loudness_lufs, MOST_GAIN_DB)
        head = gain.apply(body.read(0, STEP), gains, 0)
        foot = gain.apply(body.read(len(body) - STEP, len(body)), gains, len(gains) - 100)
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
            yield gain.apply(piece, envelope, tick)
            tick += len(piece) // TICK
            report(_ENCODING * tick / len(self.powers))

    def _levelled(self) -> Iterator[Samples]:
        for at in range(0, len(self.body), CHUNK):
            yield gain.apply(self.body.read(at, at + CHUNK), self.gains, at // TICK)

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
        aim = settings.loudness_lufs + CODECS[codec].lost_lu
        ceiling = settings.true_peak_dbtp - CODEC_MARGIN_DB[codec]
        for _ in range(_ATTEMPTS):
            try:
                with _SHAPING:
                    envelope = gain.shape(self.powers, self.peaks, aim, ceiling)
            except ValueError:
                break
            _encode(self._sound(envelope, report), path, CODECS[codec], bit_rate)
            measured = measure(path)
            off = measured.loudness_lufs - settings.loudness_lufs
            over = measured.true_peak_dbtp - settings.true_peak_dbtp
            if abs(off) <= TOLERANCE_LU and over <= 0:
                return path, measured
            softer = over + _SPARE_DB
            if codec == "opus" and over > 0 and abs(off - softer) <= TOLERANCE_LU:
                return path, measured.softer(opus_gain.turn_down(path, softer))
            aim -= off
            ceiling -= over + 0.1 if over > 0 else 0
        raise InvalidInput("file", NO_SPEECH)


class Stored:
    """Part of the scratch file; read piece by piece, because a map of it would count as ours."""

    def __init__(self, path: Path, first: int, last: int) -> None:
        self._path, self._first, self._last = path, first, last

    def __len__(self) -> int:
        return self._last - self._first

    def inner(self) -> Stored:
        """All but its first and last tenth of a second."""
        return Stored(self._path, self._first + STEP, self._last - STEP)

    def read(self, first: int, last: int) -> Samples:
        """Samples of a part of this part."""
        last = min(last, len(self))
        return np.fromfile(self._path, np.float32, last - first, offset=4 * (self._first + first))


def measure(path: Path) -> Measured:
    """Loudness, true peak and length of any file that libav reads.

    Raises:
        InvalidInput: libav does not read it.
    """
    overall, filters = Overall(), Filters(())
    levels = [np.zeros(0, np.float32)]
    for sound in plain(path):
        levels.append(tenths(sound, STEP))
        overall.add(*filters.push(sound))
    return Measured(
        loudness_lufs=overall.loudness(),
        true_peak_dbtp=loudness.decibels(overall.peak),
        seconds=overall.samples / RATE,
        outline=outline(np.concatenate(levels)),
    )


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


def _encode(sound: Iterator[Samples], path: Path, codec: _Codec, bit_rate: int) -> None:
    # Without bitexact, Ogg draws a random serial number and both name the library's version.
    with av.open(
        str(path), "w", format=codec.container, container_options={"fflags": "bitexact"}
    ) as container:
        stream = cast(
            "AudioStream",
            container.add_stream(
                codec.encoder, rate=codec.rate, layout="mono", options=codec.options
            ),
        )
        stream.bit_rate = bit_rate
        resampler = av.AudioResampler(codec.sample_format, "mono", codec.rate)
        for frame in chain(_frames(sound), (None,)):
            for resampled in resampler.resample(frame):
                container.mux(stream.encode(resampled))
        container.mux(stream.encode(None))


def _frames(sound: Iterator[Samples]) -> Iterator[av.AudioFrame]:
    at = 0
    for piece in sound:
        frame = av.AudioFrame.from_ndarray(piece[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts = RATE, at
        at += len(piece)
        yield frame
