"""Recordings that are refused, with which words, and damage that is not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from broadcast.bulletins.audio import renditions
from broadcast.config import Audio
from broadcast.kit.errors import InvalidInput
from tests.bulletins.audio.sources import (
    VOICE,
    Sound,
    clicks,
    cut,
    damaged,
    film_without_sound,
    hum,
    noise,
    silence,
    sine,
    wav_header,
    write,
)

PLAIN = Audio(chime=False)


def refused(source: Path, content_dir: Path, settings: Audio = PLAIN) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        renditions.prepare(source, content_dir, settings)
    assert caught.value.field == "file"
    assert not list(content_dir.rglob(".prepare-*"))
    return caught.value


def text(path: Path) -> Path:
    path.write_text("Bà con chú ý nghe thông báo.\n" * 500, encoding="utf-8")
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


def playlist(path: Path) -> Path:
    secret = write(path.with_name("secret.wav"), VOICE)
    path.write_text(f"#EXTM3U\n#EXTINF:4,\n{secret.as_uri()}\n#EXT-X-ENDLIST\n")
    return path


def concatenation(path: Path) -> Path:
    write(path.with_name("secret.wav"), VOICE)
    path.write_text("ffconcat version 1.0\nfile secret.wav\n")
    return path


@pytest.mark.parametrize("make", [text, empty, playlist, concatenation])
@pytest.mark.parametrize("name", ["upload.mp3", "upload"])
def test_what_is_no_recording_is_refused(
    tmp_path: Path, make: Callable[[Path], Path], name: str
) -> None:
    error = refused(make(tmp_path / name), tmp_path / "content")
    assert "Không đọc được tệp này" in error.detail


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path / "nowhere.mp3", tmp_path / "content")
    assert "Không đọc được tệp này" in error.detail


def test_a_film_without_sound_is_refused(tmp_path: Path) -> None:
    error = refused(film_without_sound(tmp_path / "film.mp4"), tmp_path / "content")
    assert "không có tiếng" in error.detail


@pytest.mark.parametrize(
    "sound", [silence(5), noise(5, -95), hum(5, -60)], ids=["zeros", "hiss", "hum"]
)
def test_silence_is_refused(tmp_path: Path, sound: Sound) -> None:
    error = refused(write(tmp_path / "a.wav", sound, codec="pcm_s24le"), tmp_path / "content")
    assert "không có tiếng hoặc quá nhỏ" in error.detail


def test_half_a_second_is_refused(tmp_path: Path) -> None:
    sound = np.concatenate([silence(2), sine(0.5), silence(2)])
    error = refused(write(tmp_path / "a.wav", sound), tmp_path / "content")
    assert "ngắn hơn 1 giây" in error.detail


def test_nothing_but_clicks_is_refused(tmp_path: Path) -> None:
    error = refused(write(tmp_path / "a.wav", clicks(4)), tmp_path / "content")
    assert "lách tách" in error.detail


def test_three_hours_are_refused_by_the_header_alone(tmp_path: Path) -> None:
    source = tmp_path / "a.wav"
    source.write_bytes(wav_header(3 * 3600, 8000))
    os.truncate(source, 3 * 3600 * 8000 + 44)
    before = os.times()
    error = refused(source, tmp_path / "content", Audio())
    after = os.times()
    assert "dài hơn 60 phút" in error.detail
    assert after.user + after.system - before.user - before.system < 0.5


def test_too_long_a_recording_without_a_stated_length_is_refused_while_it_is_read(
    tmp_path: Path,
) -> None:
    source = write(tmp_path / "a.aac", noise(9), codec="aac")
    error = refused(source, tmp_path / "content", Audio(longest_seconds=5))
    assert "dài hơn" in error.detail


@pytest.mark.parametrize(
    ("ending", "made"),
    [
        ("wav", {}),
        ("mp3", {"codec": "libmp3lame"}),
        ("flac", {"codec": "flac"}),
        ("m4a", {"codec": "aac"}),
        ("m4a", {"codec": "aac", "options": {"movflags": "+faststart"}}),
        ("webm", {"codec": "libopus"}),
    ],
)
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_cut_file_is_refused(
    tmp_path: Path, ending: str, made: dict[str, object], share: float
) -> None:
    whole = write(tmp_path / f"a.{ending}", noise(15), **made)  # type: ignore[arg-type]
    error = refused(cut(whole, share), tmp_path / "content")
    assert "bị cụt" in error.detail


@pytest.mark.parametrize(
    ("ending", "codec"), [("mp3", "libmp3lame"), ("flac", "flac"), ("m4a", "aac")]
)
def test_damage_in_the_middle_is_skipped_and_counted(
    tmp_path: Path, ending: str, codec: str
) -> None:
    whole = write(tmp_path / f"a.{ending}", noise(20), codec=codec)
    prepared = renditions.prepare(
        damaged(whole, slice(len(whole.read_bytes()) // 4, -30_000)), tmp_path / "content", PLAIN
    )
    assert prepared.damaged_frames > 0
    assert 18 < prepared.source_seconds <= 20.1
    assert prepared.loudness_lufs == pytest.approx(-16, abs=0.5)
    assert prepared.true_peak_dbtp <= -1.5


def test_too_much_damage_is_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.ogg", noise(20), codec="libopus")
    broken = damaged(whole, slice(5000, None), spread=60, size=200)
    error = refused(broken, tmp_path / "content")
    assert "bị cụt hoặc hỏng" in error.detail


@pytest.mark.parametrize(
    ("rate", "channels"),
    [(1000, 1), (4_000_000_000, 1), (48_000, 200), (0, 1), (48_000, 0)],
)
def test_an_absurd_header_is_refused(tmp_path: Path, rate: int, channels: int) -> None:
    source = tmp_path / "a.wav"
    head = bytearray(wav_header(5, 8000))
    head[22:24] = channels.to_bytes(2, "little")
    head[24:28] = rate.to_bytes(4, "little")
    source.write_bytes(bytes(head) + bytes(range(256)) * 200)
    assert refused(source, tmp_path / "content").detail


def test_samples_that_are_no_numbers_harm_nobody(tmp_path: Path) -> None:
    """Infinities and NaN in a float WAV: what a malicious file decodes to."""
    sound = VOICE.astype("<f4")
    sound[1000:1010] = np.nan
    sound[9000:9010] = np.inf
    source = tmp_path / "a.wav"
    source.write_bytes(wav_header(3.6, 48_000, bits=32, kind=3) + sound.tobytes())
    prepared = renditions.prepare(source, tmp_path / "content", PLAIN)
    assert prepared.loudness_lufs == pytest.approx(-16, abs=0.5)
    assert prepared.true_peak_dbtp <= -1.5


def test_bytes_of_any_kind_are_prepared_or_refused(tmp_path: Path) -> None:
    """Beginnings of real formats, then noise: never anything but `InvalidInput`."""
    draw = np.random.default_rng(1)
    starts = [
        write(tmp_path / f"s.{ending}", noise(0.3), codec=codec).read_bytes()[:size]
        for ending, codec in (
            ("wav", "pcm_s16le"),
            ("mp3", "libmp3lame"),
            ("ogg", "libopus"),
            ("flac", "flac"),
            ("m4a", "aac"),
            ("webm", "libopus"),
        )
        for size in (4, 40, 400, 4000)
    ]
    for number, start in enumerate(starts):
        source = tmp_path / f"fuzz-{number}"
        source.write_bytes(start + draw.bytes(20_000))
        try:
            renditions.prepare(source, tmp_path / "content", PLAIN)
        except InvalidInput as error:
            assert error.field == "file"  # noqa: PT017  either end is right
