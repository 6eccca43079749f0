"""Sound out of stored files, decoded once however many devices play it, and where it goes.

Decoding is real, so a broken rendition is found out here as it would be on a pole. What sounds
goes nowhere, or into WAV files that hold exactly the samples that left the loudspeaker.
"""

from __future__ import annotations

import io
import wave
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np
from numpy.typing import NDArray

KEPT_BYTES = 256 * 2**20
"""Decoded samples kept for recording: a quarter of an hour at 48 kHz is 86 MB."""

Samples = NDArray[np.int16]


class Undecodable(Exception):
    """libav finds no sound in it."""


@dataclass(frozen=True)
class Decoded:
    """A file as sound: mono, 16 bit."""

    rate: int
    samples: Samples

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / self.rate

    def between(self, start: float, end: float) -> Samples:
        """Samples from one second to another. Neighbouring spans neither share nor lose one."""
        return self.samples[round(start * self.rate) : round(end * self.rate)]


def decode(content: bytes) -> Decoded:
    """Decode a whole file.

    Raises:
        Undecodable: There is no sound in it, or it breaks off in the middle of nonsense.
    """
    chunks: list[Samples] = []
    try:
        with av.open(io.BytesIO(content), mode="r") as container:
            stream = container.streams.audio[0]
            rate = stream.rate
            resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
            for frame in container.decode(stream):
                chunks += [part.to_ndarray()[0] for part in resampler.resample(frame)]
            chunks += [part.to_ndarray()[0] for part in resampler.resample(None)]
    except (av.error.FFmpegError, IndexError) as error:
        raise Undecodable(str(error)) from None
    if not chunks:
        raise Undecodable("no samples")
    return Decoded(rate, np.concatenate(chunks))


LIVE_RATE = 48_000
CONCEALED = 3
"""Frames in a row that are filled from the sound before, each half as loud; a longer gap is
silent. More sounds like a stuck record."""


class LiveDecoder:
    """Live speech as sound: Opus frames one by one, and something in place of those that lack."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("libopus", "r")
        self._codec.sample_rate = LIVE_RATE
        self._codec.layout = "mono"
        self._parts: list[Samples] = []
        self._last: Samples = np.zeros(0, np.int16)
        self._lacking = 0

    def add(self, frames: Iterable[bytes | None]) -> None:
        """Let frames sound; None for one that has not come, or that holds nothing."""
        for frame in frames:
            samples = self._decoded(frame) if frame else None
            if samples is None:
                self._lacking += 1
                loudness = 0.5**self._lacking if self._lacking <= CONCEALED else 0.0
                samples = (self._last * loudness).astype(np.int16)
            else:
                self._last, self._lacking = samples, 0
            self._parts.append(samples)

    def decoded(self) -> Decoded:
        """All of it."""
        return Decoded(LIVE_RATE, np.concatenate([np.zeros(0, np.int16), *self._parts]))

    def _decoded(self, frame: bytes) -> Samples | None:
        try:
            found = self._codec.decode(av.Packet(frame))
        except av.error.FFmpegError:
            return None
        parts = [_as_int16(each) for each in found]
        return np.concatenate(parts) if parts else None


def _as_int16(frame: av.AudioFrame) -> Samples:
    samples = frame.to_ndarray().reshape(-1)
    scale = 1 if samples.dtype == np.int16 else 32_767
    return (samples * scale).astype(np.int16)


class Sounds:
    """Every sound of the process: which can be decoded, and the samples of the recent ones.

    Args:
        keep_bytes: Memory for decoded samples; nothing is kept at 0.
    """

    def __init__(self, keep_bytes: int = KEPT_BYTES) -> None:
        self.decoded_count = 0
        self._keep_bytes = keep_bytes
        self._kept: OrderedDict[str, Decoded] = OrderedDict()
        self._kept_bytes = 0
        self._sound: dict[str, bool] = {}

    def check(self, digest: str, content: bytes) -> bool:
        """Decode a file unless it has been; tell whether it is sound."""
        if digest not in self._sound:
            try:
                self._decode(digest, content)
            except Undecodable:
                self._sound[digest] = False
        return self._sound[digest]

    def is_broken(self, digest: str) -> bool:
        """Tell whether the file is known to be undecodable."""
        return self._sound.get(digest) is False

    def get(self, digest: str, content: bytes) -> Decoded:
        """The samples of a file.

        Raises:
            Undecodable: There are none.
        """
        kept = self._kept.get(digest)
        if kept is not None:
            self._kept.move_to_end(digest)
            return kept
        return self._decode(digest, content)

    def _decode(self, digest: str, content: bytes) -> Decoded:
        decoded = decode(content)
        self.decoded_count += 1
        self._sound[digest] = True
        self._kept[digest] = decoded
        self._kept_bytes += decoded.samples.nbytes
        while self._kept and self._kept_bytes > self._keep_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= oldest.samples.nbytes
        return decoded


def append_wav(path: Path, decoded: Decoded, start: float, end: float) -> None:
    """Add the samples that sounded to a recording; silence between two spans is not written."""
    before = b""
    if path.exists():
        with wave.open(str(path), "rb") as earlier:
            before = earlier.readframes(earlier.getnframes())
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(decoded.rate)
        recording.writeframes(before + decoded.between(start, end).tobytes())
