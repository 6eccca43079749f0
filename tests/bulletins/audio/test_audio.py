"""From a recording to its renditions: what comes out, and what is refused with which words."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.bulletins.audio import chime, loudness, mastering, renditions, waveform
from broadcast.bulletins.audio.containers import id3_size
from broadcast.bulletins.audio.decoding import FOR_AIR, Source
from broadcast.bulletins.audio.loudness import Meter
from broadcast.bulletins.audio.pcm import Samples
from broadcast.bulletins.audio.prepared import content_path
from broadcast.bulletins.speech import synthesis
from broadcast.bulletins.speech.script import script_of
from broadcast.config import Audio
from tests.bulletins.audio.sources import (
    RATE,
    VOICE,
    Sound,
    hum,
    noise,
    silence,
    sine,
    write,
)

CHIMES_SECONDS = 2.4 + 0.4 + 0.6 + 1.6
"""Both chimes and the pauses between them and the bulletin."""

PLAIN = Audio(chime=False)

GOLDEN: list[tuple[str, str, dict[str, object], Sound, float]] = [
    # name, ending, how it is written, sound, seconds between the chimes
    ("wav", "wav", {}, VOICE, 3.6),
    ("wav-24-bit", "wav", {"codec": "pcm_s24le"}, VOICE, 3.6),
    ("wav-float", "wav", {"codec": "pcm_f32le"}, VOICE, 3.6),
    ("wav-telephone", "wav", {"codec": "pcm_mulaw", "rate": 8000}, sine(3, 700, -20, 8000), 3.0),
    ("wav-six-channels", "wav", {"channels": 6}, VOICE, 3.6),
    ("mp3", "mp3", {"codec": "libmp3lame", "rate": 44100}, sine(3, 440, -20, 44100), 3.0),
    ("mp3-stereo", "mp3", {"codec": "libmp3lame", "channels": 2}, VOICE, 3.6),
    ("opus", "ogg", {"codec": "libopus"}, VOICE, 3.6),
    ("opus-webm", "webm", {"codec": "libopus"}, VOICE, 3.6),
    ("flac", "flac", {"codec": "flac"}, VOICE, 3.6),
    ("m4a", "m4a", {"codec": "aac"}, VOICE, 3.6),
    ("m4a-lossless", "m4a", {"codec": "alac"}, VOICE, 3.6),
    ("aac", "aac", {"codec": "aac"}, VOICE, 3.6),
    ("noise", "wav", {}, noise(3), 3.0),
    ("too-loud", "wav", {"codec": "pcm_f32le"}, 8 * VOICE, 3.6),
    ("too-soft", "wav", {"codec": "pcm_s24le"}, 0.02 * VOICE, 3.6),
    ("silence-around", "wav", {}, np.concatenate([silence(2), VOICE, silence(3)]), 4.2),
    ("hiss-around", "wav", {}, np.concatenate([noise(2, -70), VOICE, noise(3, -70)]), 4.2),
    ("pause-inside", "wav", {}, np.concatenate([VOICE, silence(2), VOICE]), 9.2),
    ("much-louder-in-places", "wav", {}, np.concatenate([VOICE, 0.1 * VOICE]), 7.2),
]


@pytest.mark.parametrize(
    ("ending", "made", "sound", "seconds"),
    [case[1:] for case in GOLDEN],
    ids=[case[0] for case in GOLDEN],
)
def test_every_recording_comes_out_alike(
    tmp_path: Path, ending: str, made: dict[str, object], sound: Sound, seconds: float
) -> None:
    source = write(tmp_path / f"source.{ending}", sound, **made)  # type: ignore[arg-type]
    prepared = renditions.prepare(source, tmp_path / "content", Audio())
    assert prepared.seconds == pytest.approx(seconds + CHIMES_SECONDS, abs=0.21)
    assert prepared.damaged_frames == 0
    assert [rendition.codec for rendition in prepared.renditions] == ["opus", "mp3"]
    for rendition in prepared.renditions:
        heard = mastering.measure(rendition.path)
        assert heard.loudness_lufs == pytest.approx(-16, abs=0.5)
        assert heard.true_peak_dbtp <= -1.5
        assert heard.seconds == pytest.approx(prepared.seconds, abs=0.05)
        assert rendition.seconds == pytest.approx(heard.seconds, abs=0.001)
        content = rendition.path.read_bytes()
        assert rendition.size_bytes == len(content)
        assert rendition.sha256 == hashlib.sha256(content).hexdigest()
        assert rendition.path == content_path(tmp_path / "content", rendition.sha256)
    assert not list((tmp_path / "content").glob(".prepare-*"))


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic speech, whose pulses stand 20 dB over its loudness: work for the limiter."""
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    script = script_of("Bà con chú ý. UBND xã họp lúc 19h30 ngày 15/12.")
    synthesis.speak(script, path, piper_voice=None)
    return path


def test_the_phases_of_a_voice_are_turned_so_that_its_pulses_need_less_limiting(
    spoken: Path,
) -> None:
    def crest(filters: tuple[tuple[str, str], ...]) -> float:
        meter = Meter()
        for sound, weighted in Source(spoken, filters):
            meter.add(sound, weighted)
        powers, peaks = meter.finish()
        return loudness.decibels(float(np.percentile(peaks, 99))) - loudness.integrated(powers)

    assert crest(FOR_AIR) < crest(()) - 1


def test_a_codec_that_adds_to_peaks_is_given_less(
    spoken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no margin the first encoding passes the limit; what is stored does not."""
    measured: list[mastering.Measured] = []

    def measure(path: Path) -> mastering.Measured:
        measured.append(measure_really(path))
        return measured[-1]

    measure_really = mastering.measure
    monkeypatch.setattr(mastering, "measure", measure)
    monkeypatch.setattr(mastering, "CODEC_MARGIN_DB", {"opus": 0.0, "mp3": 0.0})
    prepared = renditions.prepare(spoken, tmp_path / "content", PLAIN)
    assert max(each.true_peak_dbtp for each in measured) > -1.5
    assert prepared.true_peak_dbtp <= -1.5
    for rendition in prepared.renditions:
        assert measure_really(rendition.path).true_peak_dbtp <= -1.5
        assert measure_really(rendition.path).loudness_lufs == pytest.approx(-16, abs=0.5)


def test_one_peak_too_high_is_turned_down_and_not_encoded_again(
    spoken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if Opus had raised a peak by 0.2 dB too much: its header says what the decoder takes."""
    plainly = renditions.prepare(spoken, tmp_path / "plainly", PLAIN)
    encoded: list[Path] = []
    measure, encode = mastering.measure, mastering._encode

    def measure_high(path: Path) -> mastering.Measured:
        measured = measure(path)
        return replace(measured, true_peak_dbtp=-1.3) if path.name == "opus" else measured

    def count(sound: Iterator[Samples], path: Path, codec: mastering._Codec, rate: int) -> None:
        encoded.append(path)
        encode(sound, path, codec, rate)

    monkeypatch.setattr(mastering, "measure", measure_high)
    monkeypatch.setattr(mastering, "_encode", count)
    prepared = renditions.prepare(spoken, tmp_path / "content", PLAIN)
    assert sorted(path.name for path in encoded) == ["mp3", "opus"]
    assert prepared.true_peak_dbtp <= -1.5
    first, second = (measure(each.renditions[0].path) for each in (plainly, prepared))
    assert second.loudness_lufs == pytest.approx(first.loudness_lufs - 0.21, abs=0.01)
    assert prepared.renditions[1].sha256 == plainly.renditions[1].sha256


def test_a_horn_gets_all_that_it_can_play(tmp_path: Path) -> None:
    """From 150 Hz to 10 kHz both renditions have the spectrum of the source."""
    sound = noise(10)
    prepared = renditions.prepare(write(tmp_path / "a.wav", sound), tmp_path / "content", PLAIN)
    edges = [150, 300, 600, 1_200, 2_400, 4_800, 8_000, 10_000]
    wanted = octaves(sound, [*edges, 14_000, 15_500])
    for rendition in prepared.renditions:
        heard = renditions.decode_pcm(rendition.path)[RATE : 10 * RATE].astype(np.float64) / 32768
        lost = octaves(heard, [*edges, 14_000, 15_500]) - wanted
        lost -= np.median(lost)
        assert np.abs(lost[: len(edges) - 1]).max() < 1, rendition.codec
        assert lost[-1] < -6, rendition.codec


def octaves(sound: Sound, edges: list[int]) -> Sound:
    """Level of each band in dB."""
    spectrum = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    bands = [spectrum[(hertz >= low) & (hertz < high)].mean() for low, high in pairwise(edges)]
    return np.asarray(10 * np.log10(bands))


def test_the_mp3_is_mpeg_1_layer_iii_in_mono_for_any_device(tmp_path: Path) -> None:
    source = write(tmp_path / "a.wav", VOICE)
    prepared = renditions.prepare(source, tmp_path / "content", PLAIN)
    content = prepared.renditions[1].path.read_bytes()
    frame = content[10 + id3_size(content[6:10]) :]
    assert frame[0] == 0xFF
    assert frame[1] & 0xFE == 0xFA  # MPEG-1, layer III
    assert frame[2] >> 2 & 3 == 2  # 32 kHz
    assert frame[3] >> 6 == 3  # one channel


@pytest.mark.parametrize("target", [-23.0, -19.0, -14.0])
def test_the_target_is_a_setting(tmp_path: Path, target: float) -> None:
    source = write(tmp_path / "source.wav", VOICE)
    settings = Audio(loudness_lufs=target, true_peak_dbtp=-3)
    prepared = renditions.prepare(source, tmp_path / "content", settings)
    assert prepared.loudness_lufs == pytest.approx(target, abs=0.5)
    assert prepared.true_peak_dbtp <= -3


def test_bit_rates_are_those_asked_for(tmp_path: Path) -> None:
    source = write(tmp_path / "source.wav", noise(10))
    prepared = renditions.prepare(source, tmp_path / "content", PLAIN)
    opus, mp3 = (each.size_bytes * 8 / each.seconds for each in prepared.renditions)
    assert opus == pytest.approx(32_000, rel=0.25)
    assert mp3 == pytest.approx(64_000, rel=0.05)


def test_the_same_sound_has_the_same_bytes_whatever_its_name(tmp_path: Path) -> None:
    first = renditions.prepare(
        write(tmp_path / "a.flac", VOICE, codec="flac"), tmp_path / "1", Audio()
    )
    again = renditions.prepare(write(tmp_path / "b.wav", VOICE), tmp_path / "2", Audio())
    assert [r.sha256 for r in first.renditions] == [r.sha256 for r in again.renditions]
    assert first.renditions[0].sha256 != first.renditions[1].sha256


def test_preparing_twice_stores_once(tmp_path: Path) -> None:
    source = write(tmp_path / "a.wav", VOICE)
    first = renditions.prepare(source, tmp_path / "content", PLAIN)
    assert renditions.prepare(source, tmp_path / "content", PLAIN) == first
    assert sum(path.is_file() for path in (tmp_path / "content").rglob("*")) == 2


def test_the_body_lies_between_chimes_and_its_ends_are_faded(tmp_path: Path) -> None:
    source = write(tmp_path / "a.wav", sine(3, 3000))
    prepared = renditions.prepare(source, tmp_path / "content", Audio())
    heard = renditions.decode_pcm(prepared.renditions[1].path).astype(np.float64) / 32768

    def level(start: float, seconds: float) -> float:
        piece = heard[round(start * 48_000) : round((start + seconds) * 48_000)]
        return 20 * math.log10(max(float(np.sqrt(np.mean(piece**2))), 1e-6))

    assert level(0.1, 0.3) > -25  # first stroke
    assert level(2.5, 0.25) < -50  # pause
    assert level(3.5, 1.5) > -25  # body
    assert level(2.80, 0.01) < level(2.84, 0.01) - 6  # fade in
    assert level(6.0, 0.3) < -50  # pause
    assert level(6.5, 0.3) > -25  # closing chime


def test_the_chime_can_be_left_out(tmp_path: Path) -> None:
    source = write(tmp_path / "a.wav", VOICE)
    prepared = renditions.prepare(source, tmp_path / "content", PLAIN)
    assert prepared.seconds == pytest.approx(3.6 + 1.0, abs=0.11)


def test_the_chimes_are_always_the_same_and_clip_nowhere() -> None:
    for bell in (chime.attention, chime.closing):
        assert np.array_equal(bell(), bell())
        assert np.abs(bell()).max() == pytest.approx(1)
        assert abs(bell()[-1]) < 1e-3
    assert len(chime.attention()) == 2.4 * 48_000


def test_facts_about_the_source_are_told(tmp_path: Path) -> None:
    sound = np.concatenate([silence(2), 0.1 * VOICE, silence(3)])
    prepared = renditions.prepare(write(tmp_path / "a.wav", sound), tmp_path / "content", PLAIN)
    assert prepared.source_seconds == pytest.approx(8.6, abs=0.001)
    assert prepared.trimmed_seconds == pytest.approx(8.6 - 4.2, abs=0.21)
    sound = np.concatenate([silence(2), VOICE, silence(3)])
    louder = renditions.prepare(write(tmp_path / "b.wav", sound), tmp_path / "content", PLAIN)
    assert prepared.gain_db - louder.gain_db == pytest.approx(20, abs=0.3)


def test_mains_hum_is_filtered_out(tmp_path: Path) -> None:
    """50 Hz as strong as the voice, two thirds of which are higher: 24 dB weaker afterwards."""
    sound = VOICE + hum(3.6, -12)
    prepared = renditions.prepare(write(tmp_path / "a.wav", sound), tmp_path / "content", PLAIN)
    heard = renditions.decode_pcm(prepared.renditions[0].path).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(heard))
    hertz = np.fft.rfftfreq(len(heard), 1 / 48_000)

    def strength(near: float) -> float:
        return float(np.sqrt(np.sum(spectrum[abs(hertz - near) < 10] ** 2)))

    assert strength(50) < strength(220) / 8


def test_two_loud_channels_are_not_clipped_into_one(tmp_path: Path) -> None:
    """Summed at 3 dB too much, a full-scale tone would come back with odd harmonics."""
    source = write(tmp_path / "a.wav", sine(3, 500, -0.5), channels=2)
    prepared = renditions.prepare(source, tmp_path / "content", PLAIN)
    heard = renditions.decode_pcm(prepared.renditions[1].path)[48_000:96_000].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert spectrum[1490:1511].max() < spectrum[490:511].max() / 300


def test_decoded_samples_are_those_encoded(tmp_path: Path) -> None:
    sound = sine(1.5, 1000, -6)
    pcm = renditions.decode_pcm(write(tmp_path / "a.wav", sound))
    assert pcm.dtype == np.int16
    np.testing.assert_allclose(pcm, sound * 32768, atol=2)


@given(
    st.lists(st.floats(0, 4, width=32), max_size=400).map(lambda x: np.array(x, np.float32)),
    st.integers(1, 50),
)
def test_an_outline_has_the_highest_of_each_stretch(levels: Samples, most: int) -> None:
    heights = waveform.outline(levels, most)
    assert len(heights) == min(most, len(levels))
    assert all(0 <= height <= 100 for height in heights)
    if len(levels):
        assert max(heights) == max(waveform.outline(levels, len(levels)))
