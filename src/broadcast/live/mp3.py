"""The MP3 of a recording, made in a child process: for boxes and browsers without Opus.

What a browser has sent is decoded here for the first time, so it is done by the module itself, run
as a program with limits on time, memory and files, and nothing of the server's environment.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

import structlog

log = structlog.get_logger()

RATE = 32_000
BIT_RATE = 64_000

CPU_SECONDS = 600
"""An hour of speech takes half a minute."""
WAIT_SECONDS = 1200.0
MEMORY_BYTES = 512 * 2**20
MOST_BYTES = 128 * 2**20
_PR_SET_PDEATHSIG = 1


async def make(recording: Path, target: Path) -> bool:
    """Write the MP3 of an Ogg Opus file; false where that cannot be decoded, and none is left."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "broadcast.live.mp3", str(recording), str(target)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={
            "LANG": "C.UTF-8",
            "PATH": os.defpath,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "OPENBLAS_NUM_THREADS": "1",
        },
    )
    complaint = b"too slow"
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            _, complaint = await process.communicate()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 0:
        return True
    await asyncio.to_thread(target.unlink, missing_ok=True)
    log.warning("live.mp3.failed", complaint=complaint[-500:].decode(errors="replace"))
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
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for limit, allowed in (
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_DATA, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, MOST_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (allowed, allowed))
    os.nice(10)
    encode(Path(sys.argv[1]), Path(sys.argv[2]))


if __name__ == "__main__":
    _main()
