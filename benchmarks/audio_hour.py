"""An hour of sound prepared: what the child process costs.

Its processor time beside a bare decoding and encoding of both codecs in this process, and its peak
memory. The source is speech, MP3 in stereo.
"""

from __future__ import annotations

import asyncio
import resource
import tempfile
from pathlib import Path

import av

from benchmarks.audio import make_source
from benchmarks.result import Result
from broadcast.bulletins import sandbox
from broadcast.bulletins.audio.decoding import plain
from broadcast.bulletins.audio.pcm import RATE
from broadcast.config import Audio

SECONDS = 3600


def run() -> list[Result]:
    """Once: processor time hardly depends on what else the machine does."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        return measured(make_source(folder, SECONDS), folder)


def measured(source: Path, folder: Path) -> list[Result]:
    """Costs of one source."""
    before = _cpu_seconds(resource.RUSAGE_CHILDREN)
    asyncio.run(sandbox.prepare_upload(source, folder / "content", Audio()))
    ours = _cpu_seconds(resource.RUSAGE_CHILDREN) - before
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    before = _cpu_seconds(resource.RUSAGE_SELF)
    _bare(source, folder)
    bare = _cpu_seconds(resource.RUSAGE_SELF) - before
    return [
        Result("audio_prepare_hour_cpu", ours, bare, "CPU-s", "≤ 60 CPU-s"),
        Result("audio_prepare_hour_memory", megabytes, 300, "MB", "≤ 300 MB"),
    ]


def _cpu_seconds(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


def _bare(source: Path, folder: Path) -> None:
    """Decode once, encode twice, a second at a time; nothing is filtered or measured."""
    outputs = [av.open(str(folder / f"bare.{form}"), "w", format=form) for form in ("ogg", "mp3")]
    settings = Audio()
    streams = [
        outputs[0].add_stream("libopus", rate=RATE, layout="mono"),
        outputs[1].add_stream("libmp3lame", rate=RATE, layout="mono"),
    ]
    streams[0].bit_rate, streams[1].bit_rate = settings.opus_bitrate, settings.mp3_bitrate
    at = 0
    for piece in plain(source):
        for output, stream, form in zip(outputs, streams, ("flt", "fltp"), strict=True):
            frame = av.AudioFrame.from_ndarray(piece[None], form, "mono")
            frame.sample_rate, frame.pts = RATE, at
            output.mux(stream.encode(frame))
        at += len(piece)
    for output, stream in zip(outputs, streams, strict=True):
        output.mux(stream.encode(None))
        output.close()
