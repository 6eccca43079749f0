"""Preparing a bulletin against one ffmpeg command line that does the same work.

Five minutes of speech, MP3 in stereo, to Opus and MP3 at the loudness the settings ask for. Ours
includes the start of the child process, the chimes, and decoding and measuring both renditions;
ffmpeg filters (`highpass`, `loudnorm` in its single pass) and encodes.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from benchmarks.result import Result, Skipped, median_seconds
from broadcast.bulletins import sandbox
from broadcast.bulletins.audio.decoding import plain
from broadcast.bulletins.audio.pcm import RATE, Samples
from broadcast.bulletins.speech import synthesis
from broadcast.config import Audio

SECONDS = 300
LINE = (
    "UBND xã thông báo: 19h30 ngày 15/12, mời bà con đến nhà văn hóa thôn dự họp, có 98% số hộ.\n"
)


def run() -> list[Result]:
    """Median of three runs each."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise Skipped("ffmpeg is not on PATH; apt install ffmpeg")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        source = make_source(folder, SECONDS)
        command = _command(ffmpeg, source, folder)
        ours = median_seconds(
            lambda: asyncio.run(sandbox.prepare_upload(source, folder / "content", Audio()))
        )
        theirs = median_seconds(lambda: subprocess.run(command, check=True))
    return [Result("audio_prepare_5_minutes", ours, theirs, "s", "≤ 1.5")]


def make_source(folder: Path, seconds: int) -> Path:
    """Speech of that length, MP3 in stereo."""
    synthesis.speak(LINE * 60, folder / "speech.wav", piper_voice=None)
    source = folder / f"source-{seconds}.mp3"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libmp3lame", rate=RATE, layout="stereo")
        for at, piece in enumerate(_for_ever(folder / "speech.wav")):
            if at == seconds:
                break
            frame = av.AudioFrame.from_ndarray(np.repeat(piece, 2)[None], "flt", "stereo")
            frame.sample_rate, frame.pts = RATE, at * RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return source


def _for_ever(speech: Path) -> Iterator[Samples]:
    """Its whole seconds, again and again."""
    while True:
        yield from (piece for piece in plain(speech) if len(piece) == RATE)


def _command(ffmpeg: str, source: Path, folder: Path) -> list[str]:
    settings = Audio()
    loudnorm = f"loudnorm=I={settings.loudness_lufs}:TP={settings.true_peak_dbtp}"
    chain = f"highpass=f=100,{loudnorm},aresample=48000,aformat=channel_layouts=mono,asplit[a][b]"
    outputs = (
        ("[a]", "libopus", settings.opus_bitrate, "ogg"),
        ("[b]", "libmp3lame", settings.mp3_bitrate, "mp3"),
    )
    command = [ffmpeg, "-v", "error", "-y", "-i", str(source), "-filter_complex", chain]
    for pad, codec, bit_rate, ending in outputs:
        command += ["-map", pad, "-c:a", codec, "-b:a", str(bit_rate), str(folder / f"o.{ending}")]
    return command
