"""The MP3 of a recording, made in a child process: for boxes and browsers without Opus.

What a browser has sent is decoded here for the first time, so the module runs itself as a program
with limits (`kit.child`).
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import structlog

from broadcast.kit import child

log = structlog.get_logger()

RATE = 32_000
BIT_RATE = 64_000

CPU_SECONDS = 600
"""An hour of speech takes half a minute."""
WAIT_SECONDS = 1200.0
MEMORY_BYTES = 512 * 2**20
MOST_BYTES = 128 * 2**20


async def make(recording: Path, target: Path) -> bool:
    """Write the MP3 of an Ogg Opus file; false where that cannot be decoded, and none is left."""
    ended = await child.run(
        "broadcast.live.mp3", str(recording), str(target), seconds=WAIT_SECONDS
    )
    if ended.returncode == 0:
        return True
    await asyncio.to_thread(target.unlink, missing_ok=True)
    log.warning("live.mp3.failed", complaint=ended.complaint[-500:].decode(errors="replace"))
    return False


# The child.


def encode(recording: Path, target: Path) -> None:
    """As `make`, in this process.

    Raises:
        ValueError: Nothing of it can be decoded.
    """
    import av  # noqa: PLC0415 — the server itself decodes nothing

    count = 0
    with av.open(str(recording), "r") as source, av.open(str(target), "w", format="mp3") as made:
        stream = made.add_stream("libmp3lame", rate=RATE, layout="mono")
        stream.bit_rate = BIT_RATE
        resampler = av.AudioResampler("fltp", "mono", RATE)
        for packet in source.demux(audio=0):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                for each in resampler.resample(frame):
                    made.mux(stream.encode(each))
                    count += each.samples
        for each in resampler.resample(None):
            made.mux(stream.encode(each))
        made.mux(stream.encode(None))
    if not count:
        raise ValueError("nothing can be decoded")


def _main() -> None:
    child.die_with_parent()
    child.limit(cpu_seconds=CPU_SECONDS, memory_bytes=MEMORY_BYTES, file_bytes=MOST_BYTES)
    encode(Path(sys.argv[1]), Path(sys.argv[2]))


if __name__ == "__main__":
    _main()
