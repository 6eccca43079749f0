"""Text read aloud: what is heard, how fast, and what is refused."""

from __future__ import annotations

import ctypes
import importlib.util
import re
import sys
import wave
from pathlib import Path

import espeakng_loader
import numpy as np
import numpy.typing as npt
import pytest

from broadcast.bulletins.speech import synthesis as speech
from broadcast.bulletins.speech.lexicon import ABBREVIATIONS, SIGNS
from broadcast.bulletins.speech.numbers import cardinal
from broadcast.bulletins.speech.reading import passages
from broadcast.bulletins.speech.script import LONGEST_TEXT, script_of
from broadcast.bulletins.speech.units import LETTERS, UNITS
from broadcast.kit.errors import InvalidInput, Unavailable
from tests.bulletins.speech import piper_voice

TEXTS = Path(__file__).parent


def heard(path: Path) -> tuple[npt.NDArray[np.int16], int]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16), file.getframerate()


def seconds_of(text: str, tmp_path: Path) -> float:
    speech.speak(script_of(text), tmp_path / "speech.wav", piper_voice=None)
    sound, rate = heard(tmp_path / "speech.wav")
    return len(sound) / rate


def pauses(sound: npt.NDArray[np.int16], rate: int) -> list[float]:
    """Seconds of every stretch of at least 0.3 seconds of digital silence."""
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > 30)
    return [gap / rate for gap in np.diff([*loud, len(sound)]) if gap > 0.3 * rate]


def test_speech_is_heard(tmp_path: Path) -> None:
    speech.speak(script_of("Xin chào bà con."), tmp_path / "a.wav", piper_voice=None)
    sound, rate = heard(tmp_path / "a.wav")
    assert rate == 22_050
    assert 1.2 < len(sound) / rate < 2.6
    assert np.abs(sound.astype(np.int32)).max() > 5000


def test_speech_is_slow_enough_for_horns(tmp_path: Path) -> None:
    """150 to 170 syllables a minute; espeak-ng by itself says 230."""
    text = (TEXTS / "plan_section_ii.txt").read_text(encoding="utf-8").splitlines()
    line = next(line for line in text if line.startswith("Tỉnh có Hệ thống"))
    (passage,) = passages(line)
    syllables = len(re.findall(r"\w+", passage.words))
    assert 145 < syllables / (seconds_of(line, tmp_path) - 0.7) * 60 < 175


def test_section_two_of_the_plan_takes_under_three_minutes(tmp_path: Path) -> None:
    text = (TEXTS / "plan_section_ii.txt").read_text(encoding="utf-8")
    assert 140 < seconds_of(text, tmp_path) < 180


def test_a_reader_pauses_between_sentences_lines_and_longest_after_headings(
    tmp_path: Path,
) -> None:
    speech.speak(script_of("THÔNG BÁO\nMột. Hai.\nBa."), tmp_path / "a.wav", piper_voice=None)
    heading, sentence, line, end = pauses(*heard(tmp_path / "a.wav"))
    assert heading > line > sentence
    assert heading == pytest.approx(speech.HEADING_PAUSE_SECONDS, abs=0.12)
    assert line == pytest.approx(speech.LINE_PAUSE_SECONDS, abs=0.12)
    assert sentence == pytest.approx(speech.SENTENCE_PAUSE_SECONDS, abs=0.12)
    assert end == pytest.approx(line, abs=0.12)


def phonemes(text: str) -> str:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
    library.espeak_SetVoiceByName(speech.VOICE.encode())
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    rest, said = ctypes.c_char_p(text.encode()), []
    while rest.value:
        said.append(library.espeak_TextToPhonemes(ctypes.byref(rest), 1, 2).decode())
    return " ".join(said)


def test_the_voice_knows_every_word_it_is_given() -> None:
    """espeak-ng marks a switch to English with `(en)`; what it spells out has no such stress."""
    assert "(en)" in phonemes("facebook")
    agreed = (TEXTS / "plan_section_ii_spoken.txt").read_text(encoding="utf-8")
    given = [
        *agreed.splitlines(),
        *(ABBREVIATIONS | SIGNS | UNITS | LETTERS).values(),
        *(cardinal(number) for number in (0, 4, 15, 21, 105, 2024, 1_234_567_890)),
    ]
    foreign = {text: sounds for text in given if "(en)" in (sounds := phonemes(text))}
    assert not foreign


def test_a_full_text_is_read_and_a_longer_one_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="tối đa 30000") as caught:
        seconds_of("a" * (LONGEST_TEXT + 1), tmp_path)
    assert caught.value.field == "text"


def test_a_text_that_grows_past_an_hour_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="đọc lên dài 200 phút") as caught:
        seconds_of("7" * 30_000, tmp_path)
    assert caught.value.field == "text"


@pytest.mark.parametrize("text", ["", " \n\n ", "-----\n***", "你好", "😀😀", "\x00\x01"])
def test_a_text_with_nothing_to_read_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match="không có chữ nào đọc được") as caught:
        seconds_of(text, tmp_path)
    assert caught.value.field == "text"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "Xin chào 你好 😀 привет",
        "<speak>[[aa]] &amp; </speak>",
        "Ünïcödé ñandú čeština Łódź",
        "\x00a\x07b\u200b\ufeffc\U0010ffff",
        "x" * 300,
        "á\u0301\u0301\u0301" * 100,
        "zzz qqq www jjj fff",
    ],
)
def test_what_the_voice_does_not_know_does_not_stop_it(tmp_path: Path, text: str) -> None:
    assert seconds_of(text, tmp_path) > 0.5


# Piper.


def test_a_piper_voice_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"nowhere\.onnx\b.*BROADCAST_AUDIO__PIPER_VOICE"):
        speech.speak("a", tmp_path / "a.wav", piper_voice=tmp_path / "nowhere.onnx")


def test_a_piper_voice_needs_its_description(tmp_path: Path) -> None:
    (tmp_path / "voice.onnx").touch()
    with pytest.raises(Unavailable, match=r"voice\.onnx\.json"):
        speech.speak("a", tmp_path / "a.wav", piper_voice=tmp_path / "voice.onnx")


def test_a_machine_without_piper_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = piper_voice.write(tmp_path / "voice.onnx")
    monkeypatch.setitem(sys.modules, "piper", None)
    with pytest.raises(Unavailable, match=r"broadcast\[piper\]"):
        speech.speak("a", tmp_path / "a.wav", piper_voice=voice)


@pytest.mark.skipif(
    importlib.util.find_spec("piper") is None, reason="piper-tts, an optional extra, is not here"
)
def test_a_piper_voice_reads_the_text(tmp_path: Path) -> None:
    voice = piper_voice.write(tmp_path / "voice.onnx")
    speech.speak(script_of("THÔNG BÁO\nHọp lúc 7h. Hết."), tmp_path / "a.wav", piper_voice=voice)
    sound, rate = heard(tmp_path / "a.wav")
    assert rate == piper_voice.RATE
    assert np.abs(sound.astype(np.int32)).max() > 5000
    assert len(pauses(sound, rate)) == 3
    spoken_letters = len("thông báo họp lúc bảy giờ hết")
    assert len(sound) / rate > spoken_letters * piper_voice.HOP / rate
