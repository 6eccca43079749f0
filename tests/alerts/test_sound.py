"""The sound of an alert: its tone, its repeats and its being a drill are in it."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from broadcast.bulletins.audio.framing import (
    DRILL_OVER_SCRIPT,
    DRILL_SCRIPT,
    attention_tone,
    frame,
)
from broadcast.bulletins.audio.pcm import RATE
from broadcast.bulletins.audio.prepared import Framing, content_path
from broadcast.bulletins.audio.renditions import decode_pcm
from broadcast.bulletins.preparations import Source, content_key
from broadcast.config import Audio

WORDS, DRILL, OVER = 1000, 400, 700
"""Hertz by which each is known again."""
SECONDS = 1.0


def hum(path: Path, hertz: int) -> Path:
    at = np.arange(round(SECONDS * RATE)) / RATE
    sound = np.asarray(np.sin(2 * np.pi * hertz * at) * 8000, np.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound.tobytes())
    return path


def say(script: str, path: Path) -> None:
    hum(path, {DRILL_SCRIPT: DRILL, DRILL_OVER_SCRIPT: OVER}[script])


def framed(folder: Path, framing: Framing) -> list[int]:
    """What is heard one after the other, by its pitch; silence apart."""
    target = folder / "alert.wav"
    frame(hum(folder / "words.wav", WORDS), target, framing, folder, say)
    sound = decode_pcm(target)
    step = RATE // 10
    heard: list[int] = []
    for begin in range(0, len(sound) - step, step):
        piece = sound[begin : begin + step].astype(float)
        if np.abs(piece).max() < 500:
            continue
        pitch = int(np.argmax(np.abs(np.fft.rfft(piece))) * RATE / step)
        nearest = min((WORDS, DRILL, OVER), key=lambda each: abs(each - pitch))
        if abs(nearest - pitch) < 20 and heard[-1:] != [nearest]:
            heard.append(nearest)
    return heard


def test_the_words_of_an_actual_alert_are_repeated_and_nothing_says_drill(tmp_path: Path) -> None:
    assert framed(tmp_path, Framing(tone=False, repeats=1)) == [WORDS]
    twice = decode_pcm(tmp_path / "alert.wav")
    assert DRILL not in framed(tmp_path, Framing(tone=True, repeats=3))
    assert len(decode_pcm(tmp_path / "alert.wav")) > len(twice) + 2 * RATE + len(attention_tone())


@pytest.mark.parametrize("tone", [True, False])
@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_a_drill_says_so_before_every_repeat_and_at_the_end(
    tmp_path: Path, tone: bool, repeats: int
) -> None:
    heard = framed(tmp_path, Framing(tone=tone, repeats=repeats, is_drill=True))
    bell = heard[: len(heard) - 2 * repeats - 1]
    assert WORDS not in bell
    assert heard[len(bell) :] == [DRILL, WORDS] * repeats + [OVER]


def test_words_in_further_languages_follow_each_time(tmp_path: Path) -> None:
    path = content_path(tmp_path, "ab" * 32)
    path.parent.mkdir()
    hum(path, OVER)
    framing = Framing(tone=False, repeats=2, others=("ab" * 32,))
    assert framed(tmp_path, framing) == [WORDS, OVER] * 2


def test_the_sound_of_a_drill_is_never_taken_for_that_of_an_alert() -> None:
    keys = {
        content_key(Source.of_text("Lũ về", framing), Audio())
        for framing in (None, Framing(), Framing(is_drill=True), Framing(repeats=3))
    }
    assert len(keys) == 4
