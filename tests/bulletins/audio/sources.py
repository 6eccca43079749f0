"""Recordings made on the spot: tones, noise and speech in any format that libav writes."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

Sound = npt.NDArray[np.float64]
RATE = 48_000


def sine(
    seconds: float, hertz: float = 1000.0, level_db: float = -20.0, rate: int = RATE
) -> Sound:
    at = np.arange(round(seconds * rate)) / rate
    return 10 ** (level_db / 20) * np.sin(2 * np.pi * hertz * at)


VOICE = np.concatenate(
    [sine(0.3, hertz, level) for hertz, level in ((220, -12), (700, -20), (2500, -26))] * 4
)
"""3.6 seconds that change pitch and level the way syllables do."""


def silence(seconds: float, rate: int = RATE) -> Sound:
    return np.zeros(round(seconds * rate))


def noise(seconds: float, level_db: float = -20.0, rate: int = RATE) -> Sound:
    drawn = np.random.default_rng(148).standard_normal(round(seconds * rate))
    return np.clip(10 ** (level_db / 20) * drawn, -1, 1)


def hum(seconds: float, level_db: float = -20.0) -> Sound:
    """Mains hum, 50 Hz, which a horn cannot play."""
    return sine(seconds, 50.0, level_db)


def clicks(seconds: float) -> Sound:
    """One full-scale sample a second and nothing else."""
    sound = silence(seconds)
    sound[RATE // 2 :: RATE] = 0.9
    return sound


def write(
    path: Path,
    sound: Sound,
    *,
    codec: str = "pcm_s16le",
    rate: int = RATE,
    channels: int = 1,
    options: dict[str, str] | None = None,
) -> Path:
    """Encode to the container that the name's ending asks for; the same sound on each channel."""
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    with av.open(str(path), "w", container_options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        for at in range(0, len(sound), rate):
            piece = np.tile(sound[at : at + rate].astype(np.float32), (channels, 1))
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def film_without_sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    return path


def wav_header(
    seconds: float, rate: int, channels: int = 1, bits: int = 8, kind: int = 1
) -> bytes:
    """Header of a WAV file, with whatever it claims."""
    bytes_a_second = rate * channels * bits // 8
    size = round(seconds * bytes_a_second)
    block = channels * bits // 8
    return b"RIFF%bWAVEfmt %bdata%b" % (
        struct.pack("<I", size + 36),
        struct.pack("<IHHIIHH", 16, kind, channels, rate, bytes_a_second, block, bits),
        struct.pack("<I", size),
    )


def damaged(path: Path, where: slice, spread: int = 12, size: int = 120) -> Path:
    """The same file with noise written over `spread` places within a part of it."""
    content = bytearray(path.read_bytes())
    drawn = np.random.default_rng(7)
    places = range(len(content))[where]
    for at in drawn.integers(places.start, places.stop - size, spread):
        content[at : at + size] = drawn.bytes(size)
    target = path.with_name("damaged" + path.suffix)
    target.write_bytes(content)
    return target


def cut(path: Path, share: float) -> Path:
    """The first part of a file, as a broken upload leaves it."""
    content = path.read_bytes()
    target = path.with_name("cut" + path.suffix)
    target.write_bytes(content[: round(len(content) * share)])
    return target
