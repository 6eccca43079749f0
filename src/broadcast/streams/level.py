"""How loud some seconds of a stream are: decoded in a child process that may crash without harm.

A source may answer, and send frames as it should, and say nothing: a studio whose line is cut
sends silence for days. The module runs itself as a program with limits (`kit.child`), which says
one number.
"""

from __future__ import annotations

import io
import math
import sys

from broadcast.kit import child
from broadcast.streams.model import StreamCodec

SILENT_DBFS = -60.0
"""A studio's noise is above it, and nothing below it is heard from a horn."""

WINDOW_SECONDS = 0.1
"""Of the mean square, about as long as a syllable: one click makes no sound of a silence."""

CPU_SECONDS = 10
WAIT_SECONDS = 30.0
"""For the child; it has to import a decoder on a machine that does much else."""
MEMORY_BYTES = 512 * 2**20

RATE = 16_000

_FORMATS = {StreamCodec.MP3: "mp3", StreamCodec.AAC: "aac", StreamCodec.OPUS: "ogg"}


def is_silent(dbfs: float | None) -> bool:
    """Tell whether nothing would be heard; what could not be decoded is not called silent.

    >>> is_silent(-20.0), is_silent(-90.0), is_silent(-math.inf), is_silent(None)
    (False, True, True, False)
    """
    return dbfs is not None and dbfs < SILENT_DBFS


async def loudest(sound: bytes, codec: StreamCodec) -> float | None:
    """Level of the loudest tenth of a second; None where it cannot be decoded.

    Args:
        sound: Some seconds of a stream, from anywhere in it.
        codec: What it is.

    Returns:
        dB below full scale (RMS; a sine of full scale has -3), minus infinity for nothing at all.
    """
    form = _FORMATS[codec]
    ended = await child.run("broadcast.streams.level", form, given=sound, seconds=WAIT_SECONDS)
    return float(ended.told) if ended.returncode == 0 else None


# The child.


def measure(sound: bytes, form: str) -> float:
    """As `loudest`, in this process.

    Raises:
        ValueError: Nothing of it can be decoded.
    """
    import av  # noqa: PLC0415 — the server itself decodes nothing
    import numpy as np  # noqa: PLC0415

    samples = []
    try:
        with av.open(io.BytesIO(sound), "r", format=form) as container:
            resampler = av.AudioResampler("flt", "mono", RATE)
            for packet in container.demux(audio=0):
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    continue  # the first and the last are often cut
                for frame in frames:
                    samples += [each.to_ndarray()[0] for each in resampler.resample(frame)]
    except (av.FFmpegError, IndexError):
        pass  # what came before it counts
    if not samples:
        raise ValueError("nothing can be decoded")
    joined = np.nan_to_num(np.concatenate(samples)).astype(np.float64)
    part = round(WINDOW_SECONDS * RATE)
    whole = joined[: len(joined) // part * part].reshape(-1, part)
    squares = (whole if len(whole) else joined.reshape(1, -1)) ** 2
    most = float(squares.mean(axis=1).max())
    return 10 * math.log10(most) if most > 0 else -math.inf


def _main() -> None:
    child.die_with_parent()
    sound = sys.stdin.buffer.read()
    child.limit(cpu_seconds=CPU_SECONDS, memory_bytes=MEMORY_BYTES, file_bytes=0)
    sys.stdout.write(str(measure(sound, sys.argv[1])))


if __name__ == "__main__":
    _main()
