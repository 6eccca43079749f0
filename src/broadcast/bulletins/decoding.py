"""Sound out of files of unknown make and honesty: libav's reading half.

Whatever is wrong with a file is said as an `InvalidInput` of the field `file`. Damage inside a
file is skipped and counted; a missing end or too much damage is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

from broadcast.bulletins.loudness import K_WEIGHTING, RATE, STEP, Samples
from broadcast.errors import InvalidInput

SOUND = (("aformat", "sample_fmts=s32p"), ("aformat", "sample_fmts=fltp"))
"""Filters that keep every sample within full scale: a damaged file may decode to infinities."""

FOR_AIR = (
    *SOUND,
    *(("highpass", f"f=100:width_type=q:width={q}") for q in (0.541, 1.307)),
    *(
        ("allpass", f"f={hertz}:order=2:width_type=q:width=1")
        for hertz in (120, 180, 270, 400, 600, 900, 1350, 2000, 3000, 4500)
    ),
)
"""Filters for what a horn will play.

Below 100 Hz it makes heat, not sound, and hum or a hand on the microphone eats the headroom: a
Butterworth high-pass of the fourth order. The all-passes turn phases, as radio stations do: a
voice's pulses, 20 dB over its loudness, spread over a few milliseconds, and the limiter takes 2 dB
where it would take 8. The ear hears no phase.
"""

CHUNK = 10 * STEP
"""Samples of one piece of sound: a second."""

_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,"
    "ogg,tta,w64,wav,wv"
)
"""What may be demuxed. No playlists: they name other files and addresses to open."""

_STATING = frozenset(("aiff", "au", "caf", "flac", "matroska", "mov", "mp3", "ogg", "w64", "wav"))
"""Formats whose header states the length; for the others libav guesses it from the bit rate."""

_GAP_SECONDS = 0.01
"""A jump of the time line by more than rounding."""

UNREADABLE = (
    "Không đọc được tệp này: không phải âm thanh, bị hỏng hoặc bị cụt."
    " Hãy nghe thử trên máy, xuất lại thành MP3 hoặc WAV rồi tải lên."
)


class Chain:
    """Filter graph over 48 kHz mono: the sound itself beside its K-weighted twin."""

    def __init__(self, filters: tuple[tuple[str, str], ...]) -> None:
        graph = av.filter.Graph()
        source = graph.add_abuffer(
            format="fltp", sample_rate=RATE, layout="mono", time_base=Fraction(1, RATE)
        )
        split = graph.add("asplit")
        stages = [source, *(graph.add(*stage) for stage in filters), split]
        shelf, rumble = (graph.add("biquad", weights) for weights in K_WEIGHTING)
        pair = graph.add("amerge", "inputs=2")
        pieces = graph.add("asetnsamples", f"n={CHUNK}:p=0")
        planar = graph.add("aformat", "sample_fmts=fltp")
        sink = graph.add("abuffersink")
        split.link_to(pair, 0, 0)
        split.link_to(shelf, 1, 0)
        shelf.link_to(rumble)
        rumble.link_to(pair, 0, 1)
        for before, after in (*pairwise(stages), *pairwise((pair, pieces, planar, sink))):
            before.link_to(after)
        graph.configure()
        # The graph owns its filters, so it must outlive their use.
        self._graph, self._source, self._sink = graph, source, sink
        self._waiting = 0

    def push(self, frame: av.AudioFrame | None) -> Iterator[tuple[Samples, Samples]]:
        """Take a frame, or None at the end, and yield what became ready."""
        if frame is not None:
            frame.pts = None
            self._waiting += frame.samples
        self._source.push(frame)
        if frame is not None and self._waiting < CHUNK:
            return
        self._waiting %= CHUNK
        while True:
            try:
                pulled = cast("av.AudioFrame", self._sink.pull())
            except (av.BlockingIOError, av.EOFError):
                return
            sound, weighted = pulled.to_ndarray()
            yield sound, weighted


class Source:
    """Sound of a file of unknown make, in pieces of one second and a shorter last one.

    Attributes:
        damaged: Packets that would not decode, frames that the decoder had to conceal, and gaps
            where it found nothing to decode.
        stated_seconds: Length that the header states, None when it does not.
        reached_seconds: Where on the file's own time line the last frame ended.
        heard_seconds: Sound decoded.
    """

    def __init__(
        self,
        path: Path,
        filters: tuple[tuple[str, str], ...] = (),
        longest_seconds: float = math.inf,
    ) -> None:
        self._path = path
        self._filters = filters
        self._longest_seconds = longest_seconds
        self.damaged = 0
        self.stated_seconds: float | None = None
        self.reached_seconds = self.heard_seconds = 0.0

    def __iter__(self) -> Iterator[tuple[Samples, Samples]]:
        try:
            with av.open(
                str(self._path),
                metadata_errors="replace",
                container_options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"},
            ) as container:
                if not container.streams.audio:
                    raise InvalidInput(
                        "file", "Tệp chỉ có hình, không có tiếng. Hãy chọn một tệp âm thanh."
                    )
                self.stated_seconds = _stated_seconds(self._path, container)
                self._refuse_long(self.stated_seconds or 0)
                yield from self._pieces(container, container.streams.audio[0])
        except av.FFmpegError as error:
            raise InvalidInput("file", UNREADABLE, reason=error.strerror) from error

    def _pieces(
        self, container: InputContainer, stream: AudioStream
    ) -> Iterator[tuple[Samples, Samples]]:
        chain = Chain(self._filters)
        for frame in _even(self._frames(container, stream)):
            yield from chain.push(frame)
        yield from chain.push(None)

    def _frames(self, container: InputContainer, stream: AudioStream) -> Iterator[av.AudioFrame]:
        starts = float((stream.start_time or 0) * (stream.time_base or 0))
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.damaged += 1
                continue
            for frame in frames:
                self.damaged += frame.is_corrupt
                seconds = frame.samples / frame.sample_rate
                self.heard_seconds += seconds
                if frame.time is not None:
                    at = frame.time - starts
                    if self.reached_seconds and at - self.reached_seconds > _GAP_SECONDS:
                        self.damaged += 1
                    self.reached_seconds = at + seconds
                self._refuse_long(self.heard_seconds)
                yield frame

    def _refuse_long(self, seconds: float) -> None:
        if seconds > self._longest_seconds:
            raise InvalidInput(
                "file",
                f"Bản ghi dài hơn {self._longest_seconds / 60:.0f} phút, mức tối đa."
                " Hãy cắt thành nhiều bản tin ngắn hơn.",
            )

    def refuse_broken(self) -> None:
        """Refuse, after reading, what lacks its end or too much of its middle.

        A cut file is known only where its header states the length: not for a bare Ogg, AAC or
        an MP3 without a Xing header.

        Raises:
            InvalidInput: More than 2 seconds of the end or a tenth of the whole is missing.
        """
        stated = self.stated_seconds or 0.0
        whole = max(stated, self.heard_seconds)
        cut = stated - self.reached_seconds
        if cut > 2.0 or whole - self.heard_seconds > whole / 10:
            raise InvalidInput(
                "file",
                f"Tệp ghi là dài {stated:.0f} giây nhưng chỉ đọc được {self.heard_seconds:.0f}"
                " giây: bị cụt hoặc hỏng. Hãy lấy lại tệp gốc rồi tải lên lần nữa.",
                damaged_frames=self.damaged,
            )


def _even(frames: Iterator[av.AudioFrame]) -> Iterator[av.AudioFrame]:
    """Frames as 48 kHz mono, whatever they are made of and however often that changes."""
    make: tuple[str, str, int] | None = None
    resampler = _mono()
    for frame in frames:
        made = (frame.format.name, frame.layout.name, frame.sample_rate)
        if made != make:
            _refuse_odd(frame)
            yield from filter(None, resampler.resample(None))
            resampler, make = _mono(), made
        yield from resampler.resample(frame)
    yield from filter(None, resampler.resample(None))


def _mono() -> av.AudioResampler:
    # Without the option two loud channels add up past full scale and are clipped.
    return av.AudioResampler("fltp", "mono", RATE, options={"rematrix_maxval": "1"})


def _refuse_odd(frame: av.AudioFrame) -> None:
    if not 8_000 <= frame.sample_rate <= 384_000 or frame.layout.nb_channels > 16:
        raise InvalidInput(
            "file",
            f"Tệp có {frame.layout.nb_channels} kênh, {frame.sample_rate} Hz: ngoài mức nhận được"
            " (8.000–384.000 Hz, tối đa 16 kênh). Hãy xuất lại ở 44.100 hoặc 48.000 Hz.",
        )


def _stated_seconds(path: Path, container: InputContainer) -> float | None:
    """Length that the header states, not one that libav derived from what is left of the file."""
    if not container.duration or _STATING.isdisjoint(container.format.name.split(",")):
        return None
    seconds = container.duration / av.time_base
    with path.open("rb") as file:
        head = file.read(10)
        if head[:4] == b"RIFF":
            size = int.from_bytes(head[4:8], "little") + 8
            # A recorder that writes to a pipe states the largest number there is.
            return seconds * max(size / container.size, 1.0) if size < 2**31 - 2**16 else None
        if container.format.name != "mp3":
            return seconds
        if head[:3] == b"ID3":
            # Four times seven bits, ID3v2 §3.1.
            file.seek(10 + sum(byte << 7 * (3 - at) for at, byte in enumerate(head[6:])))
        frame = file.read(200)
    return seconds if b"Xing" in frame or b"Info" in frame else None
