"""Text read aloud, offline: espeak-ng always, a Piper voice where one is configured.

espeak-ng is one state machine for a whole process and Piper's runtime keeps what it allocates, so
outside tests this runs in the child process of `broadcast.bulletins.sandbox`.
"""

from __future__ import annotations

import ctypes
import functools
import re
import wave
from collections.abc import Callable
from pathlib import Path

import espeakng_loader

from broadcast.bulletins.speech.script import passages_of
from broadcast.kit.errors import Unavailable

VOICE = "vi-vn-x-central"
"""The accent of Quảng Ngãi."""

ESPEAK_RATE = 110
"""Unit of espeak-ng, an English word; comes to 150-165 syllables a minute between pauses.

A newsreader says about 210. Out of doors two horns within earshot answer each other's echo.
"""

PIPER_LENGTH_SCALE = 1.2
"""The same slowness as a factor on Piper's own pace."""

SENTENCE_PAUSE_SECONDS = 0.4
LINE_PAUSE_SECONDS = 0.7
HEADING_PAUSE_SECONDS = 1.0

_OUTPUT_SYNCHRONOUS = 2
_CHARACTERS_UTF8 = 1
_PARAMETER_RATE = 1

Say = Callable[[str], bytes]
"""From words to 16-bit mono samples."""


def speak(
    script: str,
    target: Path,
    *,
    piper_voice: Path | None,
    report: Callable[[float], None] = lambda _: None,
) -> None:
    """Say a script into a WAV file.

    Args:
        script: Of `speech.script`.
        target: File to write, 16-bit mono at the voice's own rate.
        piper_voice: Piper voice (.onnx beside its .onnx.json), or None for espeak-ng.
        report: Told, line by line, which part of the whole is done.

    Raises:
        Unavailable: The configured Piper voice cannot be used.
    """
    lines = passages_of(script)
    rate, say = _piper(piper_voice) if piper_voice else _espeak()
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        for number, line in enumerate(lines):
            report(number / len(lines))
            # One sentence at a time: espeak-ng ends none before a lower-case letter.
            for sentence in re.split(r"(?<=[.?!]) ", line.words):
                file.writeframes(say(sentence) + _pause(SENTENCE_PAUSE_SECONDS, rate))
            after = HEADING_PAUSE_SECONDS if line.is_heading else LINE_PAUSE_SECONDS
            file.writeframes(_pause(after - SENTENCE_PAUSE_SECONDS, rate))


def _pause(seconds: float, rate: int) -> bytes:
    return bytes(2 * round(seconds * rate))


@functools.cache
def _espeak() -> tuple[int, Say]:
    espeak = _Espeak()
    return espeak.rate, espeak.say


class _Espeak:
    """espeak-ng with the province's voice. It is one state machine: make no second one.

    A sentence's samples depend on what was said before it; those of a whole text in a fresh
    process are always the same.
    """

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.rate: int = self._library.espeak_Initialize(
            _OUTPUT_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0
        )
        if self.rate <= 0 or self._library.espeak_SetVoiceByName(VOICE.encode()) != 0:
            raise Unavailable(f"Không mở được giọng đọc {VOICE}. Hãy cài lại gói espeakng-loader.")
        self._library.espeak_SetParameter(_PARAMETER_RATE, ESPEAK_RATE, 0)
        self._samples: list[bytes] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        # Kept, because ctypes frees a callback that nothing holds.
        self._callback = kind(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, address: int | None, count: int, _events: int | None) -> int:
        if address:
            self._samples.append(ctypes.string_at(address, 2 * count))
        return 0

    def say(self, words: str) -> bytes:
        """Samples of one sentence."""
        written = words.encode()
        self._samples.clear()
        self._library.espeak_Synth(
            written, ctypes.c_size_t(len(written) + 1), 0, 0, 0, _CHARACTERS_UTF8, None, None
        )
        return b"".join(self._samples)


def _piper(voice_path: Path) -> tuple[int, Say]:
    for needed in (voice_path, Path(f"{voice_path}.json")):
        if not needed.is_file():
            raise Unavailable(
                f"Không thấy tệp giọng đọc Piper {needed}."
                " Hãy sửa BROADCAST_AUDIO__PIPER_VOICE, hoặc bỏ nó để dùng giọng có sẵn."
            )
    try:
        from piper import PiperVoice, SynthesisConfig  # noqa: PLC0415  an optional extra
    except ImportError as error:
        raise Unavailable(
            "Chưa cài piper-tts. Hãy cài broadcast[piper],"
            " hoặc bỏ BROADCAST_AUDIO__PIPER_VOICE để dùng giọng có sẵn."
        ) from error
    voice = PiperVoice.load(voice_path)
    pace = SynthesisConfig(length_scale=PIPER_LENGTH_SCALE * voice.config.length_scale)

    def say(words: str) -> bytes:
        return b"".join(
            sentence.audio_int16_bytes for sentence in voice.synthesize(words, syn_config=pace)
        )

    return voice.config.sample_rate, say
