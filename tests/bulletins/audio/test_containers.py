"""Files whose outside lies about their inside: tags, headers, chains and tracks."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from broadcast.bulletins.audio import renditions
from broadcast.bulletins.audio.prepared import Prepared
from broadcast.config import Audio
from broadcast.kit.errors import InvalidInput
from tests.bulletins.audio.sources import RATE, VOICE, Sound, cut, noise, silence, sine, write

PLAIN = Audio(chime=False)
SECONDS = len(VOICE) / RATE


def prepared(path: Path) -> Prepared:
    return renditions.prepare(path, path.parent / "content", PLAIN)


def test_a_tag_before_something_else_than_mp3_is_passed_over(tmp_path: Path) -> None:
    tag = b"ID3\x03\x00\x00\x00\x00\x02\x00" + bytes(256)
    for ending, codec in (("wav", "pcm_s16le"), ("flac", "flac"), ("ogg", "libopus")):
        path = write(tmp_path / f"a.{ending}", VOICE, codec=codec)
        path.write_bytes(tag + path.read_bytes())
        assert prepared(path).source_seconds == pytest.approx(SECONDS, abs=0.01)


def test_an_mp3_whose_header_is_older_than_the_file_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", noise(20), codec="libmp3lame")
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(audio=0) if packet.size]
    path.write_bytes(path.read_bytes()[: places[len(places) // 2]])
    assert prepared(path).source_seconds == pytest.approx(10, abs=0.1)
    with pytest.raises(InvalidInput, match="bị cụt"):
        prepared(cut(path, 0.8))


def test_one_mp3_behind_another_is_read_to_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", VOICE, codec="libmp3lame")
    path.write_bytes(path.read_bytes() * 3)
    assert prepared(path).source_seconds == pytest.approx(3 * SECONDS, abs=0.2)


def vorbis(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "vorbis", rate=RATE, layout="stereo", options={"strict": "-2"}
        )
        sound = np.tile(VOICE.astype(np.float32), (2, 1))
        frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="stereo")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_every_link_of_a_chained_ogg_is_read(tmp_path: Path) -> None:
    opus = write(tmp_path / "o.ogg", VOICE, codec="libopus").read_bytes()
    first = vorbis(tmp_path / "v.ogg").read_bytes()
    for number, links in enumerate(((first, opus), (opus, opus), (opus, first, opus))):
        path = tmp_path / f"chain-{number}.ogg"
        path.write_bytes(b"".join(links))
        assert prepared(path).source_seconds == pytest.approx(len(links) * SECONDS, abs=0.05)


@pytest.mark.parametrize(("data", "riff"), [(2**32 - 1, 2**32 - 1), (0, 0), (96_000, 96_036)])
def test_a_wav_of_a_recorder_that_was_cut_off_is_read_to_the_end(
    tmp_path: Path, data: int, riff: int
) -> None:
    path = write(tmp_path / "a.wav", VOICE)
    content = bytearray(path.read_bytes())
    at = content.index(b"data")
    content[at + 4 : at + 8] = data.to_bytes(4, "little")
    content[4:8] = riff.to_bytes(4, "little")
    path.write_bytes(content)
    assert prepared(path).source_seconds == pytest.approx(SECONDS, abs=0.01)


@pytest.mark.parametrize("ending", ["mkv", "m4a"])
@pytest.mark.parametrize("voice", [0, 1, 2])
def test_of_several_tracks_the_one_that_speaks_is_taken(
    tmp_path: Path, ending: str, voice: int
) -> None:
    others: list[Sound] = [silence(SECONDS), sine(SECONDS, 300, -10)]
    others.insert(voice, VOICE)
    path, codec = tmp_path / f"a.{ending}", "libopus" if ending == "mkv" else "aac"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream(codec, rate=RATE, layout="mono") for _ in others]
        for stream, sound in zip(streams, others, strict=True):
            samples = sound.astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    (warned,) = [each for each in prepared(path).warnings if each.kind == "tracks"]
    assert f"đường thứ {voice + 1}" in warned.detail


@pytest.mark.parametrize(("ending", "rate"), [("amr", 8000), ("3gp", 8000)])
def test_recordings_of_telephones_are_read(tmp_path: Path, ending: str, rate: int) -> None:
    path = write(tmp_path / f"a.{ending}", VOICE[::6], codec="libopencore_amrnb", rate=rate)
    assert prepared(path).source_seconds == pytest.approx(SECONDS, abs=0.1)
