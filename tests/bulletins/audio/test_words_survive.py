"""Words survive what else is in a recording, and its author is told of what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from broadcast.bulletins.audio import loudness, renditions
from broadcast.bulletins.audio.filters import Filters
from broadcast.bulletins.audio.loudness import Meter
from broadcast.bulletins.audio.pcm import Samples, Series
from broadcast.bulletins.speech import synthesis
from broadcast.bulletins.speech.script import script_of
from broadcast.config import Audio
from tests.bulletins.audio.sources import RATE, Sound, silence, sine

pytestmark = pytest.mark.slow

PLAIN = Audio(chime=False)
TEXT = (
    "Sáng thứ bảy tiêm phòng trâu bò tại thôn. Bà con chú ý mang theo sổ."
    " Mời bà con đến nhà văn hóa thôn dự họp đúng giờ. Đề phòng lũ trong sáu giờ tới."
)


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """A dozen seconds of speech that clip nowhere."""
    path = tmp_path_factory.mktemp("words") / "words.wav"
    synthesis.speak(script_of(TEXT), path, piper_voice=None)
    return 0.7 * renditions.decode_pcm(path).astype(np.float64) / 32768


def stored(path: Path, *channels: Sound) -> Path:
    """A float WAV, so that nothing is clipped on the way."""
    sound = np.ascontiguousarray(np.stack(channels).astype(np.float32).T)
    layout = "mono" if len(channels) == 1 else "stereo"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=RATE, layout=layout)
        frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def measured(sound: Samples) -> Samples:
    meter, filters = Meter(), Filters(())
    for at in range(0, len(sound), RATE):
        meter.add(*filters.push(sound[at : at + RATE]))
    return meter.finish()[0]


def levels(path: Path) -> tuple[Series, Samples]:
    """Levels of speech and samples of what comes out of the decoder."""
    heard = renditions.decode_pcm(path).astype(np.float32) / 32768
    return loudness.speech_levels(measured(heard)), heard


def softer(sound: Sound, by_db: float) -> Sound:
    return sound * 10 ** (-by_db / 20)


def bump(sound: Sound) -> Sound:
    """A knock on the microphone at -1 dBFS, over speech 26 dB softer than usual."""
    quiet = softer(sound, 26)
    knock = 0.89 * np.sin(2 * np.pi * 300 * np.arange(2400) / RATE) * np.hanning(2400)
    quiet[3 * RATE : 3 * RATE + 2400] += knock
    return quiet


CASES: dict[str, Callable[[Sound], tuple[Sound, ...]]] = {
    "plain": lambda words: (words,),
    "howl": lambda words: (np.concatenate([sine(2, 1800, -3), softer(words, 26)]),),
    "long-howl": lambda words: (np.concatenate([sine(8, 1800, -3), softer(words, 26)]),),
    "bump": lambda words: (bump(words),),
    "one-near-one-far": lambda words: (np.concatenate([words, softer(words, 24)]),),
    "very-quiet": lambda words: (softer(words, 32),),
    "offset": lambda words: (softer(words, 12) + 0.3,),
    "inverted": lambda words: (words, -words),
    "one-dead": lambda words: (0 * words, words),
    "one-hums": lambda words: (0.2 * sine(len(words) / RATE, 150, 0)[: len(words)], words),
}


@pytest.mark.parametrize("name", CASES)
def test_every_word_is_there_and_near_the_target(name: str, words: Sound, tmp_path: Path) -> None:
    channels = CASES[name](words)
    source = stored(tmp_path / "a.wav", *channels)
    prepared = renditions.prepare(source, tmp_path / "content", PLAIN)
    assert prepared.trimmed_seconds < 1
    assert prepared.loudness_lufs == pytest.approx(-16, abs=0.5)
    assert prepared.true_peak_dbtp <= -1.5
    for rendition in prepared.renditions:
        found, heard = levels(rendition.path)
        assert found.min() > -20
        assert found.max() < -12
        # In place: the envelope of the speech is that of the source, from one word to the next.
        envelope, wanted = _envelope(heard), _envelope(words.astype(np.float32))
        at = max(
            range(len(envelope) - len(wanted) + 1),
            key=lambda at: _alike(envelope[at : at + len(wanted)], wanted),
        )
        assert _alike(envelope[at : at + len(wanted)], wanted) > 0.85


def _envelope(sound: Samples) -> Series:
    """Level of every 50 ms, no lower than 30 dB below the loudest."""
    whole = sound[: len(sound) // 2400 * 2400].reshape(-1, 2400)
    level = 10 * np.log10((whole**2).mean(axis=1) + 1e-12)
    return np.asarray(np.maximum(level, np.percentile(level, 90) - 30))


def _alike(one: Series, other: Series) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def kinds(tmp_path: Path, *channels: Sound) -> dict[str, tuple[float | None, float | None]]:
    prepared = renditions.prepare(
        stored(tmp_path / "a.wav", *channels), tmp_path / "content", PLAIN
    )
    return {each.kind: (each.at_seconds, each.seconds) for each in prepared.warnings}


def test_a_sound_recording_is_not_warned_of(words: Sound, tmp_path: Path) -> None:
    assert kinds(tmp_path, words) == {}


def test_clipping_is_told(words: Sound, tmp_path: Path) -> None:
    assert kinds(tmp_path, np.clip(9 * words, -1, 1)).keys() == {"clipping"}


def test_mains_hum_is_told(words: Sound, tmp_path: Path) -> None:
    mains = sine(len(words) / RATE, 50, -34)[: len(words)]
    assert kinds(tmp_path, words + mains).keys() == {"hum"}


@pytest.mark.parametrize("hertz", [850, 950, 1050, 1950])
def test_a_tone_that_thinning_brings_near_the_mains_is_no_hum(
    hertz: float, words: Sound, tmp_path: Path
) -> None:
    tone = sine(len(words) / RATE, hertz, -34)[: len(words)]
    assert "hum" not in kinds(tmp_path, words + tone)


def test_dead_air_is_told_with_its_place(words: Sound, tmp_path: Path) -> None:
    found = kinds(tmp_path, np.concatenate([words, silence(12), words]))
    at, seconds = found.pop("dead_air")
    assert found == {}
    assert at == pytest.approx(len(words) / RATE, abs=1.5)
    assert seconds == pytest.approx(12, abs=1.5)


def test_the_channel_that_was_taken_is_told(words: Sound, tmp_path: Path) -> None:
    assert kinds(tmp_path, words, -words).keys() == {"channel"}
    assert kinds(tmp_path, words, 0.9 * words) == {}
