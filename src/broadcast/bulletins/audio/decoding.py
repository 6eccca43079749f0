"""Sound out of files of unknown make and honesty: libav's reading half.

Whatever is wrong with a file is said as an `InvalidInput` of the field `file`. Damage inside a
file is skipped and counted; a missing end or too much damage is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer

from broadcast.bulletins.audio.containers import Part, id3_size, is_whole_mpeg_frame, parts
from broadcast.bulletins.audio.faults import Faults
from broadcast.bulletins.audio.filters import Biquad, Filters, allpass, highpass, lowpass
from broadcast.bulletins.audio.pcm import CHUNK, RATE, Samples
from broadcast.kit.errors import InvalidInput

FOR_AIR = (
    *(highpass(100, q) for q in (0.541, 1.307)),
    *(lowpass(12_000, q) for q in (0.541, 1.307)),
    *(allpass(hertz, 1) for hertz in (120, 180, 270, 400, 600, 900, 1350, 2000, 3000, 4500)),
)
"""Filters for what a horn will play.

Below 100 Hz it makes heat, not sound, and hum or a hand on the microphone eats the headroom; at
12 kHz the best horns end, and what lies above costs bits and loudness that nobody hears. Both are
Butterworth filters of the fourth order. The all-passes turn phases, as radio stations do: a
voice's pulses, 20 dB over its loudness, spread over a few milliseconds, and the limiter takes 2 dB
where it would take 8. The ear hears no phase.
"""

_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,"
    "ogg,tta,w64,wav,wv"
)
"""What may be demuxed. No playlists: they name other files and addresses to open."""

_STATING = frozenset(("aiff", "au", "caf", "flac", "matroska", "mov", "mp3", "ogg", "w64", "wav"))
"""Formats whose header states the length; for the others libav guesses it from the bit rate."""

_FULL_SCALE = 8.0
"""Largest sample that is believed: 18 dB above what fits into whole numbers."""

_LEAST_BYTES_A_SECOND = 300
"""Of the thinnest codec of a telephone: less than half of this cannot be sound."""

_TRIAL_SECONDS = 30.0

_SCALES = {"u8": 2**7, "s16": 2**15, "s32": 2**31}
"""Full scale of the sample formats that are whole numbers."""

_GAP_SECONDS = 0.01
"""A jump of the time line by more than rounding."""

UNREADABLE = (
    "Không đọc được tệp này: không phải âm thanh, bị hỏng hoặc bị cụt."
    " Hãy nghe thử trên máy, xuất lại thành MP3 hoặc WAV rồi tải lên."
)


class Source:
    """Sound of a file of unknown make, in pieces of one second and a shorter last one.

    Attributes:
        damaged: Packets that would not decode, frames that the decoder had to conceal, and gaps
            where it found nothing to decode.
        stated_seconds: Length that the header states, None when it does not.
        reached_seconds: Where on the file's own time line the last frame ended.
        heard_seconds: Sound decoded.
        faults: What was found in the sound as it was recorded.
    """

    def __init__(
        self,
        path: Path,
        filters: tuple[Biquad, ...] = (),
        longest_seconds: float = math.inf,
        channel: int | None = None,
    ) -> None:
        """Describe what is to be read.

        Args:
            path: The file.
            filters: What the sound is put through.
            longest_seconds: More is refused.
            channel: Of two, the one to be taken; None for both together.
        """
        self._path = path
        self._filters = filters
        self._channel = channel
        self._ends_whole = False
        self.faults = Faults()
        self._longest_seconds = longest_seconds
        self.damaged = 0
        self.stated_seconds: float | None = None
        self.reached_seconds = self.heard_seconds = 0.0

    def __iter__(self) -> Iterator[tuple[Samples, Samples]]:
        filters = Filters(self._filters)
        first: np.float32 | None = None
        try:
            for piece in _in_seconds(_even(self._all_frames())):
                sound = _believed(piece)
                both = sound[0] if len(sound) == 1 else (sound[0] + sound[1]) / 2
                self.faults.look(sound, both)
                is_one = self._channel is not None and len(sound) == 2
                mono = sound[self._channel] if is_one else both
                if first is None:
                    first = mono.mean()
                yield filters.push(mono - first)  # a constant offset would begin with a bump
        except (av.FFmpegError, FileNotFoundError) as error:
            raise InvalidInput("file", UNREADABLE, reason=error.strerror) from error

    def _all_frames(self) -> Iterator[av.AudioFrame]:
        for part in parts(self._path):
            with _opened(part) as container:
                if not container.streams.audio:
                    raise InvalidInput(
                        "file", "Tệp chỉ có hình, không có tiếng. Hãy chọn một tệp âm thanh."
                    )
                stated = _stated_seconds(self._path, part, container)
                if stated is not None:
                    self.stated_seconds = (self.stated_seconds or 0) + stated
                    # What a header claims and the file cannot hold is no reason to refuse it.
                    if part.size / max(stated, 1) > _LEAST_BYTES_A_SECOND:
                        self._refuse_long(self.stated_seconds)
                count = len(container.streams.audio)
                chosen = _best_track(part, count) if count > 1 else 0
                if count > 1:
                    self.faults.tracks = (chosen + 1, count)
                yield from self._frames(container, container.streams.audio[chosen])

    def _frames(self, container: InputContainer, stream: AudioStream) -> Iterator[av.AudioFrame]:
        starts = float((stream.start_time or 0) * (stream.time_base or 0)) - self.reached_seconds
        last: av.Packet[AudioStream] | None = None
        for packet in container.demux(stream):
            if packet.size:
                last = packet
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
        if container.format.name == "mp3" and last is not None:
            self._ends_whole = is_whole_mpeg_frame(bytes(last))

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
        if self._ends_whole:
            # The header is older than the file: whoever cuts a file off cuts a frame.
            cut, whole = 0.0, self.reached_seconds
        if cut > 2.0 or whole - self.heard_seconds > whole / 10:
            raise InvalidInput(
                "file",
                f"Tệp ghi là dài {stated:.0f} giây nhưng chỉ đọc được {self.heard_seconds:.0f}"
                " giây: bị cụt hoặc hỏng. Hãy lấy lại tệp gốc rồi tải lên lần nữa.",
                damaged_frames=self.damaged,
            )


def _believed(sound: Samples) -> Samples:
    """Sound within what is believed; a damaged file may decode to infinities, or to no number."""
    if sound.max() <= _FULL_SCALE and sound.min() >= -_FULL_SCALE:
        return sound
    return np.clip(np.nan_to_num(sound), -_FULL_SCALE, _FULL_SCALE)


def plain(path: Path) -> Iterator[Samples]:
    """Sound of a file that we have made, in pieces of one second and a shorter last one.

    Raises:
        InvalidInput: libav does not read it.
    """
    graph = av.filter.Graph()
    try:
        # All in libav: a frame of its decoders, in Python, costs as much as decoding it.
        graph.link_nodes(
            graph.add("amovie", filename=str(path)),
            graph.add("aresample", sample_rate=str(RATE), rematrix_maxval="1"),
            graph.add("aformat", sample_fmts="fltp", channel_layouts="mono|stereo"),
            graph.add("asetnsamples", nb_out_samples=str(CHUNK), pad="0"),
            sink := graph.add("abuffersink"),
        ).configure()
        while True:
            yield np.asarray(cast("av.AudioFrame", sink.pull()).to_ndarray().mean(axis=0))
    except EOFError:
        return
    except (av.FFmpegError, FileNotFoundError) as error:
        raise InvalidInput("file", UNREADABLE, reason=error.strerror) from error


def _even(frames: Iterator[av.AudioFrame]) -> Iterator[av.AudioFrame]:
    """Frames at 48 kHz, of one channel or two, however often what they are made of changes."""
    make: tuple[str, str, int] | None = None
    resampler: av.AudioResampler | None = None
    for frame in frames:
        made = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or made != make:
            _refuse_odd(frame)
            if resampler is not None:
                yield from filter(None, resampler.resample(None))
            layout = "stereo" if frame.layout.nb_channels == 2 else "mono"
            # Without the option loud channels add up past full scale and are clipped.
            options = {"rematrix_maxval": "1"}
            resampler, make = (
                av.AudioResampler("fltp", layout, RATE, options=options),
                made,
            )
        yield from resampler.resample(frame)
    if resampler is not None:
        yield from filter(None, resampler.resample(None))


def _in_seconds(frames: Iterator[av.AudioFrame]) -> Iterator[Samples]:
    """Samples by channel, in pieces of one second and a shorter last one."""
    waiting: list[Samples] = []
    count = 0
    for frame in frames:
        sound = np.asarray(frame.to_ndarray(), np.float32)
        if waiting and len(waiting[0]) != len(sound):
            # From one channel to two or back: what comes later is made like what came first.
            sound = np.broadcast_to(sound.mean(axis=0), waiting[0].shape[:1] + sound.shape[1:])
        waiting.append(sound)
        count += sound.shape[1]
        while count >= CHUNK:
            whole = np.concatenate(waiting, axis=1)
            yield whole[:, :CHUNK].copy()
            waiting, count = [whole[:, CHUNK:]], count - CHUNK
    if count:
        yield np.concatenate(waiting, axis=1)


def _refuse_odd(frame: av.AudioFrame) -> None:
    if not 8_000 <= frame.sample_rate <= 384_000 or frame.layout.nb_channels > 16:
        raise InvalidInput(
            "file",
            f"Tệp có {frame.layout.nb_channels} kênh, {frame.sample_rate} Hz: ngoài mức nhận được"
            " (8.000–384.000 Hz, tối đa 16 kênh). Hãy xuất lại ở 44.100 hoặc 48.000 Hz.",
        )


def _opened(part: Part) -> InputContainer:
    return av.open(
        part.url,
        metadata_errors="replace",
        options=part.options,
        container_options={
            "format_whitelist": _FORMATS,
            "protocol_whitelist": "file,subfile",
            **part.options,
        },
    )


def _best_track(part: Part, count: int) -> int:
    """Which of several tracks is speech: the first that comes and goes, else the first heard."""
    heard: list[tuple[int, float]] = []
    for track in range(count):
        levels = []
        with suppress(av.FFmpegError), _opened(part) as container:
            seconds = 0.0
            for frame in container.decode(container.streams.audio[track]):
                sound = frame.to_ndarray().astype(np.float64)
                scale = {"u8": 128, "s16": 2**15, "s32": 2**31}.get(
                    frame.format.name[:3].strip("p"), 1
                )
                levels.append(float(((sound - sound.mean()) ** 2).mean()) / scale**2)
                seconds += frame.samples / frame.sample_rate
                if seconds > _TRIAL_SECONDS:
                    break
        if not levels:
            continue
        loud, soft = np.percentile(levels, (85, 20))
        if loud > 1e-7:
            if loud > 10 * soft:
                return track
            heard.append((track, loud))
    return heard[0][0] if heard else 0


def _stated_seconds(path: Path, part: Part, container: InputContainer) -> float | None:
    """Length that the header states, not one that libav derived from what is left of the file."""
    if not container.duration or _STATING.isdisjoint(container.format.name.split(",")):
        return None
    if part.options:
        return None  # known to be wrong
    seconds = container.duration / av.time_base
    with path.open("rb") as file:
        file.seek(part.begins)
        head = file.read(10)
        if head[:4] == b"RIFF":
            size = int.from_bytes(head[4:8], "little") + 8
            # A recorder that writes to a pipe states the largest number there is.
            return seconds * max(size / part.size, 1.0) if size < 2**31 - 2**16 else None
        if container.format.name != "mp3":
            return seconds
        if head[:3] == b"ID3":
            file.seek(part.begins + 10 + id3_size(head[6:]))
        else:
            file.seek(part.begins)
        frame = file.read(200)
    return seconds if b"Xing" in frame or b"Info" in frame else None
